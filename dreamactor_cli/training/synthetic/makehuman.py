"""People from a converted MakeHuman: shapes, faces, hair and clothes drawn by chance."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.arkit import BLENDSHAPES
from dreamactor_cli.contracts import F32
from dreamactor_cli.controls.blendshapes import LOWER_LID, UPPER_LID
from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.training.synthetic import materials, rig
from dreamactor_cli.training.synthetic.arkit_units import arkit_shapes
from dreamactor_cli.training.synthetic.person import F64, Person, join_textures
from dreamactor_cli.training.synthetic.skin import Paint, SkinPainter, cloth, hair_strands

Rng = np.random.Generator

FILE_NAME = "makehuman.npz"
_HINT = "make one with dreamactor train people --convert MAKEHUMAN"
_NEEDED = frozenset(
    ("v", "vt", "fv", "ft", "part", "names", "D", "wi", "ww", "bones", "jh", "jt", "mac_jh", "mac_jt", "det_jh", "det_jt",
     "items",
     "ao", "lm_vertex", "lm_bary", "lm_rest")
)  # fmt: skip

_LID_COLUMN = 0.018  # decimetres aside within which the edge of a lid is looked for
_SHUT = 1.05  # of the height of the eye: lids press on each other
BLINKS = [BLENDSHAPES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
LOOKS_DOWN = [BLENDSHAPES.index(f"eyeLookDown{side}") for side in ("Left", "Right")]

_RACES = ("african", "asian", "caucasian")
_FACE = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek", "neck")
# Material of each part of the base mesh: body, tongue, teeth, eyes, lashes. Other parts are helpers and not seen.
_PARTS = (
    materials.SKIN, materials.TONGUE, materials.TEETH, materials.TEETH, materials.EYE, materials.EYE, materials.LASH,
    materials.LASH, materials.LASH, materials.LASH,
)  # fmt: skip
_LEFT_EYE, _RIGHT_EYE = 4, 5
_HAIR = ("afro", "braid", "long", "ponytail", "short")  # "bob" has fringes that hide the eyes
_HIDES_EYES = "short03"
_HANGS = ("long01", "braid01", "ponytail01")  # hair that follows the neck and the shoulders too


def _triangles(quads: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


class _Garment(NamedTuple):
    """Something worn, fitted to the body by barycentric weights."""

    material: NDArray[np.int64]  # of each quad, (Q,)
    quads: NDArray[np.int64]  # (Q, 4)
    uv_quads: NDArray[np.int64]  # (Q, 4)
    uv: F32  # (U, 2)
    vertices: F32  # (V, 3)
    bone_index: NDArray[np.int32]  # (V, 4)
    bone_weight: F32  # (V, 4)
    hides: NDArray[np.int64]  # vertices of the body under it


class _Draft(NamedTuple):
    """Traits of a person before there is a mesh."""

    male: bool
    age: float  # 0 young adult, 1 old
    races: F64  # (3,), sum 1
    weights: dict[str, float]  # of targets


class MakeHuman:
    """Makes persons from the arrays of a converted MakeHuman (see docs/training.md)."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._a = arrays
        names = [str(n) for n in arrays["names"]]
        self._index = {name: i for i, name in enumerate(names)}
        macros = [n for n in names if n.startswith("u-") or n.split("-")[0] in _RACES]
        self._macro = {n: i for i, n in enumerate(macros)}
        self._detail = {n: i for i, n in enumerate(k for k in names if k not in self._macro and not k.startswith("x/"))}
        bones = [str(b) for b in arrays["bones"]]
        self._order = np.array([bones.index(name) for name in rig.BONES])
        to_ours = np.zeros(len(bones), np.int32)
        to_ours[self._order] = np.arange(len(bones))
        self._bone_index = to_ours[arrays["wi"]]
        expressions = {n[2:]: arrays["D"][i].astype(np.float32) for n, i in self._index.items() if n.startswith("x/")}
        self._anchors, self._anchor_weights = _anchors(arrays, expressions)
        shapes = arkit_shapes(expressions, arrays["v"], self._anchors, self._anchor_weights)
        self._face_vertices = np.flatnonzero(np.abs(shapes).max((0, 2)) > 1e-4)
        self._shapes = np.ascontiguousarray(shapes[:, self._face_vertices])
        self._lid_ways = [self._lid_gap(arrays["v"], k) - self._lid_gap(arrays["v"] + shapes[BLINKS[k]], k) for k in range(2)]
        self._garments: dict[str, tuple[NDArray[np.int32], F32]] = {}
        self._painters: dict[int, SkinPainter] = {}

    @cached_property
    def _items(self) -> dict[str, list[str]]:
        """Names of what can be worn, by kind."""
        names = [str(n) for n in self._a["items"]]
        return {
            "hair": [n for n in names if n.startswith(_HAIR) and n != _HIDES_EYES],
            "male": [n for n in names if n.startswith("male") and "suit" in n],
            "female": [n for n in names if n.startswith("female") and "suit" in n],
            "shoes": [n for n in names if n.startswith("shoes")],
        }

    def person(self, rng: Rng, texels: int) -> Person:
        """A dressed adult."""
        draft = self._draft(rng)
        body, heads, tails = self._shape(draft.weights)
        hair, garments = self._dress(rng, draft, body, heads)
        paint = Paint.of(rng, draft.races, draft.age, draft.male, has_hair=hair is not None)
        pictures = {
            materials.SKIN: self._painter(texels).paint(rng, paint),
            materials.HAIR: hair_strands(rng, paint.hair),
            materials.TOP: cloth(rng), materials.BOTTOM: cloth(rng), materials.SHOE: cloth(rng, 64),
            materials.HAT: cloth(rng, 64),
        }  # fmt: skip
        return self._assemble(body, heads, tails, garments, pictures, paint)

    # --- shape

    def _draft(self, rng: Rng) -> _Draft:
        male = bool(rng.random() < 0.5)
        sex = float(np.clip(rng.normal(0.92 if male else 0.08, 0.08), 0, 1))
        age, races = float(rng.beta(1.1, 2.2)), rng.dirichlet([0.45] * 3)
        muscle, weight = (float(np.clip(rng.normal(m, s), 0.05, 0.95)) for m, s in ((0.5, 0.18), (0.48, 0.2)))

        def levels(value: float) -> dict[str, float]:
            return {"min": max(0.0, 1 - 2 * value), "average": 1 - abs(2 * value - 1), "max": max(0.0, 2 * value - 1)}

        weights: dict[str, float] = {}
        for sex_name, s in (("male", sex), ("female", 1 - sex)):
            for age_name, a in (("young", 1 - age), ("old", age)):
                weights |= {f"{race}-{sex_name}-{age_name}": s * a * r for race, r in zip(_RACES, races, strict=True)}
                for m_name, m in levels(muscle).items():
                    for w_name, w in levels(weight).items():
                        weights[f"u-{sex_name}-{age_name}-{m_name}muscle-{w_name}weight"] = s * a * m * w
        return _Draft(male, age, races, weights | self._features(rng))

    def _features(self, rng: Rng) -> dict[str, float]:
        """Some details of the face, nearly the same on both sides."""
        weights: dict[str, float] = {}
        stems = sorted({n.replace("/l-", "/r-") for n in self._detail if n.split("/")[0] in _FACE})
        chosen = rng.random(len(stems)) < 0.16
        for stem in np.array(stems)[chosen].tolist():
            amount = min(abs(float(rng.normal(0, 0.38))), 0.9) * (0.6 if stem.startswith("head/") else 1.0)
            for name in {stem, stem.replace("/r-", "/l-")} if "/r-" in stem else {stem}:
                if name in self._detail:
                    weights[name] = amount
        return weights

    def _shape(self, weights: Mapping[str, float]) -> tuple[F32, F64, F64]:
        """Vertices, heads and tails of the bones at rest."""
        a = self._a
        body, heads, tails = a["v"].copy(), a["jh"].astype(np.float64), a["jt"].astype(np.float64)
        for name, weight in sorted(weights.items()):
            if weight < 1e-3 or name not in self._index:
                continue
            body += a["D"][self._index[name]].astype(np.float32) * np.float32(weight)
            group, row = ("mac", self._macro[name]) if name in self._macro else ("det", self._detail[name])
            heads += a[f"{group}_jh"][row].astype(np.float64) * weight
            tails += a[f"{group}_jt"][row].astype(np.float64) * weight
        return body, heads[self._order], tails[self._order]

    # --- clothes

    def _dress(self, rng: Rng, draft: _Draft, body: F32, heads: F64) -> tuple[str | None, list[_Garment]]:
        kinds = self._items
        suits = kinds["male"] if draft.male or rng.random() < 0.35 else kinds["female"]
        hairs = kinds["hair"]
        if draft.male and rng.random() < 0.9:
            hairs = [n for n in hairs if n.startswith(("short", "afro"))]
        hair = None if rng.random() < (0.12 if draft.male else 0.02) else str(rng.choice(hairs))
        hat = "fedora" if rng.random() < 0.06 and "fedora.bi" in self._a else None
        suit = str(rng.choice(suits))
        worn = [
            (suit, materials.TOP),
            (str(rng.choice(kinds["shoes"])), materials.SHOE),
            (hair, materials.HAIR),
            (hat, materials.HAT),
        ]
        waist = float(heads[rig.BONE["pelvis"], 1]) + 0.25
        return hair, [self._fit(name, material, body, waist) for name, material in worn if name]

    def _fit(self, name: str, material: int, body: F32, waist: float) -> _Garment:
        a = self._a
        index, weights = a[f"{name}.bi"], a[f"{name}.bw"]
        size = np.array([
            abs(body[int(i), axis] - body[int(j), axis]) / d if d != 1 else 1.0
            for axis, (i, j, d) in enumerate(a[f"{name}.sc"])
        ], np.float32)  # fmt: skip
        vertices = (body[index] * weights[:, :, None]).sum(1) + a[f"{name}.bo"] * size
        quads = a[f"{name}.fv"]
        stuff = np.full(len(quads), material, np.int64)
        if material == materials.TOP:
            stuff = self._cut(name, vertices, quads, waist)
        hides = a[f"{name}.dele"] if material in (materials.TOP, materials.SHOE) else np.zeros(0, np.int64)
        bone_index, bone_weight = self._follow(name, material)
        return _Garment(stuff, quads, a[f"{name}.ft"], a[f"{name}.vt"], vertices, bone_index, bone_weight, hides)

    def _cut(self, name: str, vertices: F32, quads: NDArray[np.int64], waist: float) -> NDArray[np.int64]:
        """Top or bottom for each quad of a suit: by its pieces, or at the waist where there is one only."""
        label = self._a[f"{name}.lab"]
        if label.max() > 0:
            floor = vertices[:, 1].min() + 1.5
            low = np.array([vertices[label == k, 1].min() < floor for k in range(label.max() + 1)])
            bottom = low[label[quads[:, 0]]]
        else:
            bottom = vertices[quads[:, 0], 1] < waist
        return np.where(bottom & ~bottom.all(), materials.BOTTOM, materials.TOP)

    def _follow(self, name: str, material: int) -> tuple[NDArray[np.int32], F32]:
        """Bones of a garment: those of the body it is fitted to; short hair and hats follow the head alone."""
        if name not in self._garments:
            a = self._a
            index, weights = a[f"{name}.bi"], np.maximum(a[f"{name}.bw"], 0)
            of_bone = np.zeros((len(index), len(rig.BONES)), np.float32)
            rows = np.repeat(np.arange(len(index)), 12)
            np.add.at(of_bone, (rows, self._bone_index[index].ravel()), (weights[:, :, None] * a["ww"][index]).ravel())
            if material in (materials.HAIR, materials.HAT) and name not in _HANGS:
                of_bone[:] = 0
                of_bone[:, rig.BONE["head"]] = 1
            best = np.argsort(-of_bone, 1, kind="stable")[:, :4].astype(np.int32)
            share = np.take_along_axis(of_bone, best, 1)
            self._garments[name] = best, share / share.sum(1, keepdims=True)
        return self._garments[name]

    # --- mesh

    def _painter(self, texels: int) -> SkinPainter:
        if texels not in self._painters:
            a = self._a
            skin = a["part"] == 0
            masks = {k.removeprefix("mask."): a[k] for k in a if k.startswith("mask.")}
            self._painters[texels] = SkinPainter(
                texels, a["v"], a["vt"], _triangles(a["fv"][skin]), _triangles(a["ft"][skin]), a["lm_rest"], masks
            )
        return self._painters[texels]

    def _body_quads(self, hidden: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Quads, their UV and materials of what is seen of the body."""
        a = self._a
        part = a["part"]
        under = np.zeros(len(a["v"]), bool)
        under[hidden] = True
        seen = (part >= 0) & (part < len(_PARTS)) & ~(under[a["fv"]].all(1) & (part == 0))
        return a["fv"][seen], a["ft"][seen], np.array(_PARTS)[part[seen]]

    def _assemble(
        self, body: F32, heads: F64, tails: F64, garments: list[_Garment], pictures: dict[int, NDArray[np.uint8]], paint: Paint
    ) -> Person:
        a = self._a
        quads, uv_quads, material = self._body_quads(np.concatenate([g.hides for g in garments]))
        at = np.cumsum([len(body), *(len(g.vertices) for g in garments)])
        uv_at = np.cumsum([len(a["vt"]), *(len(g.uv) for g in garments)])
        all_quads = np.concatenate([quads, *(g.quads + n for g, n in zip(garments, at[:-1], strict=True))])
        all_uv = np.concatenate([uv_quads, *(g.uv_quads + n for g, n in zip(garments, uv_at[:-1], strict=True))])
        stuff = np.concatenate([material, *(g.material for g in garments)])
        used = np.unique(np.concatenate([all_quads.ravel(), self._face_vertices, self._anchors.ravel()]))
        place = np.full(at[-1], -1)
        place[used] = np.arange(len(used))
        triangles, stuff = place[_triangles(all_quads)], np.concatenate([stuff, stuff])
        uv = np.concatenate([a["vt"], *(g.uv for g in garments)])[_triangles(all_uv)]
        real = (triangles != np.roll(triangles, 1, 1)).all(1)
        eyes = [np.unique(a["fv"][a["part"] == p]) for p in (_LEFT_EYE, _RIGHT_EYE)]
        openness = np.concatenate([a["ao"], *(np.full(len(g.vertices), 0.9, np.float32) for g in garments)])
        center, height = self._head(body)
        return Person(
            vertices=np.concatenate([body, *(g.vertices for g in garments)])[used].astype(np.float32),
            bone_index=np.concatenate([self._bone_index, *(g.bone_index for g in garments)])[used].astype(np.int32),
            bone_weight=np.concatenate([a["ww"], *(g.bone_weight for g in garments)])[used].astype(np.float32),
            triangles=triangles[real].astype(np.int32),
            two_sided=np.isin(stuff[real], (materials.LASH, materials.HAIR, materials.HAT)).astype(np.int8),
            material=stuff[real].astype(np.int32), uv=uv[real].astype(np.float32), openness=openness[used].astype(np.float32),
            face_vertices=place[self._face_vertices], shapes=self._lids_that_meet(body).reshape(len(self._shapes), -1),
            heads=heads, tails=tails,
            eye_centers=np.stack([(body[e].max(0) + body[e].min(0)) / 2 for e in eyes]).astype(np.float64),
            eye_radius=np.array([np.ptp(body[e, 1]) / 2 for e in eyes], np.float64),
            landmark_vertices=place[self._anchors], landmark_weights=self._anchor_weights.astype(np.float64),
            head_center=center, head_height=height, textures=join_textures(pictures, materials.COUNT),
            look=materials.looks(), iris=paint.iris,
        )  # fmt: skip

    def _lids_that_meet(self, body: F32) -> F32:
        """Blendshapes whose blinks close this person's eyes, whatever their height."""
        shapes = self._shapes.copy()
        for side in range(2):
            part = np.clip(_SHUT * self._lid_gap(body, side) / self._lid_ways[side], 0.6, 1.8)
            shapes[[BLINKS[side], LOOKS_DOWN[side]]] *= np.float32(part)
        return shapes

    def _lid_gap(self, vertices: F32, side: int) -> float:
        """Mean height of an eye; side 0 is the person's left."""
        place = head_space.mirror() if side else np.arange(head_space.NUM_LANDMARKS)

        def height(landmarks: tuple[int, ...]) -> float:
            chosen = place[list(landmarks[2:5])]
            return float((vertices[self._anchors[chosen], 1] * self._anchor_weights[chosen]).sum(1).mean())

        return height(UPPER_LID) - height(LOWER_LID)

    def _head(self, body: F32) -> tuple[F64, float]:
        """Middle and height of the skull with the jaw."""
        a = self._a
        follows = (a["ww"] * (self._bone_index == rig.BONE["head"])).sum(1) > 0.9
        points = body[follows & np.isin(np.arange(len(body)), a["fv"][a["part"] == 0])]
        low, high = points.min(0), points.max(0)
        return ((low + high) / 2).astype(np.float64), float(high[1] - low[1])


def _margin(moved: F32, vertices: F32, skin: NDArray[np.int64]) -> NDArray[np.int64]:
    """Vertices of the skin on the edge of a lid, by x: those that go farthest of all nearby when the lid moves."""
    way = np.abs(moved[:, 1])
    near = skin[way[skin] > 0.15 * way[skin].max()]
    column = np.abs(vertices[near, 0][:, None] - vertices[near, 0][None]) < _LID_COLUMN
    edge = near[way[near] >= 0.97 * np.where(column, way[near][None], 0).max(1)]
    return edge[np.argsort(vertices[edge, 0], kind="stable")]


def _anchors(arrays: Mapping[str, NDArray[Any]], expressions: Mapping[str, F32]) -> tuple[NDArray[np.int64], F32]:
    """Triangles and weights (468, 3) of the landmarks, those of the lids moved onto the lids' edges."""
    triangles, weights = arrays["lm_vertex"].astype(np.int64), arrays["lm_bary"].astype(np.float32)
    vertices = arrays["v"]
    at = (vertices[triangles] * weights[:, :, None]).sum(1)
    skin = np.unique(arrays["fv"][arrays["part"] == 0])
    for side, place in (("left", np.arange(head_space.NUM_LANDMARKS)), ("right", head_space.mirror())):
        upper, lower = expressions[f"eye-{side}-closure"], expressions[f"eye-{side}-slit"]
        for lid, moved in ((UPPER_LID, np.minimum(upper, 0)), (LOWER_LID, np.maximum(lower, 0))):
            edge = _margin(moved, vertices, skin)
            x = vertices[edge, 0]
            for landmark in place[list(lid)]:
                k = int(np.clip(np.searchsorted(x, at[landmark, 0]), 1, len(x) - 1))
                part = float(np.clip((at[landmark, 0] - x[k - 1]) / max(x[k] - x[k - 1], 1e-6), 0, 1))
                triangles[landmark], weights[landmark] = (edge[k - 1], edge[k], edge[k]), (1 - part, part, 0)
    return triangles, weights


def load(path: Path) -> MakeHuman:
    """People from a converted MakeHuman, or the folder with it.

    Raises:
        UnreadableInput: there is none, or it is something else.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UnreadableInput(f"{file} is not a converted MakeHuman: {error}", _HINT) from error
    missing = sorted(_NEEDED - arrays.keys())
    if missing:
        raise UnreadableInput(f"{file} is not a converted MakeHuman: it has no {', '.join(missing)}", _HINT)
    return MakeHuman(arrays)
