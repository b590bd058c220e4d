"""Segments against diffusers' own pipeline, and on lengths that it does not take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray

from dreamactor_cli.renderers.wan_animate.segments import (
    Pictures,
    Sampling,
    Segments,
    reflected,
    segment_count,
    segment_length,
)

Noise = Callable[..., Pictures]
Loaded = tuple[Any, Any]  # pipeline and prompt
SAMPLING = Sampling(steps=1, guidance=1.0, frames=9, overlap=1, seed=3)


def _sampled(loaded: Loaded, pictures: Pictures, sampling: Sampling, total: int | None = None) -> list[NDArray[np.uint8]]:
    """The frames of each segment; of the pictures, no more than a window is handed over at a time."""
    image = np.full((32, 32, 3), 90, np.uint8)

    def draw(start: int, stop: int) -> Pictures:
        assert 0 <= start < stop <= len(pictures.poses)
        assert stop - start <= sampling.frames  # however long the clip is
        return pictures.pick(np.arange(start, stop))

    return list(Segments(*loaded, image, sampling).run(total or len(pictures.poses), draw))


@pytest.mark.parametrize(("frames", "overlap", "guidance"), [(20, 1, 1.0), (20, 5, 2.0)])
def test_the_frames_are_those_of_the_pipeline(loaded: Loaded, noise: Noise, frames: int, overlap: int, guidance: float) -> None:
    pipeline, prompt = loaded
    pictures, sampling = noise(frames), replace(SAMPLING, frames=13, overlap=overlap, guidance=guidance, steps=2)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        image=PIL.Image.fromarray(np.full((32, 32, 3), 90, np.uint8)),
        pose_video=[PIL.Image.fromarray(pose) for pose in pictures.poses],
        face_video=[PIL.Image.fromarray(face) for face in pictures.faces],
        prompt_embeds=prompt.positive, negative_prompt_embeds=prompt.negative if guidance > 1 else None, height=32, width=32,
        segment_frame_length=13, num_inference_steps=2, guidance_scale=guidance, prev_segment_conditioning_frames=overlap,
        generator=torch.Generator("cpu").manual_seed(sampling.seed), output_type="np",
    ).frames[0]  # fmt: skip
    ours = np.concatenate(_sampled(loaded, pictures, sampling))
    assert ours.shape == (frames, 32, 32, 3)
    assert ours.std() > 5
    np.testing.assert_array_equal(ours, np.rint(theirs * 255).astype(np.uint8))


def test_a_person_is_put_into_a_scene_as_the_pipeline_does_it(loaded: Loaded, noise: Noise) -> None:
    pipeline, prompt = loaded
    frames, pictures = 16, noise(16)
    around = 255 - pictures.poses
    place = np.zeros((frames, 32, 32), np.uint8)
    place[:, 8:24, 8:24] = 255
    in_scene = replace(pictures, around=around, place=place)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        image=PIL.Image.fromarray(np.full((32, 32, 3), 90, np.uint8)),
        pose_video=[PIL.Image.fromarray(pose) for pose in pictures.poses],
        face_video=[PIL.Image.fromarray(face) for face in pictures.faces],
        background_video=[PIL.Image.fromarray(frame) for frame in around],
        mask_video=[PIL.Image.fromarray(mask) for mask in place], mode="replace", prompt_embeds=prompt.positive, height=32,
        width=32, segment_frame_length=9, num_inference_steps=1, guidance_scale=1.0, prev_segment_conditioning_frames=1,
        generator=torch.Generator("cpu").manual_seed(SAMPLING.seed), output_type="np",
    ).frames[0]  # fmt: skip
    ours = np.concatenate(_sampled(loaded, in_scene, SAMPLING))
    np.testing.assert_array_equal(ours, np.rint(theirs * 255).astype(np.uint8))
    assert (ours != np.concatenate(_sampled(loaded, pictures, SAMPLING))).any()


@pytest.mark.parametrize(("total", "overlap"), [(1, 1), (2, 1), (9, 1), (10, 1), (1, 5), (5, 5), (18, 5)])
def test_as_many_frames_come_as_are_asked_for(loaded: Loaded, noise: Noise, total: int, overlap: int) -> None:
    sampling = replace(SAMPLING, overlap=overlap, frames=segment_length(9, overlap))
    blocks = _sampled(loaded, noise(total), sampling)
    assert sum(len(block) for block in blocks) == total
    assert len(blocks) == segment_count(total, sampling.frames, overlap)
    assert all(len(block) for block in blocks)


def test_a_seed_gives_the_same_frames_and_another_others(loaded: Loaded, noise: Noise) -> None:
    first, again, other = (
        np.concatenate(_sampled(loaded, noise(12), replace(SAMPLING, seed=seed))) for seed in (1, 1, 2)
    )  # fmt: skip
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 1


def test_pose_and_face_both_count(loaded: Loaded, noise: Noise) -> None:
    pictures = noise(5)
    plain = np.concatenate(_sampled(loaded, pictures, SAMPLING))
    for changed in (replace(pictures, poses=255 - pictures.poses), replace(pictures, faces=255 - pictures.faces)):
        assert (np.concatenate(_sampled(loaded, changed, SAMPLING)) != plain).any()


def test_progress_ends_before_the_last_frame_and_never_goes_back(loaded: Loaded, noise: Noise) -> None:
    told: list[int] = []
    pictures, total = noise(18), 18
    segments = Segments(*loaded, np.zeros((32, 32, 3), np.uint8), replace(SAMPLING, steps=2))
    drawn = segments.run(total, lambda a, b: replace(pictures, poses=pictures.poses[a:b], faces=pictures.faces[a:b]),
                         lambda done, whole: told.append(done))  # fmt: skip
    assert sum(map(len, drawn)) == total
    assert told == sorted(told)
    assert len(told) == 2 * segment_count(total, 9, 1)
    assert told[-1] < total


@pytest.mark.parametrize(("asked", "overlap", "length"), [(77, 1, 77), (73, 5, 73), (80, 1, 77), (1, 1, 5), (1, 5, 9)])
def test_segments_are_as_long_as_latents_allow(asked: int, overlap: int, length: int) -> None:
    assert segment_length(asked, overlap) == length


@pytest.mark.parametrize(("total", "count"), [(1, 1), (76, 1), (77, 1), (78, 2), (150, 2), (153, 2), (154, 3)])
def test_the_fewest_segments_that_hold_a_clip(total: int, count: int) -> None:
    assert segment_count(total, 77, 1) == count


def test_behind_its_end_a_clip_goes_back_and_forth() -> None:
    assert reflected(0, 10, 5).tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1]
    assert reflected(3, 8, 4).tolist() == [3, 2, 1, 0, 1]
    assert reflected(0, 4, 1).tolist() == [0, 0, 0, 0]
