"""One clip by two processes on the CPU, with random weights."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Preset, Reference, RenderSettings
from dreamactor_cli.errors import MissingRequirement, OutOfMemory, UsageError, WorkerLost
from dreamactor_cli.models.conditions import References
from dreamactor_cli.models.weights_folder import Index, save
from dreamactor_cli.presets import merge
from dreamactor_cli.renderers.diffusion.companion import receive, send
from dreamactor_cli.renderers.diffusion.renderer import DiffusionRenderer
from dreamactor_cli.retarget.transfer import RetargetedStream
from tests.diffusion_models import debug_models

TOLERANCE = 2  # grey levels: the order of a sum is another one
SECONDS = 30.0  # in which a loss is told; an exchange with the dead waits ten minutes


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    """Two processes, and weights with a head for each of them in every attention."""
    folder = tmp_path_factory.mktemp("weights") / "two-heads"
    save(folder, debug_models(condition_heads=2), Index(config="debug", size=64, frames=9), card="# Random numbers")
    return Preset(renderer="diffusion", weights=str(folder), steps=2, guidance_reference=1.0, context_parallel=2)


@pytest.fixture(scope="module")
def controls(reference: Reference, perform: Callable[..., Controls]) -> RetargetedStream:
    driver = perform(0.44, jawOpen=[0, 1, 0])
    return RetargetedStream(reference.controls, driver, Preset(smoothing=0), Fraction(25))


@pytest.fixture
def renderer() -> Iterator[DiffusionRenderer]:
    made = DiffusionRenderer()
    yield made
    made.close()
    assert companions() == []


def companions() -> list[psutil.Process]:
    """Processes of companions that run."""
    found = []
    for child in psutil.Process().children(recursive=True):
        if child.status() != psutil.STATUS_ZOMBIE and any("diffusion.companion" in part for part in child.cmdline()):
            found.append(child)
    return found


def settings(preset: Preset, **others: object) -> RenderSettings:
    return RenderSettings(width=512, height=512, preset=preset, **others)  # type: ignore[arg-type]


def drawn(renderer: DiffusionRenderer, reference: Reference, controls: Controls, job: RenderSettings) -> NDArray[np.int16]:
    return np.concatenate(list(renderer.render(reference, controls, job))).astype(np.int16)


@pytest.mark.slow
def test_two_processes_draw_what_one_draws(
    renderer: DiffusionRenderer, reference: Reference, controls: Controls, preset: Preset
) -> None:
    """Two clips of two segments by the same companions, the second with a step cache and views of its own making.

    At last a third, of which no more than a few frames are wanted: the companions end with it.
    """
    jobs = [settings(preset), settings(replace(preset, step_cache="taylor", reference_views="auto", steps=1), seed=3)]
    two = [drawn(renderer, reference, controls, job) for job in jobs]
    ids = [process.pid for process in companions()]
    assert len(ids) == 1
    frames = renderer.render(reference, controls, jobs[0])
    assert np.array_equal(next(frames)[0], two[0][0])
    assert [process.pid for process in companions()] == ids
    frames.close()  # type: ignore[attr-defined]
    assert companions() == []
    one = [
        drawn(renderer, reference, controls, replace(job, preset=replace(job.preset, context_parallel=1))) for job in jobs
    ]  # fmt: skip
    for ours, wanted in zip(two, one, strict=True):
        assert ours.shape == wanted.shape == (11, 512, 512, 3)
        assert np.abs(ours - wanted).max() <= TOLERANCE
    assert np.abs(one[0] - one[1]).max() > 10 * TOLERANCE


@pytest.mark.slow
def test_a_companion_that_dies_is_told(
    renderer: DiffusionRenderer, reference: Reference, controls: Controls, preset: Preset
) -> None:
    """Killed while it draws; the next job gets another one."""
    frames = renderer.render(reference, controls, settings(replace(preset, steps=1000)))
    renderer.prepare(reference, settings(preset))
    [companion] = companions()
    killed: list[float] = []

    def kill() -> None:
        os.kill(companion.pid, signal.SIGKILL)
        killed.append(time.monotonic())

    threading.Timer(1.0, kill).start()
    with pytest.raises(WorkerLost, match="rank 1 of 2 was killed by signal 9"):
        list(frames)
    assert time.monotonic() - killed[0] < SECONDS
    assert companions() == []
    assert len(drawn(renderer, reference, controls, settings(preset))) == 11
    assert len(companions()) == 1


@pytest.mark.slow
def test_a_companion_that_fails_says_why(preset: Preset, tmp_path: Path) -> None:
    """One that cannot read the weights, of which there are none any more when it begins."""
    from dreamactor_cli.renderers.diffusion.companions import SharedPipeline

    with pytest.raises(WorkerLost, match="rank 1 of 2 failed: MissingRequirement"):
        SharedPipeline(tmp_path, preset, "cpu", lambda: None)  # type: ignore[arg-type, return-value]
    assert companions() == []


def test_memory_that_runs_out_on_one_rank_is_no_reason_to_go_on_otherwise() -> None:
    from dreamactor_cli.models.memory import Ladder

    told: list[str] = []
    ladder = Ladder(told.append, frames=73, can_offload=True, taken=1, shared=True)
    assert (ladder.taken, ladder.tiled, ladder.offloaded) == (1, True, False)

    def fail() -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory, match="devices share"):
        ladder.attempt(fail)
    assert (ladder.offloaded, len(told)) == (False, 1)


@pytest.mark.parametrize("given", ["0", "-1", "two", "65"])
def test_numbers_that_cannot_be(given: str) -> None:
    with pytest.raises(UsageError, match="--context-parallel"):
        merge(Preset(), {"context_parallel": given})


def test_what_cannot_be_shared_out_is_refused_before_the_work(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = DiffusionRenderer()
    renderer.check(preset)
    for cache in ("first-block", "mag"):
        with pytest.raises(UsageError, match="step-cache taylor"):
            renderer.check(replace(preset, step_cache=cache))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(MissingRequirement, match="needs 2 CUDA devices, and 1 can be seen"):
        renderer.check(preset)
    renderer.check(replace(preset, context_parallel=1))


@pytest.mark.parametrize(("degree", "fits"), [(2, True), (3, False), (4, True)])
def test_shares_on_the_cpu_are_even(degree: int, fits: bool) -> None:
    from dreamactor_cli.renderers.diffusion.companions import check_tokens

    references = References(images=np.zeros((1, 64, 64, 3), np.uint8))
    if fits:
        check_tokens(references, degree)
        return
    with pytest.raises(UsageError, match="16 tokens a frame cannot be shared among 3"):
        check_tokens(references, degree)


def test_a_message_arrives_as_it_was_sent(tmp_path: Path) -> None:
    poses = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, :, ::2]
    with open(tmp_path / "pipe", "wb") as pipe:
        send(pipe, {"taken": 1}, {"poses": poses, "face": None})
        send(pipe, {}, {})
        pipe.write(b'{"by')
    with open(tmp_path / "pipe", "rb") as pipe:
        about, arrays = receive(pipe) or ({}, {})
        assert about == {"taken": 1}
        assert list(arrays) == ["poses"]
        assert np.array_equal(arrays["poses"], poses)
        assert receive(pipe) == ({}, {})
        assert receive(pipe) is None
