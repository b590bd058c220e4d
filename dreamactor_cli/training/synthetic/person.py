"""A person as the renderer wants one: a dressed mesh that a skeleton and ARKit blendshapes move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32, U8

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Textures:
    """Square pictures of materials, one after the other.

    Attributes:
        texels: RGB values of all, (.,).
        offset: first value of each material's texture, (`materials.COUNT`,), -1 for none.
        side: of each, texels.
    """

    texels: U8
    offset: NDArray[np.int64]
    side: NDArray[np.int64]


def join_textures(pictures: dict[int, U8], count: int) -> Textures:
    """Textures from pictures (S, S, 3) by material."""
    offset, side, at = np.full(count, -1, np.int64), np.zeros(count, np.int64), 0
    for material, picture in pictures.items():
        offset[material], side[material] = at, len(picture)
        at += picture.size
    return Textures(texels=np.concatenate([p.reshape(-1) for p in pictures.values()]), offset=offset, side=side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """World axes and decimetres as in `kernels`; index 0 of pairs is the person's left.

    Attributes:
        vertices: at rest, (V, 3).
        bone_index, bone_weight: of the bones each vertex follows, (V, 4).
        triangles: (N, 3).
        two_sided: (N,), 1 for triangles seen from behind too.
        material: of `materials`, (N,).
        uv: of the corners, (N, 3, 2).
        openness: to the sky, of each vertex, (V,).
        face_vertices: that blendshapes move, (F,).
        shapes: how weight 1 of each ARKit blendshape moves them, (52, F * 3).
        heads, tails: of the bones of `rig.BONES`, (53, 3).
        eye_centers: (2, 3).
        eye_radius: (2,).
        landmark_vertices, landmark_weights: triangle and barycentric weights of the 468 landmarks of the face mesh, (468, 3).
        head_center: middle of the head, (3,).
        head_height: crown to chin.
        textures: of materials.
        look: of `materials.looks`, (M, 6).
        iris: colour, (3,).
    """

    vertices: F32
    bone_index: I32
    bone_weight: F32
    triangles: I32
    two_sided: NDArray[np.int8]
    material: I32
    uv: F32
    openness: F32
    face_vertices: NDArray[np.int64]
    shapes: F32
    heads: F64
    tails: F64
    eye_centers: F64
    eye_radius: F64
    landmark_vertices: NDArray[np.int64]
    landmark_weights: F64
    head_center: F64
    head_height: float
    textures: Textures
    look: F64
    iris: F64


_LOWEST = {"face": -1.3, "bust": -2.6, "half": -4.6}  # heights of the head from its middle that a framing may show
_ARM = 1.35  # heights of the head aside: what lies there at rest belongs to the arms, which move


def trim(person: Person, framing: str) -> Person:
    """The person without what a camera of a framing cannot see."""
    if framing not in _LOWEST:
        return person
    up, aside = person.vertices[:, 1] - person.head_center[1], np.abs(person.vertices[:, 0])
    seen = (up > _LOWEST[framing] * person.head_height) | (aside > _ARM * person.head_height) & (up > -3.6 * person.head_height)
    kept = seen[person.triangles].any(1)
    used = np.zeros(len(seen), bool)
    used[person.triangles[kept]] = True
    used[person.face_vertices] = used[person.landmark_vertices] = True
    # The ground stays: the lowest vertex says where it is.
    used[np.argmin(person.vertices[:, 1])] = True
    place = np.cumsum(used) - 1
    return replace(
        person, vertices=person.vertices[used], bone_index=person.bone_index[used], bone_weight=person.bone_weight[used],
        openness=person.openness[used], triangles=place[person.triangles[kept]].astype(np.int32),
        two_sided=person.two_sided[kept], material=person.material[kept], uv=person.uv[kept],
        face_vertices=place[person.face_vertices], landmark_vertices=place[person.landmark_vertices],
    )  # fmt: skip


class People(Protocol):
    """Makes persons."""

    def person(self, rng: np.random.Generator, texels: int) -> Person:
        """A person drawn from ``rng``, with a skin of about ``texels`` on a side."""
