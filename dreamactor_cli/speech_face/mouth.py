"""The shapes of one person's mouth: what each articulation does to lips, jaw and corners."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.speech_face.tracks import MouthTracks

Array = NDArray[np.float64]

# Inner lips, column by column from the picture's left corner to the right one; the corners belong to both.
UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
MIDDLE = slice(4, 7)  # the columns whose mean distance is the opening
STILL = (*head_space.RIGID, 2, 97, 326, 1, 4, 19, 94, 98, 327)  # what the lips do not pull along: skull and nose

JAW = 0.5  # of jawOpen at a jaw of 1; the lips do the rest
JAW_CLOSED = 0.06  # opening, inter-ocular units, that the lips leave without help of the jaw
JAW_GAP = 0.54  # opening that jawOpen makes at weight 1
CLENCH = 0.5  # teeth that show keep the jaw up
REACH_UPPER, REACH_LOWER = 0.15, 0.28  # inter-ocular units beyond the lips over which skin follows them
COLUMN = 0.07  # width of the influence of a column of the lips, inter-ocular units
SHARE_CLOSING, SHARE_OPENING = 0.35, 0.2  # of the way between the lips that the upper one goes
USUAL_WIDTH = 0.85  # of a mouth, inter-ocular units
SIZES = (0.6, 1.1)  # of an actor's mouth, to the usual one
SHUT = (0.03, 0.06)  # opening of the picture's mouth, inter-ocular units, between which it stops to count as shut
WIDTHS = (0.14, 0.18)  # change of the distance of the corners at a width of 1 and of -1, inter-ocular units
TOUCHING = (0.0, 0.08)  # opening between which lips stand exactly one above the other

# Weight of each blendshape at an articulation of 1; a width below 0 purses the lips. How far the corners part is exact, see
# `Mouth._bring_corners`.
SHAPES: dict[str, dict[str, float]] = {
    "spread": {"mouthStretchLeft": 0.32, "mouthStretchRight": 0.32, "mouthSmileLeft": 0.16, "mouthSmileRight": 0.16},
    "purse": {"mouthPucker": 0.35},
    "rounding": {"mouthPucker": 0.45, "mouthFunnel": 0.35},
    "upper_lip": {"mouthUpperUpLeft": 0.7, "mouthUpperUpRight": 0.7},
    "lip_tuck": {"mouthRollLower": 0.9, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2},
    "teeth": {"mouthUpperUpLeft": 0.25, "mouthUpperUpRight": 0.25, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2},
    "pressed": {"mouthPressLeft": 0.5, "mouthPressRight": 0.5, "mouthRollLower": 0.35, "mouthRollUpper": 0.35},
    "tongue": {"tongueOut": 1.0},
}  # fmt: skip
MOUTH_COLUMNS = [k for k, name in enumerate(BLENDSHAPES) if name.startswith(("mouth", "jaw", "tongue"))]


class Mouth:
    """The mouth of one person.

    Args:
        canonical: the face of the reference picture, (478, 3), canonical head space.

    Attributes:
        size: of the mouth, 1 is usual: movements are in proportion.
    """

    def __init__(self, canonical: Array) -> None:
        self._face = np.asarray(canonical, np.float64)
        width = float(np.linalg.norm(self._face[OUTER_UPPER[0]] - self._face[OUTER_UPPER[-1]]))
        self.size = float(np.clip(width / USUAL_WIDTH, *SIZES))
        gap = self._face[list(LOWER), 1] - self._face[list(UPPER), 1]
        self._jaw_at_rest = 0.5 * max(float(gap[MIDDLE].mean()) - JAW_CLOSED, 0.0) / JAW_GAP
        # A picture whose mouth is shut rests as it is; one with an open mouth brings its lips together.
        self._rests = 1 - float(smoothstep(gap[MIDDLE].mean(keepdims=True), *SHUT)[0])

    def shape(self, tracks: MouthTracks, start: int, stop: int) -> tuple[Array, NDArray[np.float32]]:
        """Frames start..stop-1 of a clip.

        Returns:
            Displacement of the face from the reference's, (T, 478, 3), inter-ocular units, and the ARKit weights that come
            nearest to it, (T, 52).
        """
        weights = self._weights(tracks, slice(start, stop))
        moved = self.size * np.tensordot(weights, blendshapes.basis(), axes=1)
        jaw = weights[:, BLENDSHAPES.index("jawOpen")] - self._jaw_at_rest * (1 - tracks.rest[start:stop])
        moved += (jaw - self.size * weights[:, BLENDSHAPES.index("jawOpen")])[:, None, None] * _jaw()
        # The lip that is tucked under the upper teeth lies further back.
        moved += self.size * tracks.lip_tuck[start:stop, None, None] * 0.05 * _lower_pull()[None, :, 5:6] * (0, 0, 1)
        moved += self._bring_corners(self._face + moved, tracks.width[start:stop])
        awake = 1 - tracks.rest[start:stop]
        lips = self._bring_lips(self._face + moved, self.size * tracks.opening[start:stop])
        lips *= (1 - self._rests * (1 - awake))[:, None, None]
        return moved + lips, self._told(weights, lips, awake)

    def _bring_corners(self, shaped: Array, width: Array) -> Array:
        """What brings the corners of faces (T, 478, 3) as far apart as a width (T,) says, exactly; (T, 478, 3).

        Rounding and jaw have their say on lips and chin, but not on the width, which is heard by itself.
        """
        left, right = OUTER_UPPER[0], OUTER_UPPER[-1]
        wide, narrow = WIDTHS
        change = self.size * np.where(width > 0, wide, narrow) * width
        wanted = np.linalg.norm(self._face[right] - self._face[left]) + change
        apart = shaped[:, right] - shaped[:, left]
        across = np.sqrt(np.maximum(wanted**2 - apart[:, 1] ** 2 - apart[:, 2] ** 2, 0.01))
        out = np.zeros_like(shaped)
        out[..., 0] = (across - apart[:, 0])[:, None] * _sideways()
        return out

    def _weights(self, tracks: MouthTracks, at: slice) -> Array:
        """ARKit weights of the articulation, (T, 52), the closing of the lips left out."""
        curves = {
            "spread": np.maximum(tracks.width[at], 0), "purse": np.maximum(-tracks.width[at], 0),
            "rounding": tracks.rounding[at], "upper_lip": tracks.upper_lip[at], "lip_tuck": tracks.lip_tuck[at],
            "teeth": tracks.teeth[at], "pressed": tracks.pressed[at], "tongue": tracks.tongue[at],
        }  # fmt: skip
        out = np.zeros((len(curves["teeth"]), len(BLENDSHAPES)))
        for name, curve in curves.items():
            for shape, weight in SHAPES[name].items():
                out[:, BLENDSHAPES.index(shape)] += weight * curve
        out[:, BLENDSHAPES.index("jawOpen")] = JAW * tracks.jaw[at] * (1 - CLENCH * np.clip(tracks.teeth[at], 0, 1))
        return np.clip(out, 0, 1)

    def _bring_lips(self, shaped: Array, opening: Array) -> Array:
        """What brings the lips of faces (T, 478, 3) to an opening (T,), inter-ocular units, exactly; (T, 478, 3)."""
        upper, lower = shaped[:, list(UPPER)], shaped[:, list(LOWER)]
        between = lower - upper
        wanted = opening[:, None] * _profile()
        way = between[..., 1] - wanted
        share = np.where(way > 0, SHARE_CLOSING, SHARE_OPENING)
        touching = 1 - smoothstep(opening, *TOUCHING)
        offset = between * touching[:, None, None]  # so that no gap is seen from the side or from below
        offset[..., 1] = way
        down = offset * share[..., None]
        up = offset * (1 - share)[..., None]
        return np.einsum("vk,tkc->tvc", _upper_pull(), down) - np.einsum("vk,tkc->tvc", _lower_pull(), up)

    def _told(self, weights: Array, lips: Array, awake: Array) -> NDArray[np.float32]:
        """The weights with the opening and closing of the lips among them, as near as blendshapes come to it."""
        out = weights.copy()
        way = (lips[:, LOWER[5], 1] - lips[:, UPPER[5], 1]) * awake  # above 0: the lips part further
        out[:, BLENDSHAPES.index("mouthClose")] = np.clip(-way / JAW_GAP, 0, 1)
        for side in ("Left", "Right"):
            out[:, BLENDSHAPES.index(f"mouthLowerDown{side}")] += np.clip(way / 0.13, 0, 1)
        return np.clip(out, 0, 1).astype(np.float32)


@cache
def _jaw() -> Array:
    return blendshapes.basis()[BLENDSHAPES.index("jawOpen")]


@cache
def _sideways() -> Array:
    """Movement to the side of each landmark while the corners part by 1, (478,)."""
    stretch = blendshapes.basis()[[BLENDSHAPES.index(f"mouthStretch{side}") for side in ("Left", "Right")]].sum(0)[:, 0]
    return np.asarray(stretch / (stretch[OUTER_UPPER[-1]] - stretch[OUTER_UPPER[0]]))


@cache
def _profile() -> Array:
    """Opening of each column of the lips, 1 in the middle, 0 at the corners, (11,)."""
    shape = head_space.template()
    gap = shape[list(LOWER), 1] - shape[list(UPPER), 1]
    return np.asarray(gap / gap[MIDDLE].mean())


@cache
def _upper_pull() -> Array:
    """How much each landmark follows each column of the upper lip, (478, 11)."""
    return _pull(UPPER, OUTER_UPPER, REACH_UPPER, above=True)


@cache
def _lower_pull() -> Array:
    return _pull(LOWER, OUTER_LOWER, REACH_LOWER, above=False)


def _pull(inner: tuple[int, ...], outer: tuple[int, ...], reach: float, *, above: bool) -> Array:
    shape = head_space.template()
    columns = shape[list(inner), 0]
    # The template's mouth is open: a line through its middle parts what belongs to the upper lip from what does not.
    order = np.argsort(columns)
    line = (shape[list(UPPER), 1] + shape[list(LOWER), 1])[order] / 2
    side = shape[:, 1] - np.interp(shape[:, 0], columns[order], line)
    ours = side < 0 if above else side > 0
    near = np.exp(-(((shape[:, :1] - columns) / COLUMN) ** 2) / 2) + 1e-12
    near /= near.sum(1, keepdims=True)
    near[:, [0, -1]] = 0  # the corners stay
    contour = shape[list(head_space.OUTER_LIPS), :2].astype(np.float32)
    outside = np.array([max(-cv2.pointPolygonTest(contour, (float(x), float(y)), True), 0.0) for x, y in shape[:, :2]])
    out = near * (ours * np.exp(-((outside / reach) ** 2)))[:, None]
    out[list(STILL)] = 0
    for row in (inner, outer):
        out[list(row)] = np.eye(len(row))
        out[[row[0], row[-1]]] = 0
    return np.asarray(out)
