"""The field of `contracts.Head`: how hair, neck and shoulders move beyond what head and torso explain.

Pixels of the person in the reference frame are followed by `person_space.PersonModel`; what differs between the frame
there and the reference frame is solved for the nodes of the field at once, with a smoothness prior, by the inverse
compositional algorithm (Baker and Matthews 2004): the system matrix depends on the reference frame alone and is
inverted once. Two scales, the coarse one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.inverse import inverse
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
NODES = FIELD_ROWS * FIELD_COLUMNS
GROW = 0.08  # inter-ocular distances by which the matte is grown: the outline itself says most


class _Grid(NamedTuple):
    """The pixels that are followed: those of a regular grid (rows, columns) that are of the person.

    Attributes:
        xs, ys: positions of the grid's columns and rows, px of the full picture.
        followed: flat numbers of the grid's pixels that are followed, (N,).
        down, across: what each node of the field counts in each row, (rows, FIELD_ROWS), and in each column, (columns,
            FIELD_COLUMNS): on a regular grid bilinear interpolation is two small matrix products.
    """

    xs: Array
    ys: Array
    followed: NDArray[np.int64]
    down: F32
    across: F32

    @property
    def points(self) -> Array:
        """The followed pixels, (N, 2) px."""
        rows, columns = np.divmod(self.followed, len(self.xs))
        return np.stack([self.xs[columns], self.ys[rows]], 1)

    def spread(self, field: F32) -> F32:
        """Fields (B, 2, FIELD_ROWS, FIELD_COLUMNS) at the followed pixels, (B, 2, N)."""
        values = self.down @ field @ self.across.T
        out: F32 = values.reshape(*field.shape[:2], -1).take(self.followed, axis=2)
        return out

    def gather(self, values: F32) -> F32:
        """Sum at the nodes, (B, 2, FIELD_ROWS, FIELD_COLUMNS), of values at the followed pixels (B, 2, N)."""
        out: F32 = self.down.T @ self._dense(values) @ self.across
        return out

    def _dense(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Values (..., N) at the followed pixels as grids (..., rows, columns), 0 elsewhere."""
        out = np.zeros((*values.shape[:-1], len(self.ys) * len(self.xs)), values.dtype)
        out[..., self.followed] = values
        return out.reshape(*values.shape[:-1], len(self.ys), len(self.xs))

    def products(self, values: Array) -> Array:
        """Sum over followed pixels of values (N,) times the weights of each pair of nodes, (nodes, nodes)."""
        down, across = self.down.astype(np.float64), self.across.astype(np.float64)
        row_pairs = (down[:, :, None] * down[:, None, :]).reshape(len(down), -1)
        column_pairs = (across[:, :, None] * across[:, None, :]).reshape(len(across), -1)
        sums = (row_pairs.T @ self._dense(values) @ column_pairs).reshape(FIELD_ROWS, FIELD_ROWS, FIELD_COLUMNS, FIELD_COLUMNS)
        return np.asarray(sums.transpose(0, 2, 1, 3).reshape(NODES, NODES))


class _Followed(PersonModel):
    """`PersonModel` as the linear map that it is of what it gets from a frame.

    Args:
        grid: of the pixels.
        landmarks, pose: as in `PersonModel`.
    """

    def __init__(self, grid: _Grid, landmarks: Array, pose: HeadPose) -> None:
        super().__init__(grid.points, landmarks, pose)
        own, ones = self._weight, np.ones((len(self.points), 1))
        head = np.concatenate([self._canonical, ones, self._residual], 1)
        body = np.concatenate([self.points, ones], 1)
        self._columns = np.ascontiguousarray(np.concatenate([own * head, (1 - own) * body], 1).T, np.float32)

    def places(self, landmarks: Array, pose: HeadPose, torso_2d: NDArray[np.floating]) -> F32:
        """Positions of the followed pixels in B frames, (B, 2, N) px."""
        turn = pose.rotation[:, :2].swapaxes(1, 2) * pose.scale[:, None, None]
        shift = pose.translation[:, None, :2]
        residual = landmarks[:, self._oval, :2] - (self._oval_canonical @ turn + shift)
        values = np.concatenate([turn, shift, residual, torso_2d.swapaxes(1, 2)], 1).astype(np.float32)
        out: F32 = (values.swapaxes(1, 2).reshape(-1, len(self._columns)) @ self._columns).reshape(len(values), 2, -1)
        return out


class _Scale:
    """One scale of the comparison.

    Args:
        grey: reference frame, at any scale, (h, w); width: of the full picture, px.
        grid: what is followed.
        unit: px of the full picture per inter-ocular distance.
        shrink: px of this scale per px of the full picture.
    """

    def __init__(self, grey: U8, width: int, grid: _Grid, unit: float, shrink: float) -> None:
        self._shrink = shrink
        self._grid = grid
        self._size = (max(8, round(width * shrink)), max(8, round(width * shrink * grey.shape[0] / grey.shape[1])))
        image = self.prepare(grey)
        places = self._local(grid.points.T.astype(np.float32))
        value = _sample(image, places)
        self._deviation = float(value.std()) + 0.5
        self._value = value / np.float32(self._deviation)
        slopes = [_sample(cv2.Sobel(image, cv2.CV_32F, *axis, scale=0.125), places) for axis in ((1, 0), (0, 1))]
        # Per inter-ocular distance, so that both scales speak of the same unknowns.
        self._steepest = np.stack(slopes) * np.float32(unit * shrink / self._deviation)
        self._inverse, self._prior = self._solve()

    def _solve(self) -> tuple[F32, F32]:
        """Inverse of the normal matrix with the prior, (2 nodes, 2 nodes), and the prior, (nodes, nodes)."""
        x, y = self._steepest.astype(np.float64)
        mixed = self._grid.products(x * y)
        matrix = np.block([[self._grid.products(x * x), mixed], [mixed, self._grid.products(y * y)]])
        weight = float(np.trace(matrix)) / (2 * NODES) + 1e-6
        prior = weight * (SMOOTHNESS * _laplacian() + PRIOR * np.eye(NODES))
        return inverse((matrix + np.kron(np.eye(2), prior)).astype(np.float32)), prior.astype(np.float32)

    def improve(self, field: F32, greys: Sequence[U8], places: F32, unit: Array) -> F32:
        """Fields (B, 2, FIELD_ROWS, FIELD_COLUMNS) that fit better to frames.

        Args:
            greys: B frames at any scale.
            places: where the followed pixels are without a field, (B, 2, N) px of the full picture.
            unit: px of the full picture per inter-ocular distance, (B,).
        """
        images = np.stack([self.prepare(grey) for grey in greys]) * np.float32(1 / self._deviation)
        places = self._local(places)
        zoom = (unit * self._shrink).astype(np.float32)[:, None, None]
        for _ in range(ITERATIONS):
            force = self._force(images, places + self._grid.spread(field) * zoom)
            force += (field.reshape(-1, NODES) @ self._prior).reshape(field.shape)
            field = field - (self._inverse @ force.reshape(len(field), -1).T).T.reshape(field.shape)
            length = np.sqrt((field**2).sum(1, keepdims=True))
            field *= np.minimum(1, LIMIT / np.maximum(length, 1e-9))
        return field

    def _force(self, images: F32, places: F32) -> F32:
        """Sum of gradient times clipped residual at each node, (B, 2, FIELD_ROWS, FIELD_COLUMNS).

        Args:
            images: frames, in standard deviations of the reference, (B, h, w).
            places: where the followed pixels are, (B, 2, N) px of ``images``; outside of them they say nothing.
        """
        height, width = images.shape[1:]
        residual = np.stack([_sample(image, at) for image, at in zip(images, places, strict=True)]) - self._value
        np.clip(residual, -CLIP, CLIP, out=residual)
        x, y = places[:, 0], places[:, 1]
        residual *= (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        return self._grid.gather(self._steepest * residual[:, None])

    def _local(self, points: F32) -> F32:
        """Positions in px of the shrunken picture."""
        out: F32 = points * np.float32(self._shrink) + np.float32((self._shrink - 1) / 2)
        return out

    def shrunken(self, grey: U8) -> U8:
        """A grey picture at this scale."""
        if grey.shape[1::-1] == self._size:
            return grey
        width = grey.shape[1]
        if self._size[0] >= width:
            return np.asarray(cv2.resize(grey, self._size, interpolation=cv2.INTER_LINEAR), np.uint8)
        # Averaging by a broken factor is slow, by a whole one fast; a broken one alone would alias.
        factor = max(1, round(width / (2 * self._size[0])))
        if factor > 1:
            whole = (width // factor, grey.shape[0] // factor)
            grey = cv2.resize(grey[: whole[1] * factor, : whole[0] * factor], whole, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(grey, self._size, interpolation=cv2.INTER_AREA), np.uint8)

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
        grid = _followed(landmarks, pose, matte, step=max(1.0, SPACING * unit / UNITS[-1]))
        self._scales: list[_Scale] = []
        if len(grid.followed) < MIN_POINTS:
            return
        self._model = _Followed(grid, landmarks, pose)
        for size in UNITS[::-1]:
            if self._scales:  # the coarser picture is made from the finer one, as in `measure`
                grey = self._scales[0].shrunken(grey)
            self._scales.insert(0, _Scale(grey, matte.shape[1], grid, unit, min(1.0, size / unit)))

    def measure(self, greys: Sequence[U8], landmarks: Array, pose: HeadPose, torso_2d: NDArray[np.floating]) -> F32:
        """Fields (B, FIELD_ROWS, FIELD_COLUMNS, 2) of frames, inter-ocular units; zero if there is too little to follow.

        Args:
            greys: the frames, at the scale of the reference frame.
            landmarks: of the faces in them, (B, 478, 3) px of the full picture; pose: T = B; torso_2d: (B, 2, 3).
        """
        field = np.zeros((len(greys), 2, FIELD_ROWS, FIELD_COLUMNS), np.float32)
        if self._scales:
            fine = [self._scales[-1].shrunken(grey) for grey in greys]  # once for all scales
            places = self._model.places(landmarks, pose, torso_2d)
        for scale in self._scales:
            field = scale.improve(field, fine, places, pose.scale)
        return np.ascontiguousarray(field.transpose(0, 2, 3, 1))


def _followed(landmarks: Array, pose: HeadPose, matte: U8, step: float) -> _Grid:
    """Pixels of the person outside the face, on a grid of ``step`` px."""
    unit = float(pose.scale[0])
    height, width = matte.shape
    grown = cv2.dilate((matte > 128).astype(np.uint8), _disc(GROW * unit))
    face = np.zeros_like(grown)
    cv2.fillPoly(face, [np.rint(landmarks[list(head_space.FACE_OVAL), :2]).astype(np.int32)], 1)
    grown[cv2.erode(face, _disc(0.06 * unit)) > 0] = 0
    xs, ys = np.arange(0, width, step), np.arange(0, height, step)
    inside = grown[np.ix_(ys.astype(int), xs.astype(int))] > 0
    center = head_space.sphere_of(pose)[0][0]
    x, y = (xs - center[0]) / unit, (ys - center[1]) / unit
    inside &= (np.abs(x) < REACH[0]) & ((y < REACH[1]) & (y > -2.4))[:, None]
    weights = []
    for line, nodes in ((np.stack([xs, 0 * xs], 1), FIELD_COLUMNS), (np.stack([0 * ys, ys], 1), FIELD_ROWS)):
        index, share = field_weights(line, center, unit)
        index = index % FIELD_COLUMNS if nodes == FIELD_COLUMNS else index // FIELD_COLUMNS
        weights.append(np.zeros((len(line), nodes), np.float32))
        np.add.at(weights[-1], (np.arange(len(line))[:, None], index), share)
    return _Grid(xs, ys, np.flatnonzero(inside), weights[1], weights[0])


def _sample(image: F32, places: F32) -> F32:
    """Values (N,) of a picture at places (2, N) px; outside it is as at its border."""
    x, y = places[:, None]
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], np.float32)


def _disc(radius: float) -> U8:
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _laplacian() -> Array:
    """Graph Laplacian of the field's grid, (nodes, nodes)."""
    index = np.arange(NODES).reshape(FIELD_ROWS, FIELD_COLUMNS)
    out = np.zeros((NODES, NODES))
    pairs = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    for a, b in ((p.ravel(), q.ravel()) for p, q in pairs):
        out[a, a] += 1
        out[b, b] += 1
        out[a, b] -= 1
        out[b, a] -= 1
    return out
