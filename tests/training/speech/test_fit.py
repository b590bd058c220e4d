"""Learning is visible in a minute, and a run that was stopped ends where one that was not does."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import pytest
import torch

from dreamactor_cli.models.speech_motion import SpeechMotion
from dreamactor_cli.training.speech.corpus import Speech, join
from dreamactor_cli.training.speech.evaluate import evaluate
from dreamactor_cli.training.speech.examples import MelExamples
from dreamactor_cli.training.speech.fit import Progress, fit


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network() -> SpeechMotion:
    torch.manual_seed(0)
    return SpeechMotion(24, (1, 2, 4, 8))


def run(held_out: Mapping[str, Speech], model: SpeechMotion, checkpoint: Path, steps: int, key: str = "") -> Iterator[Progress]:
    examples = MelExamples(held_out["voices"], size=4)
    return fit(model, examples.draw, steps=steps, seed=1, checkpoint=checkpoint, key=key)


def test_learning_is_visible(held_out: Mapping[str, Speech], tmp_path: Path) -> None:
    """From three sets of nine seconds the network learns to hear the fourth better than loudness tells."""
    parts = [held_out[name] for name in ("voices", "recorded", "both")]
    speech = join(parts)
    model = network()
    losses = [at.loss for at in fit(model, MelExamples(speech, 8).draw, steps=250, seed=1, checkpoint=tmp_path / "c", key="")]
    judged = evaluate(model, held_out["languages"])
    assert losses[-1] < 0.5 * losses[0]
    assert judged.correlation["aperture"] > judged.loudness + 0.05
    assert judged.correlation["width"] > 0.2
    assert judged.visemes > 0.4


def test_a_stopped_run_ends_as_one_that_was_not(
    held_out: Mapping[str, Speech], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamactor_cli.training.speech.fit._KEEP_EVERY", 5)
    whole, first, second = network(), network(), network()
    wanted = list(run(held_out, whole, tmp_path / "whole", 12))
    list(islice(run(held_out, first, tmp_path / "parts", 12), 8))
    found = list(run(held_out, second, tmp_path / "parts", 12))
    assert [at.step for at in found] == list(range(6, 13))
    assert found[-1].loss == pytest.approx(wanted[-1].loss, rel=1e-4)
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_more_steps_go_on_only_before_the_rate_falls(
    held_out: Mapping[str, Speech], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamactor_cli.training.speech.fit._KEEP_EVERY", 5)
    list(islice(run(held_out, network(), tmp_path / "c", 10), 5))
    assert next(run(held_out, network(), tmp_path / "c", 20)).step == 6
    list(run(held_out, network(), tmp_path / "c", 10))
    assert next(run(held_out, network(), tmp_path / "c", 20)).step == 1


@pytest.mark.parametrize("damage", ["other key", "truncated", "empty"])
def test_an_unusable_checkpoint_begins_anew(held_out: Mapping[str, Speech], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c"
    list(run(held_out, network(), path, 2, key="other" if damage == "other key" else ""))
    if damage != "other key":
        path.write_bytes(path.read_bytes()[: 100 if damage == "truncated" else 0])
    assert next(run(held_out, network(), path, 2)).step == 1
