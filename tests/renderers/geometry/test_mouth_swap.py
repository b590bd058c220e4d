"""Another mouth in a frame: what does not move stays byte for byte, lips meet and part, the light is the frame's."""

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Reference
from dreamactor_cli.renderers.geometry.mouth_swap import MouthSwap
from dreamactor_cli.speech_face.mouth import Mouth
from dreamactor_cli.speech_face.tracks import mouth_tracks


@pytest.fixture(scope="module")
def scene(reference: Reference):
    """The astronaut's picture, pose, canonical face, and a function from canonical faces to px."""
    face, head = reference.controls.face, reference.controls.head
    assert face is not None
    assert head is not None
    pose = head_space.pose_of_sphere(head.center[:1], head.radius[:1], head.rotation[:1])
    canonical = (face.identity + face.expression[0]).astype(np.float64)
    return reference.images[0], pose, canonical, lambda shape: head_space.to_image(shape[None], pose)[0]


@pytest.fixture(scope="module")
def swap(scene) -> MouthSwap:
    image, pose, canonical, place = scene
    return MouthSwap(image, place(canonical), pose.rotation[0])


@pytest.fixture(scope="module")
def spoken(scene, say_mouth):
    """``spoken(aperture=..., closure=...)``: where the landmarks of the astronaut who says this are, (478, 3) px."""
    _, _, canonical, place = scene
    return lambda **channels: place(canonical + say_mouth(canonical, **channels))


@pytest.fixture(scope="module")
def say_mouth():
    from fractions import Fraction

    from dreamactor_cli.contracts import SPEECH_CHANNELS, Controls, Speech

    def make(canonical: np.ndarray, **channels: float) -> np.ndarray:
        articulation = np.zeros((30, 9), np.float32)
        for name, value in channels.items():
            articulation[:, SPEECH_CHANNELS.index(name)] = value
        speech = Speech(articulation=articulation, activity=np.ones(30, np.float32))
        controls = Controls(num_frames=30, fps=Fraction(25), width=1, height=1, speech=speech)
        return Mouth(canonical).shape(mouth_tracks(controls), 15, 16)[0][0]

    return make


def drawn(swap, scene, target, frame=None):
    image, pose, canonical, place = scene
    return swap.draw(image if frame is None else frame, place(canonical), target, float(pose.scale[0]), pose.rotation[0])


def test_nothing_moves_nothing_changes(swap, scene) -> None:
    image, _, canonical, place = scene
    np.testing.assert_array_equal(drawn(swap, scene, place(canonical)), image)


def test_only_the_lower_face_changes_and_the_frame_given_stays(swap, scene, spoken) -> None:
    image, _, canonical, place = scene
    before = image.copy()
    out = drawn(swap, scene, spoken(aperture=0.9, jaw=0.9))
    np.testing.assert_array_equal(image, before)
    changed = np.argwhere((out != image).any(2))
    points = place(canonical)
    assert changed[:, 0].min() > points[[145, 374], 1].max()  # below the eyes
    unit = float(np.linalg.norm(points[33] - points[263]))
    assert changed[:, 0].max() < points[head_space.CHIN, 1] + 0.6 * unit
    assert len(changed) < 0.1 * image.shape[0] * image.shape[1]


def test_lips_meet_over_a_toothy_smile(swap, scene, spoken) -> None:
    """Between the lips of the picture are teeth, much brighter than lips; of the closed mouth there are none."""
    image, _, canonical, place = scene
    points, shut = place(canonical), spoken(closure=1.0)
    assert abs(shut[13, 1] - shut[14, 1]) < 0.5
    out = drawn(swap, scene, shut)
    row, columns = round(float(shut[13, 1])), slice(round(float(points[82, 0])), round(float(points[312, 0])))
    teeth = image[round(float(points[13, 1] + points[14, 1]) / 2), columns].astype(float)
    lips = out[row, columns].astype(float)
    assert lips[:, 2].mean() < teeth[:, 2].mean() - 40  # less blue: lips and not enamel


def test_an_open_mouth_is_filled_in_the_frames_light(swap, scene, spoken) -> None:
    image, *_ = scene
    target = spoken(aperture=1.0, jaw=1.0)
    inside = tuple(np.rint((target[13, 1::-1] + target[14, 1::-1]) / 2).astype(int))
    bright = drawn(swap, scene, target)[inside].astype(float)
    dim = drawn(swap, scene, target, (image * 0.6).astype(np.uint8))[inside].astype(float)
    assert 0.4 < dim.mean() / max(bright.mean(), 1) < 0.8


def test_no_seam_where_the_change_ends(swap, scene, spoken) -> None:
    """At the border of what changed, pixels differ by next to nothing."""
    import cv2

    image, *_ = scene
    out = drawn(swap, scene, spoken(aperture=0.5, jaw=0.4)).astype(int)
    difference = np.abs(out - image).max(2)
    changed = (difference > 0).astype(np.uint8)
    border = changed & ~cv2.erode(changed, np.ones((3, 3), np.uint8))
    assert np.percentile(difference[border > 0], 90) <= 6


def test_a_face_at_the_edge_of_the_frame_is_no_error(swap, scene, spoken) -> None:
    image, pose, canonical, place = scene
    shift = np.array([-0.62 * image.shape[1] + 60, 0, 0])
    out = swap.draw(image, place(canonical) + shift, spoken(aperture=0.8) + shift, float(pose.scale[0]), pose.rotation[0])
    assert out.shape == image.shape
    gone = swap.draw(image, place(canonical) - 5000, spoken(aperture=0.8) - 5000, float(pose.scale[0]), pose.rotation[0])
    np.testing.assert_array_equal(gone, image)
