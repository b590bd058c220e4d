"""The sampler: lengths, segments, what is asked of the model, and memory that runs out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import MagCacheConfig
from numpy.typing import NDArray

from dreamactor_cli.errors import OutOfMemory
from dreamactor_cli.models import pipeline as pipeline_module
from dreamactor_cli.models import video_vae
from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.memory import Ladder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.sampling import Sampling
from tests.diffusion_models import debug_models

U8 = NDArray[np.uint8]
SIDE = 32
PLAIN = Sampling(steps=2, guidance_reference=1.0, guidance_motion=1.0, segment_frames=9)


@pytest.fixture(scope="module")
def pipeline() -> DreamActorPipeline:
    return DreamActorPipeline(debug_models())


@pytest.fixture(scope="module")
def references() -> References:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 2, SIDE, SIDE, 3), np.uint8)
    return References(images=pictures[0], poses=pictures[1])


def moving(start: int, stop: int) -> Conditions:
    """A bar that moves, and a face that opens its mouth."""
    poses = np.zeros((stop - start, SIDE, SIDE, 3), np.uint8)
    face = np.zeros((stop - start, 56), np.float32)
    for row, frame in enumerate(range(start, stop)):
        poses[row, :, frame % SIDE] = 255
        face[row] = frame / 10
    return Conditions(poses=poses, face=face)


def ladder(told: list[str] | None = None, frames: int = 9) -> Ladder:
    return Ladder((told if told is not None else []).append, frames=frames, can_offload=False)


def drawn(
    pipeline: DreamActorPipeline, references: References, frames: int, sampling: Sampling = PLAIN,
    conditions: Callable[[int, int], Conditions] = moving, rungs: Ladder | None = None,
) -> U8:  # fmt: skip
    rungs = rungs or ladder(frames=sampling.segment_frames)
    return np.concatenate(list(pipeline.render(references, conditions, frames, sampling, rungs)))


@contextmanager
def watched(pipeline: DreamActorPipeline) -> Iterator[list[dict[str, object]]]:
    """The calls of the transformer."""
    calls: list[dict[str, object]] = []

    def note(module: object, arguments: tuple[object, ...], named: dict[str, object]) -> None:
        calls.append({"hidden_states": arguments[0], "timestep": arguments[1], **named})

    handle = pipeline.models.transformer.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


@pytest.mark.parametrize("frames", [1, 2, 5, 9, 10, 22])
def test_exactly_as_many_frames_come_as_are_asked_for(pipeline: DreamActorPipeline, references: References, frames: int) -> None:
    windows: list[tuple[int, int]] = []

    def conditions(start: int, stop: int) -> Conditions:
        windows.append((start, stop))
        return moving(start, stop)

    assert drawn(pipeline, references, frames, conditions=conditions).shape == (frames, SIDE, SIDE, 3)
    assert windows[0][0] == 0
    assert windows[-1][1] == frames
    assert all(after[0] == before[1] - 1 for before, after in zip(windows, windows[1:], strict=False))


def test_same_seed_same_bytes(pipeline: DreamActorPipeline, references: References) -> None:
    first = drawn(pipeline, references, 13)
    assert np.array_equal(first, drawn(pipeline, references, 13))
    other = Sampling(steps=2, guidance_reference=1.0, guidance_motion=1.0, segment_frames=9, seed=1)
    assert not np.array_equal(first, drawn(pipeline, references, 13, other))


def test_a_segment_opens_with_the_last_latent_of_the_one_before(pipeline: DreamActorPipeline, references: References) -> None:
    with watched(pipeline) as calls:
        drawn(pipeline, references, 17)
    times = [call["timestep"] for call in calls]
    first, second = calls[:2], calls[2:]
    assert all((call["timestep"] != 0).all() for call in first)  # type: ignore[attr-defined]
    assert all(call["timestep"][0, 0] == 0 and (call["timestep"][0, 1:] != 0).all() for call in second)  # type: ignore[index]
    openings = [call["hidden_states"][:, :, 0] for call in second]  # type: ignore[index]
    assert torch.equal(openings[0], openings[1])
    assert len(times) == 4


def test_segments_are_one_run_of_latents_for_the_decoder(
    pipeline: DreamActorPipeline, references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames are those of the whole run of latents decoded at once: no seam comes from decoding."""
    pushed: list[torch.Tensor] = []
    through = video_vae.LatentDecoder.push

    def push(self: video_vae.LatentDecoder, latents: torch.Tensor) -> torch.Tensor:
        pushed.append(latents)
        return through(self, latents)

    monkeypatch.setattr(video_vae.LatentDecoder, "push", push)
    frames = drawn(pipeline, references, 20)
    latents = torch.cat(pushed, 2)
    assert latents.shape[2] == 6
    vae = pipeline.models.vae
    whole = vae.decode(video_vae.denormalise(vae, latents)).sample
    assert np.array_equal(video_vae.to_frames(whole)[:20], frames)


def test_references_are_encoded_once_and_give_what_they_give_at_every_step(
    pipeline: DreamActorPipeline, references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = drawn(pipeline, references, 9)
    model, calls = pipeline.models.transformer, []
    encode, forward = model.encode_references, model.forward

    def kept(*states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(states)
        return states

    def anew(*arguments: object, reference_cache: tuple[torch.Tensor, ...], **named: object) -> object:
        return forward(*arguments, reference_cache=encode(*reference_cache), **named)

    monkeypatch.setattr(model, "encode_references", kept)
    monkeypatch.setattr(model, "forward", anew)
    assert np.array_equal(drawn(pipeline, references, 9), cached)
    assert len(calls) == 1


@pytest.mark.parametrize(("reference", "motion", "per_step"), [(1.0, 1.0, 1), (2.5, 1.0, 2), (1.0, 2.5, 2), (2.5, 2.5, 3)])
def test_guidance_of_one_costs_nothing(
    pipeline: DreamActorPipeline, references: References, reference: float, motion: float, per_step: int
) -> None:
    sampling = Sampling(steps=2, guidance_reference=reference, guidance_motion=motion, segment_frames=9)
    with watched(pipeline) as calls:
        drawn(pipeline, references, 5, sampling)
    assert len(calls) == 2 * per_step
    still = [call for call in calls if call["motion_tokens"] is None]
    assert len(still) == 2 * (motion != 1)
    assert all(call["pose_states"] is None for call in still)


def test_all_that_is_told_counts(pipeline: DreamActorPipeline, references: References) -> None:
    plain = drawn(pipeline, references, 5)
    other = References(images=references.images[::-1], poses=references.poses)
    unposed = References(images=references.images)

    def speaking(start: int, stop: int) -> Conditions:
        said = np.ones((stop - start, 9), np.float32)
        return Conditions(poses=moving(start, stop).poses, face=moving(start, stop).face, speech=said)

    def faceless(start: int, stop: int) -> Conditions:
        return Conditions(poses=moving(start, stop).poses)

    def still(start: int, stop: int) -> Conditions:
        return Conditions(poses=np.zeros_like(moving(start, stop).poses), face=moving(start, stop).face)

    assert not np.array_equal(plain, drawn(pipeline, other, 5))
    assert not np.array_equal(plain, drawn(pipeline, unposed, 5))
    for conditions in (speaking, faceless, still):
        assert not np.array_equal(plain, drawn(pipeline, references, 5, conditions=conditions))


@pytest.mark.parametrize("cache", ["first-block", "taylor", "mag"])
def test_step_caches_begin_anew_with_each_clip(references: References, cache: str) -> None:
    own = DreamActorPipeline(debug_models())
    plain = Sampling(steps=8, segment_frames=9, guidance_reference=1.0, guidance_motion=1.0)
    sampling = replace(plain, step_cache=cache)
    exact = drawn(own, references, 9, plain)
    first = drawn(own, references, 9, sampling)
    assert np.array_equal(first, drawn(own, references, 9, sampling))
    assert np.abs(first.astype(int) - exact).mean() < 30
    assert np.array_equal(drawn(own, references, 9, plain), exact)


def test_several_draws_of_a_clip_are_one(pipeline: DreamActorPipeline, references: References) -> None:
    asked: list[tuple[int, int]] = []
    done: list[int] = []

    def conditions(start: int, stop: int) -> Conditions:
        asked.append((start, stop))
        return moving(start, stop)

    sampling = replace(PLAIN, shifts=4)
    rungs = ladder(frames=9)
    told = pipeline.render(references, conditions, 22, sampling, rungs, lambda at, _: done.append(at))
    frames = np.concatenate(list(told))
    assert frames.shape == (22, SIDE, SIDE, 3)
    # Once for each segment of the draws in their time, and of those that are two frames later.
    assert sorted(asked) == sorted([(0, 9), (8, 17), (16, 22), (0, 7), (6, 15), (14, 22)])
    assert done == sorted(done)
    assert done[-1] == 22
    plain = drawn(pipeline, references, 22).astype(int)
    own = np.abs(plain[:, -4:, -4:] - frames[:, -4:, -4:])  # here the first draw is alone
    assert own.max() == 0
    assert np.abs(plain - frames).max() > 0


def test_a_measured_step_cache_begins_with_the_second_segment(references: References) -> None:
    own = DreamActorPipeline(debug_models())
    plain = Sampling(steps=8, segment_frames=9, guidance_reference=2.0, guidance_motion=1.0)
    exact = drawn(own, references, 25, plain)
    inner, calls = own.models.transformer.blocks[-1].ffn, list[int]()
    hook = inner.register_forward_hook(lambda *_: calls.append(1))
    cached = drawn(own, references, 25, replace(plain, step_cache="mag"))
    hook.remove()
    assert np.array_equal(cached[:9], exact[:9])
    assert not np.array_equal(cached[9:], exact[9:])
    in_full = 2 * 8  # two answers a step; the references pass this place twice more, with and without
    assert 2 + in_full < len(calls) < 2 + 3 * in_full


def test_what_a_step_cache_must_know_is_measured_as_diffusers_does(
    references: References, capsys: pytest.CaptureFixture[str]
) -> None:
    own = DreamActorPipeline(debug_models())
    plain = Sampling(steps=6, segment_frames=9, guidance_reference=1.0, guidance_motion=2.0)
    drawn(own, references, 17, replace(plain, step_cache="mag"))
    ratios = own.models.transformer._cache_config.mag_ratios
    caching = pipeline_module.StepCaching(own.models.transformer, "off", 6)
    own.models.transformer.enable_cache(MagCacheConfig(num_inference_steps=6, calibrate=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_module, "StepCaching", lambda *_: caching)
        drawn(own, references, 9, plain)
    told = json.loads(capsys.readouterr().out.split("\n")[2])  # the full answer ends its steps first
    assert ratios.tolist() == pytest.approx(told, rel=1e-5)
    assert min(told) != max(told)


def test_memory_that_runs_out_costs_something_and_not_the_clip(references: References, monkeypatch: pytest.MonkeyPatch) -> None:
    own, told = DreamActorPipeline(debug_models()), list[str]()
    forward, failures = own.models.transformer.forward, [1, 1]

    def fails(*arguments: object, **named: object) -> object:
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*arguments, **named)

    monkeypatch.setattr(own.models.transformer, "forward", fails)
    sampling = replace(PLAIN, steps=1, segment_frames=33)
    frames = drawn(own, references, 30, sampling, rungs=ladder(told, frames=33))
    assert frames.shape == (30, SIDE, SIDE, 3)
    assert ["tiles" in told[0], "17 frames" in told[1], len(told)] == [True, True, 2]
    # The same as with these settings from the start: nothing of the failed tries is left over.
    wanted = Ladder(lambda text: None, frames=33, can_offload=False, taken=2)
    assert np.array_equal(frames, drawn(own, references, 30, sampling, rungs=wanted))


def test_blocks_that_wait_elsewhere_change_nothing(references: References) -> None:
    """Here both places are the computer's memory; clips that follow find the model in the same way."""
    own = DreamActorPipeline(debug_models())
    wanted = drawn(own, references, 12)

    def rungs() -> Ladder:
        return Ladder(lambda text: None, frames=9, can_offload=True, taken=2)

    for _ in range(2):
        assert np.array_equal(drawn(own, references, 12, rungs=rungs()), wanted)
    assert all(hasattr(block, "_diffusers_hook") for block in own.models.transformer.blocks)


def test_memory_that_is_never_there_is_an_error(references: References, monkeypatch: pytest.MonkeyPatch) -> None:
    own = DreamActorPipeline(debug_models())

    def fails(*arguments: object, **named: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(own.models.transformer, "forward", fails)
    with pytest.raises(OutOfMemory):
        drawn(own, references, 5)


def test_progress_goes_from_step_to_step(pipeline: DreamActorPipeline, references: References) -> None:
    seen: list[tuple[int, int]] = []
    list(pipeline.render(references, moving, 16, PLAIN, ladder(), lambda done, total: seen.append((done, total))))
    assert seen == [(4, 16), (9, 16), (12, 16), (16, 16)]


def test_short_numbers(references: References) -> None:
    models = debug_models()
    for model in (models.transformer, models.vae, models.pose_encoder, models.face_motion):
        model.to(torch.bfloat16)
    short = drawn(DreamActorPipeline(models), references, 5)
    exact = drawn(DreamActorPipeline(debug_models()), references, 5)
    assert 0 < np.abs(short.astype(int) - exact).mean() < 12
