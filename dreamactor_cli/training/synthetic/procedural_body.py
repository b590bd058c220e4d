"""Bodies made of tubes: proportions by chance, a skeleton, and clothes that are colours of the skin of the tubes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.training.synthetic import materials
from dreamactor_cli.training.synthetic.parts import Part, tube
from dreamactor_cli.training.synthetic.rig import BONE, BONES, SIDES, unit

F64 = NDArray[np.float64]
Rng = np.random.Generator

HEAD_JOINT = np.array([0, 15.35, 0.0])  # decimetres over the ground, before proportions
_X = np.array([1.0, 0, 0])
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Place of the first joint of each finger: along the hand and across it, towards the thumb; and length of its three bones.
_KNUCKLES = {"thumb": (0.3, 0.36), "index": (0.95, 0.3), "middle": (1.0, 0.1), "ring": (0.95, -0.1), "pinky": (0.86, -0.29)}
_PHALANGES = {"thumb": (0.42, 0.36, 0.28), "index": (0.45, 0.28, 0.22), "middle": (0.5, 0.31, 0.24), "ring": (0.46, 0.29, 0.23),
              "pinky": (0.35, 0.22, 0.2)}  # fmt: skip


class Build(NamedTuple):
    """Proportions of a body.

    Attributes:
        heads, tails: of the bones, (53, 3).
        shoulders, hips: their width, factors.
        stout: girth of everything, a factor.
        neck: radius, decimetres.
        sleeve, trouser: how far down the arm and the leg the clothes reach, 0..1.
    """

    heads: F64
    tails: F64
    shoulders: float
    hips: float
    stout: float
    neck: float
    sleeve: float
    trouser: float


def draw_build(rng: Rng, male: bool) -> Build:
    """A body by chance."""
    shoulders = float(rng.normal(1.05 if male else 0.94, 0.04))
    hips = float(rng.normal(0.96 if male else 1.06, 0.04))
    stout = float(np.clip(rng.normal(1.0, 0.1), 0.82, 1.3))
    legs = float(rng.normal(1, 0.03))
    places = _joints(shoulders, hips, legs)
    heads = np.stack([places[name] for name in BONES])
    tails = np.stack([_tail(name, places) for name in BONES])
    sleeve = float(rng.choice([0.3, 0.55, 1.0, 1.0]))
    neck = float(rng.normal(0.53 if male else 0.44, 0.03))
    return Build(heads, tails, shoulders, hips, stout, neck, sleeve, float(rng.choice([0.55, 1.0, 1.0, 1.0])))


def _joints(shoulders: float, hips: float, legs: float) -> dict[str, F64]:
    """Heads of the bones, world."""
    hip = 9.0 * legs
    at = {"Root": (0, 0, 0), "pelvis": (0, hip + 0.3, 0), "spine_01": (0, hip + 1.1, 0), "spine_02": (0, hip + 2.3, 0.05),
          "spine_03": (0, hip + 3.4, 0), "neck_01": (0, hip + 5.4, -0.1), "head": (0, hip + 6.35, 0)}  # fmt: skip
    out = {name: np.array(place, np.float64) for name, place in at.items()}
    for s, sign in zip(SIDES, (1, -1), strict=True):
        side = np.array([sign, 1, 1])
        out[f"clavicle_{s}"] = np.array([0.3, hip + 4.95, 0.1]) * side
        shoulder = np.array([1.54 * shoulders, hip + 4.85, -0.1])
        elbow = shoulder + 2.85 * unit(np.array([0.62, -0.78, -0.06]))
        wrist = elbow + 2.55 * unit(np.array([0.5, -0.83, 0.24]))
        out |= {f"upperarm_{s}": shoulder * side, f"lowerarm_{s}": elbow * side, f"hand_{s}": wrist * side}
        out |= {name: place * side for name, place in _fingers(wrist, unit(wrist - elbow), s).items()}
        leg = {"thigh": (0.95 * hips, hip, 0), "calf": (1.05 * hips, hip * 0.555, 0.1), "foot": (1.1 * hips, 0.85, -0.1),
               "ball": (1.15 * hips, 0.25, 1.15)}  # fmt: skip
        out |= {f"{name}_{s}": np.array(place) * side for name, place in leg.items()}
    return out


def _fingers(wrist: F64, along: F64, s: str) -> dict[str, F64]:
    """Joints of the left hand's fingers, and a tip each under the name ``FINGER_04``."""
    thumbward = unit(np.array([0.0, 0.25, 1.0]) - along * (along @ [0.0, 0.25, 1.0]))
    out = {}
    for finger in _FINGERS:
        reach, aside = _KNUCKLES[finger]
        place = wrist + along * reach + thumbward * aside
        way = unit(along + thumbward * (0.75 if finger == "thumb" else 0.12 * aside))
        out[f"{finger}_01_{s}"] = place
        for k, length in enumerate(_PHALANGES[finger]):
            place = place + way * length
            out[f"{finger}_0{k + 2}_{s}"] = place
    return out


def _tail(name: str, places: dict[str, F64]) -> F64:
    """End of a bone: where the next one begins."""
    if name[:-2] in {f"{f}_03" for f in _FINGERS}:
        return places[name.replace("_03_", "_04_")]
    following = {"head": (0, 2.2, 0), "ball": (0, -0.1, 0.85)}
    stem = name.split("_")[0] if name[-2:] in ("_l", "_r") else name
    return places[name] + np.array(following.get(stem, (0.0, 0.1, 0.0)))


def _blend(stations: F64, joints: F64, width: float) -> F64:
    """Weights (K, B) of bones in a row: each takes over at its joint, within a width."""
    out = np.zeros((len(stations), len(joints) + 1))
    passed = [np.ones(len(stations)), *(np.clip((stations - j) / width + 0.5, 0, 1) for j in joints), np.zeros(len(stations))]
    for k in range(len(joints) + 1):
        out[:, k] = passed[k] * (1 - passed[k + 1])
    return out


def _torso(b: Build) -> Part:
    base = b.heads[BONE["thigh_l"], 1]
    # Height over the hips, half width and half depth.
    profile = np.array([
        [-0.75, 0.9 * b.hips, 0.85], [-0.4, 1.5 * b.hips, 1.1], [0.2, 1.72 * b.hips, 1.15], [1.1, 1.5, 1.02], [1.9, 1.36, 0.95],
        [2.8, 1.52, 1.06], [3.7, 1.68 * b.shoulders, 1.12], [4.5, 1.78 * b.shoulders, 0.98], [4.9, 1.66 * b.shoulders, 0.78],
        [5.1, 1.3 * b.shoulders, 0.68], [5.3, 0.92, 0.62], [5.5, b.neck + 0.14, 0.6],
    ])  # fmt: skip
    girth = np.where(profile[:, 0] < 4.6, b.stout, 1.0)
    centers = np.stack([np.zeros(len(profile)), base + profile[:, 0], np.where(profile[:, 0] > 4.6, -0.08, 0)], 1)
    spine = np.array([b.heads[BONE[n], 1] - base for n in ("spine_01", "spine_02", "spine_03")])
    weights = _blend(profile[:, 0], spine, 0.9)
    stuff = np.where(profile[:, 0] < 0.75, materials.BOTTOM, materials.TOP)
    return tube(centers, profile[:, 1:] * girth[:, None], _X, ("pelvis", "spine_01", "spine_02", "spine_03"), weights, stuff, 20)


def _limb(
    b: Build, names: tuple[str, str, str], stations: F64, radii: F64, stuff: NDArray[np.int64], before: str, across: F64
) -> Part:
    """A tube along two bones; stations 0..1 lie on the first, 1..2 on the second."""
    first, second, last = (b.heads[BONE[n]] for n in names)
    part = stations[:, None]
    centers = np.where(part < 1, first + (second - first) * part, second + (last - second) * (part - 1))
    weights = _blend(stations, np.array([0.06, 1.0]), 0.25)
    return tube(centers, radii * b.stout, across, (before, names[0], names[1]), weights, stuff, 12)


def _arm(b: Build, s: str) -> list[Part]:
    stations = np.array([-0.06, 0.05, 0.2, 0.4, 0.6, 0.8, 0.92, 1.0, 1.1, 1.3, 1.5, 1.75, 2.0])
    radius = np.array([0.34, 0.5, 0.54, 0.51, 0.48, 0.45, 0.43, 0.42, 0.43, 0.42, 0.37, 0.3, 0.26])
    covered = stations < 2 * b.sleeve + 0.01
    radius = radius + 0.06 * covered
    stuff = np.where(covered, materials.TOP, materials.SKIN)
    arm = _limb(b, (f"upperarm_{s}", f"lowerarm_{s}", f"hand_{s}"), stations, np.stack([radius, radius], 1), stuff,
                f"clavicle_{s}", np.array([0.0, 0, 1]))  # fmt: skip
    return [arm, *_hand(b, s)]


def _hand(b: Build, s: str) -> list[Part]:
    wrist, index, pinky = (b.heads[BONE[f"{n}_{s}"]] for n in ("hand", "index_01", "pinky_01"))
    across = unit(index - pinky)
    middle = (index + pinky) / 2
    steps = np.array([-0.06, 0.12, 0.35, 0.7, 1.0, 1.08])[:, None]
    palm = tube(
        wrist + (middle - wrist) * steps,
        np.array([[0.25, 0.2], [0.28, 0.2], [0.38, 0.2], [0.44, 0.19], [0.43, 0.17], [0.38, 0.13]]), across, (f"hand_{s}",),
        np.ones((6, 1)), materials.SKIN, 10,
    )  # fmt: skip
    return [palm, *(_finger(b, s, f, across) for f in _FINGERS)]


def _finger(b: Build, s: str, finger: str, across: F64) -> Part:
    bones = tuple(f"{finger}_0{k}_{s}" for k in (1, 2, 3))
    joints = np.stack([*(b.heads[BONE[n]] for n in bones), b.tails[BONE[bones[2]]]])
    stations = np.array([-0.25, 0.3, 0.8, 1.0, 1.2, 1.8, 2.0, 2.2, 2.75, 3.0])
    k = np.clip(stations.astype(int), 0, 2)
    centers = joints[k] + (joints[k + 1] - joints[k]) * (stations - k)[:, None]
    thick = 0.12 if finger == "thumb" else 0.1
    radius = thick * np.array([1.0, 1.0, 0.95, 1.0, 0.92, 0.88, 0.92, 0.85, 0.75, 0.4])
    follows = _blend(stations, np.array([1.0, 2.0]), 0.4)
    return tube(centers, np.stack([radius, radius * 0.9], 1), across, bones, follows, materials.SKIN, 8)


def _leg(b: Build, s: str) -> list[Part]:
    stations = np.array([-0.04, 0.08, 0.25, 0.5, 0.75, 0.92, 1.0, 1.08, 1.3, 1.55, 1.8, 1.95, 2.0])
    radius = np.array([0.8, 0.92, 0.88, 0.76, 0.63, 0.56, 0.54, 0.53, 0.55, 0.48, 0.36, 0.32, 0.32])
    covered = stations < 2 * b.trouser + 0.01
    stuff = np.where(covered, materials.BOTTOM, materials.SKIN)
    radius = radius + 0.07 * covered
    leg = _limb(b, (f"thigh_{s}", f"calf_{s}", f"foot_{s}"), stations, np.stack([radius, radius], 1), stuff, "pelvis", _X)
    ankle, ball = b.heads[BONE[f"foot_{s}"]], b.heads[BONE[f"ball_{s}"]]
    # From the heel to the toes: along the foot, height over the ground, half width, half height.
    sole = np.array([[-0.5, 0.36, 0.2, 0.3], [-0.35, 0.42, 0.34, 0.42], [0.1, 0.46, 0.37, 0.46], [0.7, 0.36, 0.42, 0.36],
                     [1.25, 0.27, 0.46, 0.27], [1.75, 0.22, 0.4, 0.22], [2.05, 0.18, 0.22, 0.14]])  # fmt: skip
    centers = np.stack([np.interp(sole[:, 0], [0, 1.25], [ankle[0], ball[0]]), sole[:, 1], ankle[2] + sole[:, 0]], 1)
    follows = _blend(sole[:, 0], np.array([1.25]), 0.5)
    foot = tube(centers, sole[:, 2:], _X, (f"foot_{s}", f"ball_{s}"), follows, materials.SHOE, 12)
    return [leg, foot]


def body_parts(b: Build) -> list[Part]:
    """Everything below the head."""
    neck, head = b.heads[BONE["neck_01"]], b.heads[BONE["head"]]
    steps = np.array([-0.5, 0.0, 0.3, 0.5, 0.66])  # it ends under the mouth
    centers = neck + (head - neck) * steps[:, None]
    girth = b.neck * np.array([[1.25, 1.1], [1.05, 1.0], [0.98, 1.0], [0.98, 1.05], [0.95, 1.05]])
    follows = _blend(steps, np.array([-0.1, 0.9]), 0.7)
    throat = tube(centers, girth, _X, ("spine_03", "neck_01", "head"), follows, materials.SKIN, 16)
    parts = [_torso(b), throat]
    for s in SIDES:
        parts += [*_arm(b, s), *_leg(b, s)]
    return parts
