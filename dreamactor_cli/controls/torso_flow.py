"""Optical flow of the torso: the similarity that takes it from the reference frame to another."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.lucas_kanade import Similarity, fit_similarity_2d, follow
from dreamactor_cli.controls.view import View

POINTS = 80
MIN_POINTS = 15
BELOW_CHIN = 0.45  # inter-ocular distances
MAX_TURN, MIN_SCALE, MAX_SCALE = 12.0, 0.8, 1.25  # beyond these only the shift is believed
SEARCH_EVERY = 4  # frames between two searches for a torso that is lost
COARSE = 4  # the search at the start of a chunk is done in a picture this many times smaller
_IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


class TorsoFlow:
    """Follows points of the torso from the reference frame; always from there, so that nothing drifts.

    The guess is where the torso was in the frame before. At the start of a chunk, and when it is lost, the guess comes
    from matching the whole torso in a small picture.
    """

    def __init__(self, clip: Clip) -> None:
        view = View(clip.picture, clip.reference)
        grey = view.small_grey
        self._scale = grey.shape[1] / clip.width
        mask = self._mask(clip, grey.shape)
        corners = cv2.goodFeaturesToTrack(grey, POINTS, 0.005, 6, mask=mask)
        self._points = np.zeros((0, 2), np.float32) if corners is None or mask.mean() < 0.01 else corners[:, 0]
        self._reference = grey
        self._patch, self._corner = self._coarse_patch(grey, mask)
        self._last: NDArray[np.float64] | None = None
        self._lost = 0  # frames

    def _mask(self, clip: Clip, shape: tuple[int, ...]) -> U8:
        """Where points may be taken: the person below the chin."""
        matte = cv2.resize(clip.matte, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        mask = (matte > 200).astype(np.uint8)
        if clip.landmarks is not None:
            unit = float(head_space.head_pose(clip.landmarks[None].astype(np.float64)).scale[0])
            top = float(clip.landmarks[head_space.CHIN, 1]) + BELOW_CHIN * unit
        else:
            _, y, half = clip.subject_at(clip.reference)
            top = y + 2 * half
        mask[: int(np.clip(top * self._scale, 0, shape[0]))] = 0
        return cv2.erode(mask, np.ones((7, 7), np.uint8))

    @staticmethod
    def _coarse_patch(grey: U8, mask: U8) -> tuple[U8 | None, tuple[int, int]]:
        """The torso in a small picture and its corner there."""
        small = _coarse(grey)
        rows, columns = np.nonzero(cv2.resize(mask, small.shape[::-1], interpolation=cv2.INTER_NEAREST))
        if len(rows) < 30:
            return None, (0, 0)
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        # The margin that is cut off is how far the torso can be found to have moved at the border of the picture.
        margin_y, margin_x = (bottom - top) // 5, (right - left) // 5
        bottom, left, right = bottom - margin_y, left + margin_x, right - margin_x
        return small[top:bottom, left:right], (int(left), int(top))

    def measure(self, view: View) -> F32:
        """Similarity (2, 3), px: the torso of the reference frame to this frame."""
        if len(self._points) < MIN_POINTS:
            return _IDENTITY.astype(np.float32)
        grey = view.small_grey
        fit = self._fit(grey, self._last) if self._last is not None else None
        self._lost = 0 if fit is not None else self._lost + 1
        if fit is None and (self._lost <= 2 or self._lost % SEARCH_EVERY == 0):
            guesses = [_IDENTITY, self._matched(grey)]
            fits = [f for f in (self._fit(grey, guess) for guess in guesses) if f is not None]
            fit = max(fits, key=lambda f: f.inliers, default=None)
            self._lost = 0 if fit is not None else self._lost
        if fit is not None:
            self._last = fit.matrix
        return self._in_picture(self._last if self._last is not None else _IDENTITY)

    def _fit(self, grey: U8, guess: NDArray[np.float64]) -> Similarity | None:
        start = self._points.astype(np.float64) @ guess[:, :2].T + guess[:, 2]
        seen, good = follow(self._reference, grey, self._points, start.astype(np.float32), check=False)
        if good.sum() < MIN_POINTS:
            return None
        source, target = self._points[good].astype(np.float64), seen[good].astype(np.float64)
        fit = fit_similarity_2d(source, target, tolerance=2.5)
        if fit is None:
            return None
        if fit.inliers < 20 or not MIN_SCALE < fit.scale < MAX_SCALE or abs(fit.degrees) > MAX_TURN:
            shift = np.c_[np.eye(2), np.median(target - source, axis=0)]
            return Similarity(shift, fit.inliers, fit.share, 1.0, 0.0)
        return fit

    def _matched(self, grey: U8) -> NDArray[np.float64]:
        """Shift of the torso by matching it in the small picture."""
        if self._patch is None:
            return _IDENTITY
        score = cv2.matchTemplate(_coarse(grey), self._patch, cv2.TM_CCOEFF_NORMED)
        _, _, _, (x, y) = cv2.minMaxLoc(score)
        return np.c_[np.eye(2), [(x - self._corner[0]) * COARSE, (y - self._corner[1]) * COARSE]].astype(np.float64)

    def _in_picture(self, matrix: NDArray[np.float64]) -> F32:
        """The similarity of the small picture, in px of the full one (pixel centres at integers)."""
        offset = 0.5 * (1 - self._scale) / self._scale  # full = (small + 0.5) / scale - 0.5 = small / scale + offset
        out = matrix.copy()
        out[:, 2] = matrix[:, 2] / self._scale + offset - matrix[:, :2] @ np.array([offset, offset])
        return out.astype(np.float32)


def _coarse(grey: U8) -> U8:
    size = (max(grey.shape[1] // COARSE, 1), max(grey.shape[0] // COARSE, 1))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
