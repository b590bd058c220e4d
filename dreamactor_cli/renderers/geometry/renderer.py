"""The geometry renderer: a picture moved on the CPU, without weights, faster than real time.

Order of a frame: background plate, person layer (hair, ears, neck, torso), face layer, mouth interior, eyes.
Frames do not depend on each other, so that they are drawn by several threads; the kernels and OpenCV release the GIL.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, ControlStream, Reference, RendererSpec, RenderSettings
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
WINDOW = 32  # frames of controls read at a time
NECK_FILL = (0.45, 0.03)  # where the jaw is taken out of the person layer: below this canonical y, this far inside the oval


class Actor:
    """A reference made ready to move.

    Args:
        reference: as in `contracts.Reference`; the first picture counts.
        driver_mouth: fill an open mouth with the driver's pixels, where there are any.
        relight: take over the driver's shading, where it was measured.
    """

    def __init__(self, reference: Reference, *, driver_mouth: bool = False, relight: bool = False) -> None:
        self._driver_mouth = driver_mouth
        self._shading = Shading() if relight else None
        face, head = reference.controls.face, reference.controls.head
        assert face is not None and head is not None  # spec.reference_needs
        image = reference.images[0]
        self.height, self.width = image.shape[:2]
        pose = head_space.pose_of_sphere(head.center[:1], head.radius[:1], head.rotation[:1])
        canonical = (face.identity + face.expression[0]).astype(np.float64)
        landmarks = head_space.to_image(canonical, pose)[0]
        scale, rotation = float(pose.scale[0]), pose.rotation[0]
        layers = separate(image, reference.matte[0], _oval_mask(landmarks, self.width, self.height, 0.0))
        neck = fill(layers.color, _jaw(pose, landmarks, self.width, self.height))
        person = np.dstack([np.clip(np.rint(neck), 0, 255).astype(np.uint8), layers.alpha])
        self.background = np.dstack([layers.background, np.zeros_like(layers.alpha)]).view(np.uint32)[..., 0]
        self._person = PersonMesh(person, landmarks, pose)
        self._face = FaceMesh(image, landmarks, scale, rotation)
        self._mouth = MouthInterior(image, landmarks, rotation)
        self._eyes = Eyes(image, landmarks)

    def draw(self, controls: Controls, index: int, alpha: bool) -> U8:
        """Frame number ``index`` of a window of controls: (H, W, 3), or (H, W, 4) with alpha."""
        face, head = controls.face, controls.head
        assert face is not None and head is not None
        at = slice(index, index + 1)
        pose = head_space.pose_of_sphere(head.center[at], head.radius[at], head.rotation[at])
        landmarks = apart(face.landmarks[index].astype(np.float64))
        vertices = self._person.model.move(
            pose, landmarks, head.head_2d[index].astype(np.float64), head.torso_2d[index].astype(np.float64),
            head.field[index].astype(np.float64),
        )  # fmt: skip
        face_vertices = self._face.vertices(landmarks, float(pose.scale[0]), pose.rotation[0])
        seen = controls.appearance
        relit = self._shading is not None and seen is not None
        drawn = self._face.draw(face_vertices, pose.rotation[0], self.width, self.height, with_atlas=relit)
        canvas = self.background.copy()
        _lay(canvas, self._person.draw(vertices), self._person.texture, behind=drawn, alone=alpha)
        if drawn is not None and self._shading is not None and seen is not None:
            self._lay_relit(canvas, drawn, seen.shading[index])
        else:
            _lay(canvas, drawn, self._face.texture)
        frame = _channels(canvas)
        picture = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB), np.uint8)
        patch = seen.mouth[index] if seen is not None and self._driver_mouth else None
        self._mouth.draw(picture, landmarks, pose.rotation[0], patch, always=controls.speech is not None)
        self._eyes.draw(picture, landmarks)
        return np.dstack([picture, frame[..., 3]]) if alpha else picture

    def _lay_relit(self, canvas: Canvas, drawn: DrawnLayer, shading: U8) -> None:
        """Lay the face over the canvas under the driver's light, in place."""
        assert self._shading is not None and drawn.atlas is not None
        alone = np.zeros((drawn.grid.height, drawn.grid.width), np.uint32)
        _lay(alone, replace(drawn, rows=slice(None), columns=slice(None)), self._face.texture, alone=True)
        face = _channels(alone)
        atlas = [drawn.grid.enlarge(positions) for positions in drawn.atlas]
        face[..., :3] = self._shading.apply(face[..., :3], shading, *atlas)
        lay_over(canvas[drawn.rows, drawn.columns], alone)


def _lay(
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


def _channels(canvas: Canvas) -> U8:
    """The bytes of a canvas (H, W), as a view (H, W, 4)."""
    return canvas.view(np.uint8).reshape(*canvas.shape, 4)


def _oval_mask(landmarks: Array, width: int, height: int, inset: float) -> U8:
    """255 inside the face oval, drawn in by a distance in px, (H, W)."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(landmarks[list(head_space.FACE_OVAL), :2]).astype(np.int32)], 255)
    if inset >= 1:
        size = 2 * round(inset) + 1
        mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), borderValue=255)
    return np.asarray(mask, np.uint8)


def _jaw(pose: head_space.HeadPose, landmarks: Array, width: int, height: int) -> U8:
    """1 over the lower face, where the person layer shows neck instead, (H, W)."""
    low, inset = NECK_FILL
    mask = _oval_mask(landmarks, width, height, max(2.0, inset * float(pose.scale[0]))) // 255
    side = 10.0
    half_plane = np.array([[-side, low, 0], [side, low, 0], [side, side, 0], [-side, side, 0]])
    below = np.zeros_like(mask)
    cv2.fillPoly(below, [np.rint(head_space.to_image(half_plane, pose)[0, :, :2]).astype(np.int32)], 1)
    return np.asarray(mask & below, np.uint8)


class GeometryRenderer:
    """See the module's docstring. Needs no device and no weights."""

    spec = RendererSpec(
        name="geometry", version="3", needs=("face", "head"), reference_needs=("face", "head", "matte"), size_multiple=1
    )

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or min(8, os.cpu_count() or 1)
        self._ready: tuple[Reference, bool, bool, Actor] | None = None

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:
        """Make the actor of a reference; it is kept until another one is asked for."""
        driver_mouth, relight = settings.preset.mouth == "driver", settings.preset.relight
        if self._ready is None or self._ready[0] is not reference or self._ready[1:3] != (driver_mouth, relight):
            with threadpool_limits(1):  # how a library spreads a sum over threads must not show in the output
                self._ready = reference, driver_mouth, relight, Actor(reference, driver_mouth=driver_mouth, relight=relight)

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        """Yield single frames (1, H, W, 3) or (1, H, W, 4), in order."""
        cv2.setNumThreads(1)  # the frames are what is parallel
        self.prepare(reference, settings)
        assert self._ready is not None
        actor = self._ready[-1]
        threads = max((settings.threads or self.threads) >> settings.memory, 1)
        waiting: deque[Future[U8]] = deque()
        with threadpool_limits(1), ThreadPoolExecutor(threads, thread_name_prefix="geometry") as pool:
            try:
                for start in range(0, controls.num_frames, WINDOW):
                    window = controls.window(start, start + WINDOW)
                    for index in range(window.num_frames):
                        waiting.append(pool.submit(actor.draw, window, index, settings.alpha))
                        if len(waiting) > 2 * threads:
                            yield waiting.popleft().result()[None]
                while waiting:
                    yield waiting.popleft().result()[None]
            finally:
                for task in waiting:
                    task.cancel()

    def close(self) -> None:
        """Forget the actor."""
        self._ready = None
