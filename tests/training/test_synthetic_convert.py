from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.errors import DreamActorError, MissingRequirement
from dreamactor_cli.training.synthetic.clone_files import is_free, parse_fit
from dreamactor_cli.training.synthetic.convert import convert_assets, target_name
from dreamactor_cli.training.synthetic.rig import BONES, PARENT

FREE = "# This file is released under CC0\n"
VERTICES = 19158
CUBES = {"joint-a": range(8), "joint-b": range(8, 16)}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def garment(folder: Path, name: str, notice: str = FREE) -> None:
    rows = "\n".join(["3", "10 11 12 0.5 0.25 0.25 0.01 0.02 0.03", *["4"] * 6])
    scales = "x_scale 0 9 1.5\ny_scale 1 8 2.5\nz_scale 2 7 3.5\n"
    fit = f"{notice}name {name}\nobj_file {name}.obj\n{scales}material x.mhmat\nverts 0\n{rows}\ndelete_verts\n5 7 - 9\n20\n"
    write(folder / name / f"{name}.mhclo", fit)
    corners = "\n".join(f"v {k} 0 0" for k in range(8)) + "\nvt 0 0\nvt 1 1\n"
    write(folder / name / f"{name}.obj", f"{corners}f 1/1 2/2 3/1 4/2\nf 5/1 6/2 7/1 8/2\n")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the right files in the right places, and next to nothing in them."""
    root = tmp_path / "clone"
    data = root / "mpfb2" / "src" / "mpfb" / "data"
    lines = [FREE, *(f"v {k / 1000:.3f} {k % 7} 1.5" for k in range(VERTICES)), "vt 0 0", "vt 0.5 0.25"]
    for group, corners in {"body": range(20, 24), "helper-l-eye": range(30, 34), **CUBES}.items():
        lines.append(f"g {group}")
        lines += [f"f {' '.join(f'{v + 1}/1' for v in list(corners)[k : k + 4])}" for k in range(0, len(corners), 4)]
    write(data / "3dobjs" / "base.obj", "\n".join(lines))
    targets = data / "targets"
    write(targets / "macrodetails" / "caucasian-male-young.target.gz", FREE + "0 0.8 0 0\n")
    write(targets / "macrodetails" / "caucasian-male-baby.target.gz", FREE + "0 1 0 0\n")
    write(targets / "macrodetails" / "universal-male-old-maxmuscle-minweight.target", FREE + "8 0 .8 0\n")
    write(targets / "head" / "head-round.target", FREE + "21 0 0 -.5\n")
    write(targets / "nose" / "nose-long.target", "# license AGPL3\n21 0 0 -.5\n")
    write(targets / "expression" / "units" / "caucasian" / "mouth-open.target.gz", FREE + "22 0 -1 0\n")
    end = {"strategy": "CUBE", "cube_name": "joint-a"}
    rig = {
        name: {
            "parent": BONES[parent] if parent >= 0 else "",
            "head": end,
            "tail": {"strategy": "MEAN", "vertex_indices": [8, 10]},
        }
        for name, parent in zip(BONES, PARENT, strict=True)
    }
    write(data / "rigs" / "standard" / "rig.game_engine.json", json.dumps(rig))
    weights = {"head": [[20, 0.75]], "neck_01": [[20, 0.25], [21, 1.0]]}
    write(data / "rigs" / "standard" / "weights.game_engine.json", json.dumps({"license": "CC0", "weights": weights}))
    for name in ("short04", "female_suit01", "male_suit01", "shoes01", "bikini"):
        garment(root / "makehuman-assets" / "base" / "clothes", name)
    garment(root / "makehuman-assets" / "base" / "clothes", "male_suit02", "# This file is licensed AGPLv3\n")
    return root


def test_a_clone_becomes_one_file(clone: Path, tmp_path: Path) -> None:
    said: list[str] = []
    done = convert_assets(clone, tmp_path, said.append)
    assert done == (4, 4, 2)
    assert "4 targets" in said
    made = np.load(tmp_path / "makehuman.npz", allow_pickle=False)
    assert made["names"].tolist() == ["caucasian-male-young", "u-male-old-maxmuscle-minweight", "head/head-round", "x/mouth-open"]
    assert sorted(made["items"]) == ["female_suit01", "male_suit01", "shoes01", "short04"]
    assert made["D"].shape == (4, VERTICES, 3)
    assert made["D"][3, 22].tolist() == [0, -1, 0]
    assert sorted(made["part"].tolist()) == [-1, -1, -1, -1, 0, 4]
    assert [p.name for p in tmp_path.iterdir() if p.suffix] == ["makehuman.npz"]


def test_joints_are_the_middle_of_their_cubes_and_follow_targets(clone: Path, tmp_path: Path) -> None:
    convert_assets(clone, tmp_path / "out.npz")
    made = np.load(tmp_path / "out.npz", allow_pickle=False)
    assert made["bones"].tolist() == list(BONES)
    assert made["par"].tolist() == list(PARENT)
    assert np.allclose(made["jh"], made["v"][:8].mean(0))
    assert np.allclose(made["jt"], made["v"][[8, 10]].mean(0))
    assert np.allclose(made["mac_jh"][0], [0.1, 0, 0], atol=1e-3)  # one of eight corners moves by 0.8
    assert np.allclose(made["mac_jt"][1], [0, 0.4, 0], atol=1e-3)
    assert made["det_jh"].shape == (1, 53, 3)
    strongest = [BONES[b] for b in made["wi"][20][:2]]
    assert strongest == ["head", "neck_01"]
    assert np.allclose(made["ww"][20][:2], [0.75, 0.25])
    assert BONES[made["wi"][100][0]] == "Root"


def test_garments_say_how_they_lie_and_what_they_hide(clone: Path, tmp_path: Path) -> None:
    convert_assets(clone, tmp_path)
    made = np.load(tmp_path / "makehuman.npz", allow_pickle=False)
    assert made["shoes01.bi"][:2].tolist() == [[3, 3, 3], [10, 11, 12]]
    assert np.allclose(made["shoes01.bw"][:2], [[1, 0, 0], [0.5, 0.25, 0.25]])
    assert np.allclose(made["shoes01.bo"][1], [0.01, 0.02, 0.03])
    assert made["shoes01.dele"].tolist() == [5, 7, 8, 9, 20]
    assert made["shoes01.sc"].tolist() == [[0, 9, 1.5], [1, 8, 2.5], [2, 7, 3.5]]
    assert made["shoes01.lab"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert made["shoes01.ft"][0].tolist() == [0, 1, 0, 1]


def test_landmarks_lie_on_the_mesh(clone: Path, tmp_path: Path) -> None:
    convert_assets(clone, tmp_path)
    made = np.load(tmp_path / "makehuman.npz", allow_pickle=False)
    assert made["lm_vertex"].shape == made["lm_bary"].shape == (468, 3)
    assert np.allclose(made["lm_bary"].sum(1), 1, atol=1e-4)
    assert np.allclose(made["lm_rest"], (made["v"][made["lm_vertex"]] * made["lm_bary"][..., None]).sum(1), atol=1e-5)


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("base.obj", "base mesh"),
        ("rig.game_engine.json", "skeleton"),
        ("mouth-open.target.gz", "targets"),
        ("shoes01.mhclo", "hair, suits of both sexes or shoes"),
    ],
)
def test_what_is_not_there_is_named(clone: Path, tmp_path: Path, gone: str, words: str) -> None:
    for path in clone.rglob(gone):
        path.unlink()
    with pytest.raises(MissingRequirement, match=words):
        convert_assets(clone, tmp_path / "out.npz")
    assert not list(tmp_path.glob("*.npz"))


def test_what_is_not_free_counts_as_not_there(clone: Path, tmp_path: Path) -> None:
    base = next(clone.rglob("base.obj"))
    base.write_text("# license AGPL3\n" + base.read_text().removeprefix(FREE))
    with pytest.raises(MissingRequirement, match="no free base mesh"):
        convert_assets(clone, tmp_path / "out.npz")


def test_a_broken_file_is_named(clone: Path, tmp_path: Path) -> None:
    broken = next(clone.rglob("mouth-open.target.gz"))
    broken.write_bytes(b"no gzip")
    with pytest.raises(DreamActorError, match=r"mouth-open\.target\.gz cannot be read"):
        convert_assets(clone, tmp_path / "out.npz")


def test_notices_are_read() -> None:
    assert is_free("# released under CC0")
    assert is_free("# license: Creative Commons Zero")
    assert not is_free("# license AGPL3")
    assert not is_free("v 0 0 0")


def test_names_of_targets() -> None:
    root = Path("mpfb2/data/targets")
    assert target_name(root / "macrodetails" / "african-female-old.target.gz") == "african-female-old"
    assert (
        target_name(root / "macrodetails" / "universal-female-young-minmuscle-maxweight.target")
        == "u-female-young-minmuscle-maxweight"
    )
    assert target_name(root / "macrodetails" / "universal-female-child-minmuscle-maxweight.target") is None
    assert target_name(root / "macrodetails" / "proportions" / "x.target") is None
    assert target_name(root / "breast" / "x.target") is None
    assert target_name(Path("data/poses/dance1/female-child-dance1.target")) is None


def test_a_fit_without_vertices_is_empty() -> None:
    fit = parse_fit("name x\nobj_file x.obj\nverts 0\n")
    assert fit.corners.shape == (0, 3)
    assert fit.hides.tolist() == []
