"""The layers of a body: of each part its colours and its alpha, also of what another part hides in the picture.

Laid over each other in any order, the layers of a picture at rest give the picture: beside the border of two parts both show
it, and what a part hides of another lies below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_skeleton import CORE, PARTS, Skeleton, torso_distance
from dreamactor_cli.renderers.geometry.body_split import Split
from dreamactor_cli.renderers.geometry.layers import Layers, blur, complete_background, dilate
from dreamactor_cli.renderers.geometry.texture import Box

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

OVERLAP = 3.0  # px by which neighbours overlap at the border between them
HIDDEN = 0.85  # of a limb's radius: as much of it lies below what is in front of it
TORSO_BELOW = 0.06  # metres outside the line between shoulder and hip that lie below an arm
MARGIN = 6  # px around a layer


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLayer:
    """What is drawn of a part.

    Attributes:
        image: (h, w, 4), colours and alpha of the part of the picture within ``box``.
        box: first column and row, and one past the last.
        cover: (H, W), where the layer is not empty.
        seen: share of the layer that the picture shows, 0..1.
    """

    image: U8
    box: Box
    cover: Mask
    seen: float


def part_layers(layers: Layers, split: Split, skeleton: Skeleton) -> dict[int, PartLayer]:
    """Cut the person's layer into those of the parts.

    Args:
        layers: the picture taken apart, (H, W).
        split: its pixels by part.
        skeleton: of the picture.
    """
    height, width = layers.alpha.shape
    labels = cv2.resize(split.labels, (width, height), interpolation=cv2.INTER_NEAREST)
    labels = _continued(labels, layers.alpha > 0)
    reach = {p: cv2.resize(split.reach[p], (width, height), interpolation=cv2.INTER_LINEAR) for p in _parts(split)}
    person = layers.alpha > 0
    out: dict[int, PartLayer] = {}
    for part in reach:
        own = labels == part
        if not own.any():
            continue
        shared = _shared(labels, part, skeleton, split.carried)
        known = own | shared
        hidden = _hidden(part, known, labels, layers.alpha > 200, reach, skeleton)
        out[part] = _layer(layers, person, known, hidden)
    return out


def _parts(split: Split) -> list[int]:
    return [part for part in range(len(PARTS)) if np.isfinite(split.reach[part]).any()]


def _continued(labels: NDArray[np.int8], person: Mask) -> NDArray[np.int8]:
    """Labels that reach out to where the person's alpha ends: the nearest label's."""
    known = labels >= 0
    if not known.any():
        return labels
    _, index = cv2.distanceTransformWithLabels((~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros(int(index.max()) + 1, np.int8)
    table[index[known]] = labels[known]
    return np.where(person, table[index], labels).astype(np.int8)


def _shared(labels: NDArray[np.int8], part: int, skeleton: Skeleton, carried: tuple[int, ...]) -> Mask:
    """Pixels of neighbours beside the joints that a part shares with them, (H, W)."""
    out = np.zeros(labels.shape, bool)
    for joint in skeleton.joints:
        parts = [carried[p] for p in joint.parts]
        if part not in parts:
            continue
        disc = np.zeros(labels.shape, np.uint8)
        center = np.rint(skeleton.points[joint.point]).astype(int)
        cv2.circle(disc, (int(center[0]), int(center[1])), round(joint.radius * skeleton.scale), 1, -1)
        out |= (disc > 0) & np.isin(labels, parts)
    return out


def _hidden(part: int, known: Mask, labels: NDArray[np.int8], solid: Mask, reach: dict[int, F32], skeleton: Skeleton) -> Mask:
    """Where a part goes on below others, (H, W)."""
    others = solid & ~known & (labels >= 0)
    if part != CORE:
        return np.asarray(others & (reach[part] < HIDDEN))
    height, width = labels.shape
    rows, columns = np.nonzero(others)
    inside = np.zeros((height, width), bool)
    points = np.stack([columns, rows], 1).astype(np.float64)
    inside[rows, columns] = torso_distance(points, skeleton) < TORSO_BELOW * skeleton.scale
    return inside


def _layer(layers: Layers, person: Mask, known: Mask, hidden: Mask) -> PartLayer:
    """The layer of the pixels that the picture shows of a part, and of those that lie hidden."""
    alpha = layers.alpha.astype(np.float32)
    seen = np.minimum(blur(dilate(known, 2 * OVERLAP).astype(np.float32), 0.8), 1)
    cover = dilate(known, 2 * OVERLAP + 4).astype(bool) & person | hidden
    below = np.zeros_like(seen)
    if hidden.any():
        below = blur(hidden.astype(np.float32), 1.0) * (alpha / 255)
    mask = np.maximum(alpha * seen, 255 * below)
    rows, columns = np.nonzero(cover)
    height, width = alpha.shape
    x0, y0 = max(int(columns.min()) - MARGIN, 0), max(int(rows.min()) - MARGIN, 0)
    x1, y1 = min(int(columns.max()) + MARGIN + 1, width), min(int(rows.max()) + MARGIN + 1, height)
    box = (x0, y0, x1, y1)
    part = np.s_[y0:y1, x0:x1]
    color = _completed(layers.color[part], known[part], hidden[part])
    image = np.dstack([color, np.clip(np.rint(mask[part]), 0, 255).astype(np.uint8)])
    share = float(known.sum() / max(known.sum() + (hidden & ~known).sum(), 1))
    return PartLayer(image=image, box=box, cover=cover, seen=share)


def _completed(color: U8, known: Mask, hidden: Mask) -> U8:
    """Colours (h, w, 3) with what is hidden made up from what is known."""
    ring = dilate(known, 2 * OVERLAP + 2) > 0
    hole = hidden & ~ring
    if not hole.any():
        return color
    # What is neither known nor wanted must not flow in: it is closed along with the hole.
    inner = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    made = complete_background(color, (~inner).astype(np.uint8))
    return np.asarray(np.where(hole[..., None], np.clip(np.rint(made), 0, 255), color), np.uint8)
