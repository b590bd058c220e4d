"""People made of nothing but code: our own face mesh on a skull, and a body of tubes."""

from __future__ import annotations

import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.training.synthetic import materials
from dreamactor_cli.training.synthetic.parts import Mesh, join
from dreamactor_cli.training.synthetic.person import Person, join_textures
from dreamactor_cli.training.synthetic.procedural_body import Build, body_parts, draw_build
from dreamactor_cli.training.synthetic.procedural_head import Head, make_head, paint_face
from dreamactor_cli.training.synthetic.rig import BONE
from dreamactor_cli.training.synthetic.skin import Paint, cloth, hair_strands

_EYES_OVER_JOINT = np.array([0.0, 0.62, 0.72])  # decimetres from the head's joint to between the eyes


class Procedural:
    """Makes persons without any asset."""

    def person(self, rng: np.random.Generator, texels: int) -> Person:
        """A dressed adult."""
        male, age, races = bool(rng.random() < 0.5), float(rng.beta(1.1, 2.2)), rng.dirichlet([0.45] * 3)
        build = draw_build(rng, male)
        head = make_head(rng, male, build.heads[BONE["head"]] + _EYES_OVER_JOINT)
        paint = Paint.of(rng, races, age, male, has_hair=True)
        mesh = join([*head.parts, *body_parts(build)])
        pictures = {
            materials.SKIN: paint_face(rng, paint, texels), materials.HAIR: hair_strands(rng, paint.hair),
            materials.TOP: cloth(rng), materials.BOTTOM: cloth(rng), materials.SHOE: cloth(rng, 64),
        }  # fmt: skip
        return _assemble(mesh, build, head, paint, pictures)


def _assemble(mesh: Mesh, build: Build, head: Head, paint: Paint, pictures: dict[int, np.ndarray]) -> Person:
    landmarks = np.arange(head_space.NUM_MESH)
    uv = mesh.uv.copy()
    # Skin that is no face is plain.
    body = (mesh.material == materials.SKIN) & (mesh.triangles.min(1) >= mesh.starts[len(head.parts)])
    uv[body] = (0.975, 0.3)
    return Person(
        vertices=mesh.vertices, bone_index=mesh.bone_index, bone_weight=mesh.bone_weight, triangles=mesh.triangles,
        two_sided=mesh.two_sided, material=mesh.material, uv=uv, openness=np.full(len(mesh.vertices), 0.95, np.float32),
        face_vertices=mesh.face_vertices, shapes=mesh.shapes, heads=build.heads, tails=build.tails,
        eye_centers=head.eye_centers, eye_radius=np.full(2, head.eye_radius),
        landmark_vertices=np.repeat(landmarks[:, None], 3, 1), landmark_weights=np.tile([1.0, 0, 0], (len(landmarks), 1)),
        head_center=head.center, head_height=head.height, textures=join_textures(pictures, materials.COUNT),
        look=materials.looks(), iris=paint.iris,
    )  # fmt: skip
