"""A body in motion: its parts as layers, each on a mesh that follows the bones, with the head and face of a portrait on top.

Order of a frame: background plate, the parts behind the torso, the core (torso, neck, head) with face, mouth and eyes, the
parts in front. What is in front changes from frame to frame with the depth of the joints.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.person_space import PersonModel
from dreamactor_cli.renderers.geometry.body_hands import HandMesh
from dreamactor_cli.renderers.geometry.body_layers import PartLayer, part_layers
from dreamactor_cli.renderers.geometry.body_mesh import build_mesh
from dreamactor_cli.renderers.geometry.body_order import depth_order
from dreamactor_cli.renderers.geometry.body_pose import BodyPose, torso_turn
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONE_INDEX,
    CORE,
    HAND_PARTS,
    PARTS,
    SIDES,
    Skeleton,
    skeleton_of,
    with_points,
)
from dreamactor_cli.renderers.geometry.body_split import bones_mask, connected, split
from dreamactor_cli.renderers.geometry.compositing import COVERAGE
from dreamactor_cli.renderers.geometry.layers import Layers, fill, separate
from dreamactor_cli.renderers.geometry.portrait import Canvas, Face, as_canvas, channels, jaw, lay_layer, oval_mask
from dreamactor_cli.renderers.geometry.raster import DrawnLayer, MapGrid, rasterize
from dreamactor_cli.renderers.geometry.texture import Texture

U8 = NDArray[np.uint8]
Array = NDArray[np.float64]

MAP_STEP = 3  # px of the frame per sample of a map
ENLARGED = 2  # the most that a texture is enlarged
THIN = 0.15  # see `layers.separate`: a body goes far away from where it stood
TOLERANCE = 10.0  # likewise: what only the picture at rest would show leaves specks where the body was
STRAY = 45.0
TEXTURE_FADE = (0.004, 0.04)
FINE_UP_TO = 110  # px, size of a part up to which every pixel is rasterised
MARGIN = 2  # samples around a layer


class _Part(NamedTuple):
    """A part, ready to be drawn: its texture, and of the mesh's nodes the used ones with their triangles and attributes."""

    texture: Texture
    nodes: NDArray[np.int64]
    triangles: NDArray[np.int32]
    attributes: NDArray[np.float32]


class BodyActor:
    """A picture of a body made ready to move.

    Args:
        reference: as in `contracts.Reference`; with a body, with or without a face.
        driver_mouth, relight: as of `portrait.Face`.
    """

    def __init__(self, reference: Reference, *, driver_mouth: bool = False, relight: bool = False) -> None:
        body = reference.controls.body
        assert body is not None  # else it is a portrait
        rest = body.joints_3d[0].astype(np.float64)
        image = reference.images[0]
        self.height, self.width = image.shape[:2]
        self._face = None
        if reference.controls.face is not None and reference.controls.head is not None:
            self._face = Face(reference, driver_mouth=driver_mouth, relight=relight)
        skeleton = skeleton_of(body, reference.controls.hands, 0, self.width, self.height)
        layers = self._separate(image, reference.matte[0], skeleton)
        cut = split(image, layers.alpha.astype(np.float32) / 255, skeleton)
        parts = part_layers(layers, cut, skeleton, depth_order(list(range(len(PARTS))), with_points(rest)))
        mesh = build_mesh({p: layer.cover for p, layer in parts.items() if p not in HAND_PARTS}, skeleton, cut.carried)
        self._hands = {p: HandMesh(parts[p].cover, skeleton, HAND_PARTS.index(p)) for p in HAND_PARTS if p in parts}
        self.background = as_canvas(layers.background)
        self._pose = BodyPose(skeleton, mesh)
        self._turn = torso_turn(rest)
        self._parts = {part: _part(parts[part], mesh.nodes, triangles) for part, triangles in mesh.triangles.items()}
        self._parts |= {part: _part(parts[part], hand.nodes, hand.triangles) for part, hand in self._hands.items()}
        self._head: PersonModel | None = None
        if self._face is not None:
            self._head = PersonModel(mesh.nodes[self._parts[CORE].nodes], self._face.landmarks, self._face.pose)

    def _separate(self, image: U8, matte: NDArray[np.float32], skeleton: Skeleton) -> Layers:
        """The picture taken apart; below the jaw the person's layer shows neck."""
        solid = bones_mask(skeleton, image.shape[:2], 0.35)
        face = self._face
        if face is not None:
            solid = np.maximum(solid, oval_mask(face.landmarks, self.width, self.height, 0.0))
        layers = separate(
            image, connected(matte, skeleton), solid, thin=THIN, texture_fade=TEXTURE_FADE, tolerance=TOLERANCE, stray=STRAY
        )  # fmt: skip
        if face is None:
            return layers
        neck = fill(layers.color, jaw(face.pose, face.landmarks, self.width, self.height))
        return Layers(color=np.clip(np.rint(neck), 0, 255).astype(np.uint8), alpha=layers.alpha, background=layers.background)

    def draw(self, controls: Controls, index: int, alpha: bool) -> U8:
        """Frame number ``index`` of a window of controls: (H, W, 3), or (H, W, 4) with alpha."""
        body = controls.body
        assert body is not None
        space = body.joints_3d[index].astype(np.float64)
        points = with_points(body.joints_2d[index].astype(np.float64))
        matrices = self._pose.matrices(points)
        hands = self._moved_hands(controls, index, matrices, self._pose.size(points))
        nodes = self._pose.move(matrices, points, torso_turn(space) - self._turn)
        canvas = np.zeros_like(self.background) if alpha else self.background.copy()
        for part in depth_order(list(self._parts), with_points(space)):
            if part == CORE:
                self._lay_core(canvas, nodes, controls, index)
            elif part in self._hands:
                self._lay(canvas, part, hands[part][0], triangles=hands[part][1])
            else:
                self._lay(canvas, part, nodes[self._parts[part].nodes])
        frame = channels(canvas)
        if not alpha:
            return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB), np.uint8)
        return straight(frame)

    def _moved_hands(
        self, controls: Controls, index: int, matrices: Array, size: float
    ) -> dict[int, tuple[Array, NDArray[np.int32]]]:
        """Nodes and triangles of the hands whose fingers move; the forearms' maps of their hands are set to the palms'."""
        out = {}
        for part, mesh in self._hands.items():
            side = HAND_PARTS.index(part)
            bone = BONE_INDEX[f"{SIDES[side]}_hand"]
            forearm = matrices[bone - 1]
            joints = mesh.ridden(matrices[bone])
            if controls.hands is not None and controls.hands.score[index, side] > 0:
                joints = controls.hands.joints_2d[index, side].astype(np.float64)
            nodes, triangles, palm = mesh.move(joints, forearm, size)
            matrices[bone] = palm
            out[part] = nodes, triangles
        return out

    def _lay_core(self, canvas: Canvas, nodes: Array, controls: Controls, index: int) -> None:
        """Lay torso and head over the canvas, in place, and the face on them."""
        places = nodes[self._parts[CORE].nodes]
        face, head = self._face, controls.head
        if face is None or self._head is None or head is None or controls.face is None:
            self._lay(canvas, CORE, places)
            return
        pose, landmarks = face.of_frame(controls, index)
        still = head.head_2d[index].astype(np.float64)
        vertices = self._head.move_on(pose, landmarks, still, places, head.field[index].astype(np.float64))
        drawn = face.drawn(controls, pose, landmarks)
        self._lay(canvas, CORE, vertices, behind=drawn)
        face.lay(canvas, drawn, controls, index)
        if drawn is not None:
            frame = channels(canvas)
            picture = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB), np.uint8)
            face.finish(picture, controls, index, pose, landmarks)
            frame[drawn.rows, drawn.columns, :3] = picture[drawn.rows, drawn.columns]

    def _lay(
        self, canvas: Canvas, number: int, vertices: Array, *, behind: DrawnLayer | None = None,
        triangles: NDArray[np.int32] | None = None,
    ) -> None:  # fmt: skip
        """Lay a part whose nodes are at ``vertices`` (N, 2 or 3) px over the canvas, in place."""
        part = self._parts[number]
        drawn = _draw(part, vertices, part.triangles if triangles is None else triangles, self.width, self.height)
        lay_layer(canvas, drawn, part.texture, behind=behind)


def _part(layer: PartLayer, nodes: Array, triangles: NDArray[np.int32]) -> _Part:
    """A part ready to be drawn, from its layer and its triangles among the nodes (N, 2) px of the mesh."""
    used, index = np.unique(triangles.astype(np.int64), return_inverse=True)
    x0, y0 = layer.box[:2]
    texture = Texture(layer.image, most=ENLARGED)
    places = texture.positions(nodes[used] - [x0, y0])
    return _Part(
        texture=texture, nodes=used, triangles=np.ascontiguousarray(index.reshape(-1, 3), np.int32),
        attributes=np.column_stack([places, np.ones(len(used), np.float32)]),
    )  # fmt: skip


def _draw(part: _Part, vertices: Array, triangles: NDArray[np.int32], width: int, height: int) -> DrawnLayer | None:
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
    z = np.zeros(len(vertices), np.float32)
    if vertices.shape[1] > 2:
        z = np.ascontiguousarray(vertices[:, 2], np.float32)
    rasterize(grid.points(vertices), z, part.attributes, triangles, True, depth, maps)
    # The last sample of the mesh must not be mixed with the nothing beside it.
    if step > 1:
        maps[COVERAGE] = cv2.erode(maps[COVERAGE], np.ones((3, 3), np.uint8))
    return DrawnLayer(rows=slice(y0, y0 + tall), columns=slice(x0, x0 + wide), grid=grid, maps=maps)


def straight(frame: U8) -> U8:
    """A frame (H, W, 4) whose colours are weighted with alpha, with straight alpha."""
    share = np.maximum(frame[..., 3:].astype(np.float32), 1) / 255
    color = np.clip(np.rint(frame[..., :3] / share), 0, 255).astype(np.uint8)
    return np.dstack([color, frame[..., 3]])
