"""One picture of a body, taken apart: its parts as textures on meshes, and where they go in a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.renderers.geometry.body_below import bare_skin
from dreamactor_cli.renderers.geometry.body_bounds import Bounds
from dreamactor_cli.renderers.geometry.body_hands import HandMesh
from dreamactor_cli.renderers.geometry.body_layers import PartLayer, part_layers
from dreamactor_cli.renderers.geometry.body_mesh import build_mesh
from dreamactor_cli.renderers.geometry.body_order import depth_order
from dreamactor_cli.renderers.geometry.body_pose import BodyPose, Placement
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONE_INDEX,
    CARRIERS,
    HAND_PARTS,
    PARTS,
    SIDES,
    Skeleton,
    other_side,
    skeleton_of,
    with_points,
    without_hidden_hand,
)
from dreamactor_cli.renderers.geometry.body_split import bones_mask, connected, split
from dreamactor_cli.renderers.geometry.compositing import COVERAGE
from dreamactor_cli.renderers.geometry.layers import Layers, fill, leave_to_background, separate
from dreamactor_cli.renderers.geometry.portrait import Face, jaw, oval_mask
from dreamactor_cli.renderers.geometry.raster import DrawnLayer, MapGrid, rasterize
from dreamactor_cli.renderers.geometry.texture import Texture

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
Array = NDArray[np.float64]

MAP_STEP = 3  # px of the frame per sample of a map
ENLARGED = 2  # the most that a texture is enlarged
FINE_UP_TO = 110  # px, size of a part up to which every pixel is rasterised
THIN = 0.15  # see `layers.separate`: a body goes far away from where it stood
TOLERANCE = 10.0  # likewise: what only the picture at rest would show leaves specks where the body was
STRAY = 45.0
TEXTURE_FADE = (0.004, 0.04)
MARGIN = 2  # samples around a layer


class Part(NamedTuple):
    """A part, ready to be drawn.

    Attributes:
        texture: its colours.
        nodes: which of the mesh's nodes it has, (N,).
        triangles: among them, (M, 3).
        attributes: (N, 3), where in the texture they lie, and their coverage.
        depth: (N,), 0 where the part is to be seen, 1 where nothing of it is: where it folds, nothing must not hide something.
        share: of it that the picture shows, 0..1.
    """

    texture: Texture
    nodes: NDArray[np.int64]
    triangles: I32
    attributes: NDArray[np.float32]
    depth: NDArray[np.float32]
    share: float


class Moved(NamedTuple):
    """A view in a frame.

    Attributes:
        places: (N, 2) px of the nodes of each part.
        triangles: (M, 3) of the parts that lose some in this frame.
    """

    places: dict[int, Array]
    triangles: dict[int, I32]


class View:
    """One picture of a reference.

    Args:
        reference: as in `contracts.Reference`.
        index: of the picture.
        face: of the picture, None if it shows none or it does not count.

    Attributes:
        layers: person and background, (H, W).
        parts: what the picture shows.
        expected: parts of which it at least tells where they are.
        behind: the hand that lies behind the other one, and the part that shows what is seen of it.
        nodes: of the whole body's mesh, (N, 2) px.
        pose: moves them.
        scale: px per metre.
    """

    def __init__(self, reference: Reference, index: int, face: Face | None) -> None:
        body = reference.controls.body
        assert body is not None  # else it is a portrait
        image = reference.images[index]
        height, width = image.shape[:2]
        faced = reference.controls.face is not None
        skeleton = skeleton_of(body, reference.controls.hands, index, width, height, face=faced)
        skeleton = without_hidden_hand(skeleton, bare_skin(image, skeleton))
        space = body.joints_3d[index].astype(np.float64)
        order = depth_order(range(len(PARTS)), with_points(space))
        self.layers = _separate(image, reference.matte[index], skeleton, face)
        cut = split(image, self.layers.alpha.astype(np.float32) / 255, skeleton, order)
        leave_to_background(image, self.layers, cut.gaps)
        found = part_layers(self.layers, cut, skeleton, order)
        mesh = build_mesh({p: layer.cover for p, layer in found.items() if p not in HAND_PARTS}, skeleton, cut.carried)
        self._hands = {p: HandMesh(found[p].cover, skeleton, HAND_PARTS.index(p)) for p in HAND_PARTS if p in found}
        self.expected = {part for part in skeleton.parts if cut.carried[part] == part}
        if skeleton.hidden is not None:
            self.expected.add(HAND_PARTS[skeleton.hidden])
        self.behind: set[int] = set()
        if skeleton.behind is not None:
            self.behind = {HAND_PARTS[skeleton.behind], CARRIERS[HAND_PARTS[skeleton.behind]]}
            self.expected |= self.behind
        self.nodes = mesh.nodes
        self.scale = skeleton.scale
        self.pose = BodyPose(skeleton, space, mesh)
        self.parts = {part: _part(found[part], mesh.nodes, triangles) for part, triangles in mesh.triangles.items()}
        self._bounds = {
            part: Bounds(mesh.nodes[made.nodes], made.triangles, mesh.own[part][made.nodes]) for part, made in self.parts.items()
        }
        self.parts |= {part: _part(found[part], hand.nodes, hand.triangles) for part, hand in self._hands.items()}

    def move(self, place: Placement, controls: Controls, index: int, parts: set[int], mirrored: set[int]) -> Moved:
        """Nodes of parts in a frame.

        Args:
            place: of the skeleton, see `place`.
            controls: a window.
            index: of the frame.
            parts: that are to be drawn as they are.
            mirrored: that are to be drawn in place of those on the other side.
        """
        matrices = self.pose.matrices(place)
        places: dict[int, Array] = {}
        triangles: dict[int, I32] = {}
        for part in [p for p in self._hands if p in parts]:
            places[part], triangles[part] = self._move_hand(part, part, controls, index, matrices, place)
        places |= self._skinned(matrices, place, {part for part in parts if part not in self._hands})
        if mirrored:
            matrices = self.pose.mirrored(place, matrices)
            for part in [p for p in self._hands if p in mirrored]:
                onto = other_side(part)
                places[onto], triangles[onto] = self._move_hand(part, onto, controls, index, matrices, place)
            moved = self._skinned(matrices, place, {part for part in mirrored if part not in self._hands})
            places |= {other_side(part): nodes for part, nodes in moved.items()}
        return Moved(places, triangles)

    def _skinned(self, matrices: Array, place: Placement, parts: set[int]) -> dict[int, Array]:
        """Nodes of parts by the maps of the bones, within bounds."""
        slide, ends = self.pose.slide(place), self.pose.ends(matrices, place.size)
        nodes = self.pose.move(matrices, slide, ends)
        out = {}
        for part in parts:
            used = self.parts[part].nodes
            out[part] = self._bounds[part].held(nodes[used], self.pose.rigid(matrices, slide, ends, part, used), matrices)
        return out

    def _move_hand(
        self, part: int, onto: int, controls: Controls, index: int, matrices: Array, place: Placement
    ) -> tuple[Array, I32]:
        """Nodes and triangles of a hand whose fingers move, in its place or the other's; its map is set to the palm's."""
        mesh, side = self._hands[part], HAND_PARTS.index(onto)
        bone = BONE_INDEX[f"{SIDES[HAND_PARTS.index(part)]}_hand"]
        joints = mesh.ridden(matrices[bone])
        if controls.hands is not None and controls.hands.score[index, side] > 0:
            joints = controls.hands.joints_2d[index, side].astype(np.float64)
        nodes, triangles, matrices[bone] = mesh.move(joints, matrices[bone - 1], matrices[bone], place.size)
        return nodes, triangles


def _separate(image: U8, matte: NDArray[np.float32], skeleton: Skeleton, face: Face | None) -> Layers:
    """A picture taken apart; below the jaw the person's layer shows neck."""
    height, width = matte.shape
    solid = bones_mask(skeleton, matte.shape, 0.35)
    if face is not None:
        solid = np.maximum(solid, oval_mask(face.landmarks, width, height, 0.0))
    layers = separate(
        image, connected(matte, skeleton), solid, thin=THIN, texture_fade=TEXTURE_FADE, tolerance=TOLERANCE, stray=STRAY,
        patches=True,
    )  # fmt: skip
    if face is None:
        return layers
    neck = fill(layers.color, jaw(face.pose, face.landmarks, width, height))
    return replace(layers, color=np.clip(np.rint(neck), 0, 255).astype(np.uint8))


def _part(layer: PartLayer, nodes: Array, triangles: I32) -> Part:
    """A part ready to be drawn, from its layer and its triangles among the nodes (N, 2) px of the mesh."""
    used, index = np.unique(triangles.astype(np.int64), return_inverse=True)
    texture = Texture(layer.image, most=ENLARGED)
    inside = np.ascontiguousarray(nodes[used] - layer.box[:2], np.float32)
    alpha = cv2.remap(np.ascontiguousarray(layer.image[..., 3]), inside[:, None], None, cv2.INTER_LINEAR)[:, 0]
    return Part(
        texture=texture, nodes=used, triangles=np.ascontiguousarray(index.reshape(-1, 3), np.int32),
        attributes=np.column_stack([texture.positions(inside), np.ones(len(used), np.float32)]),
        depth=1 - alpha.astype(np.float32) / 255, share=layer.seen,
    )  # fmt: skip


def draw_part(part: Part, vertices: Array, triangles: I32, width: int, height: int) -> DrawnLayer | None:
    """Rasterise a part whose nodes are at ``vertices`` (N, 2 or 3) px; None if it is off the frame."""
    low = np.floor(vertices[:, :2].min(0)).astype(int) - MARGIN
    high = np.ceil(vertices[:, :2].max(0)).astype(int) + 1 + MARGIN
    step = 1 if (high - low).max() < FINE_UP_TO else MAP_STEP
    x0, y0 = (max(int(v), 0) // step * step for v in low)
    wide, tall = min(int(high[0]), width) - x0, min(int(high[1]), height) - y0
    if wide < 2 or tall < 2:
        return None
    grid = MapGrid(x0, y0, wide, tall, step)
    maps = np.zeros((3, *grid.shape), np.float32)
    depth = np.full(grid.shape, np.inf, np.float32)
    z = part.depth if vertices.shape[1] == 2 else np.ascontiguousarray(vertices[:, 2], np.float32)
    rasterize(grid.points(vertices), z, part.attributes, triangles, True, depth, maps)
    # The last sample of the mesh must not be mixed with the nothing beside it.
    if step > 1:
        maps[COVERAGE] = cv2.erode(maps[COVERAGE], np.ones((3, 3), np.uint8))
    return DrawnLayer(rows=slice(y0, y0 + tall), columns=slice(x0, x0 + wide), grid=grid, maps=maps)
