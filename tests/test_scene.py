"""The driver's picture at the output's size and rate, and the driver in it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls
from dreamactor_cli.controls.extract import extract_controls
from dreamactor_cli.driving import Driver
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import read_frames
from dreamactor_cli.scene import DrivingScene

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

SKIPPED = 5  # frames before the window


@pytest.fixture(scope="module")
def driver(face_clip: FaceClip, shared_cache: Cache) -> Driver:
    """Two thirds of a second of the face that moves."""
    found = extract_controls(
        face_clip.path, signals=("face", "matte"), cache=shared_cache, start=SKIPPED / face_clip.fps, duration=Fraction(16, 25),
        workers=1,
    )  # fmt: skip
    return Driver(controls=found.stream, video=found.info, first_frame=SKIPPED)


def test_frames_are_the_videos_own_and_the_person_is_where_it_is_seen(driver: Driver) -> None:
    assert driver.video is not None
    part = DrivingScene(driver, driver.controls.fps, 256, 256).window(3, 9)
    seen = np.stack(list(read_frames(driver.video.path, SKIPPED + 3, SKIPPED + 9)))
    np.testing.assert_array_equal(part.frames, seen)
    assert part.person.shape == (6, 256, 256)
    face = driver.controls.window(3, 9).face
    assert face is not None and part.controls.face is not None
    np.testing.assert_allclose(part.controls.face.landmarks, face.landmarks, atol=1e-4)
    nose = face.landmarks[:, 1, :2].astype(int)
    assert all(mask[y, x] > 200 for mask, (x, y) in zip(part.person, nose, strict=True))
    assert (part.person[:, :10, :10] < 50).all()  # a corner of the sky


def test_another_size_keeps_picture_mask_and_controls_together(driver: Driver) -> None:
    scene = DrivingScene(driver, driver.controls.fps, 320, 160)
    part = scene.window(0, 2)
    assert part.frames.shape == (2, 160, 320, 3)
    assert (part.controls.width, part.controls.height) == (320, 160)
    plain = DrivingScene(driver, driver.controls.fps, 256, 256).window(0, 2)
    assert part.controls.face is not None and plain.controls.face is not None
    # 256x256 covers 320x160 at 1.25 times its size; 80 rows above and below are cut off.
    expected = (plain.controls.face.landmarks[..., :2] + 0.5) * 1.25 - 0.5 - [0, 80]
    np.testing.assert_allclose(part.controls.face.landmarks[..., :2], expected, atol=1e-3)
    for x, y in part.controls.face.landmarks[0, [1, 33, 263], :2].astype(int):
        there = plain.frames[0, int((y + 80.5) / 1.25), int((x + 0.5) / 1.25)].astype(int)
        assert np.abs(part.frames[0, y, x] - there).max() < 40


def test_other_rates_show_what_is_seen_at_that_time(driver: Driver) -> None:
    own = DrivingScene(driver, driver.controls.fps, 256, 256).window(0, 16)
    twice = DrivingScene(driver, 2 * driver.controls.fps, 256, 256).window(4, 12)
    np.testing.assert_array_equal(twice.frames, own.frames[[2, 2, 3, 3, 4, 4, 5, 5]])
    assert twice.controls.num_frames == 8
    beyond = DrivingScene(driver, driver.controls.fps, 256, 256).window(14, 20)
    np.testing.assert_array_equal(beyond.frames[1:], np.repeat(own.frames[15:16], 5, 0))


def test_a_driver_without_pictures_has_no_scene() -> None:
    controls = Controls(num_frames=3, fps=Fraction(25), width=64, height=64)
    with pytest.raises(UsageError, match="needs a driving video"):
        DrivingScene(Driver(controls=controls), Fraction(25), 64, 64)
