"""Where the model draws within a picture: what part of it, at what size, and how what is drawn gets back.

A small model knows square pictures of one size only. It is shown the square around the person, and what it draws is enlarged
and laid into the reference picture with a soft border; the rest of the picture stays as it is. A model for any size draws the
whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dreamactor_cli.body_space import shown_joints, shows_body
from dreamactor_cli.contracts import F32, U8, Controls, Reference
from dreamactor_cli.models.draw import View
from dreamactor_cli.models.weights_folder import Index

MULTIPLE = 16  # of the sides that a model draws, px
HEAD_HIGH = (
    3.0,
    0.33,
)  # a square of so many head radii has the head in its middle; a larger one, by this share of the rest higher
MARGIN = 0.12  # around the joints of a body, of the square's side
SOFT = 0.06  # width of the soft border, of the square's side


@dataclass(frozen=True, slots=True)
class Stage:
    """See the module's docstring.

    Attributes:
        view: part of the picture, whole px inside of it.
        width, height: that the model draws, px.
    """

    view: View
    width: int
    height: int

    @staticmethod
    def of(reference: Reference, index: Index, picture: int = 0) -> Stage:
        """The stage for one picture of a reference.

        Args:
            index: of the weights: what they were trained on.
            picture: its number; frames are drawn into the first.
        """
        high, wide = reference.images.shape[1:3]
        if index.size:
            view = _around_person(reference.controls.window(picture, picture + 1), wide, high, index)
            return Stage(view, index.size, index.size)
        sides = [max(2 * MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in (wide, high)]
        return Stage(View(0, 0, wide, high), sides[0], sides[1])

    @property
    def enlarges(self) -> bool:
        """Whether what the model draws is made larger."""
        return self.view.width > self.width + MULTIPLE

    def show(self, pictures: U8) -> U8:
        """What the model sees of pictures (N, H, W, 3), (N, height, width, 3)."""
        rows, columns = self._part()
        return np.stack([_resized(picture[rows, columns], self.width, self.height) for picture in pictures])

    def put_back(self, frames: U8, picture: U8) -> U8:
        """Drawn frames (T, height, width, 3) in a picture (H, W, 3), (T, H, W, 3)."""
        rows, columns = self._part()
        share = self._share(picture.shape[1], picture.shape[0])[..., None]
        out = np.repeat(picture[None], len(frames), 0)
        for frame, whole in zip(frames, out, strict=True):
            large = _resized(frame, int(self.view.width), int(self.view.height))
            part = whole[rows, columns]
            part[:] = large if share.min() == 1 else np.rint(part + share * (large.astype(np.float32) - part)).astype(np.uint8)
        return out

    def _part(self) -> tuple[slice, slice]:
        left, top, wide, high = (int(side) for side in self.view)
        return slice(top, top + high), slice(left, left + wide)

    def _share(self, width: int, height: int) -> F32:
        """How much of each px in the view is the drawn frame's: less towards borders inside of a picture of this size."""
        across = _rise(int(self.view.width), int(self.view.left) > 0, int(self.view.left + self.view.width) < width)
        down = _rise(int(self.view.height), int(self.view.top) > 0, int(self.view.top + self.view.height) < height)
        return np.minimum(down[:, None], across)


def _rise(side: int, before: bool, after: bool) -> F32:
    steps = np.arange(side, dtype=np.float32) + 0.5
    wide = max(SOFT * side, 1.0)
    out = np.ones(side, np.float32)
    if before:
        out = np.minimum(out, steps / wide)
    if after:
        out = np.minimum(out, steps[::-1] / wide)
    return out


def _around_person(controls: Controls, wide: int, high: int, index: Index) -> View:
    """The square around the head of a picture (T = 1), and around its body if the model knows bodies, inside of the picture."""
    head, body = controls.head, controls.body
    low, top = np.array([wide, high], float), np.zeros(2)
    if head is not None:
        center, radius = head.center[0].astype(float), float(head.radius[0])
        middle = center + [0, max(0.0, index.view - HEAD_HIGH[0]) * HEAD_HIGH[1] * radius]
        low, top = middle - index.view / 2 * radius, middle + index.view / 2 * radius
    if body is not None and (head is None or (index.bodies and shows_body(body, wide, high))):
        joints = body.joints_2d[0][shown_joints(body, wide, high)]
        if len(joints):
            room = MARGIN * max(np.ptp(joints[:, 0]), np.ptp(joints[:, 1]))
            low, top = np.minimum(low, joints.min(0) - room), np.maximum(top, joints.max(0) + room)
    if (low >= top).any():
        low, top = np.zeros(2), np.array([wide, high], float)
    side = int(np.clip(np.ceil((top - low).max()), 2, min(wide, high)))
    corner = np.clip(np.rint((low + top - side) / 2), 0, [wide - side, high - side])
    return View(int(corner[0]), int(corner[1]), side, side)


def _resized(picture: U8, width: int, height: int) -> U8:
    high, wide = picture.shape[:2]
    if (wide, high) == (width, height):
        return picture
    method = cv2.INTER_AREA if width < wide else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=method), np.uint8)
