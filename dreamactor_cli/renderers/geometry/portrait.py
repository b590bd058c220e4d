"""A portrait in motion: background plate, person layer (hair, ears, neck, torso), and the face with mouth and eyes on it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.renderers.geometry.compositing import COVERAGE, lay, lay_over, opaque_runs
from dreamactor_cli.renderers.geometry.contact import apart
from dreamactor_cli.renderers.geometry.eyes import Eyes
from dreamactor_cli.renderers.geometry.face_mesh import FaceMesh
from dreamactor_cli.renderers.geometry.layers import fill, separate
from dreamactor_cli.renderers.geometry.mouth import MouthInterior
from dreamactor_cli.renderers.geometry.person_mesh import PersonMesh
from dreamactor_cli.renderers.geometry.raster import DrawnLayer
from dreamactor_cli.renderers.geometry.shading import Shading
from dreamactor_cli.renderers.geometry.texture import Texture

U8 = NDArray[np.uint8]
Canvas = NDArray[np.uint32]  # (H, W), see `compositing`
Array = NDArray[np.float64]

MIRROR_FLOOR = 0.02  # share of the mirrored side below which it is not drawn
NECK_FILL = (0.45, 0.03)  # where the jaw is taken out of the person layer: below this canonical y, this far inside the oval


class Face:
    """The face of a reference, with mouth and eyes: what is laid over head and neck.

    Args:
        reference: as in `contracts.Reference`; the first picture counts.
        driver_mouth: fill an open mouth with the driver's pixels, where there are any.
        relight: take over the driver's shading, where it was measured.

    Attributes:
        landmarks: of the picture, (478, 3) px.
        pose: of the head in the picture, T = 1.
    """

    def __init__(self, reference: Reference, *, driver_mouth: bool, relight: bool) -> None:
        self._driver_mouth = driver_mouth
        self._shading = Shading() if relight else None
        face, head = reference.controls.face, reference.controls.head
        assert face is not None and head is not None  # who has none is no portrait
        image = reference.images[0]
        self._height, self._width = image.shape[:2]
        self.pose = head_space.pose_of_sphere(head.center[:1], head.radius[:1], head.rotation[:1])
        canonical = (face.identity + face.expression[0]).astype(np.float64)
        self.landmarks = head_space.to_image(canonical, self.pose)[0]
        scale, rotation = float(self.pose.scale[0]), self.pose.rotation[0]
        self._mesh = FaceMesh(image, self.landmarks, scale, rotation)
        self._mouth = MouthInterior(image, self.landmarks, rotation)
        self._eyes = Eyes(image, self.landmarks)

    @staticmethod
    def of_frame(controls: Controls, index: int) -> tuple[head_space.HeadPose, Array]:
        """Pose (T = 1) and landmarks (478, 3) px of a frame."""
        face, head = controls.face, controls.head
        assert face is not None and head is not None
        at = slice(index, index + 1)
        pose = head_space.pose_of_sphere(head.center[at], head.radius[at], head.rotation[at])
        return pose, apart(face.landmarks[index].astype(np.float64))

    def drawn(self, controls: Controls, pose: head_space.HeadPose, landmarks: Array) -> DrawnLayer | None:
        """The face layer of a frame; None if it is off the frame."""
        vertices = self._mesh.vertices(landmarks, float(pose.scale[0]), pose.rotation[0])
        relit = self._shading is not None and controls.appearance is not None
        return self._mesh.draw(vertices, pose.rotation[0], self._width, self._height, with_atlas=relit)

    def lay(self, canvas: Canvas, drawn: DrawnLayer | None, controls: Controls, index: int) -> None:
        """Lay the face layer over the canvas, in place."""
        if drawn is not None and self._shading is not None and controls.appearance is not None:
            self._lay_relit(canvas, drawn, controls.appearance.shading[index])
        else:
            lay_layer(canvas, drawn, self._mesh.texture)

    def finish(self, picture: U8, controls: Controls, index: int, pose: head_space.HeadPose, landmarks: Array) -> None:
        """Draw mouth and eyes into a frame (H, W, 3), in place."""
        seen = controls.appearance
        patch = seen.mouth[index] if seen is not None and self._driver_mouth else None
        self._mouth.draw(picture, landmarks, pose.rotation[0], patch, always=controls.speech is not None)
        self._eyes.draw(picture, landmarks)

    def _lay_relit(self, canvas: Canvas, drawn: DrawnLayer, shading: U8) -> None:
        """Lay the face over the canvas under the driver's light, in place."""
        assert self._shading is not None and drawn.atlas is not None
        alone = np.zeros((drawn.grid.height, drawn.grid.width), np.uint32)
        lay_layer(alone, replace(drawn, rows=slice(None), columns=slice(None)), self._mesh.texture, alone=True)
        face = channels(alone)
        atlas = [drawn.grid.enlarge(positions) for positions in drawn.atlas]
        face[..., :3] = self._shading.apply(face[..., :3], shading, *atlas)
        lay_over(canvas[drawn.rows, drawn.columns], alone)


class Actor:
    """A reference made ready to move.

    Args:
        reference: as in `contracts.Reference`; the first picture counts.
        driver_mouth, relight: as of `Face`.
    """

    def __init__(self, reference: Reference, *, driver_mouth: bool = False, relight: bool = False) -> None:
        self._face = Face(reference, driver_mouth=driver_mouth, relight=relight)
        image = reference.images[0]
        self.height, self.width = image.shape[:2]
        landmarks, pose = self._face.landmarks, self._face.pose
        layers = separate(image, reference.matte[0], oval_mask(landmarks, self.width, self.height, 0.0))
        neck = fill(layers.color, jaw(pose, landmarks, self.width, self.height))
        person = np.dstack([np.clip(np.rint(neck), 0, 255).astype(np.uint8), layers.alpha])
        self.background = as_canvas(layers.background)
        self._person = PersonMesh(person, landmarks, pose)

    def draw(self, controls: Controls, index: int, alpha: bool) -> U8:
        """Frame number ``index`` of a window of controls: (H, W, 3), or (H, W, 4) with alpha."""
        pose, landmarks = self._face.of_frame(controls, index)
        head = controls.head
        assert head is not None
        vertices = self._person.model.move(
            pose, landmarks, head.head_2d[index].astype(np.float64), head.torso_2d[index].astype(np.float64),
            head.field[index].astype(np.float64),
        )  # fmt: skip
        drawn = self._face.drawn(controls, pose, landmarks)
        canvas = self.background.copy()
        lay_layer(canvas, self._person.draw(vertices), self._person.texture, behind=drawn, alone=alpha)
        self._face.lay(canvas, drawn, controls, index)
        frame = channels(canvas)
        picture = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB), np.uint8)
        self._face.finish(picture, controls, index, pose, landmarks)
        return np.dstack([picture, frame[..., 3]]) if alpha else picture


def as_canvas(background: U8) -> Canvas:
    """A picture (H, W, 3) as a canvas with nobody on it: alpha is 0."""
    return np.dstack([background, np.zeros_like(background[..., 0])]).view(np.uint32)[..., 0]


def lay_layer(
    canvas: Canvas, drawn: DrawnLayer | None, texture: Texture, *, behind: DrawnLayer | None = None, alone: bool = False
) -> None:
    """Lay a layer over the canvas, in place.

    Args:
        behind: a layer that will be laid over it: what that hides need not be drawn.
        alone: colours and alpha as they are, for a frame without background.
    """
    if drawn is None:
        return
    hidden = np.zeros((len(canvas), 2), np.int32)
    if behind is not None:
        runs = hidden[behind.rows]
        opaque_runs(behind.maps[COVERAGE], behind.grid.columns[0], behind.grid.rows[0], runs)
        runs += behind.columns.start - drawn.columns.start
        np.clip(runs, 0, None, out=runs)
    lay(
        canvas[drawn.rows, drawn.columns], texture.pixels, drawn.maps, drawn.grid.columns, drawn.grid.rows, hidden[drawn.rows],
        MIRROR_FLOOR, alone,
    )  # fmt: skip


def channels(canvas: Canvas) -> U8:
    """The bytes of a canvas (H, W), as a view (H, W, 4)."""
    return canvas.view(np.uint8).reshape(*canvas.shape, 4)


def oval_mask(landmarks: Array, width: int, height: int, inset: float) -> U8:
    """255 inside the face oval, drawn in by a distance in px, (H, W)."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(landmarks[list(head_space.FACE_OVAL), :2]).astype(np.int32)], 255)
    if inset >= 1:
        size = 2 * round(inset) + 1
        mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), borderValue=255)
    return np.asarray(mask, np.uint8)


def jaw(pose: head_space.HeadPose, landmarks: Array, width: int, height: int) -> U8:
    """1 over the lower face, where the person layer shows neck instead, (H, W)."""
    low, inset = NECK_FILL
    mask = oval_mask(landmarks, width, height, max(2.0, inset * float(pose.scale[0]))) // 255
    side = 10.0
    half_plane = np.array([[-side, low, 0], [side, low, 0], [side, side, 0], [-side, side, 0]])
    below = np.zeros_like(mask)
    cv2.fillPoly(below, [np.rint(head_space.to_image(half_plane, pose)[0, :, :2]).astype(np.int32)], 1)
    return np.asarray(mask & below, np.uint8)
