"""The reference at the size of the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.retarget.framing import frame_reference, framed_size

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Reference


@pytest.mark.parametrize(("size", "expected"), [("source", (640, 480)), ("1080x1920", (1080, 1920)), ("12X34", (12, 34))])
def test_sizes(size: str, expected: tuple[int, int]) -> None:
    assert framed_size(size, 640, 480) == expected


def test_the_own_size_changes_nothing(reference: Reference) -> None:
    assert frame_reference(reference, 512, 512) is reference


SIZES = [(256, 256), (300, 512), (512, 300), (1024, 1024), (333, 777), (900, 260)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_picture_matte_and_signals_have_the_size_and_the_face_stays_in(reference: Reference, width: int, height: int) -> None:
    framed = frame_reference(reference, width, height)
    assert framed.images.shape == (1, height, width, 3)
    assert framed.matte.shape == (1, height, width)
    assert framed.matte.min() >= 0
    assert framed.matte.max() <= 1
    assert (framed.controls.width, framed.controls.height) == (width, height)
    assert framed.controls.face is not None
    landmarks = framed.controls.face.landmarks[0]
    assert (landmarks[:, :2] > 0).all()
    assert (landmarks[:, :2] < [width, height]).all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_landmarks_stay_on_the_features(reference: Reference, width: int, height: int) -> None:
    """The picture around the landmarks is the old one, resampled by the landmarks' own motion."""
    framed = frame_reference(reference, width, height)
    before, after = reference.controls.face, framed.controls.face
    assert before is not None
    assert after is not None
    old, new = before.landmarks[0, :, :2].astype(np.float64), after.landmarks[0, :, :2].astype(np.float64)
    scale = float(np.ptp(new[:, 0]) / np.ptp(old[:, 0]))
    shift = new.mean(0) - scale * old.mean(0)
    np.testing.assert_allclose(new, scale * old + shift, atol=1e-2)
    inverse = np.array([[1 / scale, 0, -shift[0] / scale], [0, 1 / scale, -shift[1] / scale]])
    small = reference.images[0]
    if scale < 1:  # what is scaled down is averaged first
        small = cv2.GaussianBlur(small, (0, 0), 0.35 / scale)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(small, inverse, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    low, high = np.floor(new.min(0)).astype(int), np.ceil(new.max(0)).astype(int)
    face = (slice(max(low[1], 0), high[1]), slice(max(low[0], 0), high[0]))
    shifted, _ = cv2.phaseCorrelate(_grey(expected[face]), _grey(framed.images[0][face]))
    assert np.hypot(*shifted) < 0.12


def _grey(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.float32)


def test_the_head_sphere_agrees_with_the_landmarks(reference: Reference) -> None:
    framed = frame_reference(reference, 333, 777)
    head, face = framed.controls.head, framed.controls.face
    assert head is not None
    assert face is not None
    pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
    canonical = face.identity + face.expression
    assert np.abs(head_space.to_image(canonical, pose)[..., :2] - face.landmarks[..., :2]).max() < 0.02


def test_the_skeleton_moves_with_the_picture(reference: Reference) -> None:
    framed = frame_reference(reference, 256, 256)
    before, after = reference.controls.body, framed.controls.body
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.joints_2d, before.joints_2d / 2 - 0.25, atol=1e-3)
    np.testing.assert_array_equal(after.joints_3d, before.joints_3d)


def test_a_tall_crop_keeps_the_head_in_the_upper_part(reference: Reference) -> None:
    framed = frame_reference(reference, 300, 512)
    assert framed.controls.head is not None
    x, y = framed.controls.head.center[0]
    assert x == pytest.approx(150, abs=2)
    assert y < 512 * 0.5


def test_framing_is_deterministic(reference: Reference) -> None:
    frames: list[Callable[[], Reference]] = [lambda: frame_reference(reference, 301, 203)] * 2
    one, other = (make() for make in frames)
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.matte, other.matte)
