"""The skeleton: from what a performance says to matrices of bones, for any person."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.training.synthetic.person import Person

Array = NDArray[np.float64]

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SIDES = ("l", "r")

# Name and parent of each bone; parents come first.
_TREE: tuple[tuple[str, str], ...] = (
    ("Root", ""), ("pelvis", "Root"),
    *((f"{b}_{s}", f"{p}_{s}" if p != "pelvis" else p) for s in SIDES
      for b, p in (("thigh", "pelvis"), ("calf", "thigh"), ("foot", "calf"), ("ball", "foot"))),
    ("spine_01", "pelvis"), ("spine_02", "spine_01"), ("spine_03", "spine_02"), ("neck_01", "spine_03"), ("head", "neck_01"),
    *((f"{b}_{s}", f"{p}_{s}" if p != "spine_03" else p) for s in SIDES
      for b, p in (("clavicle", "spine_03"), ("upperarm", "clavicle"), ("lowerarm", "upperarm"), ("hand", "lowerarm"))),
    *((f"{f}_0{k}_{s}", f"hand_{s}" if k == 1 else f"{f}_0{k - 1}_{s}") for s in SIDES for f in _FINGERS for k in (1, 2, 3)),
)  # fmt: skip
BONES = tuple(name for name, _ in _TREE)
BONE = {name: i for i, name in enumerate(BONES)}
PARENT = tuple(BONE.get(parent, -1) for _, parent in _TREE)


class Performance(NamedTuple):
    """What somebody does over T frames, without saying who. Angles in radians; index 0 of pairs is the person's left.

    Attributes:
        weights: of ARKit blendshapes, (T, 52).
        gaze: yaw to the person's left and pitch up, relative to the head, (T, 2).
        head: yaw to the person's left, pitch down, roll to the person's right, of head and neck, (T, 3).
        spine: likewise, of the upper body, (T, 3).
        turn: of the whole person to the left, (T,).
        place: of the pelvis, in heights of the hip, (T, 3).
        wrist: from the shoulder, torso axes, in lengths of the arm, (T, 2, 3).
        elbow: how far the elbow stands off, (T, 2).
        twist, bend: of the hand, (T, 2).
        curl: of the fingers, thumb first, 0..1, (T, 2, 5).
        thigh: forward and outward, (T, 2, 2).
        knee, ankle: bend, and toes up, (T, 2).
    """

    weights: Array
    gaze: Array
    head: Array
    spine: Array
    turn: Array
    place: Array
    wrist: Array
    elbow: Array
    twist: Array
    bend: Array
    curl: Array
    thigh: Array
    knee: Array
    ankle: Array


def unit(v: Array) -> Array:
    """Vectors (..., 3) at length 1."""
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9)


def about(axis: Array, angle: Array) -> Array:
    """Rotations about axes (..., 3) by angles (...,), (..., 3, 3): Rodrigues' formula."""
    x, y, z = np.moveaxis(unit(np.asarray(axis, np.float64)), -1, 0)
    x, y, z, angle = np.broadcast_arrays(x, y, z, angle)
    c, s = np.cos(angle), np.sin(angle)
    d = 1 - c
    rows = [c + x * x * d, x * y * d - z * s, x * z * d + y * s, y * x * d + z * s, c + y * y * d, y * z * d - x * s,
            z * x * d - y * s, z * y * d + x * s, c + z * z * d]  # fmt: skip
    return np.stack(rows, -1).reshape(*angle.shape, 3, 3)


def euler(angles: Array) -> Array:
    """Rotations (..., 3, 3) by roll (about z), then pitch (about x), then yaw (about y), of (..., 3) yaw, pitch, roll."""
    yaw, pitch, roll = np.moveaxis(np.asarray(angles, np.float64), -1, 0)
    out: Array = about(np.array([0.0, 1, 0]), yaw) @ about(np.array([1.0, 0, 0]), pitch) @ about(np.array([0.0, 0, 1]), roll)
    return out


def _frame(along: Array, normal: Array) -> Array:
    """Orthonormal bases (..., 3, 3) whose columns are along, normal and their cross product."""
    return np.stack([along, normal, np.cross(along, normal)], -1)


def _arm(person: Person, side: int, wrist: Array, elbow: Array) -> tuple[Array, Array]:
    """Rotations (T, 3, 3) of upper and lower arm that bring the wrist to a place (T, 3), by the law of cosines."""
    shoulder, joint, hand = (person.heads[BONE[f"{b}_{SIDES[side]}"]] for b in ("upperarm", "lowerarm", "hand"))
    upper, lower = float(np.linalg.norm(joint - shoulder)), float(np.linalg.norm(hand - joint))
    rest_upper, rest_lower = unit(joint - shoulder), unit(hand - joint)
    rest_normal = unit(np.cross(rest_upper, rest_lower))
    reach = np.clip(np.linalg.norm(wrist, axis=1), 0.35, 0.985) * (upper + lower)
    to_wrist = unit(wrist)
    cosine = np.clip((upper**2 + reach**2 - lower**2) / (2 * upper * reach), -1, 1)[:, None]
    outward = np.array([1.0 if side == 0 else -1.0, 0, 0])
    prefer = np.array([0, -1.0, 0]) * np.cos(elbow)[:, None] + outward * np.sin(elbow)[:, None] + np.array([0, 0, -0.35])
    aside = unit(prefer - to_wrist * (prefer * to_wrist).sum(1, keepdims=True))
    along_upper = to_wrist * cosine + aside * np.sqrt(1 - cosine**2)
    along_lower = unit(to_wrist * reach[:, None] - along_upper * upper)
    normal = unit(np.cross(along_upper, along_lower))
    turn_upper = _frame(along_upper, normal) @ _frame(rest_upper, rest_normal).T
    turn_lower = _frame(along_lower, normal) @ _frame(rest_lower, rest_normal).T
    return turn_upper, turn_upper.swapaxes(1, 2) @ turn_lower


def _hand(person: Person, side: int, act: Performance) -> dict[str, Array]:
    """Rotations of a hand and its fingers, by bone."""
    s = SIDES[side]
    heads = person.heads
    hand = heads[BONE[f"hand_{s}"]]
    forearm = unit(hand - heads[BONE[f"lowerarm_{s}"]])
    index, pinky = heads[BONE[f"index_01_{s}"]], heads[BONE[f"pinky_01_{s}"]]
    palm = unit(np.cross(index - hand, pinky - hand)) * (1 if side == 0 else -1)
    across = unit(np.cross(forearm, palm))
    out = {f"hand_{s}": about(forearm, act.twist[:, side]) @ about(across, act.bend[:, side])}
    first, second = ([heads[BONE[f"{finger}_0{q}_{s}"]] for finger in _FINGERS] for q in (1, 2))
    axes = np.cross(unit(np.subtract(second, first)), palm)
    amounts = act.curl[:, side].T * np.where(np.arange(len(_FINGERS)) > 0, 1.15, 0.5)[:, None]
    turns = about(axes[:, None], -amounts)
    for k, finger in enumerate(_FINGERS):
        out |= {f"{finger}_0{q}_{s}": turns[k] for q in (1, 2, 3) if k or q > 1}
    return out


def _trunk_and_legs(act: Performance) -> dict[str, Array]:
    """Rotations of what turns by angles, by bone."""
    zero = np.zeros(len(act.turn))
    angles: dict[str, Array] = {
        "pelvis": np.stack([act.turn, zero, zero], 1), "spine_01": act.spine * 0.4, "spine_02": act.spine * 0.6,
        "neck_01": act.head * 0.4, "head": act.head * 0.6,
    }  # fmt: skip
    for side, s in enumerate(SIDES):
        outward = 1.0 if side == 0 else -1.0
        angles |= {
            f"thigh_{s}": np.stack([zero, -act.thigh[:, side, 0], outward * act.thigh[:, side, 1]], 1),
            f"calf_{s}": np.stack([zero, act.knee[:, side], zero], 1),
            f"foot_{s}": np.stack([zero, -act.ankle[:, side], zero], 1),
        }
    return dict(zip(angles, euler(np.stack(list(angles.values()))), strict=True))


def pose(person: Person, act: Performance) -> tuple[Array, Array]:
    """Bones of a person who does something.

    Returns:
        Matrices from rest to posed (T, B, 3, 4), and places of the bones' heads (T, B, 3).
    """
    frames = len(act.turn)
    hip = person.heads[BONE["pelvis"], 1] - person.vertices[:, 1].min()
    local = _trunk_and_legs(act)
    for side in range(2):
        s = SIDES[side]
        local[f"upperarm_{s}"], local[f"lowerarm_{s}"] = _arm(person, side, act.wrist[:, side], act.elbow[:, side])
        local |= _hand(person, side, act)
    turn = np.zeros((frames, len(BONES), 3, 3))
    shift = np.zeros((frames, len(BONES), 3))
    for b, name in enumerate(BONES):
        rotation = local.get(name)
        turn[:, b] = np.eye(3) if rotation is None else rotation
        shift[:, b] = person.heads[b] - turn[:, b] @ person.heads[b]
        if name == "pelvis":
            shift[:, b] += act.place * hip
        if PARENT[b] >= 0:
            shift[:, b] = (turn[:, PARENT[b]] @ shift[:, b, :, None])[..., 0] + shift[:, PARENT[b]]
            turn[:, b] = turn[:, PARENT[b]] @ turn[:, b]
    places = np.einsum("tbij,bj->tbi", turn, person.heads) + shift
    return np.concatenate([turn, shift[..., None]], -1), places


def carry(matrices: Array, points: Array) -> Array:
    """Points (K, 3) at rest that follow one bone (T, 3, 4), (T, K, 3)."""
    out: Array = np.einsum("tij,kj->tki", matrices[..., :3], points) + matrices[:, None, :, 3]
    return out


def tips(person: Person, matrices: Array, bones: tuple[str, ...]) -> Array:
    """Ends (T, K, 3) of bones."""
    return np.stack([carry(matrices[:, BONE[b]], person.tails[BONE[b]][None])[:, 0] for b in bones], 1)
