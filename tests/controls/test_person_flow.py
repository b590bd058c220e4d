"""The field of hair, neck and shoulders, against a motion that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space, person_space
from dreamactor_cli.controls.person_flow import PersonFlow
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import PersonModel

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Reference

Array = NDArray[np.float64]
STILL = np.eye(2, 3)


class Still(NamedTuple):
    """The astronaut, ready to be followed."""

    grey: NDArray[np.uint8]
    landmarks: Array
    pose: HeadPose
    matte: NDArray[np.uint8]

    @property
    def unit(self) -> float:
        return float(self.pose.scale[0])

    def flow(self) -> PersonFlow:
        return PersonFlow(self.grey, self.landmarks, self.pose, self.matte)

    def measure(self, grey: NDArray[np.uint8]) -> Array:
        """Field of a frame in which head and torso stand still."""
        return measured(self.flow(), grey, self).astype(np.float64)

    def followed(self) -> Array:
        """Pixels of the person outside the face, within the field's grid, with some structure, (N, 2)."""
        inside = cv2.erode((self.matte > 200).astype(np.uint8), np.ones((9, 9), np.uint8))
        oval = np.rint(self.landmarks[list(head_space.FACE_OVAL), :2]).astype(np.int32)
        inside[cv2.dilate(cv2.fillPoly(np.zeros_like(inside), [oval], 1), np.ones((15, 15), np.uint8)) > 0] = 0
        slopes = [
            cv2.Sobel(cv2.GaussianBlur(self.grey, (0, 0), 1.5), cv2.CV_32F, *axis, scale=0.125) for axis in ((1, 0), (0, 1))
        ]
        structure = np.minimum(*(cv2.GaussianBlur(s * s, (0, 0), 8) for s in slopes))
        ys, xs = np.nonzero((inside > 0) & (structure > 4))
        points = np.stack([xs, ys], 1).astype(np.float64)[::17]
        offset = (points - head_space.sphere_of(self.pose)[0][0]) / self.unit
        return points[(np.abs(offset[:, 0]) < 3.3) & (offset[:, 1] < 3.8) & (offset[:, 1] > -2.2)]


def measured(flow: PersonFlow, grey: NDArray[np.uint8], still: Still) -> NDArray[np.float32]:
    """Field of one frame in which head and torso stand still."""
    field: NDArray[np.float32] = flow.measure([grey], still.landmarks[None], still.pose, STILL[None])[0]
    return field


@pytest.fixture(scope="module")
def still(reference: Reference) -> Still:
    face, head = reference.controls.face, reference.controls.head
    assert face is not None
    assert head is not None
    pose = head_space.pose_of_sphere(head.center[:1], head.radius[:1], head.rotation[:1])
    landmarks = head_space.to_image((face.identity + face.expression[0]).astype(np.float64), pose)[0]
    grey = cv2.cvtColor(reference.images[0], cv2.COLOR_RGB2GRAY)
    return Still(grey, landmarks, pose, np.rint(reference.matte[0] * 255).astype(np.uint8))


def _displacement(points: Array, still: Still, strength: float) -> Array:
    """A smooth way of hair and shoulders, (N, 2) px: the hair sways, the shoulders breathe, the face stands still."""
    u = (points - head_space.sphere_of(still.pose)[0][0]) / still.unit
    hair = np.exp(-(((u[:, 0] + 1.3) / 1.6) ** 2) - ((u[:, 1] + 0.9) / 1.6) ** 2)
    shoulder = np.exp(-(((u[:, 0] - 1.0) / 2.4) ** 2) - ((u[:, 1] - 3.2) / 1.6) ** 2)
    x, y = 2.0 * hair + 1.0 * shoulder, -1.0 * hair - 2.5 * shoulder
    return strength * np.stack([x, y], 1)


def _warped(still: Still, strength: float) -> NDArray[np.uint8]:
    """The picture in which every point p lies at p + displacement(p)."""
    height, width = still.grey.shape
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    target = np.stack([xs.ravel(), ys.ravel()], 1)
    source = target.copy()
    for _ in range(12):  # inverse of a smooth map by fixed-point iteration
        source = target - _displacement(source, still, strength)
    maps = source.reshape(height, width, 2).astype(np.float32)
    return np.asarray(cv2.remap(still.grey, maps[..., 0], maps[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def _predicted(still: Still, field: Array, points: Array) -> Array:
    model = PersonModel(points, still.landmarks, still.pose)
    return model.move(still.pose, still.landmarks, STILL, STILL, field)[:, :2] - points


def _rms(values: Array) -> float:
    return float(np.sqrt((values**2).sum(1).mean()))


@pytest.mark.parametrize("strength", [0.9, -0.6])
def test_a_known_motion_is_measured(still: Still, strength: float) -> None:
    points = still.followed()
    assert len(points) > 400
    true = _displacement(points, still, strength)
    moving = np.linalg.norm(true, axis=1) > 1
    assert moving.sum() > 60
    error = _predicted(still, still.measure(_warped(still, strength)), points) - true
    assert _rms(error) < min(0.35, 0.3 * _rms(true))
    assert _rms(error[moving]) < 0.35 * _rms(true[moving])


def test_a_still_picture_has_no_field(still: Still) -> None:
    assert np.abs(still.measure(still.grey)).max() < 1e-3


def test_light_is_no_motion(still: Still) -> None:
    """Slow gradients of brightness move nothing."""
    width = still.grey.shape[1]
    ramp = np.linspace(-18, 18, width)[None]
    lit = np.clip(still.grey * 0.95 + ramp, 0, 255).astype(np.uint8)
    points = still.followed()
    assert _rms(_predicted(still, still.measure(lit), points)) < 0.25


def test_no_node_moves_too_far_whatever_the_frame_shows(still: Still) -> None:
    noise = np.random.default_rng(0).integers(0, 256, still.grey.shape).astype(np.uint8)
    field = still.measure(noise)
    assert np.isfinite(field).all()
    assert np.linalg.norm(field, axis=2).max() <= 0.45 + 1e-4


def test_with_too_little_to_follow_the_field_is_zero(still: Still) -> None:
    nobody = still._replace(matte=np.zeros_like(still.matte))
    field = nobody.measure(_warped(still, 1.0))
    assert field.shape == (person_space.FIELD_ROWS, person_space.FIELD_COLUMNS, 2)
    assert not field.any()


def test_the_same_frame_gives_the_same_field(still: Still) -> None:
    """Frames do not depend on which were measured before."""
    flow, warped = still.flow(), _warped(still, 1.0)
    first = measured(flow, warped, still)
    measured(flow, still.grey[:, ::-1].copy(), still)
    np.testing.assert_array_equal(measured(flow, warped, still), first)


def test_the_measure_does_not_depend_on_the_size_of_the_picture(still: Still) -> None:
    """The field is in units of the head: of frames of half the size comes nearly the same."""
    half = still._replace(grey=cv2.resize(still.grey, (256, 256), interpolation=cv2.INTER_AREA))
    small = cv2.resize(_warped(still, 1.0), (256, 256), interpolation=cv2.INTER_AREA)
    points = still.followed()
    true = _displacement(points, still, 1.0)
    assert _rms(_predicted(still, half.measure(small), points) - true) < 0.45
