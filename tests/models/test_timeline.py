"""Pixel frames, latent frames, and segments of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamactor_cli.models.timeline import frames_of, latent_index, latents_of, longest_of, next_segment


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (2, 2), (5, 2), (6, 3), (73, 19), (74, 20), (121, 31)])
def test_latents_hold_all_frames(frames: int, latents: int) -> None:
    assert latents_of(frames) == latents
    assert frames_of(latents) - 3 <= max(frames, 1) <= frames_of(latents) or frames == 1


def test_the_first_latent_holds_one_frame_and_each_other_four() -> None:
    assert latent_index(10) == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]


@given(total=st.integers(1, 400), longest=st.integers(2, 40))
def test_segments_share_one_latent_and_are_about_equally_long(total: int, longest: int) -> None:
    found, start = [], 0
    while not found or start < total - 1:
        found.append((start, next_segment(total - start, longest)))
        start += found[-1][1] - 1
    covered = [k for start, length in found for k in range(start, start + length)]
    shared = [start for start, _ in found[1:]]
    assert sorted(covered) == sorted([*range(total), *shared])
    lengths = [length for _, length in found]
    assert max(lengths) <= longest
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(("frames", "latents"), [(73, 19), (76, 19), (77, 20), (1, 2)])
def test_the_longest_segment_is_rounded_down(frames: int, latents: int) -> None:
    assert longest_of(frames) == latents


def test_a_segment_of_one_latent_would_never_end() -> None:
    with pytest.raises(ValueError, match="2 latents"):
        next_segment(5, 1)
