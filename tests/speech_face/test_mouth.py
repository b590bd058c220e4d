"""Every articulation moves the parts of the face that it should, of whatever mouth."""

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES, Controls
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.speech_face.mouth import LOWER, STILL, UPPER, Mouth
from dreamactor_cli.speech_face.tracks import LEAD, MouthTracks, mouth_tracks


def in_time(speech: Controls, **options: float) -> MouthTracks:
    """Tracks of an articulation that is already in the mouth's time."""
    return mouth_tracks(speech, lead=-LEAD, **options)


MIDDLE_UPPER, MIDDLE_LOWER = (82, 13, 312), (87, 14, 317)


def face(opening: float, width: float = 1.0) -> np.ndarray:
    """A template whose lips stand apart by an opening, inter-ocular units."""
    shape = head_space.template()
    close = blendshapes.basis()[BLENDSHAPES.index("mouthClose")]
    rest = 0.1695
    shape = shape + close * (rest - opening) / 0.539
    middle = shape[[61, 291]].mean(0)
    near = np.exp(-((np.linalg.norm(shape - middle, axis=1) / 0.8) ** 2))[:, None]
    return shape + near * (shape - middle) * (width - 1) * np.array([1.0, 0, 0])


def opening_of(shapes: np.ndarray) -> np.ndarray:
    return (shapes[:, MIDDLE_LOWER, 1] - shapes[:, MIDDLE_UPPER, 1]).mean(1)


@pytest.mark.parametrize("opening", [0.0, 0.03, 0.1695, 0.3])
def test_the_opening_is_exact_whatever_the_picture_shows(say, opening) -> None:
    shape = face(opening)
    mouth = Mouth(shape)
    tracks = in_time(say(60, aperture=np.linspace(0, 1, 60), jaw=0.5, width=0.4, rounding=0.3, upper_lip=0.5))
    moved, _ = mouth.shape(tracks, 0, 60)
    np.testing.assert_allclose(opening_of(shape + moved), mouth.size * tracks.opening, atol=1e-9)


@pytest.mark.parametrize("opening", [0.02, 0.1695, 0.3])
def test_a_closure_brings_all_of_the_lips_together(say, opening) -> None:
    """Also of a picture with an open mouth, and in depth too, so that no side view shows a gap."""
    shape = face(opening)
    tracks = in_time(say(60, aperture=0.5, jaw=0.4, closure={30: 0.9}))
    moved, weights = Mouth(shape).shape(tracks, 30, 31)
    shut = (shape + moved)[0]
    np.testing.assert_allclose(shut[list(LOWER)], shut[list(UPPER)], atol=1e-9)
    assert weights[0, BLENDSHAPES.index("mouthPressLeft")] > 0.3
    assert np.abs(moved).max() < 0.35


def test_a_resting_mouth_that_is_shut_stays_the_picture(say) -> None:
    moved, weights = Mouth(face(0.0)).shape(in_time(say(50, activity=0.0, aperture=0.6)), 0, 50)
    assert np.abs(moved).max() < 0.001
    assert weights.max() < 0.02


def shaped(say, **channels: float) -> np.ndarray:
    """The face that an articulation gives, (478, 3)."""
    shape = face(0.02)
    moved, _ = Mouth(shape).shape(in_time(say(40, **channels)), 20, 21)
    return shape + moved[0]


def width(shape: np.ndarray) -> float:
    return float(np.linalg.norm(shape[61] - shape[291]))


def test_width_and_rounding_move_the_corners(say) -> None:
    plain = shaped(say, aperture=0.4)
    assert width(shaped(say, aperture=0.4, width=1.0)) > width(plain) + 0.08
    assert width(shaped(say, aperture=0.4, width=-1.0)) < width(plain) - 0.06
    rounded = shaped(say, aperture=0.4, rounding=1.0)
    assert rounded[0, 2] < plain[0, 2] - 0.05  # the lips come forward
    assert width(rounded) == pytest.approx(width(plain), abs=1e-6)  # what is narrow is heard as narrow
    assert width(shaped(say, aperture=0.9, jaw=1.0)) == pytest.approx(width(plain), abs=1e-6)


def test_the_jaw_drops_without_the_lips_having_to_open(say) -> None:
    plain, dropped = shaped(say, aperture=0.3), shaped(say, aperture=0.3, jaw=1.0)
    assert dropped[152, 1] > plain[152, 1] + 0.1
    teeth = shaped(say, aperture=0.3, jaw=1.0, teeth=1.0)
    assert teeth[152, 1] < dropped[152, 1] - 0.04  # teeth that show keep the jaw up


def test_upper_lip_lip_tuck_and_tongue_are_their_own(say) -> None:
    plain = shaped(say, aperture=0.3)
    assert shaped(say, aperture=0.3, upper_lip=1.0)[0, 1] < plain[0, 1] - 0.02
    tucked = shaped(say, aperture=0.3, lip_tuck=1.0)
    assert tucked[14, 2] > plain[14, 2] + 0.04  # the lower lip goes back under the teeth
    _, weights = Mouth(face(0.02)).shape(in_time(say(40, aperture=0.3, tongue=0.8)), 20, 21)
    assert weights[0, BLENDSHAPES.index("tongueOut")] == pytest.approx(0.8, abs=0.05)


def test_the_skull_stays_where_it_is(say) -> None:
    shape = face(0.1)
    tracks = in_time(say(40, aperture=0.9, jaw=0.9, width=0.5, closure={20: 0.9}))
    moved, _ = Mouth(shape).shape(tracks, 0, 40)
    eyes = [*head_space.EYE_LEFT, *head_space.EYE_RIGHT]
    assert np.abs(moved[:, eyes]).max() < 0.02
    nose = [i for i in STILL if i in (1, 4, 6, 168, 197, 195, 5)]
    assert np.abs(moved[:, nose]).max() < 0.03


def test_movements_are_in_proportion_to_the_mouth(say) -> None:
    narrow, wide = 0.1, 0.6
    small, usual = Mouth(face(0.02, narrow)), Mouth(face(0.02, wide))
    assert small.size < 0.85 * usual.size
    tracks = in_time(say(40, aperture=0.6))
    openings = [opening_of(face(0.02, w) + m.shape(tracks, 20, 21)[0])[0] for m, w in ((small, narrow), (usual, wide))]
    assert openings[0] / openings[1] == pytest.approx(small.size / usual.size, rel=1e-6)


def test_neighbouring_points_move_alike(say) -> None:
    """No point of the mesh crosses its neighbour: every triangle of the face keeps its side."""
    shape = face(0.05)
    tracks = in_time(say(60, aperture=np.linspace(0, 1, 60), jaw=np.linspace(0, 1, 60), closure={30: 0.9}))
    moved, _ = Mouth(shape).shape(tracks, 0, 60)
    triangles = head_space.triangles()

    def areas(points: np.ndarray) -> np.ndarray:
        a, b, c = (points[..., triangles[:, k], :2] for k in range(3))
        return (b - a)[..., 0] * (c - a)[..., 1] - (b - a)[..., 1] * (c - a)[..., 0]

    before, after = areas(shape), areas(shape + moved)
    solid = np.abs(before) > 4e-4
    assert (np.sign(after[:, solid]) == np.sign(before[solid])).mean() > 0.995
