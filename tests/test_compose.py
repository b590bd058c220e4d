"""Backgrounds, and pictures side by side."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import compose
from dreamactor_cli.contracts import Controls
from dreamactor_cli.driving import Driver
from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.media import probe

if TYPE_CHECKING:
    from tests.conftest import FaceClip

U8 = NDArray[np.uint8]
FPS = Fraction(25)


def _driver(clip: FaceClip | None, first: int = 0, frames: int = 10) -> Driver:
    controls = Controls(num_frames=frames, fps=FPS, width=256, height=256)
    return Driver(controls=controls, video=None if clip is None else probe(clip.path), first_frame=first)


def _ramp(height: int, width: int) -> U8:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 0 * x + 99], -1).astype(np.uint8)


@pytest.mark.parametrize("background", ["keep", "transparent"])
def test_nothing_is_put_under(background: str) -> None:
    assert compose.backgrounds(background, _driver(None), FPS, 30, 20) is None


@pytest.mark.parametrize(("background", "alpha"), [("keep", False), ("transparent", True), ("#ffffff", True), ("driving", True)])
def test_who_needs_alpha(background: str, alpha: bool) -> None:
    assert compose.needs_alpha(background) is alpha


def test_a_colour() -> None:
    under = compose.backgrounds("#0a14Ff", _driver(None), FPS, 30, 20)
    assert under is not None
    for _ in range(3):
        picture = next(under)
        assert picture.shape == (20, 30, 3)
        assert (picture == [10, 20, 255]).all()


def test_a_picture_covers_the_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), _ramp(100, 400)[..., ::-1])
    under = compose.backgrounds(str(tmp_path / "wall.png"), _driver(None), FPS, 60, 60)
    assert under is not None
    picture = next(under).astype(int)
    assert picture.shape == (60, 60, 3)
    assert picture[30, :, 0].min() > 85  # the middle quarter of the width
    assert picture[30, :, 0].max() < 170
    assert picture[0, 30, 1] < 10
    assert picture[-1, 30, 1] > 245


def test_a_picture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"none\.png"):
        compose.backgrounds(str(tmp_path / "none.png"), _driver(None), FPS, 60, 60)


def test_the_drivers_background_needs_a_video() -> None:
    with pytest.raises(UsageError, match="--background driving"):
        compose.backgrounds("driving", _driver(None), FPS, 30, 20)


@pytest.mark.parametrize("size", [(256, 256), (100, 160), (301, 40)])
def test_covering_keeps_the_proportions(size: tuple[int, int]) -> None:
    width, height = size
    image = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(image, (150, 100), 60, (255, 255, 255), -1)
    out = compose.cover(image, width, height)
    assert out.shape == (height, width, 3)
    scale = max(width / 300, height / 200)
    ys, xs = np.nonzero(out[..., 0] > 127)
    assert np.ptp(xs) + 1 == pytest.approx(min(width, 121 * scale), abs=3)
    assert np.ptp(ys) + 1 == pytest.approx(min(height, 121 * scale), abs=3)
    assert xs.mean() == pytest.approx((width - 1) / 2, abs=1)


def test_frames_of_the_driver_one_for_one(face_clip: FaceClip) -> None:
    shown = compose.driving_frames(_driver(face_clip, first=5), FPS)
    for k in range(10):
        assert np.abs(next(shown).astype(int) - face_clip.frames[5 + k]).mean() < 4
    assert np.abs(next(shown).astype(int) - face_clip.frames[14]).mean() < 4  # the last one is held


@pytest.mark.parametrize(("fps", "expected"), [(50, [0, 0, 1, 1, 2, 2]), (10, [0, 2, 5, 7, 9, 9]), (30, [0, 0, 1, 2, 3, 4])])
def test_frames_of_the_driver_at_another_rate(face_clip: FaceClip, fps: int, expected: list[int]) -> None:
    shown = compose.driving_frames(_driver(face_clip), Fraction(fps))
    for k in expected:
        picture = next(shown).astype(int)
        distance = [np.abs(picture - frame).mean() for frame in face_clip.frames[:10]]
        assert int(np.argmin(distance)) == k


def test_straight_alpha_over_a_background() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (40, 50, 4)).astype(np.uint8)
    under = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    frame[:5, :, 3], frame[5:10, :, 3] = 0, 255
    out = compose.lay_over(frame, under)
    part = frame[..., 3:] / 255.0
    assert np.abs(out - (part * frame[..., :3] + (1 - part) * under)).max() <= 0.51
    np.testing.assert_array_equal(out[:5], under[:5])
    np.testing.assert_array_equal(out[5:10], frame[5:10, :, :3])


def test_panels_have_the_height_of_the_last() -> None:
    wide, tall, last = _ramp(100, 200), _ramp(300, 100), _ramp(150, 150)
    out = compose.beside([wide, tall, last])
    assert out.shape == (150, 300 + 50 + 150, 3)
    np.testing.assert_array_equal(out[:, -150:], last)
    assert np.abs(out[:, :300].astype(int) - _ramp(150, 300)).mean() < 2
