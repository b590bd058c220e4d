"""A clone of MakeHuman, brought into one file of arrays: what `makehuman` makes people from.

What is wanted lies in three repositories, side by side or one alone: makehuman or mpfb2 (base mesh, targets), mpfb2 (the skeleton
``game_engine`` and its weights), makehuman-assets (hair and clothes). Only files that say of themselves that they are CC0 are
taken; older clones are not free and give nothing. Targets of children are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import atomic
from dreamactor_cli.contracts import F32
from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.training.synthetic import clone_files as files
from dreamactor_cli.training.synthetic.clone_files import Mesh
from dreamactor_cli.training.synthetic.makehuman import FILE_NAME

Arrays = dict[str, NDArray[Any]]
Say = Callable[[str], None]

_GROUPS = (
    "body", "helper-tongue", "helper-upper-teeth", "helper-lower-teeth", "helper-l-eye", "helper-r-eye", "helper-l-eyelashes-1",
    "helper-l-eyelashes-2", "helper-r-eyelashes-1", "helper-r-eyelashes-2",
)  # fmt: skip
_DETAILS = frozenset(
    (
        "armslegs",
        "cheek",
        "chin",
        "ears",
        "eyebrows",
        "eyes",
        "forehead",
        "head",
        "hip",
        "mouth",
        "neck",
        "nose",
        "stomach",
        "torso",
    )
)
_CHILDREN = ("baby", "child")
_WORN = ("afro", "braid", "long0", "ponytail", "short0", "fedora", "female_", "male_", "shoes")


class Conversion(NamedTuple):
    """What came of a conversion: numbers of targets and garments, and of files that were left out because they are not CC0."""

    targets: int
    garments: int
    left_out: int


def convert_assets(clone: Path, out: Path, say: Say = lambda _: None) -> Conversion:
    """Convert a clone.

    Args:
        clone: folder with the repositories.
        out: file to write, or the folder for it.
        say: hears what is being done.

    Raises:
        MissingRequirement: a part is not there, or not free.
        UnreadableInput: a file cannot be read.
        DiskFull: no room for the file.
    """
    work = _Work(clone)
    mesh = work.base()
    arrays: Arrays = {"v": mesh.vertices, "vt": mesh.uv, "fv": mesh.quads, "ft": mesh.uv_quads}
    number = {name: k for k, name in enumerate(_GROUPS)}
    arrays["part"] = np.array([number.get(name, -1) for name in mesh.names], np.int64)[mesh.group]
    say("base mesh")
    targets = work.targets(len(mesh.vertices))
    say(f"{len(targets)} targets")
    arrays["names"], arrays["D"] = np.array(list(targets)), np.stack(list(targets.values())).astype(np.float16)
    arrays |= work.skeleton(mesh, targets)
    garments = work.garments()
    say(f"{len(garments)} pieces of hair and clothes")
    arrays["items"] = np.array(list(garments))
    for name, parts in garments.items():
        arrays |= {f"{name}.{key}": array for key, array in parts.items()}
    arrays["ao"] = np.full(len(mesh.vertices), 0.95, np.float32)
    arrays |= landmark_arrays(mesh.vertices)
    file = out / FILE_NAME if out.is_dir() else out
    with atomic.replacing(file) as beside, beside.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return Conversion(len(targets), len(garments), work.left_out)


def landmark_arrays(vertices: F32) -> Arrays:
    """Where the 468 landmarks of the face mesh lie on the base mesh: triangles, weights, and places at rest."""
    from safetensors.numpy import load_file

    stored = load_file(str(Path(__file__).with_name("makehuman_landmarks.safetensors")))
    triangles, weights = stored["triangles"], stored["weights"]
    if triangles.max() >= len(vertices):
        raise MissingRequirement(
            f"the base mesh has {len(vertices)} vertices, not hm08's", "clone makehuman or mpfb2 of this decade"
        )
    rest = (vertices[triangles] * weights[:, :, None]).sum(1)
    return {"lm_vertex": triangles, "lm_bary": weights, "lm_rest": rest.astype(np.float32)}


class _Work:
    """Finds files below a folder, and counts those that are not free."""

    def __init__(self, clone: Path) -> None:
        self._clone = clone
        self.left_out = 0

    def _missing(self, what: str, where: str) -> MissingRequirement:
        return MissingRequirement(f"{self._clone} has no free {what}", f"clone {where} into it, of 2020 or later")

    def _find(self, pattern: str) -> list[Path]:
        return sorted(self._clone.rglob(pattern))

    def _free(self, path: Path) -> str | None:
        text = files.text_of(path)
        if files.is_free(text):
            return text
        self.left_out += 1
        return None

    def base(self) -> Mesh:
        """The base mesh."""
        for path in self._find("base.obj"):
            text = self._free(path) if path.parent.name == "3dobjs" else None
            if text is not None:
                return files.parse_mesh(text)
        raise self._missing("base mesh (3dobjs/base.obj)", "makehuman or mpfb2")

    def targets(self, count: int) -> dict[str, F32]:
        """Displacements by the names that `makehuman` knows, in its order: macros, details, expressions."""
        found: dict[str, F32] = {}
        for path in [*self._find("*.target"), *self._find("*.target.gz")]:
            name = target_name(path)
            if name is None or name in found:
                continue
            text = self._free(path)
            if text is not None:
                found[name] = files.parse_target(text, count)
        if not any(name.startswith("x/") for name in found) or not any(name.startswith("u-") for name in found):
            raise self._missing("targets (data/targets)", "makehuman or mpfb2")
        order = {"macro": 0, "detail": 1, "x": 2}
        return dict(sorted(found.items(), key=lambda item: (order[_kind(item[0])], item[0])))

    def skeleton(self, mesh: Mesh, targets: dict[str, F32]) -> Arrays:
        """Bones, how targets move their ends, and how vertices follow them."""
        rigs, weights = self._find("rig.game_engine.json"), self._find("weights.game_engine.json")
        if not rigs or not weights:
            raise self._missing("skeleton (rigs/standard/rig.game_engine.json and its weights)", "mpfb2")
        if self._free(weights[0]) is None:
            raise self._missing("weights of the skeleton", "mpfb2")
        rig = files.parse_json(rigs[0])
        bones = list(rig)
        parents = [bones.index(rig[b]["parent"]) if rig[b]["parent"] else -1 for b in bones]
        ends = {
            "jh": [_vertices_of(rig[b]["head"], mesh) for b in bones],
            "jt": [_vertices_of(rig[b]["tail"], mesh) for b in bones],
        }
        out: Arrays = {"bones": np.array(bones), "par": np.array(parents, np.int64)}
        for key, places in ends.items():
            out[key] = np.stack([mesh.vertices[p].mean(0) for p in places]).astype(np.float32)
            for kind, group in (("macro", "mac"), ("detail", "det")):
                moved = [[d[p].mean(0) for p in places] for name, d in targets.items() if _kind(name) == kind]
                out[f"{group}_{key}"] = np.array(moved, np.float16).reshape(-1, len(bones), 3)
        return out | _follow(files.parse_json(weights[0])["weights"], bones, len(mesh.vertices))

    def garments(self) -> dict[str, Arrays]:
        """Hair, clothes, shoes and a hat, by name."""
        out: dict[str, Arrays] = {}
        for path in self._find("*.mhclo"):
            if not path.stem.startswith(_WORN) or path.stem in out:
                continue
            text = self._free(path)
            fit = None if text is None else files.parse_fit(text)
            if fit is None or not (path.parent / fit.mesh).is_file():
                continue
            mesh = files.parse_mesh(files.text_of(path.parent / fit.mesh))
            if len(mesh.vertices) == len(fit.corners) and len(mesh.quads):
                out[path.stem] = {
                    "bi": fit.corners, "bw": fit.weights, "bo": fit.offset, "dele": fit.hides,
                    "fv": mesh.quads, "ft": mesh.uv_quads,
                    "vt": mesh.uv, "lab": _pieces(mesh), "sc": fit.scale,
                }  # fmt: skip
        kinds = (("short0", "afro"), ("female_",), ("male_",), ("shoes",))
        if not all(any(name.startswith(kind) for name in out) for kind in kinds):
            raise self._missing("hair, suits of both sexes or shoes (base/hair, base/clothes)", "makehuman-assets")
        return out


def _kind(name: str) -> str:
    if name.startswith("x/"):
        return "x"
    return "detail" if "/" in name else "macro"


def target_name(path: Path) -> str | None:
    """Name of a target by its path below ``targets``; None for what is not used."""
    parts = path.with_name(path.name.removesuffix(".gz").removesuffix(".target")).parts
    if "targets" not in parts:
        return None
    below = parts[len(parts) - parts[::-1].index("targets") :]
    stem = below[-1]
    if below[:-1] == ("macrodetails",):
        words = stem.split("-")
        if any(age in words for age in _CHILDREN):
            return None
        if words[0] == "universal":
            return "u-" + "-".join(words[1:]) if len(words) == 5 else None
        return stem if len(words) == 3 else None
    if below[:-1] == ("expression", "units", "caucasian"):
        return f"x/{stem}"
    return f"{below[0]}/{stem}" if len(below) == 2 and below[0] in _DETAILS else None


def _vertices_of(end: dict[str, Any], mesh: Mesh) -> NDArray[np.int64]:
    """Vertices of the base mesh whose middle an end of a bone is."""
    if end["strategy"] == "CUBE":
        return np.unique(mesh.quads[mesh.group == mesh.names.index(end["cube_name"])])
    if end["strategy"] == "MEAN":
        return np.array(end["vertex_indices"], np.int64)
    return np.array([end["vertex_index"]], np.int64)


def _follow(weights: dict[str, list[list[float]]], bones: list[str], count: int) -> Arrays:
    """The four strongest bones of each vertex; one that follows none follows the root."""
    table = np.zeros((count, len(bones)), np.float32)
    for bone, rows in weights.items():
        if bone in bones and rows:
            index, share = np.array(rows, np.float64).T
            table[index.astype(np.int64), bones.index(bone)] = share
    table[table.sum(1) == 0, 0] = 1
    best = np.argsort(-table, 1, kind="stable")[:, :4].astype(np.int32)
    share = np.take_along_axis(table, best, 1)
    return {"wi": best, "ww": share / share.sum(1, keepdims=True)}


def _pieces(mesh: Mesh) -> NDArray[np.int32]:
    """Number of the connected piece that each vertex belongs to, (V,)."""
    label = np.arange(len(mesh.vertices))
    edges = np.concatenate([mesh.quads[:, [k, (k + 1) % 4]] for k in range(4)])
    while True:
        least = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        lower = label.copy()
        np.minimum.at(lower, edges[:, 0], least)
        np.minimum.at(lower, edges[:, 1], least)
        lower = lower[lower]
        if (lower == label).all():
            return np.unique(label, return_inverse=True)[1].astype(np.int32)
        label = lower
