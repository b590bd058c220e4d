"""What is true of rendered frames, in the terms of our own extractors."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8, Body, Controls, Face, Hands, Head
from dreamactor_cli.controls.face import describe_faces
from dreamactor_cli.controls.head import IDENTITY, sphere_arrays
from dreamactor_cli.person_space import still_field
from dreamactor_cli.training.synthetic.clip import BROWS, EYES, FACE, FPS, MOUTH, PERSON
from dreamactor_cli.training.synthetic.person import Person
from dreamactor_cli.training.synthetic.render import Shot, gaze_directions, is_flesh, landmarks_of
from dreamactor_cli.training.synthetic.rig import BONE, SIDES, Performance, carry, unit
from dreamactor_cli.training.synthetic.scene import Camera

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

_IRIS_ANGLE = 0.46  # radians from the gaze to the edge of the iris, as `shading` paints it
_TO_IMAGE = np.array([1.0, -1.0, -1.0])  # camera axes to the picture's: y down, z away
_METRES = 0.1
_MOST_YAW = 75.0  # degrees: a face beyond is not called seen
_IN_FRONT = 0.15  # metres by which something must be nearer to hide a landmark
_BEFORE_NOSE = 0.04  # metres
_OCCLUDED = 1.5 * _IN_FRONT
_SEEN, _HIDDEN, _OUTSIDE = 0.99, 0.5, 0.05  # scores of joints

# Landmarks of the face that are joints 0 to 6, 9 and 10 of the body: nose, eyes, corners of the mouth.
_FACE_JOINTS = {0: 4, 1: 362, 2: 473, 3: 263, 4: 133, 5: 468, 6: 33, 9: 291, 10: 61}
_EARS = {7: 454, 8: 234}  # the landmark before each ear
_BODY_JOINTS = (("upperarm", 11), ("lowerarm", 13), ("hand", 15), ("pinky_01", 17), ("index_01", 19), ("thumb_02", 21),
                ("thigh", 23), ("calf", 25), ("foot", 27))  # fmt: skip
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def iris_points(centers: F64, radius: F64, gaze: F64, up: F64) -> F64:
    """Centre, and right, top, left, bottom of the edge of each iris: the picture's left eye first.

    Args:
        centers: of the eyeballs, the person's left first, (T, 2, 3), world.
        radius: (2,).
        gaze, up: directions, (T, 3).

    Returns:
        (T, 10, 3).
    """
    left = unit(np.cross(up, gaze))  # the person's, hence the picture's right
    top = np.cross(gaze, left)
    around = [gaze] + [np.cos(_IRIS_ANGLE) * gaze + np.sin(_IRIS_ANGLE) * way for way in (left, top, -left, -top)]
    offsets = np.stack(around, 1)
    return np.concatenate([centers[:, side, None] + radius[side] * offsets for side in (1, 0)], 1)


def _mesh_478(person: Person, act: Performance, bones: F64, landmarks: F64) -> F64:
    """Landmarks with irises, world, (T, 478, 3)."""
    head = bones[:, BONE["head"]]
    gaze = gaze_directions(bones, act.gaze)
    irises = iris_points(carry(head, person.eye_centers), person.eye_radius, gaze, head[:, :, 1])
    return np.concatenate([landmarks, irises], 1)


def _identity(person: Person) -> F32:
    """Canonical shape of the person's neutral face that looks ahead, (478, 3)."""
    ahead, up = np.array([[0.0, 0, 1]]), np.array([[0.0, 1, 0]])
    irises = iris_points(person.eye_centers[None], person.eye_radius, ahead, up)
    mesh = np.concatenate([landmarks_of(person, person.vertices[person.landmark_vertices])[None], irises], 1) * _TO_IMAGE
    return head_space.to_canonical(mesh, head_space.head_pose(mesh))[0].astype(np.float32)


def _nearest(depth: F32, points: F64) -> F64:
    """Depth (T, K) of the picture at points (T, K, 2) px, infinity outside."""
    size = depth.shape[1]
    at = np.rint(points).astype(np.int64)
    inside = ((at >= 0) & (at < size)).all(-1)
    at = np.clip(at, 0, size - 1)
    found = depth[np.arange(len(depth))[:, None], at[..., 1], at[..., 0]]
    return np.where(inside, found, np.inf)


def _inside(points: F64, size: int) -> NDArray[np.bool_]:
    out: NDArray[np.bool_] = ((points > -0.5) & (points < size - 0.5)).all(-1)
    return out


def _face(person: Person, act: Performance, mesh: F64, camera: Camera, depth: F32) -> tuple[Face, Head]:
    size = depth.shape[1]
    seen = camera.to_camera(mesh)
    in_space = seen * _TO_IMAGE
    origin = head_space.head_pose(in_space).translation[:, 2]
    flat = camera.to_picture(seen, size)
    z = (in_space[..., 2] - origin[:, None]) * (camera.focal * size / origin)[:, None]
    landmarks = np.concatenate([flat, z[..., None]], -1).astype(np.float32)
    sphere = sphere_arrays(landmarks)
    yaw = head_space.euler_degrees(sphere["rotation"])[:, 0]
    hidden = _nearest(depth, flat[:, :468]) < in_space[:, :468, 2] * _METRES - _IN_FRONT
    facing = (np.abs(yaw) < _MOST_YAW) & (sphere["rotation"][:, 2, 2] > 0)
    score = (facing & (_inside(flat, size).mean(1) > 0.7) & (hidden.mean(1) < 0.5)).astype(np.float32)
    identity = _identity(person)
    # Shape is described in space, where it owes nothing to perspective.
    fields = describe_faces(in_space.astype(np.float32), np.ones(len(flat), np.float32), identity)
    gaze = np.repeat((act.gaze * [1, -1])[:, None], 2, 1).astype(np.float32)
    face = Face(
        landmarks=landmarks, expression=fields["expression"], identity=identity, blendshapes=fields["blendshapes"], gaze=gaze,
        score=score,
    )  # fmt: skip
    count = len(flat)
    still = np.repeat(IDENTITY[None], count, 0)
    visible = _inside(sphere["center"].astype(np.float64), size).astype(np.float32)
    head = Head(
        rotation=sphere["rotation"], center=sphere["center"], radius=sphere["radius"], score=visible, head_2d=still,
        torso_2d=still.copy(), field=still_field(count),
    )  # fmt: skip
    return face, head


def _body_points(person: Person, bones: F64, places: F64, mesh: F64) -> F64:
    """The 33 joints of BlazePose, world, (T, 33, 3)."""
    out = np.empty((len(bones), 33, 3))
    for joint, landmark in _FACE_JOINTS.items():
        out[:, joint] = mesh[:, landmark]
    back = bones[:, BONE["head"], :, 2] * 0.12 * person.head_height
    for joint, landmark in _EARS.items():
        out[:, joint] = mesh[:, landmark] - back
    ground = person.vertices[:, 1].min()
    for side, s in enumerate(SIDES):
        for name, joint in _BODY_JOINTS:
            out[:, joint + side] = places[:, BONE[f"{name}_{s}"]]
        ankle = person.heads[BONE[f"foot_{s}"]]
        heel = np.array([ankle[0], ground + 0.3, ankle[2] - 0.45])
        out[:, 29 + side] = carry(bones[:, BONE[f"foot_{s}"]], heel[None])[:, 0]
        out[:, 31 + side] = carry(bones[:, BONE[f"ball_{s}"]], person.tails[BONE[f"ball_{s}"]][None])[:, 0]
    return out


def _body(points: F64, camera: Camera, depth: F32) -> Body:
    size = depth.shape[1]
    seen = camera.to_camera(points)
    flat = camera.to_picture(seen, size)
    hidden = _nearest(depth, flat) < -seen[..., 2] * _METRES - _OCCLUDED
    score = np.where(_inside(flat, size), np.where(hidden, _HIDDEN, _SEEN), _OUTSIDE)
    in_space = (seen - seen[:, 23:25].mean(1, keepdims=True)) * _TO_IMAGE * _METRES
    return Body(joints_2d=flat.astype(np.float32), joints_3d=in_space.astype(np.float32), score=score.astype(np.float32))


def _hand_points(person: Person, bones: F64, places: F64) -> F64:
    """The 21 joints of each hand, world, (T, 2, 21, 3)."""
    out = np.empty((len(bones), 2, 21, 3))
    for side, s in enumerate(SIDES):
        out[:, side, 0] = places[:, BONE[f"hand_{s}"]]
        for k, finger in enumerate(_FINGERS):
            for q in range(3):
                out[:, side, 1 + 4 * k + q] = places[:, BONE[f"{finger}_0{q + 1}_{s}"]]
            last = BONE[f"{finger}_03_{s}"]
            out[:, side, 4 + 4 * k] = carry(bones[:, last], person.tails[last][None])[:, 0]
    return out


def _hands(points: F64, camera: Camera, depth: F32) -> Hands:
    size = depth.shape[1]
    seen = camera.to_camera(points)
    flat = camera.to_picture(seen, size)
    there = _inside(flat, size)
    hidden = _nearest(depth, flat.reshape(len(flat), 42, 2)).reshape(there.shape) < -seen[..., 2] * _METRES - _OCCLUDED
    score = ((there & ~hidden).mean(-1) > 0.5).astype(np.float32)
    in_space = (seen - seen.mean(2, keepdims=True)) * _TO_IMAGE * _METRES
    return Hands(joints_2d=flat.astype(np.float32), joints_3d=in_space.astype(np.float32), score=score)


def controls_of(person: Person, act: Performance, bones: F64, places: F64, camera: Camera, shot: Shot) -> Controls:
    """Controls of rendered frames: exact, but for blendshapes, which are measured on exact landmarks."""
    mesh = _mesh_478(person, act, bones, shot.landmarks)
    face, head = _face(person, act, mesh, camera, shot.depth)
    size = shot.frames.shape[1]
    return Controls(
        num_frames=len(bones), fps=Fraction(FPS), width=size, height=size, face=face, head=head,
        body=_body(_body_points(person, bones, places, mesh), camera, shot.depth),
        hands=_hands(_hand_points(person, bones, places), camera, shot.depth),
        extractor_versions={"synthetic": "1"},
    )  # fmt: skip


_REGIONS: tuple[tuple[int, tuple[I32, ...], float], ...] = tuple(
    (bit, tuple(np.array(contour, np.int32) for contour in contours), margin)
    for bit, contours, margin in (
        (FACE, (head_space.FACE_OVAL,), 0.0),
        (MOUTH, (head_space.OUTER_LIPS,), 0.12),
        (EYES, (head_space.EYE_LEFT, head_space.EYE_RIGHT), 0.12),
        (BROWS, (head_space.BROW_LEFT, head_space.BROW_RIGHT), 0.08),
    )
)  # contours, and how far the region reaches beyond them, inter-ocular units


def masks_of(controls: Controls, shot: Shot, camera: Camera) -> U8:
    """Regions that are seen, bits of `clip`, (T, H, W)."""
    face, head = controls.face, controls.head
    assert face is not None
    assert head is not None
    masks = np.where(shot.matte > 127, PERSON, 0).astype(np.uint8)
    scale = head.radius / head_space.SPHERE_RADIUS
    flesh = is_flesh(shot.label) & (shot.matte > 127)
    nose = -camera.to_camera(shot.landmarks[:, _FACE_JOINTS[0]])[:, 2] * _METRES
    size = masks.shape[1]
    points = np.rint(np.clip(face.landmarks[..., :2], -size, 2 * size) * 16).astype(np.int32)  # 16ths of a pixel
    for t in np.flatnonzero(face.score > 0):
        # What stands before the nose is a hand.
        area = flesh[t] & (shot.depth[t] > nose[t] - _BEFORE_NOSE)
        for bit, contours, margin in _REGIONS:
            filled = _filled(points[t], contours, margin * scale[t], size, bit)
            masks[t] |= np.where(area, filled, np.uint8(0))
    return masks


def _filled(points: I32, contours: tuple[I32, ...], margin: float, size: int, bit: int) -> U8:
    """Contours of landmarks (478, 2), 16ths of a px, filled with a bit and widened by a margin in px, (size, size)."""
    out = np.zeros((size, size), np.uint8)
    width = round(2 * margin)
    for contour in contours:
        outline = points[contour]
        cv2.fillPoly(out, [outline], bit, cv2.LINE_8, 4)
        if width > 0:
            cv2.polylines(out, [outline], True, bit, width, cv2.LINE_8, 4)
    return out
