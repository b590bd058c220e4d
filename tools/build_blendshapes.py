"""Build ``dreamactor_cli/controls/blendshape_basis.safetensors``: 52 ARKit blendshapes on the template, from anatomy alone.

Lips and lids are moved by formulas along their contours; a few handles move cheeks, chin, nose and brows; the skin between
follows as a thin plate over the mesh (the mouth is a hole, so the lips part). One side is built and mirrored. Amplitudes are
in inter-ocular units. Run: ``python tools/build_blendshapes.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES
from dreamactor_cli.controls import blendshapes

Array = np.ndarray
Handles = dict[int, tuple[float, float, float]]

TEMPLATE = head_space.template()
MESH = TEMPLATE[: head_space.NUM_MESH]
MIRROR = head_space.mirror()
STIFFNESS = 0.02  # weight of stretching against bending

# Lip rings from the outside to the inside, from the picture's left corner to its right; the lower rings have no corners.
UPPER_LIP = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292), (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)  # fmt: skip
LOWER_LIP = (
    (146, 91, 181, 84, 17, 314, 405, 321, 375), (77, 90, 180, 85, 16, 315, 404, 320, 307),
    (96, 89, 179, 86, 15, 316, 403, 319, 325), (95, 88, 178, 87, 14, 317, 402, 318, 324),
)  # fmt: skip
LIPS = tuple(v for ring in UPPER_LIP + LOWER_LIP for v in ring)
IRIS = (473, 474, 475, 476, 477)  # of the person's left eye

OVAL_ABOVE_EARS = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 109, 67, 103, 54, 21, 162, 127, 234, 93,
)  # fmt: skip
NOSE_RIDGE = (168, 6, 197, 195, 5, 4, 1, 19, 94)
EYES_AND_ABOVE = tuple(np.flatnonzero(MESH[:, 1] < 0.12))
BELOW_EYES = tuple(np.flatnonzero(MESH[:, 1] > 0.2))
EYE_CONTOURS = head_space.EYE_LEFT + head_space.EYE_RIGHT
MOUTH_REST = EYES_AND_ABOVE + NOSE_RIDGE + OVAL_ABOVE_EARS
BROW_REST = EYE_CONTOURS + BELOW_EYES + OVAL_ABOVE_EARS
CHIN = (152, 175, 199, 148, 377, 171, 396)


def plate() -> Array:
    """Energy of bending and a little stretching of the mesh, (468, 468)."""
    n = len(MESH)
    weights = np.zeros((n, n))
    for a, b in head_space.triangles()[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2):
        weights[a, b] = weights[b, a] = 1 / max(float(np.linalg.norm(MESH[a] - MESH[b])), 0.03)
    laplacian = np.diag(weights.sum(1)) - weights
    bending = laplacian / weights.sum(1, keepdims=True)
    return bending.T @ bending + STIFFNESS * laplacian / weights.sum(1).mean()


PLATE = plate()


def spread(handles: Mapping[int, Iterable[float]], rest: Iterable[int]) -> Array:
    """Displacement (478, 3) that meets the handles and leaves the resting landmarks where they are."""
    values = {int(v): np.zeros(3) for v in rest if v not in handles}
    values |= {int(v): np.asarray(d, float) for v, d in handles.items()}
    known = np.array(sorted(values))
    free = np.setdiff1d(np.arange(len(MESH)), known)
    out = np.zeros((len(TEMPLATE), 3))
    out[known] = np.stack([values[v] for v in known])
    out[free] = np.linalg.solve(PLATE[np.ix_(free, free)], -PLATE[np.ix_(free, known)] @ out[known])
    return out


def flipped(d: Array) -> Array:
    """The same movement on the other side."""
    return d[MIRROR] * [-1, 1, 1]


def both(d: Array) -> Array:
    """A movement on both sides."""
    return d + flipped(d)


def two_sided(handles: Handles) -> Handles:
    """Handles with their mirror images."""
    return handles | {int(MIRROR[v]): (-x if MIRROR[v] != v else x, y, z) for v, (x, y, z) in handles.items()}


class Place(NamedTuple):
    """Where on the lips a landmark lies.

    Attributes:
        t: along the lip, -1 at the picture's left corner (the person's right one), 1 at the other.
        depth: 0 at the outer, 1 at the inner border.
        low: on the lower lip.
    """

    t: float
    depth: float
    low: bool


def lips(field: Callable[[Place], tuple[float, float, float]]) -> Handles:
    """Displacement of all lip landmarks by a formula of their place."""
    out = {}
    for low, rings in ((False, UPPER_LIP), (True, LOWER_LIP)):
        for k, ring in enumerate(rings):
            for column, v in enumerate(ring):
                out[v] = field(Place((column - (4 if low else 5)) / 5, k / 3, low))
    return out


def side(t: float, power: float) -> float:
    """1 at the person's left corner, 0 at the right one."""
    return float(((1 + t) / 2) ** power)


def hump(t: float, center: float, width: float) -> float:
    """A smooth bump along the lip that is 0 at the corners."""
    return float(np.exp(-(((t - center) / width) ** 2)) * (1 - t**4))


def arch(t: float) -> float:
    """1 in the middle of the lip, 0 at the corners."""
    return 1 - t * t


def jaw_field() -> Array:
    """How much each landmark goes with the jaw, (478,): 1 at the chin, 0 at ears and upper face."""
    ones = dict.fromkeys((*CHIN, 200, 201, 421, 208, 428, 18, 83, 313), (1.0, 0, 0))
    handles = ones | lips(lambda p: ((1.05 - 0.72 * abs(p.t) ** 1.8 if p.low else -0.03 + 0.4 * p.t**6), 0, 0))
    edge = {176: 0.97, 149: 0.86, 150: 0.7, 136: 0.46, 172: 0.28, 58: 0.13, 132: 0.04}
    handles |= {v: (w, 0, 0) for a, w in edge.items() for v in (a, int(MIRROR[a]))}
    return spread(handles, MOUTH_REST)[:, 0]


def jaw_open() -> Array:
    """The jaw turns by 20 degrees about a hinge below the ears: the condyle glides forward while the mouth opens."""
    angle, hinge = np.radians(20.0), np.array([0.0, 1.27, 0.85])
    local = TEMPLATE - hinge
    turned = local.copy()
    turned[:, 1] = local[:, 1] * np.cos(angle) - local[:, 2] * np.sin(angle)
    turned[:, 2] = local[:, 1] * np.sin(angle) + local[:, 2] * np.cos(angle)
    field = jaw_field()[:, None]
    out = field * (turned - local)
    drop = np.clip(field[:, 0], 0, 1)
    lower = [v for ring in LOWER_LIP for v in ring]
    out[lower, 1] *= 1.25  # the lower lip falls outward a little more than the bone
    out[:, 0] -= 0.1 * np.sign(TEMPLATE[:, 0]) * np.minimum(np.abs(TEMPLATE[:, 0]), 0.5) * drop * (1 - drop) * 2
    return out


def mouth_close(opened: Array) -> Array:
    """Lips brought together against an open jaw: with jawOpen at the same weight, the lips keep the gap they had."""
    handles: Handles = {}
    for k in range(4):
        for column, v in enumerate(LOWER_LIP[k]):
            partner, inner = UPPER_LIP[k][column + 1], (UPPER_LIP[3][column + 1], LOWER_LIP[3][column])
            gap = opened[inner[1]] - opened[inner[0]]
            handles[v], handles[partner] = tuple(-0.8 * gap), tuple(0.2 * gap)
    rest = (*MOUTH_REST, *CHIN, 200, 201, 421)
    for corner in (61, 76, 62, 78, 291, 306, 292, 308):
        handles[corner] = (0.0, 0.0, 0.0)
    return spread(handles, rest)


def smile() -> Array:
    """Corner out, up and back around the teeth; cheek lifted and pushed forward; nasolabial fold deepened."""
    handles = lips(lambda p: (0.15 * side(p.t, 1.7), -0.12 * side(p.t, 2.2), 0.125 * side(p.t, 2.0)))
    handles |= {
        287: (0.11, -0.1, 0.12), 432: (0.07, -0.075, 0.1), 436: (0.075, -0.075, 0.08), 426: (0.055, -0.055, 0.045),
        425: (0.045, -0.06, -0.005), 280: (0.03, -0.055, -0.02), 330: (0.015, -0.045, -0.01), 347: (0, -0.03, -0.005),
        427: (0.06, -0.055, 0.035), 411: (0.04, -0.04, 0.015), 416: (0.05, -0.025, 0.045), 327: (0.025, -0.02, 0.01),
        294: (0.02, -0.02, 0), 200: (0, -0.005, 0.01), 152: (0, 0, 0), 199: (0, 0, 0.005),
    }  # fmt: skip
    return spread(handles, MOUTH_REST)


def mouth_corner_shapes() -> dict[str, Array]:
    """Movements of the person's left corner of the mouth."""
    chin_rest = MOUTH_REST + CHIN
    frown = lips(lambda p: (0.01 * side(p.t, 2), 0.1 * side(p.t, 3.2), 0.03 * side(p.t, 3)))
    frown |= {287: (0.02, 0.085, 0.03), 422: (0.01, 0.06, 0.02), 432: (0.01, 0.06, 0.02), 200: (0, -0.015, 0)}
    stretch = lips(lambda p: (0.13 * side(p.t, 1.8), 0.035 * side(p.t, 3), 0.08 * side(p.t, 2)))
    stretch |= {287: (0.1, 0.035, 0.07), 432: (0.08, 0.03, 0.06), 434: (0.06, 0.03, 0.05), 426: (0.03, 0.01, 0.02)}
    dimple = lips(lambda p: (0.07 * side(p.t, 2.5), -0.015 * side(p.t, 3), 0.07 * side(p.t, 2.5)))
    dimple |= {287: (0.06, -0.015, 0.075), 432: (0.035, -0.01, 0.04)}
    press = lips(lambda p: (0, (-0.035 if p.low else 0.03) * (1 - p.depth) * side(p.t, 1), 0.015 * side(p.t, 1)))
    upper = lips(lambda p: (0, 0 if p.low else -0.1 * hump(p.t, 0.42, 0.45), 0))
    upper |= {327: (0.015, -0.03, 0), 426: (0.01, -0.06, 0), 391: (0, -0.07, 0), 425: (0, -0.03, -0.01)}
    lower = lips(lambda p: (0, (0.12 - 0.01 * p.depth) * hump(p.t, 0.36, 0.5) if p.low else 0, 0))
    lower |= {406: (0.01, 0.075, 0), 313: (0, 0.06, 0), 418: (0.01, 0.04, 0), 421: (0, 0.025, 0)}
    sideways = lips(lambda p: (0.1, -0.012 * p.t, 0.04 * p.t))
    sideways |= {287: (0.09, -0.01, 0.04), 57: (0.09, 0.01, -0.03), 200: (0.03, 0, 0), 164: (0.035, 0, 0)}
    return {
        "mouthSmile": smile(), "mouthFrown": spread(frown, (*MOUTH_REST, 152, 175)),
        "mouthStretch": spread(stretch, chin_rest), "mouthDimple": spread(dimple, chin_rest),
        "mouthPress": spread(press, chin_rest), "mouthUpperUp": spread(upper, chin_rest),
        "mouthLowerDown": spread(lower, (*MOUTH_REST, 152, 175)), "mouthL": spread(sideways, (*MOUTH_REST, 152, 175)),
    }  # fmt: skip


def mouth_middle_shapes() -> dict[str, Array]:
    """Movements of the whole mouth and jaw."""
    rest = MOUTH_REST + CHIN
    opened = jaw_open()
    jaw = jaw_field()[:, None]
    pucker = lips(lambda p: (-0.135 * p.t, (0.03 if p.low else -0.025) * (1 - p.depth) * arch(p.t), -0.085))
    pucker |= two_sided({287: (-0.08, 0, -0.06), 436: (-0.05, 0, -0.035), 200: (0, -0.01, -0.02), 164: (0, -0.01, -0.03)})
    funnel = lips(lambda p: (-0.1 * p.t, (0.085 if p.low else -0.06) * arch(p.t), -0.1))
    funnel |= two_sided({287: (-0.06, 0, -0.06), 436: (-0.03, 0, -0.03), 164: (0, -0.02, -0.04), 18: (0, 0.03, -0.04)})
    roll_up = lips(lambda p: (0, 0, 0) if p.low else (0, 0.045 * (1 - p.depth) * (1 - p.t**4), 0.035 * (1 - p.t**4)))
    roll_low = lips(lambda p: (0, -0.06 * (1 - p.depth) * (1 - p.t**4), 0.035 * (1 - p.t**4)) if p.low else (0, 0, 0))
    shrug_up = lips(lambda p: (0, -0.04 * (1 - p.t**4), -0.015 * arch(p.t)) if not p.low else (0, 0, 0))
    shrug_low = lips(lambda p: (0, (0.02 * p.depth - 0.05) * arch(p.t), -0.04 * arch(p.t)) if p.low else (0, 0, 0))
    shrug_low |= {18: (0, -0.05, -0.02), 200: (0, -0.045, -0.01), 199: (0, -0.03, 0)}
    puff = dict.fromkeys(LIPS, (0.0, 0.0, 0.01))
    puff |= two_sided({427: (0.1, 0, -0.08), 434: (0.1, 0.01, -0.08), 436: (0.05, 0, -0.05), 416: (0.11, 0, -0.06)})
    return {
        "jawOpen": opened, "mouthClose": mouth_close(opened), "jawForward": jaw * [0, 0.0, -0.12],
        "jawL": jaw * [0.12, 0, 0], "mouthPucker": spread(pucker, rest), "mouthFunnel": spread(funnel, rest),
        "mouthRollUpper": spread(roll_up, rest), "mouthRollLower": spread(roll_low, rest),
        "mouthShrugUpper": spread(shrug_up, rest), "mouthShrugLower": spread(shrug_low, (*MOUTH_REST, 152)),
        "cheekPuff": spread(puff, rest),
    }  # fmt: skip


def upper_face_shapes() -> dict[str, Array]:
    """Brows, nose and cheek of the person's left; the inner brows are built as one half."""
    down = spread({
        285: (-0.03, 0.065, -0.01), 336: (-0.03, 0.065, -0.01), 295: (-0.025, 0.06, 0), 296: (-0.025, 0.055, 0),
        282: (-0.015, 0.045, 0), 334: (-0.015, 0.04, 0), 283: (-0.005, 0.02, 0), 293: (-0.005, 0.02, 0), 441: (-0.01, 0.03, 0),
        442: (0, 0.03, 0), 443: (0, 0.025, 0), 417: (-0.01, 0.025, 0), 9: (0, 0.02, 0), 8: (0, 0.02, 0),
    }, BROW_REST)  # fmt: skip
    inner = spread({
        285: (0, -0.1, 0.01), 336: (0, -0.11, 0.01), 295: (0, -0.07, 0.01), 296: (0, -0.075, 0.01), 282: (0, -0.03, 0),
        334: (0, -0.035, 0), 9: (0, -0.035, 0), 8: (0, -0.025, 0), 337: (0, -0.05, 0), 151: (0, -0.015, 0), 441: (0, -0.05, 0),
        442: (0, -0.03, 0), 413: (0, -0.02, 0),
    }, BROW_REST)  # fmt: skip
    outer = spread({
        334: (0.005, -0.105, 0.01), 282: (0.005, -0.1, 0.01), 293: (0.005, -0.095, 0.015), 283: (0.005, -0.09, 0.015),
        300: (0, -0.065, 0.01), 276: (0, -0.06, 0.01), 296: (0, -0.06, 0), 295: (0, -0.055, 0), 336: (0, -0.01, 0),
        285: (0, -0.005, 0), 333: (0, -0.05, 0), 443: (0, -0.045, 0), 444: (0, -0.045, 0), 445: (0, -0.03, 0), 442: (0, -0.03, 0),
    }, BROW_REST)  # fmt: skip
    squint = spread({
        280: (0.005, -0.06, -0.02), 330: (0, -0.055, -0.015), 347: (0, -0.045, -0.01), 425: (0.005, -0.035, -0.01),
        450: (0, -0.03, 0), 449: (0, -0.03, 0), 451: (0, -0.025, 0), 448: (0, -0.02, 0), 374: (0, -0.015, 0),
        380: (0, -0.012, 0), 373: (0, -0.013, 0),
    }, (*LIPS, *CHIN, *OVAL_ABOVE_EARS, *NOSE_RIDGE, *np.flatnonzero(MESH[:, 1] < 0.0)))  # fmt: skip
    upper_lip = lips(lambda p: (0, 0 if p.low else -0.045 * hump(p.t, 0.3, 0.4), 0))
    sneer = spread(upper_lip | {
        327: (0.01, -0.05, 0), 294: (0.015, -0.06, 0), 278: (0.012, -0.05, 0), 358: (0.012, -0.05, 0), 429: (0, -0.035, 0),
        420: (0, -0.03, 0), 426: (0.01, -0.05, 0), 425: (0, -0.03, -0.01), 330: (0, -0.02, 0), 417: (0, 0.012, 0),
        285: (-0.008, 0.018, 0), 4: (0, -0.01, 0), 1: (0, -0.01, 0),
    }, (*CHIN, *OVAL_ABOVE_EARS, *EYE_CONTOURS, 168, 6, 9))  # fmt: skip
    return {"browDown": down, "browInnerUp": inner, "browOuterUp": outer, "cheekSquint": squint, "noseSneer": sneer}


def lids(upper: float, lower: float) -> Array:
    """The left lids moved, as parts of the way that closes them; negative opens."""
    closing = blendshapes.close_eyes(TEMPLATE)[0]
    out = np.zeros_like(closing)
    for share, margin, rows, way in (
        (upper, blendshapes.UPPER_LID, blendshapes.UPPER_ROWS, 1 - blendshapes.LID_MEETING),
        (lower, blendshapes.LOWER_LID, blendshapes.LOWER_ROWS, blendshapes.LID_MEETING),
    ):
        moved = [*margin, *(v for row in rows for v in row)]
        out[moved] = closing[moved] * share / way
    return out


def look(x: float, y: float, upper: float, lower: float) -> Array:
    """The left iris moved, and the lids that follow it (parts of the lid gap, positive closes)."""
    out = lids(upper, lower)
    out[list(IRIS)] += [x, y, 0]
    return out


def eye_shapes() -> dict[str, Array]:
    """Movements of the person's left eye. A lid gap is 1."""
    return {
        "eyeBlink": blendshapes.close_eyes(TEMPLATE)[0], "eyeSquint": lids(0.12, 0.3), "eyeWide": lids(-0.33, -0.05),
        "eyeLookUp": look(0, -0.055, -0.18, 0.08), "eyeLookDown": look(0, 0.055, 0.3, -0.08),
        "eyeLookIn": look(-0.115, 0, 0, 0), "eyeLookOut": look(0.115, 0, 0, 0),
    }  # fmt: skip


def build() -> Array:
    """The basis, (52, 478, 3)."""
    one_sided = mouth_corner_shapes() | upper_face_shapes() | eye_shapes()
    middle = mouth_middle_shapes()
    named = {f"{name}Left": d for name, d in one_sided.items()} | {f"{name}Right": flipped(d) for name, d in one_sided.items()}
    named |= {"browInnerUp": both(one_sided["browInnerUp"]), "tongueOut": np.zeros_like(TEMPLATE)} | middle
    for name, d in (("jaw", middle["jawL"]), ("mouth", one_sided["mouthL"])):
        named |= {f"{name}Left": d, f"{name}Right": flipped(d)}
    return np.stack([named[name] for name in BLENDSHAPES])


def main() -> None:
    """Write the data file."""
    out = Path(blendshapes.__file__).with_name("blendshape_basis.safetensors")
    source = {"source": "procedural, from head_space.safetensors", "builder": "tools/build_blendshapes.py"}
    save_file({"basis": build().astype(np.float32)}, str(out), metadata=source)
    print(f"{out.name}: {len(BLENDSHAPES)} blendshapes")


if __name__ == "__main__":
    main()
