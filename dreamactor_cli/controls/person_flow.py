"""The field of `contracts.Head`: how hair, neck and shoulders move beyond what head and torso explain.

Pixels of the person in the reference frame are followed by `person_space.PersonModel`; what differs between the frame
there and the reference frame is solved for the nodes of the field at once, with a smoothness prior, by the inverse
compositional algorithm (Baker and Matthews 2004): the system matrix depends on the reference frame alone and is
inverted once. Two scales, the coarse one first.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import FIELD_COLUMNS, FIELD_ROWS, PersonModel, field_weights

Array = NDArray[np.float64]

UNITS = (14.0, 28.0)  # px per inter-ocular distance at which frames are compared, coarse to fine
ITERATIONS = 3  # at each scale
SMOOTHNESS = 1.0
PRIOR = 0.03
BLUR = 0.8  # px
HIGH_PASS = 21  # px; slower variation is light and not seen
CLIP = 1.5  # residuals beyond this many standard deviations count no more than this
LIMIT = 0.45  # inter-ocular distances: no node moves farther
REACH = (3.8, 4.2)  # inter-ocular distances from the head's centre, sideways and down, within which pixels are followed
SPACING = 1.4  # px of the finer scale between two pixels that are followed
MIN_POINTS = 200
GROW = 0.08  # inter-ocular distances by which the matte is grown: the outline itself says most


class _Scale:
    """One scale of the comparison."""

    def __init__(
        self, grey: U8, width: int, points: Array, nodes: tuple[NDArray[np.int64], Array], unit: float, shrink: float
    ) -> None:
        self.shrink = shrink
        self._size = (max(8, round(width * shrink)), max(8, round(width * shrink * grey.shape[0] / grey.shape[1])))
        image = self.prepare(grey)
        local = self.local(points)
        x, y = local[:, 0].astype(np.float32), local[:, 1].astype(np.float32)

        def at(values: F32) -> F32:
            return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)[:, 0]

        value = at(image)
        self.deviation = float(value.std()) + 0.5
        self.value = value / np.float32(self.deviation)
        slopes = [at(np.asarray(cv2.Sobel(image, cv2.CV_32F, *axis, scale=0.125))) for axis in ((1, 0), (0, 1))]
        # Per inter-ocular distance, so that both scales speak of the same unknowns.
        self.steepest = np.ascontiguousarray(np.stack(slopes, 1) * (unit * shrink / self.deviation), np.float32)
        # Node values to pixels, (N, nodes), and back.
        rows = np.repeat(np.arange(len(points)), 4)
        shape = (len(points), FIELD_ROWS * FIELD_COLUMNS)
        self.spread = sparse.csr_array((nodes[1].ravel().astype(np.float32), (rows, nodes[0].ravel())), shape)
        self.gather = self.spread.T.tocsr()
        self.inverse, self.prior = self._solve()

    def _solve(self) -> tuple[F32, F32]:
        """Inverse of the normal matrix with the prior, (2 nodes, 2 nodes), and the prior, (nodes, nodes)."""
        count = FIELD_ROWS * FIELD_COLUMNS
        matrix = np.zeros((count, 2, count, 2))
        for i in range(2):
            for j in range(2):
                product = (self.steepest[:, i] * self.steepest[:, j]).astype(np.float64)
                weighted = sparse.csr_array(self.gather @ (self.spread * product[:, None]))
                matrix[:, i, :, j] = weighted.toarray()
        matrix = matrix.reshape(2 * count, 2 * count)
        weight = float(np.trace(matrix)) / (2 * count) + 1e-6
        prior = weight * (SMOOTHNESS * _laplacian() + PRIOR * np.eye(count))
        inverse = np.linalg.inv(matrix + np.kron(prior, np.eye(2)))
        return inverse.astype(np.float32), prior.astype(np.float32)

    def forces(self, image: F32, points: F32) -> F32:
        """Sum of gradient times clipped residual at each node, (nodes, 2).

        Args:
            image: the frame, in standard deviations of the reference, (h, w).
            points: where the followed pixels are, (N, 2) px of ``image``; outside of it they say nothing.
        """
        height, width = image.shape
        x, y = np.ascontiguousarray(points[:, :1]), np.ascontiguousarray(points[:, 1:])
        seen = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
        residual = np.clip(seen - self.value, -CLIP, CLIP)
        residual[((x < 0) | (y < 0) | (x > width - 1) | (y > height - 1))[:, 0]] = 0
        return np.asarray(self.gather @ (self.steepest * residual[:, None]), np.float32)

    def local(self, points: Array) -> Array:
        """Points in px of the shrunken picture."""
        return points * self.shrink + (self.shrink - 1) / 2

    def shrunken(self, grey: U8) -> U8:
        """A grey picture at this scale."""
        if grey.shape[1::-1] == self._size:
            return grey
        method = cv2.INTER_AREA if self._size[0] < grey.shape[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(grey, self._size, interpolation=method), np.uint8)

    def prepare(self, grey: U8) -> F32:
        """A grey picture at this scale, without what varies slowly."""
        small = cv2.GaussianBlur(self.shrunken(grey).astype(np.float32), (0, 0), BLUR)
        return np.asarray(small - cv2.blur(small, (HIGH_PASS, HIGH_PASS)), np.float32)


class PersonFlow:
    """Measures the field against one reference frame.

    Args:
        grey: reference frame, at any scale, (h, w).
        landmarks: of the face in it, (478, 3) px of the full picture.
        pose: of the head in it, T = 1.
        matte: of the full picture, (H, W), 255 where the person is.
    """

    def __init__(self, grey: U8, landmarks: Array, pose: HeadPose, matte: U8) -> None:
        unit = float(pose.scale[0])
        points = _followed(landmarks, pose, matte, step=max(1.0, SPACING * unit / UNITS[-1]))
        self._scales: list[_Scale] = []
        if len(points) < MIN_POINTS:
            return
        self._model = PersonModel(points, landmarks, pose)
        nodes = field_weights(points, head_space.sphere_of(pose)[0][0], unit)
        width = matte.shape[1]
        fine = _Scale(grey, width, points, nodes, unit, min(1.0, UNITS[-1] / unit))
        coarse = [_Scale(fine.shrunken(grey), width, points, nodes, unit, min(1.0, u / unit)) for u in UNITS[:-1]]
        self._scales = [*coarse, fine]

    def measure(self, grey: U8, landmarks: Array, pose: HeadPose, head_2d: Array, torso_2d: Array) -> F32:
        """Field (FIELD_ROWS, FIELD_COLUMNS, 2) of a frame, inter-ocular units; zero if there is too little to follow.

        Args:
            grey: the frame, at the scale of the reference frame.
            landmarks, pose, head_2d, torso_2d: of the frame, in px of the full picture.
        """
        field = np.zeros((FIELD_ROWS * FIELD_COLUMNS, 2), np.float32)
        if not self._scales:
            return field.reshape(FIELD_ROWS, FIELD_COLUMNS, 2)
        base = self._model.move(pose, landmarks, head_2d, torso_2d)[:, :2]
        # The finer picture is shrunken once, and the coarser one from it.
        fine = self._scales[-1].shrunken(grey)
        for scale in self._scales:
            image = scale.prepare(fine) * np.float32(1 / scale.deviation)
            points = scale.local(base).astype(np.float32)
            zoom = np.float32(float(pose.scale[0]) * scale.shrink)
            for _ in range(ITERATIONS):
                force = scale.forces(image, points + (scale.spread @ field) * zoom)
                field = field - (scale.inverse @ (force + scale.prior @ field).ravel()).reshape(-1, 2)
                length = np.sqrt((field**2).sum(1, keepdims=True))
                field *= np.minimum(1, LIMIT / np.maximum(length, 1e-9))
        return field.reshape(FIELD_ROWS, FIELD_COLUMNS, 2).astype(np.float32)


def _followed(landmarks: Array, pose: HeadPose, matte: U8, step: float) -> Array:
    """Pixels of the person outside the face, on a grid of ``step`` px, (N, 2)."""
    unit = float(pose.scale[0])
    height, width = matte.shape
    grown = cv2.dilate((matte > 128).astype(np.uint8), _disc(GROW * unit))
    face = np.zeros_like(grown)
    cv2.fillPoly(face, [np.rint(landmarks[list(head_space.FACE_OVAL), :2]).astype(np.int32)], 1)
    grown[cv2.erode(face, _disc(0.06 * unit)) > 0] = 0
    xs, ys = np.meshgrid(np.arange(0, width, step), np.arange(0, height, step))
    points = np.stack([xs.ravel(), ys.ravel()], 1)
    inside = grown[points[:, 1].astype(int), points[:, 0].astype(int)] > 0
    offset = (points - head_space.sphere_of(pose)[0][0]) / unit
    inside &= (np.abs(offset[:, 0]) < REACH[0]) & (offset[:, 1] < REACH[1]) & (offset[:, 1] > -2.4)
    return points[inside].astype(np.float64)


def _disc(radius: float) -> U8:
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _laplacian() -> Array:
    """Graph Laplacian of the field's grid, (nodes, nodes)."""
    count = FIELD_ROWS * FIELD_COLUMNS
    index = np.arange(count).reshape(FIELD_ROWS, FIELD_COLUMNS)
    out = np.zeros((count, count))
    pairs = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    for a, b in ((p.ravel(), q.ravel()) for p, q in pairs):
        out[a, a] += 1
        out[b, b] += 1
        out[a, b] -= 1
        out[b, a] -= 1
    return out
