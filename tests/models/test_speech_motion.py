"""The answer for a window is the answer for the whole sound."""

import numpy as np
import pytest
import torch

from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.models.speech_motion import RANGES, VISEMES, MotionStream, SpeechMotion


@pytest.fixture(scope="module")
def model() -> SpeechMotion:
    torch.manual_seed(0)
    return SpeechMotion(channels=16).eval()


def heard(model: SpeechMotion, mel: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    stream = MotionStream(model)
    parts = [stream.push(mel[at : at + block]) for at in range(0, len(mel), block)]
    articulation, visemes = zip(*parts, stream.finish())
    return np.concatenate(articulation), np.concatenate(visemes)


def some_mel(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).standard_normal((frames, 64)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 63, 501])
@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_do_not_matter(model: SpeechMotion, frames: int, block: int) -> None:
    mel = some_mel(frames)
    whole, parts = heard(model, mel, frames), heard(model, mel, block)
    assert whole[0].shape == ((frames + 1) // 2, 9)
    assert whole[1].shape == ((frames + 1) // 2, len(VISEMES))
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-5)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-5)


def test_frames_come_as_soon_as_they_are_certain(model: SpeechMotion) -> None:
    stream = MotionStream(model)
    assert len(stream.push(some_mel(model.reach))[0]) == 0
    assert len(stream.push(some_mel(1))[0]) == 1
    assert len(stream.push(some_mel(2))[0]) == 1


def test_threads_of_others_do_not_matter() -> None:
    """What renders with four threads in the same process may not move a bit of what is heard afterwards."""
    torch.manual_seed(0)
    model, mel, threads = SpeechMotion().eval(), some_mel(1100), torch.get_num_threads()
    answers = []
    for count in (1, 4):
        torch.set_num_threads(count)
        answers.append(heard(model, mel, 1100))
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    assert np.array_equal(answers[0][0], answers[1][0])
    assert np.array_equal(answers[0][1], answers[1][1])


def test_nothing_said_nothing_heard(model: SpeechMotion) -> None:
    assert [len(part) for part in MotionStream(model).finish()] == [0, 0]


def test_reach_is_what_is_felt(model: SpeechMotion) -> None:
    mel = torch.zeros(1, 401, 64, requires_grad=True)
    model(mel)[0][0, 100].abs().sum().backward()
    assert mel.grad is not None
    felt = mel.grad[0].abs().sum(1).nonzero()[:, 0]
    assert felt.min() == 200 - model.reach
    assert felt.max() == 200 + model.reach


def test_answers_keep_their_ranges(model: SpeechMotion) -> None:
    articulation, visemes = heard(model, 100 * some_mel(200), 200)
    assert (articulation >= RANGES[:, 0]).all()
    assert (articulation <= RANGES[:, 1]).all()
    assert RANGES[SPEECH_CHANNELS.index("width")].tolist() == [-1, 1]
    np.testing.assert_allclose(visemes.sum(1), 1, atol=1e-5)
