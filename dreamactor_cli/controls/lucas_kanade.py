"""Pyramidal Lucas-Kanade with a check backward, and robust similarities."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32, U8

WINDOW = (15, 15)  # px
LEVELS = 2
REACH = 64  # px around the points that are looked at
BACKWARD = 1.0  # px, how far a point may miss its start when it is followed back
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)


def follow(first: U8, second: U8, points: F32, start: F32, *, check: bool = True) -> tuple[F32, NDArray[np.bool_]]:
    """Where points of one picture are in another.

    Args:
        first, second: grey pictures.
        points: (N, 2) px in the first.
        start: (N, 2) px, a guess in the second.
        check: follow the points back too, at twice the cost.

    Returns:
        Positions (N, 2) px, and which of them were found, and came back to their start if that was checked, (N,).
    """
    if not len(points):
        return start, np.zeros(0, bool)
    (left, top), (right, bottom) = _around(np.concatenate([points, start]), first.shape)
    first, second, corner = first[top:bottom, left:right], second[top:bottom, left:right], np.array([left, top], np.float32)
    source = (points - corner)[:, None].astype(np.float32)
    there, seen = _flow(first, second, source, (start - corner)[:, None].astype(np.float32))
    if check:
        back, again = _flow(second, first, there, source.copy())
        seen = seen & again & (np.linalg.norm(back - source, axis=2)[:, 0] < BACKWARD)
    return there[:, 0] + corner, seen


def _around(points: F32, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners (x, y) of the part of a picture that decides where points (N, 2) px go: pyramids of the whole take long."""
    low = np.floor(points.min(0) - REACH).astype(np.int64) >> LEVELS << LEVELS  # pyramids of the part have the same pixels
    high = np.ceil(points.max(0) + REACH).astype(np.int64)
    size = np.array(shape[1::-1])
    low = np.clip(low, 0, (size - 1) >> LEVELS << LEVELS)
    return low, np.clip(high, low + 1, size)


def _flow(first: U8, second: U8, points: F32, start: F32) -> tuple[F32, NDArray[np.bool_]]:
    there, seen, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, start, winSize=WINDOW, maxLevel=LEVELS, criteria=_STOP, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return there, seen[:, 0] > 0


class Similarity(NamedTuple):
    """A similarity (2, 3) and how well it holds.

    Attributes:
        inliers: points that agree; share: of all points.
        scale: of the similarity.
        degrees: its rotation.
    """

    matrix: NDArray[np.float64]
    inliers: int
    share: float
    scale: float
    degrees: float


def fit_similarity_2d(source: NDArray[np.floating], target: NDArray[np.floating], tolerance: float) -> Similarity | None:
    """The similarity from points (N, 2) to points (N, 2) on which most agree within ``tolerance`` px."""
    if len(source) < 3:
        return None
    middle = source.mean(0)  # OpenCV works in float32: small numbers keep their digits
    matrix, inliers = cv2.estimateAffinePartial2D(
        source - middle, target - middle, method=cv2.RANSAC, ransacReprojThreshold=tolerance, refineIters=10
    )
    if matrix is None or not np.isfinite(matrix).all():
        return None
    matrix[:, 2] += middle - matrix[:, :2] @ middle
    scale, degrees = float(np.hypot(matrix[0, 0], matrix[1, 0])), float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    return Similarity(matrix, int(inliers.sum()), float(inliers.mean()), scale, degrees)
