"""Build ``dreamactor_cli/head_space.safetensors`` from the public-domain astronaut photograph of scikit-image.

The face mesh is run on many rotated, scaled and mirrored copies of the one photograph; the aligned landmarks are averaged
and made symmetric. Triangles are the cliques of mediapipe's tessellation. Run: ``python tools/build_head_space.py``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np
from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment
from skimage import data

from dreamactor_cli import head_space

COPIES = 120
FACE_CENTER = (224, 110)  # px, in the photograph
SIZE = 512


def detect_copies() -> np.ndarray:
    """Landmarks of all copies, un-mirrored by index later; (N, 478, 3) px."""
    photo = data.astronaut()
    found = []
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as mesh:
        for k in range(COPIES):
            rng = np.random.default_rng(k // 2)
            warp = cv2.getRotationMatrix2D(FACE_CENTER, rng.uniform(-12, 12), rng.uniform(1.2, 2.6))
            warp[:, 2] += np.array([SIZE / 2, SIZE / 2]) - FACE_CENTER
            image = cv2.warpAffine(photo, warp, (SIZE, SIZE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
            if k % 2:
                image = np.ascontiguousarray(image[:, ::-1])
            faces = mesh.process(image).multi_face_landmarks
            if faces:
                found.append([(p.x * SIZE, p.y * SIZE, p.z * SIZE) for p in faces[0].landmark])
    return np.array(found)


def align(shapes: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Shapes (N, 478, 3) brought onto one shape by their rigid landmarks, and averaged."""
    rigid = list(head_space.RIGID)
    moved = []
    for shape in shapes:
        pose = head_space.fit_similarity(shape[rigid], to[None, rigid])
        moved.append(head_space.to_image(shape, pose)[0])
    return np.mean(moved, 0)


def upright(shape: np.ndarray) -> np.ndarray:
    """The shape with x along the eyes, y down the face, the origin between the eyes, in inter-ocular units."""
    x = shape[[263, 362]].mean(0) - shape[[33, 133]].mean(0)
    x /= np.linalg.norm(x)
    y = shape[152] - shape[10]
    y -= x * (x @ y)
    y /= np.linalg.norm(y)
    out = (shape - shape[[33, 133, 362, 263]].mean(0)) @ np.stack([x, y, np.cross(x, y)]).T
    return out / np.linalg.norm(out[[33, 133]].mean(0) - out[[263, 362]].mean(0))


def mesh_triangles() -> np.ndarray:
    """Triangles of the tessellation; two cliques that are not faces of the surface are left out."""
    edges = {tuple(sorted(e)) for e in FACEMESH_TESSELATION}
    near: dict[int, set[int]] = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    cliques = {tuple(sorted((a, b, c))) for a, b in edges for c in near[a] & near[b]}
    cliques -= {(49, 64, 129), (279, 294, 358)}
    return np.array(sorted(cliques), np.int32)


def main() -> None:
    """Write the data file."""
    shapes = detect_copies()
    mean = upright(shapes[0])
    for _ in range(8):
        mean = upright(align(shapes, mean))
    flipped = mean * [-1, 1, 1]
    mirror = linear_sum_assignment(np.linalg.norm(flipped[:, None] - mean[None], axis=2))[1]
    irises = dict(zip((468, 469, 470, 471, 472), (473, 476, 475, 474, 477), strict=True))
    for a, b in irises.items():
        mirror[a], mirror[b] = b, a
    assert (mirror[mirror] == np.arange(len(mirror))).all(), np.flatnonzero(mirror[mirror] != np.arange(len(mirror)))
    mean = upright((mean + mean[mirror] * [-1, 1, 1]) / 2)
    front = mesh_triangles()
    a, b, c = (mean[front[:, k], :2] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    front[area < 0] = front[area < 0][:, [0, 2, 1]]
    out = Path(head_space.__file__).with_suffix(".safetensors")
    save_file(
        {"template": mean.astype(np.float32), "triangles": front, "mirror": mirror.astype(np.int32)},
        str(out),
        metadata={"source": "skimage.data.astronaut, public domain (NASA)", "builder": "tools/build_head_space.py"},
    )
    print(f"{out}: {len(mean)} landmarks, {len(front)} triangles")


if __name__ == "__main__":
    main()
