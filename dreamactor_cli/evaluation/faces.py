"""The face in an output: is it there, and is it still the reference's?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.atlas import face_atlas
from dreamactor_cli.controls.finder import FaceFinder, face_extent
from dreamactor_cli.controls.view import View

BLUR = 2.0  # px of the atlas: finer than that, sharpness decides and not the face
COARSE = 30.0  # px of the atlas: coarser than that, light decides and not the face


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFace:
    """A face, brought into a form in which two can be compared.

    Attributes:
        frame: its number.
        detail: (K,), brightness of the skin's atlas without its coarse part, mean 0, norm 1.
    """

    frame: int
    detail: F32


def see_faces(pictures: Sequence[tuple[int, U8]]) -> list[SeenFace]:
    """The face of each picture, the largest to begin with; pictures without one are left out.

    Args:
        pictures: frame number and (H, W, 3), all of one size.
    """
    finder = FaceFinder()
    seen: list[SeenFace] = []
    place: tuple[float, float, float] | None = None
    try:
        for number, picture in pictures:
            landmarks = _find(finder, View(picture, number), place)
            if landmarks is not None:
                seen.append(_seen(number, picture, landmarks))
                place = face_extent(landmarks)
    finally:
        finder.close()
    return seen


def _find(finder: FaceFinder, view: View, place: tuple[float, float, float] | None) -> F32 | None:
    """The face where it was last, else the largest one anywhere, (478, 3) px."""
    if place is not None and (near := finder.mesh_at(view, *place)) is not None:
        return near
    people = [person for person in finder.people(view, with_pose=False) if person.landmarks is not None]
    return max(people, key=lambda person: person.half).landmarks if people else None


def _seen(frame: int, picture: U8, landmarks: F32) -> SeenFace:
    atlas = face_atlas()
    skin = atlas.sample(picture, landmarks[: head_space.NUM_MESH, :2].astype(np.float64))
    grey = np.asarray(cv2.cvtColor(skin, cv2.COLOR_RGB2GRAY), np.float32)
    inside = atlas.inside.astype(np.float32)
    fine, coarse = (_smooth(grey, inside, sigma) for sigma in (BLUR, COARSE))
    weight = atlas.trust[atlas.inside]
    detail = (fine - coarse)[atlas.inside] * weight
    detail = detail - weight * detail.sum() / weight.sum()
    return SeenFace(frame=frame, detail=(detail / max(float(np.linalg.norm(detail)), 1e-6)).astype(np.float32))


def _smooth(values: F32, inside: F32, sigma: float) -> F32:
    """Gaussian mean over the pixels inside, (S, S)."""
    total = cv2.GaussianBlur(values * inside, (0, 0), sigma)
    return np.asarray(total / np.maximum(cv2.GaussianBlur(inside, (0, 0), sigma), 1e-3), np.float32)


def likeness(first: SeenFace, second: SeenFace) -> float:
    """Correlation of the skin's detail of two faces, -1..1; see `quality._identity` for what it can and cannot tell."""
    return float(first.detail @ second.detail)
