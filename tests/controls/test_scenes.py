"""Scene cuts from small pictures."""

from __future__ import annotations

import numpy as np

from dreamactor_cli.controls.scenes import THUMB, find_cuts


def picture(seed: int, shift: float = 0.0) -> np.ndarray:
    """A smooth random picture, moved sideways by ``shift`` px."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:THUMB, 0:THUMB].astype(float)
    waves = [
        a * np.sin(fx * (x + shift) + fy * y + p) for a, fx, fy, p in rng.uniform([5, 0.1, 0.1, 0], [30, 0.5, 0.5, 6], (8, 4))
    ]
    return np.clip(120 + sum(waves), 0, 255)


def clip(frames: list[np.ndarray]) -> np.ndarray:
    return np.rint(np.stack(frames)).astype(np.uint8)


def test_a_hard_cut_is_found() -> None:
    assert find_cuts(clip([picture(1, 0.2 * t) for t in range(20)] + [picture(2, 0.2 * t) for t in range(20)])) == [20]


def test_a_cut_with_a_blended_frame_is_one_cut() -> None:
    between = np.full((THUMB, THUMB), 20.0)
    between[:8] = 200
    assert find_cuts(clip([picture(1)] * 12 + [between] + [picture(2)] * 12)) == [13]


def test_two_cuts_are_found() -> None:
    assert find_cuts(clip([picture(1)] * 12 + [picture(2)] * 12 + [picture(1)] * 12)) == [12, 24]


def test_fast_motion_is_no_cut() -> None:
    assert find_cuts(clip([picture(3, 3.0 * np.sin(t / 2) * t / 6) for t in range(40)])) == []


def test_a_flash_is_no_cut() -> None:
    frames = [picture(4, 0.1 * t) for t in range(30)]
    frames[15] = np.full_like(frames[15], 255)
    assert find_cuts(clip(frames)) == []


def test_a_fade_of_the_light_is_no_cut() -> None:
    assert find_cuts(clip([picture(5) * min(1, 0.2 + 0.1 * t) for t in range(20)])) == []


def test_short_clips_have_none() -> None:
    assert find_cuts(clip([picture(6)])) == []
    assert find_cuts(np.zeros((0, THUMB, THUMB), np.uint8)) == []


def test_a_long_clip_is_read_in_windows() -> None:
    class Counting:
        """Thumbs that remember the longest stretch that was asked for."""

        def __init__(self, thumbs: np.ndarray) -> None:
            self.thumbs, self.longest = thumbs, 0

        def __len__(self) -> int:
            return len(self.thumbs)

        def __getitem__(self, frames: slice) -> np.ndarray:
            found = self.thumbs[frames]
            self.longest = max(self.longest, len(found))
            return found

    moving = [picture(k // 256, 0.2 * (k % 9)) for k in range(1100)]
    thumbs = Counting(clip(moving))
    assert find_cuts(thumbs) == [256, 512, 768, 1024] == find_cuts(thumbs.thumbs)
    assert thumbs.longest < 300
