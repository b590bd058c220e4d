import importlib.util
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES
from dreamactor_cli.controls import blendshapes

TEMPLATE = head_space.template()
MAIN = (
    "jawOpen", "eyeBlinkLeft", "mouthSmileLeft", "mouthPucker", "mouthFunnel", "mouthFrownLeft", "mouthLeft", "mouthUpperUpLeft",
    "mouthLowerDownLeft", "mouthClose", "browDownLeft", "browInnerUp", "browOuterUpLeft", "eyeLookInLeft", "eyeLookOutLeft",
    "eyeLookUpLeft", "eyeLookDownLeft", "eyeWideLeft", "eyeSquintLeft", "jawLeft", "eyeBlinkRight", "mouthSmileRight",
)  # fmt: skip
LIDS = {"Left": ((385, 380), (386, 374), (387, 373)), "Right": ((160, 144), (159, 145), (158, 153))}
CLIP = Path(__file__).parents[3] / "shared/media/portrait/expr_man_neutral_mouth.mp4"


def weights(**named: float) -> np.ndarray:
    out = np.zeros((1, 52))
    for name, value in named.items():
        out[0, BLENDSHAPES.index(name)] = value
    return out


def moved(**named: float) -> np.ndarray:
    return blendshapes.displacement(weights(**named))[0]


def lid_gaps(shape: np.ndarray, side: str) -> np.ndarray:
    return np.array([np.linalg.norm(shape[a] - shape[b]) for a, b in LIDS[side]])


def test_stored_basis_is_what_the_builder_makes():
    path = Path(__file__).parents[2] / "tools/build_blendshapes.py"
    spec = importlib.util.spec_from_file_location("build_blendshapes", path)
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    np.testing.assert_allclose(builder.build(), blendshapes.basis(), atol=1e-6)


def test_every_blendshape_but_the_tongue_moves_something():
    reach = np.linalg.norm(blendshapes.basis(), axis=2).max(1)
    assert {name for name, r in zip(BLENDSHAPES, reach, strict=True) if r < 0.01} == {"tongueOut"}
    assert reach.max() < 0.6


@pytest.mark.parametrize("left", [name for name in BLENDSHAPES if name.endswith("Left")])
def test_right_is_the_mirror_of_left(left):
    a, b = moved(**{left: 1}), moved(**{left.removesuffix("Left") + "Right": 1})
    np.testing.assert_allclose(a[head_space.mirror()] * [-1, 1, 1], b, atol=1e-6)


def test_left_is_the_persons_left():
    smile = np.linalg.norm(moved(mouthSmileLeft=1), axis=1)
    assert smile[291] > 0.15 > 0.01 > smile[61]
    assert lid_gaps(TEMPLATE + moved(eyeBlinkLeft=1), "Left").max() < 1e-6
    assert np.allclose(moved(eyeBlinkLeft=1)[list(head_space.EYE_LEFT)], 0)


def test_jaw_opens_about_the_hinge():
    d = moved(jawOpen=1)
    assert 0.3 < d[head_space.CHIN, 1] < 0.45
    assert d[head_space.CHIN, 2] > 0.1  # a hinge swings the chin back
    opened = TEMPLATE + d
    assert 0.4 < (opened[14, 1] - opened[13, 1]) - (TEMPLATE[14, 1] - TEMPLATE[13, 1]) < 0.7
    assert abs(d[:468][TEMPLATE[:468, 1] < 0.1]).max() < 0.01  # eyes, brows and forehead rest
    assert abs(d[[234, 454]]).max() < 0.01
    assert d[152, 1] > d[400, 1] > d[379, 1] > d[397, 1] > d[288, 1] > 0  # less and less towards the ear


def test_mouth_close_keeps_the_lips_together_while_the_jaw_is_open():
    shape = TEMPLATE + moved(jawOpen=0.8, mouthClose=0.8)
    for upper, lower in ((13, 14), (312, 317), (310, 318), (80, 88)):
        assert shape[lower, 1] - shape[upper, 1] == pytest.approx(TEMPLATE[lower, 1] - TEMPLATE[upper, 1], abs=0.01)
    assert shape[152, 1] > TEMPLATE[152, 1] + 0.2


def test_smile_lifts_and_widens_without_parting_the_lips():
    d = moved(mouthSmileLeft=1, mouthSmileRight=1)
    assert d[291, 0] > 0.12
    assert d[61, 0] < -0.12
    assert d[[61, 291], 1].max() < -0.09
    assert d[[50, 280], 1].max() < -0.03
    assert abs(d[13, 1] - d[14, 1]) < 0.02


def test_pucker_narrows_and_protrudes():
    d = moved(mouthPucker=1)
    assert d[291, 0] < -0.1
    assert d[61, 0] > 0.1
    assert d[[0, 13, 14, 17], 2].max() < -0.05


def test_eyes_look_together():
    right = moved(eyeLookOutLeft=1, eyeLookInRight=1)
    assert right[list(head_space.IRIS_LEFT), 0] == pytest.approx(right[list(head_space.IRIS_RIGHT), 0])
    assert right[473, 0] > 0.08
    down = moved(eyeLookDownLeft=1)
    assert down[473, 1] > 0.03
    assert down[386, 1] > 0.02  # the lid follows


@pytest.mark.parametrize("height", [0.6, 1.0, 1.7])
def test_close_eyes_closes_the_eyes_of_anyone(height):
    shape = TEMPLATE.copy()
    shape[:, 1] *= height
    left, right = blendshapes.close_eyes(shape)
    assert lid_gaps(shape, "Left").min() > 0.05
    assert lid_gaps(shape + left, "Left").max() < 1e-9
    assert lid_gaps(shape + right, "Right").max() < 1e-9
    assert lid_gaps(shape + left, "Right") == pytest.approx(lid_gaps(shape, "Right"))
    assert abs(left).max() < lid_gaps(shape, "Left").max()


def test_lids_meet_and_go_no_further():
    shape = TEMPLATE + moved(eyeBlinkLeft=1, eyeSquintLeft=1, eyeLookDownLeft=1)
    assert all(shape[a, 1] <= shape[b, 1] + 1e-9 for a, b in LIDS["Left"])
    assert shape[386, 1] > TEMPLATE[386, 1]


def test_displacement_is_linear_and_takes_no_nonsense():
    both = moved(jawOpen=0.5, browInnerUp=0.3)
    np.testing.assert_allclose(both, 0.5 * moved(jawOpen=1) + 0.3 * moved(browInnerUp=1), atol=1e-12)
    bad = weights(jawOpen=0.5)
    bad[0, 3] = np.nan
    np.testing.assert_array_equal(blendshapes.displacement(bad)[0], moved(jawOpen=0.5))
    assert blendshapes.displacement(np.zeros((7, 52))).shape == (7, 478, 3)


@pytest.mark.parametrize("amount", [0.5, 1.0])
@pytest.mark.parametrize("name", MAIN)
def test_round_trip_of_one_blendshape(name, amount):
    found = blendshapes.measure(TEMPLATE + blendshapes.displacement(weights(**{name: amount})), TEMPLATE)[0]
    at = BLENDSHAPES.index(name)
    assert found[at] == pytest.approx(amount, abs=0.1)
    assert np.delete(found, at).max() < 0.1


def test_round_trip_of_a_whole_expression():
    given = weights(
        jawOpen=0.4,
        mouthSmileLeft=0.7,
        mouthSmileRight=0.5,
        eyeBlinkLeft=0.3,
        browInnerUp=0.6,
        eyeLookOutLeft=0.5,
        eyeLookInRight=0.5,
    )
    found = blendshapes.measure(TEMPLATE + blendshapes.displacement(given), TEMPLATE)
    assert abs(found - given).max() < 0.12


def test_round_trip_on_another_face():
    rng = np.random.default_rng(3)
    other = TEMPLATE * [1.06, 0.95, 1.0] + rng.normal(0, 0.01, TEMPLATE.shape)
    other += blendshapes.displacement(weights(mouthFrownLeft=0.2, mouthFrownRight=0.2))[0]
    for name in ("jawOpen", "mouthSmileLeft", "mouthPucker", "browInnerUp"):
        found = blendshapes.measure(other + blendshapes.displacement(weights(**{name: 0.8})), other)[0]
        assert found[BLENDSHAPES.index(name)] == pytest.approx(0.8, abs=0.1)


def test_neutral_and_noise_measure_as_nothing():
    assert blendshapes.measure(TEMPLATE[None], TEMPLATE).max() == 0
    noise = np.random.default_rng(0).normal(0, 0.006, (200, 478, 3))
    found = blendshapes.measure(TEMPLATE + noise, TEMPLATE)
    assert found.mean(0).max() < 0.06
    assert found.dtype == np.float32


def test_a_wrong_head_pose_is_not_taken_for_an_expression():
    tilted = TEMPLATE @ head_space.rotation_from_euler(np.array([2.0, 2.0, 1.0])).T
    found = blendshapes.measure(tilted[None], TEMPLATE)[0]
    assert found[[BLENDSHAPES.index(n) for n in ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft", "mouthPucker")]].max() < 0.15


def test_frames_with_nan_are_zero_and_the_others_do_not_mind():
    shapes = np.repeat((TEMPLATE + moved(jawOpen=0.6))[None], 3, 0)
    shapes[1, 14] = np.nan
    found = blendshapes.measure(shapes, TEMPLATE)
    assert (found[1] == 0).all()
    assert found[[0, 2], BLENDSHAPES.index("jawOpen")] == pytest.approx(0.6, abs=0.05)


def test_weights_stay_between_0_and_1():
    huge = TEMPLATE + 5 * moved(jawOpen=1, mouthSmileLeft=1, eyeBlinkRight=1, browInnerUp=1)
    found = blendshapes.measure(huge[None], TEMPLATE)
    assert found.min() >= 0
    assert found.max() == 1
    backwards = blendshapes.measure((TEMPLATE - moved(jawOpen=0.3))[None], TEMPLATE)
    assert backwards[0, BLENDSHAPES.index("jawOpen")] == 0


def test_an_identity_with_shut_eyes_does_not_hide_blinks():
    shut = TEMPLATE + blendshapes.close_eyes(TEMPLATE).sum(0)
    columns = [BLENDSHAPES.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]
    found = blendshapes.measure(np.stack([shut, TEMPLATE]), shut)
    assert found[0, columns].min() > 0.8
    assert found[1, columns].max() < 0.2


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.is_file(), reason="the shared media are not here")
def test_a_real_clip_uses_the_whole_range():
    import cv2
    import mediapipe as mp

    video, found = cv2.VideoCapture(str(CLIP)), []
    with mp.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=1) as mesh:
        while (got := video.read())[0]:
            faces = mesh.process(cv2.cvtColor(cv2.resize(got[1], (320, 320)), cv2.COLOR_BGR2RGB)).multi_face_landmarks
            found.append([(p.x * 320, p.y * 320, p.z * 320) for p in faces[0].landmark])
    meshes = np.array(found)
    canonical = head_space.to_canonical(meshes, head_space.head_pose(meshes))
    measured = dict(zip(BLENDSHAPES, blendshapes.measure(canonical, canonical[0]).T, strict=True))
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthPucker"):
        assert measured[name].max() > 0.9, name
    assert np.percentile(measured["eyeBlinkLeft"], 50) < 0.1
    assert measured["browInnerUp"].max() < 0.4  # he moves his mouth only
