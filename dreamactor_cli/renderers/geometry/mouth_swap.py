"""Another mouth in frames that are already there: the lower face is warped where it is, and the mouth filled anew.

The skin keeps the frame's own light, grain and blur, because it is the frame's own, moved by some pixels; where nothing moves
no pixel is touched, so there is no seam. Only the inside of the mouth, which the frame does not show, is drawn.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import U8
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.renderers.geometry.face_mesh import oriented, strip
from dreamactor_cli.renderers.geometry.mouth import MouthInterior
from dreamactor_cli.renderers.geometry.raster import rasterize

Array = NDArray[np.float64]

RIMS = ((0.12, 0.75), (0.28, 0.3), (0.5, 0.0))  # inter-ocular units beyond the oval, and how much of the jaw's way goes on there
SEEN = (0.04, 0.4)  # px of displacement between which a moved pixel takes the place of the frame's own
MARGIN = 3  # px around what moves
LIGHT = (50, 280, 205, 425, 187, 411, 57, 287, 212, 432, 199, 18, 164, 393)  # skin around the mouth, which tells the light
GAINS = (0.55, 1.6)  # of the drawn mouth, to the light in which it was learned


class MouthSwap:
    """Draws one person's mouth into frames that show this person.

    Args:
        image: a frame from which the inside of the mouth is learned, (H, W, 3); best one that shows teeth.
        landmarks: of this frame, (478, 3) px.
        rotation: of the head in it, (3, 3).
        calm: the canonical face at rest, (478, 3); None if the frame shows it.
    """

    def __init__(
        self, image: U8, landmarks: NDArray[np.floating], rotation: NDArray[np.floating], calm: NDArray[np.floating] | None = None
    ) -> None:
        points = np.asarray(landmarks, np.float64)
        self._mouth = MouthInterior(image, points, rotation, calm=calm)
        self._light = _light(image, points)
        oval = list(head_space.FACE_OVAL)
        shape = head_space.template()
        outward = shape[oval, :2] - shape[oval, :2].mean(0)
        self._outward = outward / np.linalg.norm(outward, axis=1, keepdims=True)
        self._triangles = _triangles(len(oval))

    def draw(
        self, frame: U8, source: NDArray[np.floating], target: NDArray[np.floating], scale: float, rotation: NDArray[np.floating]
    ) -> U8:
        """A frame with the mouth changed.

        Args:
            frame: (H, W, 3); stays as it is.
            source: where the landmarks are in it, (478, 3) px.
            target: where they are to be.
            scale: px per inter-ocular unit.
            rotation: of the head, (3, 3).
        """
        before, after = np.asarray(source, np.float64), np.asarray(target, np.float64)
        vertices, way = self._vertices(before, after, scale, np.asarray(rotation, np.float64))
        out = frame.copy()
        box = _moving(vertices, way, frame.shape[1], frame.shape[0])
        if box is None:
            return out
        x0, y0, x1, y1 = box
        maps = np.zeros((2, y1 - y0, x1 - x0), np.float32)
        depth = np.full(maps.shape[1:], np.inf, np.float32)
        points = np.ascontiguousarray(vertices[:, :2] - (x0, y0), np.float32)
        z = np.ascontiguousarray(vertices[:, 2], np.float32)
        rasterize(points, z, np.ascontiguousarray(-way, np.float32), self._triangles, False, depth, maps)
        rows, columns = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        moved = cv2.remap(
            frame, columns + maps[0], rows + maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )  # fmt: skip
        share = smoothstep(np.hypot(maps[0], maps[1]), *SEEN)[..., None]
        part = out[y0:y1, x0:x1]
        part[:] = np.rint(part + share * (moved.astype(np.float32) - part)).astype(np.uint8)
        self._fill(out, after, np.asarray(rotation, np.float64), _light(frame, before) / self._light)
        return out

    def _vertices(self, before: Array, after: Array, scale: float, rotation: Array) -> tuple[Array, Array]:
        """Mesh and rims (V, 3) px where they are to be, and the way there, (V, 2) px."""
        mesh = slice(0, head_space.NUM_MESH)
        way = (after - before)[:, :2]
        oval = list(head_space.FACE_OVAL)
        outward = np.concatenate([self._outward, np.zeros((len(oval), 1))], 1) @ rotation.T * scale
        vertices, ways = [after[mesh]], [way[mesh]]
        for width, share in RIMS:
            ways.append(share * way[oval])
            rim = before[oval] + width * outward
            rim[:, :2] += ways[-1]
            rim[:, 2] += 0.4 * width * scale  # behind the face
            vertices.append(rim)
        return np.concatenate(vertices), np.concatenate(ways)

    def _fill(self, out: U8, landmarks: Array, rotation: Array, gain: float) -> None:
        """Draw the inside of the mouth in the frame's light, in place."""
        self._mouth.draw(out, landmarks, rotation, always=True)
        gain = float(np.clip(gain, *GAINS))
        contour = landmarks[list(head_space.INNER_LIPS), :2]
        x0, y0 = np.maximum(np.floor(contour.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(contour.max(0)).astype(int) + 2, (out.shape[1], out.shape[0]))
        if x1 <= x0 or y1 <= y0 or abs(gain - 1) < 0.02:
            return
        inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(inside, [np.rint((contour - (x0, y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        factor = 1 + (gain - 1) * inside[..., None].astype(np.float32) / 255
        part = out[y0:y1, x0:x1]
        part[:] = np.clip(np.rint(part * factor), 0, 255).astype(np.uint8)


def _triangles(count: int) -> NDArray[np.int32]:
    """Face, mouth and rims, (M, 3), clockwise on the template; the eyes are left out: nothing moves there."""
    oval = np.array(head_space.FACE_OVAL)
    rings = [oval, *(head_space.NUM_MESH + k * count + np.arange(count) for k in range(len(RIMS)))]
    rim = []
    for inner, outer in zip(rings, rings[1:], strict=False):
        for k in range(count):
            n = (k + 1) % count
            rim += [(inner[k], outer[k], inner[n]), (outer[k], outer[n], inner[n])]
    shape = head_space.template()
    outward = shape[oval] - shape[oval].mean(0)
    rims = [shape[oval] + 0.1 * (k + 1) * outward for k in range(len(RIMS))]
    parts = [head_space.triangles(), np.array(rim, np.int32), strip(head_space.INNER_LIPS)]
    return oriented(np.concatenate(parts).astype(np.int32), np.concatenate([shape[: head_space.NUM_MESH], *rims]))


def _moving(vertices: Array, way: Array, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Box x0, y0, x1, y1 (ends excluded) around what moves, inside the frame; None if nothing does."""
    moving = np.hypot(way[:, 0], way[:, 1]) > SEEN[0] / 2
    if not moving.any():
        return None
    ends = np.concatenate([vertices[moving, :2], vertices[moving, :2] - way[moving]])
    reach = MARGIN + 0.25 * np.ptp(ends[:, 1])  # triangles with one moving corner reach beyond it
    x0, y0 = np.maximum(np.floor(ends.min(0) - reach).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(ends.max(0) + reach).astype(int) + 1, (width, height))
    return (int(x0), int(y0), int(x1), int(y1)) if x1 > x0 and y1 > y0 else None


def _light(image: U8, landmarks: Array) -> float:
    """Mean brightness of the skin around the mouth, 1..256."""
    places = np.rint(landmarks[list(LIGHT), :2]).astype(int)
    x = np.clip(places[:, 0], 1, image.shape[1] - 2)
    y = np.clip(places[:, 1], 1, image.shape[0] - 2)
    patches = [image[b - 1 : b + 2, a - 1 : a + 2].mean() for a, b in zip(x, y, strict=True)]
    return float(np.median(patches)) + 1
