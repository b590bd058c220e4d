"""Manifests of all kinds, good and bad, to jobs or to everything that is wrong with them."""

from __future__ import annotations

import io
import json
import pickle
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamactor_cli.contracts import Job, Preset
from dreamactor_cli.errors import ManifestError, UsageError
from dreamactor_cli.manifest import load_manifest
from dreamactor_cli.manifest_columns import COLUMNS
from dreamactor_cli.manifest_rows import MAX_FIELD, MAX_ROWS, read_table

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with inputs in it; what is in the files is looked at later, when a run is planned."""
    work = tmp_path / "work"
    for name in ("a.png", "b.png", "c d.png", "x.mp4", "y.mp4", "s.wav", "sub/e.png", "wall.png", "ü;|x.mp4".replace("|", "")):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(b"bytes of " + name.encode())
    return work


@pytest.fixture
def load(folder: Path, tmp_path: Path) -> Callable[..., tuple[Job, ...]]:
    """``load(text, name="m.csv", **overrides)``: write a manifest and load it."""

    def run(text: str | bytes, name: str = "m.csv", product: bool = False, **overrides: object) -> tuple[Job, ...]:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_manifest(folder / name, folder=tmp_path / "out", overrides=overrides, product=product)

    return run


@pytest.fixture
def problems(load: Callable[..., tuple[Job, ...]]) -> Callable[..., tuple[str, ...]]:
    """What is wrong with a manifest."""

    def run(*arguments: Any, **options: Any) -> tuple[str, ...]:
        with pytest.raises(ManifestError) as caught:
            load(*arguments, **options)
        assert caught.value.exit_code == 2
        assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems
        return caught.value.problems

    return run


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_of_all_kinds(load, folder: Path, tmp_path: Path, mark: bytes, ends: str, delimiter: str) -> None:
    lines = ["id,image,Driving,Expression-Scale,start", "", "one,a.png,x.mp4,1.5,1:30.5", '"two", c d.png , "x.mp4",,', ""]
    text = ends.join(lines).replace(",", delimiter)
    one, two = load(mark + text.encode(), "m.txt")
    assert (one.id, one.references, one.driving) == ("one", (folder / "a.png",), str(folder / "x.mp4"))
    assert (one.preset.expression_scale, one.start, one.kind) == (1.5, Fraction("90.5"), "animate")
    assert one.output == tmp_path / "out" / "one.mp4"
    assert (two.id, two.references, two.preset, two.start) == ("two", (folder / "c d.png",), Preset(), 0)


def test_tsv_may_hold_commas(load, folder: Path) -> None:
    (folder / "e,f;g.png").write_bytes(b"x")
    [job] = load("image\tdriving\ne,f;g.png\tx.mp4\n", "m.tsv")
    assert job.references == (folder / "e,f;g.png",)


def test_jsonl_takes_what_json_has(load, folder: Path) -> None:
    rows = [
        {"image": ["a.png", "sub/e.png"], "driving": "x.mp4", "start": 1.5, "side-by-side": True, "seed": 7, "fps": 29.97},
        {"image": "b.png", "audio": "s.wav", "region": ["head", "face"], "relight": True, "background": None, "id": 12},
    ]
    one, two = load("\n".join(map(json.dumps, rows)), "m.jsonl")
    assert one.references == (folder / "a.png", folder / "sub/e.png")
    assert (one.start, one.side_by_side, one.seed, one.preset.fps) == (Fraction(3, 2), True, 7, "30000/1001")
    assert (two.id, two.kind, two.audio, two.preset.region) == ("12", "lipsync", folder / "s.wav", ("face", "head"))
    assert two.preset.relight is True


def test_json_lines_are_known_without_a_suffix(load) -> None:
    assert load('\n{"image": "a.png", "driving": "x.mp4"}\n', "m")[0].id == "a_x"


def test_the_driver_says_what_kind_of_job(load, folder: Path) -> None:
    animate, lipsync, both = load("image,driving,audio\na.png,x.mp4,\na.png,,s.wav\nb.png,y.mp4,s.wav\n")
    assert (animate.kind, animate.audio) == ("animate", None)
    assert (lipsync.kind, lipsync.driving, lipsync.audio) == ("lipsync", None, folder / "s.wav")
    assert (both.kind, both.driving, both.audio) == ("lipsync", str(folder / "y.mp4"), folder / "s.wav")
    assert [job.id for job in (animate, lipsync, both)] == ["a_x", "a_s", "b_s"]


def test_several_images_of_one_person(load, folder: Path) -> None:
    [job] = load("source,driving\na.png | sub/e.png|b.png,motion:nod\n")
    assert job.references == (folder / "a.png", folder / "sub/e.png", folder / "b.png")
    assert job.driving == "motion:nod"


def test_files_beside_the_manifest(load, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Presets, motions and backgrounds too, from wherever the program is called."""
    (folder / "mine.toml").write_text('description = "mine"\ncrf = 30\nsize = "128x128"\n')
    (folder / "bow.toml").write_text('name = "bow"\nduration = 1\n[curves.headPitch]\ntimes = [0, 1]\nvalues = [0, 5]\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    [job] = load("image,driving,preset,background,size\na.png,motion:bow.toml,mine.toml,wall.png,64x64\n")
    assert (job.preset.crf, job.preset.size, job.preset.background) == (30, "64x64", str(folder / "wall.png"))
    assert job.driving == f"motion:{folder / 'bow.toml'}"


def test_preset_then_row_then_command_line(load, folder: Path) -> None:
    (folder / "mine.toml").write_text('crf = 30\nsmoothing = 9\nfps = "30"\n')
    text = "image,driving,preset,smoothing,fps,seed\na.png,x.mp4,mine.toml,7,25,3\n"
    [job] = load(text, fps="50", seed=None, overwrite=True)
    assert (job.preset.crf, job.preset.smoothing, job.preset.fps, job.seed, job.overwrite) == (30, 7, "50", 3, True)
    [job] = load(text, preset="draft", seed=9)
    assert (job.preset.name, job.preset.smoothing, job.seed) == ("draft", 7, 9)


def test_the_command_line_stands_in_for_what_a_row_has_wrong(load, problems) -> None:
    assert load("image,driving,fps\na.png,x.mp4,many\n", fps="25")[0].preset.fps == "25"
    assert problems("image,driving,fps\na.png,x.mp4,many\n")


def test_paths_of_the_command_line_are_of_the_current_folder(load, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "sub")
    [job] = load("image\na.png\n", driving="../x.mp4", background="e.png")
    assert Path(job.driving or "").samefile(folder / "x.mp4")
    assert job.preset.background == str(folder / "sub" / "e.png")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ({"fps": "x"}, "--fps"),
        ({"start": "-1"}, "--start"),
        ({"background": "grene"}, "--background"),
        ({"driving": "no.mp4"}, "--driv"),
    ],
)
def test_wrong_overrides_are_the_command_lines(load, override: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        load("image,driving\na.png,x.mp4\n", **override)
    assert not isinstance(caught.value, ManifestError)


def test_product_crosses_images_and_drivers(load, tmp_path: Path) -> None:
    text = "image,driving,audio,fps,crf\na.png,x.mp4,,25,\nb.png,,,30,20\n,,s.wav,,\na.png,x.mp4,,25,\n"
    jobs = load(text, product=True)
    assert [job.id for job in jobs] == ["a_x", "a_s", "b_x", "b_s"]
    assert [job.kind for job in jobs] == ["animate", "lipsync"] * 2
    assert [(job.preset.fps, job.preset.crf) for job in jobs] == [("25", 16), ("25", 16), ("25", 20), ("30", 20)]
    assert jobs[3].output == tmp_path / "out" / "b_s.mp4"


def test_product_with_names(load, problems) -> None:
    text = "id,image,driving\nann,a.png,\nbob,sub/e.png,\nwalk,,x.mp4\n,,y.mp4\n"
    assert [job.id for job in load(text, product=True)] == ["ann_walk", "ann_y", "bob_walk", "bob_y"]
    assert "id" in problems("id,image,driving\nann,a.png,x.mp4\n", product=True)[0]
    assert "column output" in problems("output,image,driving\nann.mp4,a.png,x.mp4\n", product=True)[0]
    assert "finds no driver" in problems("image\na.png\n", product=True)[0]
    assert "'a_x' is the name of line 3" in problems("image,driving\na.png,\n,x.mp4\n,sub/../x.mp4\n", product=True)[0]


def test_lines_are_counted_through_quoted_newlines(problems) -> None:
    text = 'image,driving,fps\n"no\nsuch\npicture.png",x.mp4,25\na.png,x.mp4,fast\n\n"a.png","no ""such"" clip.mp4",25\n'
    first, second, third = problems(text)
    assert first.startswith("line 2, column image:")
    assert second.startswith("line 5, column fps: fast is not a frame rate")
    assert third.startswith("line 7, column driving:")
    assert 'no "such" clip.mp4 was not found' in third


def test_everything_is_said_at_once(problems) -> None:
    text = "id,image,driving,output,fps,seed\n1,a.png,x.mp4,a.mp4,0,-1\n1,,http://h/x.mp4,../a.mp4,25,1\n-3,a.png,,a.mp4,,x\n"
    said = problems(text)
    where = [line.partition(":")[0] for line in said]
    assert where == [
        "line 2, column seed", "line 2, column fps", "line 3, column driving", "line 3, column image", "line 3, column id",
        "line 4, column id", "line 4, column seed", "line 4, column driving",
    ]  # fmt: skip


def test_unknown_columns_have_a_nearest_name(problems) -> None:
    said = problems("image,drving,expresion-scale,workers,Source\na.png,x.mp4,1,2,b.png\n")
    assert said[0].startswith("line 1, column drving is unknown; did you mean 'driving'?")
    assert "did you mean 'expression_scale'?" in said[1]
    assert "--workers on the command line" in said[2]
    assert "column Source is the same as column image" in said[3]


def test_every_field_of_a_job_is_a_column() -> None:
    named = {field.name for kind in (Job, Preset) for field in fields(kind)} - {"name", "kind", "references"}
    assert named <= set(COLUMNS)


@pytest.mark.parametrize(
    "output",
    [
        "../outside.mp4", "/tmp/outside.mp4", "sub/../../outside.mp4", "-vf", "-vf.mp4", ".hidden.mp4", "sub/.x/a.mp4", "..", ".",
        "link/outside.mp4", "link.mp4", "run", "run-1-of-4", "//outside.mp4", "a" * 300 + ".mp4", "a\nb.mp4",
    ],
)  # fmt: skip
def test_outputs_stay_within_their_folder(load, problems, tmp_path: Path, output: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    (tmp_path / "out" / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    [said] = problems(json.dumps({"image": "a.png", "driving": "x.mp4", "output": output}), "m.jsonl")
    assert said.startswith("line 1, column output:")
    assert [job.output for job in load("image,driving,output\na.png,x.mp4,deep/in/a.mp4\n")] == [tmp_path / "out/deep/in/a.mp4"]


def test_a_folder_that_is_a_link_is_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    (folder / "m.csv").write_text("image,driving\na.png,x.mp4\n")
    [job] = load_manifest(folder / "m.csv", folder=tmp_path / "out", overrides={})
    assert job.output == tmp_path / "out" / "a_x.mp4"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.mp4", "a.mp4"),
        ("a.mp4", "./a.mp4"),
        ("s/a.mp4", "s//a.mp4"),
        ("f", "f/"),
        ("a_%05d.png", "a_%04d.png"),
        ("d/a.mp4", "l/a.mp4"),
    ],
)
def test_outputs_stay_apart(problems, tmp_path: Path, first: str, second: str) -> None:
    (tmp_path / "out" / "d").mkdir(parents=True)
    (tmp_path / "out" / "l").symlink_to("d")
    [said] = problems(f"id,image,driving,output\n1,a.png,x.mp4,{first}\n2,a.png,x.mp4,{second}\n")
    assert said.startswith("line 3, column output:")
    assert "line 2" in said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("concat:x.mp4|y.mp4", "is an address"),
        ("http://example.org/x.mp4", "is an address"),
        ("file:x.mp4", "is an address"),
        ("-vf", "was not found"),
        ("no.mp4", "was not found"),
        ("sub", "is not a file"),
        ("empty.mp4", "is empty"),
        ("evil.controls", "is a pickle"),
        ("evil.pkl", "is a pickle"),
        ("motion:nodd", "did you mean 'nod'?"),
        ("motion:no.toml", "no.toml"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_inputs_that_are_none(problems, folder: Path, name: str, says: str) -> None:
    (folder / "empty.mp4").touch()
    (folder / "evil.controls").write_bytes(pickle.dumps({"a": 1}))
    (folder / "evil.pkl").write_bytes(pickle.dumps({"a": 1}, protocol=0))
    [said] = problems(json.dumps({"image": "a.png", "driving": name}), "m.jsonl")
    assert said.startswith("line 1, column driving:")
    assert says in said


def test_odd_names_are_only_names(load, folder: Path) -> None:
    for name in ("-vf.mp4", "http:", "%05d.mp4", "a'b\"c $(x) `y`.mp4"):
        (folder / name).write_bytes(b"x")
        row = {"image": "a.png", "driving": name, "id": "job"}
        assert load(json.dumps(row), "m.jsonl")[0].driving == str(folder / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n\n", "is empty"),
        (b"image,driving\n", "has no job in it"),
        (b"image,driving\n\n,\n", "has no job in it"),
        ("image,driving\na.png,x.mp4\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"image,driving\na.png,x.mp4\nb\xe9.png,x.mp4\n", "line 3 has the byte 0xe9"),
        (b"image,driving\na.png,x\0.mp4\n", "has a NUL character in line 2"),
        (b'[{"image": "a.png"}]', "is a JSON array"),
        (b"x," * 300 + b"x\na\n", "has 301 columns"),
    ],
)
def test_what_is_no_manifest(problems, content: bytes, says: str) -> None:
    [said] = problems(content)
    assert says in said


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        ("image,driving\na.png\n", "m.csv", "line 2, has 1 fields, and the header 2"),
        ("image,driving\na.png,x.mp4,25\n", "m.csv", "line 2, has 3 fields, and the header 2"),
        ('image,driving\n"a.png,x.mp4\n', "m.csv", "line 2, a quoted field is not closed"),
        ('image,driving\n"a"png,x.mp4\n', "m.csv", "line 2, "),
        ("image,,driving\na.png,1,x.mp4\n", "m.csv", "line 1, column 2 has no name"),
        ("image,driving,image\na.png,x.mp4,a.png\n", "m.csv", "line 1, column image is there twice"),
        (f"image,driving\n{'a' * (MAX_FIELD + 1)},x.mp4\n", "m.csv", "characters are too many"),
        (f"image,driving\n{'a' * 200_000},x.mp4\n", "m.csv", "line 2, field larger"),
        ('{"image": "a.png", "driving": "x.mp4"', "m.jsonl", "line 1, this is no JSON"),
        ('{"image": "a.png", "image": "b.png"}', "m.jsonl", "column image is there twice"),
        ('{"image": "a.png", "driving": "x\\u0000.mp4"}', "m.jsonl", "NUL"),
        ('{"image": "a.png", "driving": "x\\ud800.mp4"}', "m.jsonl", "is no text"),
        ('{"image": "a.png", "driving": "x.mp4", "seed": NaN}', "m.jsonl", "NaN is no value"),
        ('{"image": "a.png", "driving": "x.mp4", "seed": ' + "9" * 5000 + "}", "m.jsonl", "line 1, "),
        ('{"image": ' + "[" * 100_000 + "}", "m.jsonl", "nested too deep"),
        ('"image"', "m.jsonl", "this is no object"),
        ('{"image": {"a": 1}, "driving": "x.mp4"}', "m.jsonl", "column image: this is no picture"),
        ('{"image": "a.png||b.png", "driving": "x.mp4"}', "m.jsonl", "is missing"),
        ('{"image": "a.png", "driving": ["x.mp4"]}', "m.jsonl", "column driving"),
        ('{"image": "a.png", "driving": "x.mp4", "fps": {}}', "m.jsonl", "column fps"),
        ('{"image": "a.png", "driving": "x.mp4", "duration": 0}', "m.jsonl", "column duration: 0 seconds"),
    ],
)  # fmt: skip
def test_rows_that_are_none(problems, content: str, name: str, says: str) -> None:
    said = problems(content, name)
    assert says in said[0]


def test_empty_cells_behind_the_last_column_do_not_matter(load) -> None:
    assert len(load("image,driving,,\na.png,x.mp4,,,\nb.png,x.mp4,,\n")) == 2


def test_too_many_rows(problems) -> None:
    said = problems("image,driving\n" + "no.png,no.mp4\n" * (MAX_ROWS + 1))
    assert len(said) <= 201
    assert said[-1].startswith("and ")


def test_stdin(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"image;driving\na.png;x.mp4\n")))
    [job] = load_manifest(None, folder=tmp_path, overrides={})
    assert job.references == (folder / "a.png",)


@pytest.mark.parametrize("name", ["no.csv", "sub"])
def test_a_manifest_that_is_not_there(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match=name):
        load_manifest(folder / name, folder=tmp_path, overrides={})


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text(st.sampled_from('image,driving;\t"\n\r{}[]:|a.\0ü'), max_size=80).map(str.encode))
def test_any_bytes_give_rows_or_an_error_of_ours(data: bytes) -> None:
    try:
        table = read_table(data)
    except ManifestError as error:
        if not error.problems:
            raise
    else:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
        assert all(1 <= row.line <= lines for row in table.rows)
        assert all(1 <= line <= lines for line, _ in table.problems)


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=12).map(str.strip)


@given(st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_whatever_csv_is_written_is_read_with_its_lines(cells: list[tuple[str, str]], delimiter: str) -> None:
    import csv

    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["image", "driving"])
    lines = []
    for row in cells:
        lines.append(out.getvalue().count("\n") + 1)
        writer.writerow(row)
    wanted = [
        (line, {name: cell for name, cell in zip(("image", "driving"), row, strict=True) if cell})
        for line, row in zip(lines, cells, strict=True)
        if any(row)
    ]
    if not wanted:
        return
    table = read_table(out.getvalue().encode())
    assert table.problems == []
    assert [(row.line, row.values) for row in table.rows] == wanted


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
    | st.sampled_from(["a.png", "motion:nod", "../x", "25", "1:30", "face,head", "64x64", "#00ff00", "keep", "|", "-", "%"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.dictionaries(st.sampled_from(COLUMNS), _JSON, max_size=6), min_size=1, max_size=3), st.booleans())
def test_any_values_give_jobs_or_an_error_of_ours(rows: list[dict[str, object]], product: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.png").write_bytes(b"x")
        whole: list[dict[str, object]] = [{"image": "a.png", "driving": "motion:nod", **row} for row in rows]
        (folder / "m.jsonl").write_text("\n".join(map(json.dumps, whole)))
        try:
            jobs = load_manifest(folder / "m.jsonl", folder=folder / "out", overrides={}, product=product)
        except ManifestError as error:
            if not error.problems:
                raise
            return
        assert len({job.id for job in jobs}) == len({job.output for job in jobs}) == len(jobs)
        for job in jobs:
            assert job.output.resolve().is_relative_to(folder.resolve() / "out")
            assert job.references == (folder / "a.png",) * len(job.references)
