"""The geometry renderer: a picture moved on the CPU, without weights, faster than real time.

Order of a frame: background plate, person layer (hair, ears, neck, torso), face layer, mouth interior, eyes.
Frames do not depend on each other, so that they are drawn by several threads; the kernels and OpenCV release the GIL.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, ControlStream, Reference, RendererSpec, RenderSettings
from dreamactor_cli.renderers.geometry.eyes import Eyes
from dreamactor_cli.renderers.geometry.face_mesh import FaceMesh
from dreamactor_cli.renderers.geometry.layers import fill, separate
from dreamactor_cli.renderers.geometry.mouth import MouthInterior
from dreamactor_cli.renderers.geometry.person_mesh import PersonMesh
from dreamactor_cli.renderers.geometry.raster import composite
from dreamactor_cli.renderers.geometry.sampling import Sampler
from dreamactor_cli.renderers.geometry.shading import Shading

U8 = NDArray[np.uint8]
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
        self.background = layers.background
        self._person = Sampler(person, most=2)
        self._face = Sampler(image)
        self._person_mesh = PersonMesh(landmarks, pose, layers.alpha, self._person.factor)
        self._face_mesh = FaceMesh(landmarks, scale, rotation, self._face.factor)
        self._mouth = MouthInterior(image, landmarks, rotation)
        self._eyes = Eyes(image, landmarks)

    def draw(self, controls: Controls, index: int, alpha: bool) -> U8:
        """Frame number ``index`` of a window of controls: (H, W, 3), or (H, W, 4) with alpha."""
        face, head = controls.face, controls.head
        assert face is not None and head is not None
        at = slice(index, index + 1)
        pose = head_space.pose_of_sphere(head.center[at], head.radius[at], head.rotation[at])
        landmarks = face.landmarks[index].astype(np.float64)
        vertices = self._person_mesh.model.move(
            pose, landmarks, head.head_2d[index].astype(np.float64), head.torso_2d[index].astype(np.float64),
            head.field[index].astype(np.float64),
        )  # fmt: skip
        frame = self.background.copy()
        cover = np.zeros((self.height, self.width), np.uint8)
        self._draw_person(frame, cover, vertices, alpha)
        seen = controls.appearance
        self._draw_face(frame, cover, landmarks, pose, None if seen is None else seen.shading[index])
        patch = seen.mouth[index] if seen is not None and self._driver_mouth else None
        self._mouth.draw(frame, landmarks, pose.rotation[0], patch)
        self._eyes.draw(frame, landmarks)
        return np.dstack([frame, cover]) if alpha else frame

    def _draw_person(self, frame: U8, cover: U8, vertices: Array, alone: bool) -> None:
        """Lay the person over the frame, in place; ``alone``: its colours as they are, for a frame without background."""
        drawn = self._person_mesh.draw(vertices)
        if drawn is None:
            return
        rows, columns, x, y, nothing = drawn
        person = self._person.at(x, y)
        color, alpha = person[..., :3], person[..., 3]
        alpha[nothing] = 0
        cover[rows, columns] = alpha
        if alone:
            frame[rows, columns] = color
        else:
            composite(frame[rows, columns], color, alpha)

    def _draw_face(self, frame: U8, cover: U8, landmarks: Array, pose: head_space.HeadPose, shading: U8 | None) -> None:
        """Lay the face over the frame and over the alpha of the person, in place."""
        rotation = pose.rotation[0]
        vertices = self._face_mesh.vertices(landmarks, float(pose.scale[0]), rotation)
        relit = self._shading is not None and shading is not None
        drawn = self._face_mesh.draw(vertices, rotation, self.width, self.height, with_atlas=relit)
        if drawn is None:
            return
        color = self._face.at(drawn.x, drawn.y)
        if drawn.mirrored is not None:
            x, y, share = drawn.mirrored
            part = _extent(share > MIRROR_FLOOR)
            composite(color[part], self._face.at(x[part], y[part]), np.rint(share[part] * 255).astype(np.uint8))
        if self._shading is not None and shading is not None and drawn.atlas is not None:
            color = self._shading.apply(color, shading, *drawn.atlas)
        alpha = np.rint(drawn.alpha * 255).astype(np.uint8)
        composite(frame[drawn.rows, drawn.columns], color, alpha)
        under = cover[drawn.rows, drawn.columns]
        np.maximum(under, alpha, out=under)


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold all of a mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


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
        name="geometry", version="1", needs=("face", "head"), reference_needs=("face", "head", "matte"), size_multiple=1
    )

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or min(8, os.cpu_count() or 1)

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        """Yield single frames (1, H, W, 3) or (1, H, W, 4), in order."""
        preset = settings.preset
        actor = Actor(reference, driver_mouth=preset.mouth == "driver", relight=preset.relight)
        cv2.setNumThreads(1)  # the frames are what is parallel
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
        """Nothing is held between renders."""
