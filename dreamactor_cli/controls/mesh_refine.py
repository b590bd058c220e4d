"""Refine a face mesh against the pixels: align the skin of each frame with the skin of the reference frame.

The landmark network jitters by about a pixel. Both frames are sampled in a fixed layout of the face (an atlas, by their
meshes); what is left between the two atlases is the error of the mesh. It is solved for all landmarks at once, as a
piecewise linear warp with a smoothness prior, by the inverse compositional algorithm (Baker and Matthews 2004): the
system matrix depends on the reference alone and is factored once.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32
from dreamactor_cli.controls.atlas import Atlas, face_atlas
from dreamactor_cli.controls.finder import face_extent
from dreamactor_cli.controls.inverse import inverse
from dreamactor_cli.controls.view import Region, View

PICTURE_SIZE = 384  # px, largest side of the face crop that is sampled
ITERATIONS = 2
SMOOTHNESS = 1.0
PRIOR = 0.3
BLUR = 9  # atlas px; slower variation than this is shading and not seen
_BOX = (2 * BLUR + 1, 2 * BLUR + 1)
CLIP = 2.5  # residuals beyond this many standard deviations count no more
LIMIT = 0.06  # of the inter-ocular distance: no landmark moves farther
TRUST = (0.25, 0.5)  # correlation of the atlases between which the correction is faded in


class MeshRefiner:
    """Refines meshes against one reference frame.

    Args:
        view: reference frame.
        landmarks: its mesh, (478, 3) px.
    """

    def __init__(self, view: View, landmarks: F32) -> None:
        self._atlas: Atlas = face_atlas()
        inside = self._atlas.inside.astype(np.float32)
        # The box filter of a face, which is 0 outside the mesh, times this is the mean over the part of the box in the mesh.
        self._part = inside / np.maximum(cv2.boxFilter(inside, -1, _BOX), 1e-3)
        crop = _Crops([view], landmarks[None])
        self._reference = self._sample(crop, crop.points)[0]
        self._deviation = np.float32(float(self._reference[self._atlas.inside].std()) + 1e-3)
        slopes = [cv2.Sobel(self._reference, cv2.CV_32F, *axis, scale=0.125) for axis in ((1, 0), (0, 1))]
        gradient = np.stack(slopes) / self._deviation
        self._steepest = gradient * self._atlas.trust
        prior = SMOOTHNESS * self._atlas.laplacian + PRIOR * np.eye(468)
        hessian = self._atlas.normal_matrix(gradient.astype(np.float64))
        self._inverse = inverse((hessian + np.kron(prior, np.eye(2))).astype(np.float32))
        self._prior = prior.astype(np.float32)

    def _sample(self, crops: _Crops, points: F32) -> F32:
        """High-passed atlases (B, size, size) of faces with landmarks (B, 468, 2) px of their crops."""
        out = np.empty((len(points), *self._part.shape), np.float32)
        for texture, grey, (x, y) in zip(out, crops.greys, self._atlas.maps(points), strict=True):
            face = cv2.remap(grey, x, y, cv2.INTER_LINEAR)
            texture[:] = face
            texture -= cv2.boxFilter(face, cv2.CV_32F, _BOX) * self._part
        return out

    def refine(self, views: Sequence[View], landmarks: F32) -> F32:
        """Meshes (B, 478, 3) px of frames, drawn to where the skin of the reference frame is seen; z stays."""
        crops = _Crops(views, landmarks)
        jacobians = self._atlas.jacobians(crops.points)
        total = np.zeros_like(crops.points)
        for _ in range(ITERATIONS):
            residual = self._sample(crops, crops.points + _pushed(total, jacobians))
            believed = self._confidence(residual)  # of the last step but one: a look at the last would cost a third more
            residual -= self._reference
            residual /= self._deviation
            np.clip(residual, -CLIP, CLIP, out=residual)
            force = self._atlas.gather(self._steepest * residual[:, None]) + self._prior @ total
            total -= (self._inverse @ force.reshape(len(views), -1).T).T.reshape(total.shape)
        shift = _pushed(total, jacobians)
        length = np.linalg.norm(shift, axis=2, keepdims=True)
        limit = LIMIT * np.linalg.norm(crops.points[:, 33] - crops.points[:, 263], axis=1)[:, None, None]
        shift *= limit * np.tanh(length / limit) / np.maximum(length, 1e-9)
        shift *= believed[:, None, None]
        return self._apply(landmarks, shift / crops.scale)

    def _confidence(self, textures: F32) -> F32:
        """How far each atlas (B, size, size) is believed to show the face of the reference frame, (B,) 0..1."""
        flat, own = textures.reshape(len(textures), -1), self._reference.ravel()
        correlation = (flat @ own) / np.sqrt((flat * flat).sum(1) * (own @ own) + 1e-6)
        t = np.clip((correlation - TRUST[0]) / (TRUST[1] - TRUST[0]), 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    @staticmethod
    def _apply(landmarks: F32, shift: F32) -> F32:
        """Moves the meshes; an iris moves with the lids around it."""
        out = landmarks.copy()
        out[:, :468, :2] += shift
        for iris, lids in ((head_space.IRIS_LEFT, head_space.EYE_LEFT), (head_space.IRIS_RIGHT, head_space.EYE_RIGHT)):
            out[:, list(iris), :2] += shift[:, list(lids)].mean(1, keepdims=True)
        return out


class _Crops:
    """Grey crops of faces.

    Attributes:
        greys: (side, side) each.
        points: their landmarks, (B, 468, 2) px of the crops.
        scale: px of the crops per px of the pictures, (B, 1, 1).
    """

    def __init__(self, views: Sequence[View], landmarks: F32) -> None:
        regions = []
        for mesh in landmarks:
            x, y, half = face_extent(mesh)
            regions.append(Region(x, y, 1.15 * half, int(min(PICTURE_SIZE, 2 * round(1.15 * half)))))
        self.greys = [view.grey_crop(region) for view, region in zip(views, regions, strict=True)]
        self.scale = np.array([region.scale for region in regions], np.float32)[:, None, None]
        origin = np.stack([region.origin for region in regions])[:, None]
        self.points = ((landmarks[:, :468, :2] - origin) * self.scale).astype(np.float32)


def _pushed(shift: F32, jacobians: F32) -> F32:
    """A displacement in the layout (B, 468, 2) px as one of the landmarks, in px of the pictures; see `Atlas.jacobians`."""
    return np.asarray(shift[..., :1] * jacobians[:, :, 0] + shift[..., 1:] * jacobians[:, :, 1], np.float32)
