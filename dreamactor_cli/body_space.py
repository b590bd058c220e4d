"""The skeleton: names and order of its joints, its bones, and what a picture must show of it to count as a body.

What a renderer gets, and where it finds what belongs to it:

- ``reference.controls.body`` is the picture at rest: ``joints_2d[0]`` px at the output's size, ``joints_3d[0]`` metres. Both
  agree: ``joints_2d = px_per_metre * joints_3d[:, :2] + offset`` (a camera far away), so that depth can be compared with width.
- ``controls.body`` is None where the body stays as it is in the picture (a portrait, or a ``--region`` without it); else it has
  the same skeleton re-posed, frame by frame, with the lengths of the reference's bones. At the anchor frame of relative motion
  it is exactly the reference's, in both arrays. ``score`` is the reference's: how well the picture shows a joint.
- ``controls.hands`` likewise: 21 joints each, attached to the wrists of ``controls.body``, in the scale of its metres;
  ``score`` is the reference's, 0 where the picture shows no such hand. While the driver shows none, it rides on the forearm.
- ``controls.head`` rides on the neck of ``controls.body`` where there is one.
"""

from __future__ import annotations

import numpy as np

from dreamactor_cli.contracts import Body

# BlazePose order; left and right are the person's.
JOINTS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer", "left_ear",
    "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index",
    "right_foot_index",
)  # fmt: skip
NUM_JOINTS = len(JOINTS)

NOSE, EARS, MOUTH, HEAD = 0, (7, 8), (9, 10), tuple(range(11))
SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES = (11, 12), (13, 14), (15, 16), (23, 24), (25, 26), (27, 28)
FINGERS = ((17, 19, 21), (18, 20, 22))  # of the left and right hand: pinky, index, thumb
FEET = ((29, 31), (30, 32))  # heel and toes
# What a joint hangs on, for one that nobody has placed.
PARENTS: dict[int, tuple[int, ...]] = {
    13: (11,), 14: (12,), 15: (13,), 16: (14,), 17: (15,), 18: (16,), 19: (15,), 20: (16,), 21: (15,), 22: (16,), 25: (23,),
    26: (24,), 27: (25,), 28: (26,), 29: (27,), 30: (28,), 31: (27,), 32: (28,), 7: (0,), 8: (0,), 1: (0,), 2: (0,),
    3: (0,), 4: (0,), 5: (0,), 6: (0,), 9: (0,), 10: (0,),
}  # fmt: skip

SURE = 0.9  # visibility from which a body's nose is believed more than a face
SHOWN = 0.5  # visibility from which a joint counts as seen
GUESSED = 0.25  # visibility from which the end of a limb is trusted to be about where it is said to be
FACE_OFF = (0.9, 3.0)  # radii of the head between the noses of a face and of a body, between which the face is no face
BEYOND = 0.15  # of the picture's longer side: how far outside a joint may lie and still move what is seen of its limb


def shown_joints(body: Body, width: int, height: int, frame: int = 0) -> np.ndarray:
    """Which joints of a frame are seen, and inside a picture of width x height px, (33,) bool.

    Of a leg whose knee is only guessed, while the other's is seen, the knee counts as seen: who sees one leg sees two.
    """
    joints, score = body.joints_2d[frame], body.score[frame]
    inside = (joints >= 0).all(1) & (joints[:, 0] < width) & (joints[:, 1] < height)
    shown = inside & (score >= SHOWN)
    knees = list(KNEES)
    shown[knees] |= shown[knees].any() & inside[knees] & (score[knees] >= GUESSED)
    return np.asarray(shown)


def guessed_joints(body: Body, width: int, height: int, frame: int = 0) -> np.ndarray:
    """Which joints of a frame are about known: seen or guessed, in a picture of width x height px or beside it, (33,) bool.

    Where one ankle is guessed, so is the other.
    """
    joints, margin = body.joints_2d[frame], BEYOND * max(width, height)
    near = ((joints > -margin) & (joints < np.array([width, height]) + margin)).all(1)
    guessed, ankles = near & (body.score[frame] >= GUESSED), list(ANKLES)
    guessed[ankles] |= guessed[ankles].any() & near[ankles]
    return np.asarray(guessed)


def shows_body(body: Body | None, width: int, height: int) -> bool:
    """Whether a picture shows more than head and shoulders: a shoulder, and a hip, a wrist or both elbows."""
    if body is None:
        return False
    shown = shown_joints(body, width, height)
    return bool(shown[list(SHOULDERS)].any() and (shown[list(HIPS + WRISTS)].any() or shown[list(ELBOWS)].all()))


def denies_face(body: Body | None, nose: np.ndarray, radius: float, width: int, height: int) -> bool:
    """Whether a picture's body has its nose beside the face that was found: that is hair of a bowed head, or a print on a shirt.

    Farther away the body is somebody else's, and tells nothing of the face.

    Args:
        body: of a picture (T = 1).
        nose: tip of the face's nose, (2,) px.
        radius: of the head, px.
        width, height: of the picture, px.
    """
    if body is None or not shows_body(body, width, height) or body.score[0, NOSE] < SURE:
        return False
    off = float(np.linalg.norm(body.joints_2d[0, NOSE] - nose)) / max(radius, 1e-6)
    return FACE_OFF[0] < off < FACE_OFF[1]
