"""Models from a folder: whole under their name or not there, checked, and never begun without room."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dreamactor_cli.errors import DiskFull, JobFailed, MissingRequirement, UnreadableInput, UsageError
from dreamactor_cli.model_store import known
from dreamactor_cli.model_store.folder import Checksums, weights_sha256
from dreamactor_cli.model_store.known import KnownModel, find_weights, models_dir
from dreamactor_cli.model_store.pull import FolderSource, SourceFile, pull
from tests.model_store.conftest import WANTED


class Stops(FolderSource):
    """A folder whose files stop coming."""

    def __init__(self, folder: Path, after: int, error: BaseException) -> None:
        super().__init__(folder)
        self.after, self.error, self.fetched = after, error, []  # type: ignore[var-annotated]

    def fetch(self, file: SourceFile, folder: Path) -> None:
        if len(self.fetched) == self.after:
            raise self.error
        self.fetched.append(file.name)
        super().fetch(file, folder)


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_wanted_comes_with_checksums_and_no_pickles(small: KnownModel, source: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = pull(small, FolderSource(source), root=tmp_path / "models", on_file=lambda *one: told.append(one))
    assert folder == tmp_path / "models" / "small"
    assert _names(folder) == {*WANTED, "checksums.json"}
    assert all((folder / name).read_bytes() == (source / name).read_bytes() for name in WANTED)
    assert [name for name, _, _ in told] == [*sorted(WANTED), ""]
    assert told[0][1] == 0
    assert told[-1][1] == told[-1][2] == sum((source / name).stat().st_size for name in WANTED)
    assert not (tmp_path / "models" / ".small.partial").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output error")])
def test_a_stop_leaves_nothing_under_the_name_and_nothing_is_fetched_twice(
    small: KnownModel, source: Path, tmp_path: Path, error: BaseException
) -> None:
    root = tmp_path / "models"
    first = Stops(source, 3, error)
    with pytest.raises(type(error)):
        pull(small, first, root=root)
    assert not (root / "small").exists()
    with pytest.raises(MissingRequirement, match="begun and not finished"):
        find_weights_in(root)
    second = Stops(source, 99, error)
    pull(small, second, root=root)
    assert sorted(first.fetched + second.fetched) == sorted(WANTED)
    assert find_weights_in(root) == root / "small"


def find_weights_in(root: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DREAMACTOR_MODELS", str(root))
        return find_weights("small", "small")


def test_another_source_begins_anew(small: KnownModel, source: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(source, tmp_path / "other"))
    with pytest.raises(KeyboardInterrupt):
        pull(small, Stops(source, 3, KeyboardInterrupt()), root=tmp_path / "models")
    second = Stops(other, 99, KeyboardInterrupt())
    pull(small, second, root=tmp_path / "models")
    assert set(second.fetched) == WANTED


def test_what_is_here_is_left_alone_unless_it_is_to_be_replaced(small: KnownModel, source: Path, tmp_path: Path) -> None:
    root = tmp_path / "models"
    pull(small, FolderSource(source), root=root)
    nothing = Stops(source, 0, AssertionError("nothing is to be fetched"))
    assert pull(small, nothing, root=root) == root / "small"
    (source / "transformer" / "config.json").write_bytes(b'{"layers": 2}')
    pull(small, FolderSource(source), root=root, overwrite=True)
    assert (root / "small" / "transformer" / "config.json").read_bytes() == b'{"layers": 2}'
    assert {path.name for path in root.iterdir()} <= {"small", ".small.lock"}


def test_no_room_is_found_out_before_anything_comes(
    small: KnownModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    stops = Stops(source, 0, AssertionError("nothing is to be fetched"))
    with pytest.raises(DiskFull, match="GB more"):
        pull(small, stops, root=tmp_path / "models")


def test_what_arrives_damaged_is_thrown_away(small: KnownModel, source: Path, tmp_path: Path) -> None:
    class Harms(FolderSource):
        def files(self) -> Sequence[SourceFile]:
            return [
                SourceFile(name=one.name, size=one.size, sha256="0" * 64 if "two" in one.name else "") for one in super().files()
            ]

    with pytest.raises(JobFailed, match=r"two\.safetensors arrived damaged"):
        pull(small, Harms(source), root=tmp_path / "models")
    assert not (tmp_path / "models" / ".small.partial" / "transformer" / "two.safetensors").exists()


def test_checksums_of_the_source_are_kept_to(small: KnownModel, source: Path, tmp_path: Path) -> None:
    folder = pull(small, FolderSource(source), root=tmp_path / "one")
    weights = folder / "transformer" / "one.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(JobFailed, match=r"one\.safetensors arrived damaged"):
        pull(small, FolderSource(folder), root=tmp_path / "two")


@pytest.mark.parametrize("name", ["../outside/config.json", "/etc/config.json", "vae/../../config.json", "vae\\config.json"])
def test_a_source_cannot_write_elsewhere(small: KnownModel, source: Path, tmp_path: Path, name: str) -> None:
    class Leads(FolderSource):
        def files(self) -> Sequence[SourceFile]:
            return [*super().files(), SourceFile(name=name, size=2)]

    model = KnownModel(name="small", repo="a/b", parts=(*small.parts, "..", "", "vae\\config.json"))
    with pytest.raises(UnreadableInput, match="outside its folder"):
        pull(model, Leads(source), root=tmp_path / "models")


def test_a_folder_of_something_else_is_refused(small: KnownModel, source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source / "vae")
    with pytest.raises(UnreadableInput, match="vae missing"):
        pull(small, FolderSource(source), root=tmp_path / "models")
    with pytest.raises(UnreadableInput, match="not a folder"):
        FolderSource(tmp_path / "nowhere")


def test_two_pulls_at_a_time_do_not_meet(small: KnownModel, source: Path, tmp_path: Path) -> None:
    class Meets(FolderSource):
        def fetch(self, file: SourceFile, folder: Path) -> None:
            with pytest.raises(UsageError, match="another process"):
                pull(small, FolderSource(source), root=tmp_path / "models")
            super().fetch(file, folder)

    assert pull(small, Meets(source), root=tmp_path / "models").is_dir()


def test_the_same_weights_are_known_as_the_same_wherever_they_lie(small: KnownModel, source: Path, tmp_path: Path) -> None:
    folders = [pull(small, FolderSource(source), root=tmp_path / name) for name in ("one", "two")]
    assert weights_sha256(folders[0]) == weights_sha256(folders[1]) != weights_sha256(source)
    copied = Path(shutil.copytree(source, tmp_path / "copied"))
    assert weights_sha256(copied) == weights_sha256(source)
    (copied / "vae" / "config.json").write_text("{ }")
    assert weights_sha256(copied) != weights_sha256(source)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 2, "files": {}}', '{"files": {"../x": {}}}', "\x00"])
def test_damaged_checksums_are_said_to_be(tmp_path: Path, text: str) -> None:
    (tmp_path / "checksums.json").write_text(text)
    with pytest.raises(UnreadableInput, match="is damaged"):
        Checksums.read(tmp_path)


def test_where_models_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DREAMACTOR_MODELS", str(tmp_path))
    assert models_dir() == tmp_path
    assert models_dir(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("DREAMACTOR_MODELS")
    assert models_dir().parts[-2:] == ("dreamactor", "models")


class TestCommand:
    """`dreamactor models`."""

    @pytest.fixture
    def run(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Any]:
        """``run("list")``: exit code, stdout, last line of stderr."""
        from dreamactor_cli.app import main

        def call(*arguments: object) -> tuple[int, str, str]:
            capsys.readouterr()
            code = main(["models", *map(str, arguments), "--models-dir", str(tmp_path / "models")])
            said = capsys.readouterr()
            return code, said.out, (said.err.strip().splitlines() or [""])[-1]

        return call

    def test_from_a_folder_to_a_verified_model(
        self, run: Callable[..., Any], small: KnownModel, source: Path, tmp_path: Path
    ) -> None:
        states = lambda: {one["name"]: one["state"] for one in map(json.loads, run("list", "--json")[1].splitlines())}  # noqa: E731
        assert states()["small"] == "not here"
        assert states().keys() == known.KNOWN.keys()
        code, out, _ = run("pull", "small", "--from", source)
        assert (code, out.strip()) == (0, str(tmp_path / "models" / "small"))
        assert states()["small"] == "here"
        assert "here already" in run("pull", "small")[2]
        code, out, _ = run("verify")
        assert (code, out.strip()) == (0, f"small: {len(WANTED)} files, all whole")
        weights = tmp_path / "models" / "small" / "transformer" / "one.safetensors"
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 1
        weights.write_bytes(bytes(data))
        (tmp_path / "models" / "small" / "vae" / "config.json").unlink()
        code, out, last = run("verify", "small")
        assert code == 1
        assert out.splitlines() == ["small: transformer/one.safetensors is damaged", "small: vae/config.json is not there"]
        assert "pull NAME --overwrite" in last
        assert run("pull", "small", "--from", source, "--overwrite")[0] == 0
        assert run("verify", "small")[0] == 0

    def test_what_was_begun_is_not_here(self, run: Callable[..., Any], small: KnownModel, source: Path, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            pull(small, Stops(source, 2, KeyboardInterrupt()), root=tmp_path / "models")
        assert {one["state"] for one in map(json.loads, run("list", "--json")[1].splitlines()) if one["name"] == "small"} == {
            "begun"
        }
        assert run("verify")[:2] == (0, "")

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (("pull", "smal"), 2, "did you mean 'small'"),
            (("pull", "starter"), 2, "ships with the package"),
            (("pull", "small", "--from", "nowhere"), 4, "not a folder"),
            (("pull", "small", "--from", "x", "--repo", "a/b"), 2, "goes against"),
            (("verify", "small"), 3, "models pull small"),
            (("verify", "nowhere"), 3, "is not here"),
        ],
    )
    def test_what_cannot_be_done(
        self, run: Callable[..., Any], small: KnownModel, arguments: tuple[str, ...], code: int, said: str
    ) -> None:
        ended = run(*arguments)
        assert ended[0] == code
        assert said in ended[2]
