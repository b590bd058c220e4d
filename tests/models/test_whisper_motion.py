"""Whisper's encoder as an ear, with a tiny random checkpoint in its own format."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from whisper.model import ModelDimensions, Whisper

from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models import speech_weights
from dreamactor_cli.models.speech_features import log_mel
from dreamactor_cli.models.whisper_encoder import WhisperEncoder, WhisperStream, find_checkpoint
from dreamactor_cli.models.whisper_motion import WhisperHearing, WhisperMotion

WINDOW = 120  # frames, 2.4 s


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dims = ModelDimensions(80, WINDOW, 16, 2, 3, 32, 8, 16, 2, 1)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("whisper") / "tiny.pt"
    torch.save({"dims": asdict(dims), "model_state_dict": Whisper(dims).state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> WhisperEncoder:
    return WhisperEncoder(checkpoint)


def some_sound(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal(int(16_000 * seconds))).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.001, 1.0, 2.4, 7.03])
@pytest.mark.parametrize("block", [997, 10**9])
def test_blocks_do_not_matter(encoder: WhisperEncoder, seconds: float, block: int) -> None:
    sound = some_sound(seconds)
    torch.manual_seed(0)
    hearing = WhisperHearing(encoder, WhisperMotion(encoder.layers, encoder.size).eval())
    parts = [hearing.push(sound[at : at + block]) for at in range(0, len(sound), block)]
    articulation, visemes = (np.concatenate(column) for column in zip(*parts, hearing.finish()))
    assert len(articulation) == len(visemes) == (len(log_mel(sound)) + 1) // 2  # as many as the network on log-mels gives
    torch.manual_seed(0)
    whole = WhisperHearing(encoder, WhisperMotion(encoder.layers, encoder.size).eval())
    first, last = whole.push(sound), whole.finish()
    np.testing.assert_allclose(articulation, np.concatenate([first[0], last[0]]), atol=1e-5)


def test_windows_overlap_and_their_edges_are_dropped(encoder: WhisperEncoder) -> None:
    sound = some_sound(10)
    stream = WhisperStream(encoder)
    layers = np.concatenate([stream.push(sound), stream.finish()])
    step = WINDOW - 2 * encoder.margin
    second = encoder.hear(sound[step * 320 : (step + WINDOW) * 320])
    inner = slice(encoder.margin, WINDOW - encoder.margin)
    np.testing.assert_allclose(layers[step:][inner], second[inner], atol=1e-5)


def test_no_sound_no_motion(encoder: WhisperEncoder) -> None:
    assert [len(part) for part in WhisperHearing(encoder, WhisperMotion(encoder.layers, encoder.size).eval()).finish()] == [0, 0]


def test_a_head_comes_back_with_its_encoder(checkpoint: Path, encoder: WhisperEncoder, tmp_path: Path) -> None:
    head = WhisperMotion(encoder.layers, encoder.size)
    about = {"encoder": f"whisper:{checkpoint}", "checkpoint_sha256": encoder.sha256}
    speech_weights.store(head, tmp_path, about)
    found, again = speech_weights.load_whisper(tmp_path)
    assert found.sha256 == encoder.sha256
    torch.testing.assert_close(again.stem.weight, head.stem.weight.half().float())
    with pytest.raises(UnreadableInput, match="does not fit"):
        speech_weights.load(tmp_path)
    speech_weights.store(head, tmp_path, {**about, "checkpoint_sha256": "0" * 64})
    with pytest.raises(UnreadableInput, match="other weights"):
        speech_weights.load_whisper(tmp_path)


class Evil:
    """What a pickle would run when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ("this must not run",)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", {"dims": {}}, {"model_state_dict": {}}, [1], Evil()])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: object, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UnreadableInput, match="not a Whisper checkpoint"):
        WhisperEncoder(path)
    assert capsys.readouterr().out == ""


def test_sizes_out_of_range_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["dims"]["n_audio_state"] = 10**9
    torch.save(content, tmp_path / "huge.pt")
    with pytest.raises(UnreadableInput):
        WhisperEncoder(tmp_path / "huge.pt")


def test_weights_that_are_not_there_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingRequirement, match="Whisper tiny") as caught:
        find_checkpoint("tiny")
    assert "whisper.load_model" in caught.value.hint
    with pytest.raises(MissingRequirement, match=r"nowhere\.pt"):
        find_checkpoint(str(tmp_path / "nowhere.pt"))
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "tiny.pt").touch()
    assert find_checkpoint("tiny") == tmp_path / "whisper" / "tiny.pt"
