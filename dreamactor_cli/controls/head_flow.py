"""Optical flow of hair, forehead and temples: how far the pose is wrong about them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.lucas_kanade import fit_similarity_2d, follow
from dreamactor_cli.controls.view import View
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import on_head

Array = NDArray[np.float64]

CROP_SIZE = 256  # px
REACH = 2.2  # inter-ocular distances from the middle of the crop to its side
POINTS = 100
MIN_POINTS = 15
FADE = 0.7  # of the last correction that is left in a frame that cannot be measured
# Contour of the lower face: what moves with expression.
_LOWER_FACE = (6, 117, 346, 50, 280, 205, 425, 58, 288, 152, 149, 378)
_IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def _normaliser(pose: HeadPose) -> Array:
    """Picture to crop, (2, 3): the head upright, at one size, in the middle."""
    rotation = pose.rotation[0]
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    scale = CROP_SIZE / (2 * REACH * pose.scale[0])
    linear = scale * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    middle = head_space.sphere_of(pose)[0][0]
    return np.c_[linear, (CROP_SIZE - 1) / 2 - linear @ middle]


def _apply(matrix: Array, points: Array) -> Array:
    return points @ matrix[:, :2].T + matrix[:, 2]


def _invert(matrix: Array) -> Array:
    return cv2.invertAffineTransform(matrix)


class HeadFlow:
    """Follows points of the head from the reference frame.

    Args:
        clip: with landmarks.
    """

    def __init__(self, clip: Clip) -> None:
        assert clip.landmarks is not None
        view = View(clip.picture, clip.reference)
        mesh = clip.landmarks.astype(np.float64)
        pose = head_space.head_pose(mesh[None])
        matrix = _normaliser(pose)
        crop = self._crop(view, matrix)
        mask = self._mask(clip, mesh, matrix)
        corners = cv2.goodFeaturesToTrack(crop, POINTS, 0.004, 5, mask=mask)
        self._points = np.zeros((0, 2), np.float32) if corners is None else corners[:, 0]
        picture_points = _apply(_invert(matrix), self._points.astype(np.float64))
        self._canonical = on_head(picture_points, mesh, pose) if len(self._points) else np.zeros((0, 3))
        self._reference = crop
        self._last = _IDENTITY.copy()

    @staticmethod
    def _crop(view: View, matrix: Array) -> U8:
        """The head in grey, (CROP_SIZE, CROP_SIZE), by a matrix from picture to crop."""
        size = (CROP_SIZE, CROP_SIZE)
        if view.work_scale < 1 and np.hypot(matrix[0, 0], matrix[1, 0]) > 0.6:  # a small head in a large picture
            crop = cv2.warpAffine(view.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        scaled = np.c_[matrix[:, :2] / view.work_scale, matrix[:, 2]]
        return cv2.warpAffine(view.work_grey, scaled, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @staticmethod
    def _mask(clip: Clip, mesh: Array, matrix: Array) -> U8:
        """Where points may be taken, in the crop: the person's head without what expression moves."""
        size = (CROP_SIZE, CROP_SIZE)
        to_matte = np.array([clip.matte.shape[1] / clip.width, clip.matte.shape[0] / clip.height])
        matte_matrix = np.c_[matrix[:, :2] / to_matte, matrix[:, 2]]
        matte = cv2.warpAffine(clip.matte, matte_matrix, size, flags=cv2.INTER_LINEAR)
        mask = cv2.erode((matte > 200).astype(np.uint8), np.ones((5, 5), np.uint8))
        unit = CROP_SIZE / (2 * REACH)  # crop px per inter-ocular distance
        local = _apply(matrix, mesh[:, :2])
        head = np.zeros_like(mask)
        eyes = local[[33, 263]].mean(0)
        cv2.ellipse(head, (int(eyes[0]), int(eyes[1])), (int(1.5 * unit), int(1.75 * unit)), 0, 0, 360, 1, -1)
        mask &= head
        cv2.fillConvexPoly(mask, cv2.convexHull(local[list(_LOWER_FACE)].astype(np.int32)), 0)
        reach = int(0.25 * unit) | 1
        for eye in (head_space.EYE_LEFT, head_space.EYE_RIGHT):
            hole = np.zeros_like(mask)
            cv2.fillPoly(hole, [local[list(eye)].astype(np.int32)], 1)
            mask[cv2.dilate(hole, np.ones((reach, reach), np.uint8)) > 0] = 0
        mouth = int(np.clip(local[[61, 291], 1].mean(), 0, CROP_SIZE))
        mask[mouth:] = 0
        return mask

    def measure(self, view: View, landmarks: F32) -> F32:
        """Similarity (2, 3) px in this frame: from where the pose puts the reference's head points to where they are seen."""
        found = self._measure(view, landmarks) if len(self._points) >= MIN_POINTS else None
        self._last = FADE * self._last + (1 - FADE) * _IDENTITY if found is None else found
        return self._last.astype(np.float32)

    def _measure(self, view: View, landmarks: F32) -> Array | None:
        pose = head_space.head_pose(landmarks[None].astype(np.float64))
        predicted = head_space.to_image(self._canonical, pose)[0, :, :2]
        matrix = _normaliser(pose)
        start = _apply(matrix, predicted)
        seen, good = follow(self._reference, self._crop(view, matrix), self._points, start.astype(np.float32))
        unit = CROP_SIZE / (2 * REACH)
        good &= np.linalg.norm(seen - start, axis=1) < 0.25 * unit
        if good.sum() < MIN_POINTS:
            return None
        observed = _apply(_invert(matrix), seen[good].astype(np.float64))
        fit = fit_similarity_2d(predicted[good], observed, tolerance=2.0 * pose.scale[0] / unit)
        if fit is None or fit.inliers < 12 or fit.share < 0.3 or not 0.9 < fit.scale < 1.1:
            return None
        return fit.matrix
