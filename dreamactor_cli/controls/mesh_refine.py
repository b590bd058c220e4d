"""Refine a face mesh against the pixels: align the skin of each frame with the skin of the reference frame.

The landmark network jitters by about a pixel. Both frames are sampled in a fixed layout of the face (an atlas, by their
meshes); what is left between the two atlases is the error of the mesh. It is solved for all landmarks at once, as a
piecewise linear warp with a smoothness prior, by the inverse compositional algorithm (Baker and Matthews 2004): the
system matrix depends on the reference alone and is factored once.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.atlas import Atlas, face_atlas
from dreamactor_cli.controls.finder import face_extent
from dreamactor_cli.controls.view import Region

PICTURE_SIZE = 384  # px, largest side of the face crop that is sampled
ITERATIONS = 2
SMOOTHNESS = 1.0
PRIOR = 0.3
BLUR = 9  # atlas px; slower variation than this is shading and not seen
CLIP = 2.5  # residuals beyond this many standard deviations count no more
LIMIT = 0.06  # of the inter-ocular distance: no landmark moves farther
TRUST = (0.25, 0.5)  # correlation of the atlases between which the correction is faded in


class MeshRefiner:
    """Refines meshes against one reference frame.

    Args:
        picture: reference frame, (H, W, 3).
        landmarks: its mesh, (478, 3) px.
    """

    def __init__(self, picture: U8, landmarks: F32) -> None:
        self._atlas: Atlas = face_atlas()
        points = landmarks[:468, :2].astype(np.float64)
        texture = self._sample(*self._grey(picture, points), points)
        self._deviation = float(texture[self._atlas.inside].std()) + 1e-3
        self._reference = texture
        self._build(texture)

    @staticmethod
    def _grey(picture: U8, points: NDArray[np.float64]) -> tuple[U8, Region]:
        x, y, half = face_extent(points.astype(np.float32))
        side = int(min(PICTURE_SIZE, 2 * round(1.15 * half)))
        region = Region(x, y, 1.15 * half, side)
        return region.cut(picture, grey=True), region

    def _sample(self, grey: U8, region: Region, points: NDArray[np.float64]) -> F32:
        """High-passed atlas of a grey crop."""
        local = (points - region.origin) * region.scale
        atlas = self._atlas.sample(grey, local).astype(np.float32)
        inside = self._atlas.inside_float
        mean = cv2.boxFilter(atlas * inside, -1, (BLUR * 2 + 1,) * 2) / self._atlas.coverage(BLUR)
        return (atlas - mean) * inside

    def _build(self, texture: F32) -> None:
        atlas = self._atlas
        gx = cv2.Sobel(texture, cv2.CV_32F, 1, 0, scale=0.125)
        gy = cv2.Sobel(texture, cv2.CV_32F, 0, 1, scale=0.125)
        gradient = np.stack([gx, gy], -1).reshape(-1, 2)[atlas.pixels].astype(np.float64) / self._deviation
        self._steepest = np.ascontiguousarray(gradient * atlas.trust[:, None], np.float32)
        hessian = atlas.normal_matrix(gradient, atlas.trust.astype(np.float64))
        prior = SMOOTHNESS * atlas.laplacian + PRIOR * np.eye(468)
        self._prior = csr_matrix(prior)
        self._inverse = np.linalg.inv(hessian + np.kron(prior, np.eye(2))).astype(np.float32)

    def refine(self, picture: U8, landmarks: F32) -> F32:
        """The mesh, (478, 3) px, drawn to where the skin of the reference frame is seen; z stays."""
        start = landmarks[:468, :2].astype(np.float64)
        grey, region = self._grey(picture, start)
        points = start
        total = np.zeros((468, 2))
        for _ in range(ITERATIONS):
            texture = self._sample(grey, region, points)
            residual = (texture - self._reference)[self._atlas.inside] / self._deviation
            force = self._atlas.gather(self._steepest * np.clip(residual, -CLIP, CLIP)[:, None])
            downhill = (force + self._prior @ total).ravel().astype(np.float32)
            total -= (self._inverse @ downhill).reshape(468, 2)
            points = start + self._atlas.push(start, total)
        scale = float(np.linalg.norm(start[33] - start[263]))
        shift = points - start
        length = np.linalg.norm(shift, axis=1, keepdims=True)
        limit = LIMIT * scale
        shift *= limit * np.tanh(length / limit) / np.maximum(length, 1e-9)
        shift *= self._confidence(self._sample(grey, region, start + shift))
        return self._apply(landmarks, shift)

    def _confidence(self, texture: F32) -> float:
        a, b = texture[self._atlas.inside], self._reference[self._atlas.inside]
        correlation = float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-6))
        t = min(max((correlation - TRUST[0]) / (TRUST[1] - TRUST[0]), 0.0), 1.0)
        return t * t * (3 - 2 * t)

    @staticmethod
    def _apply(landmarks: F32, shift: NDArray[np.float64]) -> F32:
        """Moves the mesh; an iris moves with the lids around it."""
        out = landmarks.copy()
        out[:468, :2] += shift.astype(np.float32)
        for iris, lids in ((head_space.IRIS_LEFT, head_space.EYE_LEFT), (head_space.IRIS_RIGHT, head_space.EYE_RIGHT)):
            out[list(iris), :2] += shift[list(lids)].mean(0).astype(np.float32)
        return out
