"""The layers of a body: of each part its colours and its alpha, also of what another part hides in the picture.

Laid over each other in any order, the layers of a picture at rest give the picture: beside the border of two parts both show
it, and what a part hides of another lies below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import HIPS, SHOULDERS
from dreamactor_cli.renderers.geometry.body_below import hidden_limb, hidden_torso
from dreamactor_cli.renderers.geometry.body_beyond import go_on, nearness
from dreamactor_cli.renderers.geometry.body_mesh import PAD, THIN, cut_by_border
from dreamactor_cli.renderers.geometry.body_rims import judge
from dreamactor_cli.renderers.geometry.body_seams import nearest_labels
from dreamactor_cli.renderers.geometry.body_skeleton import BONES, CORE, PARTS, Joint, Skeleton
from dreamactor_cli.renderers.geometry.body_split import Split
from dreamactor_cli.renderers.geometry.layers import Layers, blur, complete_background, dilate
from dreamactor_cli.renderers.geometry.texture import Box

Array = NDArray[np.float64]
U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

RIM = 0.0035  # of the longer side: how far beyond the border between two parts the one in front is drawn
LIMB_SHARE = 0.6  # of the radius about a shoulder or hip: as far an arm or leg shows the torso, and not the neck
ACROSS = np.cos(np.radians(40.0))  # cosine between the spine and an arm or leg, below which it is spread or raised
ROUND = 1.1  # half a limb's width: radius about a joint within which both its limbs show the same
SEEN = 128  # alpha from which a pixel shows somebody
TEXTURE_FADE = (0.02, 0.12)  # of a layer's longer side, see `layers.complete_background`
MARGIN = 0.05  # of the longer side, around a layer: more than its mesh is larger


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLayer:
    """What is drawn of a part.

    Attributes:
        image: (h, w, 4), colours and alpha of the part of the picture within ``box``.
        box: first column and row, and one past the last; it may reach beyond the picture.
        cover: (H, W), where the layer is not empty.
        seen: share of the layer that the picture shows, 0..1.
    """

    image: U8
    box: Box
    cover: Mask
    seen: float


def part_layers(layers: Layers, split: Split, skeleton: Skeleton, order: Sequence[int]) -> dict[int, PartLayer]:
    """Cut the person's layer into those of the parts.

    Args:
        layers: the picture taken apart, (H, W).
        split: its pixels by part.
        skeleton: of the picture.
        order: parts from the farthest to the nearest, in the picture.
    """
    height, width = layers.alpha.shape
    labels = cv2.resize(split.labels, (width, height), interpolation=cv2.INTER_NEAREST)
    labels = _continued(labels, layers.alpha > 0)
    reach = {p: cv2.resize(split.reach[p], (width, height), interpolation=cv2.INTER_LINEAR) for p in _parts(split)}
    rank = np.array([list(order).index(part) for part in range(len(PARTS))] + [-1])  # the last is nobody's
    ranks = rank[labels]
    inner = cv2.distanceTransform((layers.alpha > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    free = np.zeros((height, width), bool)  # beside the borders of parts in front, and yet not of theirs
    out: dict[int, PartLayer] = {}
    for part in sorted(reach, key=lambda part: -rank[part]):
        own = labels == part
        if not own.any():
            continue
        shared = _shared(labels, part, skeleton, split.carried, inner)
        if part in split.sleeves:
            shared &= ~(split.bare & (labels == CORE))
        known = own | shared
        above = (ranks > rank[part]) & ~known
        # What lies in front hides a rim more than it covers: there its own colours have run over.
        front = above | (dilate(above, 2 * RIM * max(height, width)) > 0) & ~free
        covered = above & (layers.alpha > 200)
        if part == CORE:
            hidden = hidden_torso(own, covered, labels, layers.alpha < SEEN, split.bare, skeleton)
        else:
            hidden = hidden_limb(part, own, covered, reach[part], skeleton)
        below = (labels >= 0) & (ranks < rank[part]) & ~known
        sides = judge(layers.color, known, below, 1.3 * RIM * max(height, width) + 3)
        free |= sides.clean
        told = np.where(sides.clean, 1 - sides.trust * (1 - sides.share), 1).astype(np.float32)
        layer = _layer(layers, own, known, front, hidden, told, PAD if part != CORE else 0.0)
        out[part] = layer if part == CORE else _ended(layer, part, skeleton, split.carried)
    return out


def _ended(layer: PartLayer, part: int, skeleton: Skeleton, carried: tuple[int, ...]) -> PartLayer:
    """The layer of a limb that ends with its bones where it goes on beyond the picture."""
    outside = ~_inside(layer.box, *layer.cover.shape)
    if not (outside & (layer.image[..., 3] > 0)).any():
        return layer
    rows, columns = np.nonzero(outside)
    near = np.full(outside.shape, np.inf, np.float32)
    points = np.stack([columns + layer.box[0], rows + layer.box[1]], 1).astype(np.float64)
    near[rows, columns] = nearness(points, part, skeleton, carried)
    color, alpha = go_on(layer.image[..., :3], layer.image[..., 3], outside, near, skeleton.scale)
    return replace(layer, image=np.dstack([color, alpha]))


def _parts(split: Split) -> list[int]:
    return [part for part in range(len(PARTS)) if np.isfinite(split.reach[part]).any()]


def _continued(labels: NDArray[np.int8], person: Mask) -> NDArray[np.int8]:
    """Labels that reach out to where the person's alpha ends: the nearest label's."""
    known = labels >= 0
    if not known.any():
        return labels
    return np.where(person, nearest_labels(labels, known)[1], labels)


def _shared(labels: NDArray[np.int8], part: int, skeleton: Skeleton, carried: tuple[int, ...], inner: F32) -> Mask:
    """Pixels of neighbours beside the joints that a part shares with them, (H, W).

    Of a thin limb they are no more than its round end: a longer stump sticks out where the limb bends the other way.

    Args:
        inner: distance of each pixel to where nobody is, (H, W) px.
    """
    out = np.zeros(labels.shape, bool)
    for joint in skeleton.joints:
        parts = [carried[p] for p in joint.parts]
        if part not in parts:
            continue
        middle = skeleton.points[joint.point]
        narrow = CORE in parts and (part != CORE or lies_across(joint, skeleton))
        most = joint.radius * skeleton.scale * (LIMB_SHARE if narrow else 1.0)
        reach = max(round(0.5 * most), 1)
        if CORE in parts:
            x, y = np.rint(middle).astype(int).tolist()
            around = inner[max(y - reach, 0) : max(y + reach + 1, 0), max(x - reach, 0) : max(x + reach + 1, 0)]
            widest = float(around.max(initial=0.0))
        else:
            carrier = next(bone for bone in BONES if bone.part == joint.parts[0])
            way = skeleton.points[carrier.end] - skeleton.points[carrier.start]
            x, y, widest = _across(np.isin(labels, parts), middle, way, reach)
        radius = min(most, ROUND * widest)
        disc = np.zeros(labels.shape, np.uint8)
        cv2.circle(disc, (x, y), max(round(radius), 1), 1, -1)
        out |= (disc > 0) & np.isin(labels, parts)
    return out


def lies_across(joint: Joint, skeleton: Skeleton) -> bool:
    """Whether the limb at a joint of the torso lies across the spine: the torso shows less of it, or keeps a lump as it hangs."""
    bone = next(bone for bone in BONES if bone.start == joint.point)
    spine = skeleton.points[list(HIPS)].mean(0) - skeleton.points[list(SHOULDERS)].mean(0)
    limb = skeleton.points[bone.end] - skeleton.points[bone.start]
    return bool(spine @ limb < ACROSS * np.linalg.norm(spine) * np.linalg.norm(limb))


def _across(limb: Mask, joint: Array, direction: Array, reach: int) -> tuple[int, int, float]:
    """Middle of a limb (H, W) beside a joint, column and row, and half its width there, px: its bone may lie beside it.

    Args:
        joint: (2,) px.
        direction: of the limb, (2,).
        reach: how far beside the joint the middle may be, px.
    """
    normal = np.array([-direction[1], direction[0]]) / max(float(np.linalg.norm(direction)), 1e-6)
    steps = np.array(sorted(range(-reach, reach + 1), key=abs))
    x, y = np.rint(joint + steps[:, None] * normal).astype(int).T
    x0, y0, x1, y1 = max(x.min() - 2 * reach, 0), max(y.min() - 2 * reach, 0), x.max() + 2 * reach + 1, y.max() + 2 * reach + 1
    inside = limb[y0:y1, x0:x1].astype(np.uint8)
    at = (
        (x >= x0) & (y >= y0) & (x < x0 + inside.shape[1]) & (y < y0 + inside.shape[0]) if inside.size else np.zeros(len(x), bool)
    )
    if not at.any():
        return int(round(joint[0])), int(round(joint[1])), 0.0
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)[y[at] - y0, x[at] - x0]
    best = int(depth.argmax())
    return int(x[at][best]), int(y[at][best]), float(depth[best])


def _layer(
    layers: Layers, own: Mask, known: Mask, front: Mask, hidden: Mask, told: F32, beyond: float
) -> PartLayer:  # fmt: skip
    """The layer of the pixels that the picture shows of a part, and of those that lie hidden.

    Args:
        own: pixels that show the part, (H, W).
        known: these, and those of its neighbours beside their joints.
        front: pixels that others hide, or whose colours are not the part's alone.
        hidden: pixels where it lies below another.
        told: how much of a pixel is the part's at most, by its colour, 0..1.
        beyond: see `_box`, of the longer side.
    """
    alpha = layers.alpha.astype(np.float32)
    height, width = alpha.shape
    grown = dilate(own, 2 * (RIM * max(height, width) + 1))
    seen = np.minimum(blur(grown.astype(np.float32), 0.8), 1)
    # Of a neighbour the inside only: its outline, drawn twice, would be too hard.
    inner = np.clip((alpha - 190) / 65, 0, 1) * blur(known.astype(np.float32), 0.8)
    seen, grown = np.maximum(seen, inner) * told, grown | known
    # Strands of hair that touch the border are not cut by it: mirrored beyond it, what is below them would be a second head.
    least = 0 if beyond else np.where(_rim(alpha.shape), SEEN, 0)
    cover = (grown > 0) & (layers.alpha > least) | hidden
    below = blur(hidden.astype(np.float32), 1.0) * (alpha / 255) if hidden.any() else np.zeros_like(seen)
    mask = np.maximum(alpha * seen, 255 * below)
    box = _box(cover, MARGIN * max(height, width), round(beyond * max(height, width)))
    color = _completed(*(_cut(values, box) for values in (layers.color, known & ~front, front)))
    # Beyond the border goes on what the border cuts, and not what only touches it.
    goes_on = _cut(cut_by_border(cover), box) | _inside(box, height, width)
    image = np.dstack([color, _cut(np.clip(np.rint(mask), 0, 255).astype(np.uint8), box) * goes_on])
    share = float(known.sum() / max(known.sum() + (hidden & ~known).sum(), 1))
    return PartLayer(image=image, box=box, cover=cover, seen=share)


def _rim(shape: tuple[int, ...]) -> Mask:
    """What lies as near to the border as what only touches it, (H, W)."""
    out = np.ones(shape, bool)
    rim = round(THIN * max(shape)) + 1
    out[rim:-rim, rim:-rim] = False
    return out


def _box(cover: Mask, margin: float, beyond: int) -> Box:
    """The part of the picture that a layer needs, and around it some emptiness, also beyond the picture.

    A layer that leaves the picture ends there: its texture is reflected at the border, and so goes on beyond it. That of a limb
    goes on as it is at the border for ``beyond`` px: a wrist that the border cuts must not be followed by a second one.
    """
    height, width = cover.shape
    rows, columns = np.nonzero(cover)
    solid = cut_by_border(cover)
    gap = round(margin)
    return (
        -beyond if solid[:, 0].any() else int(columns.min()) - gap, -beyond if solid[0].any() else int(rows.min()) - gap,
        width + beyond if solid[:, -1].any() else int(columns.max()) + gap + 1,
        height + beyond if solid[-1].any() else int(rows.max()) + gap + 1,
    )  # fmt: skip


def _cut(values: NDArray[Any], box: Box) -> NDArray[Any]:
    """A box of a picture (H, W) or (H, W, C); beyond the picture it is as at the border."""
    x0, y0, x1, y1 = box
    height, width = values.shape[:2]
    inside = values[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    pad = ((max(-y0, 0), max(y1 - height, 0)), (max(-x0, 0), max(x1 - width, 0)))
    return np.pad(inside, (*pad, (0, 0)) if values.ndim == 3 else pad, mode="edge")


def _inside(box: Box, height: int, width: int) -> Mask:
    """Which pixels of a box the picture has, (h, w)."""
    x, y = np.arange(box[0], box[2]), np.arange(box[1], box[3])
    return np.asarray(((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width)))


def _completed(color: U8, clean: Mask, wanted: Mask) -> U8:
    """Colours (h, w, 3) with what is wanted made up from what is clean."""
    if not wanted.any() or not clean.any():
        return color
    # What is neither clean nor wanted must not flow in: it is closed along with the rest.
    made = np.clip(np.rint(complete_background(color, (~clean).astype(np.uint8), TEXTURE_FADE)), 0, 255)
    return np.asarray(np.where(wanted[..., None], made, color), np.uint8)
