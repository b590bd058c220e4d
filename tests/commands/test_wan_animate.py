"""`--renderer wan-animate` from the command line, with tiny weights and without any."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dreamactor_cli import results
from dreamactor_cli.media import probe
from dreamactor_cli.presets import load_preset, merge

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Cli = Callable[..., Any]


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A preset of few steps and short segments."""
    path = tmp_path / "quick.toml"
    path.write_text('renderer = "wan-animate"\nsize = "64x64"\nfps = "source"\nsteps = 1\nsegment_frames = 13\n')
    return path


def test_a_video_drives_the_picture_and_its_sound_is_put_back(
    cli: Cli, portrait: Path, face_clip: FaceClip, quick: Path, tiny_wan: Path, shared_cache: Cache, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    again = tmp_path / "again.mp4"
    common = (
        "-d",
        face_clip.path,
        "--duration",
        "0.6",
        "--preset",
        quick,
        "--weights",
        tiny_wan,
        "--cache-dir",
        shared_cache.root,
    )
    ended = cli("animate", "-s", portrait, *common, "-o", out)
    assert ended.code == 0, ended.err
    info = probe(out)
    assert (info.width, info.height, info.num_frames, info.fps) == (64, 64, 15, face_clip.fps)
    assert info.audio_codec is not None
    record = json.loads(out.with_suffix(".mp4.json").read_text())
    assert len(record["made_from"]["weights"]) == 64
    assert record["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert str(tiny_wan) not in json.dumps(record)
    assert cli("animate", "-s", portrait, *common, "-o", again).code == 0
    assert again.read_bytes() == out.read_bytes()


def test_a_picture_is_put_into_the_drivers_place(
    cli: Cli, portrait: Path, face_clip: FaceClip, quick: Path, tiny_wan: Path, shared_cache: Cache, tmp_path: Path
) -> None:
    common = ("--preset", quick, "--weights", tiny_wan, "--background", "driving", "--cache-dir", shared_cache.root)
    out = tmp_path / "out.mp4"
    ended = cli("animate", "-s", portrait, "-d", face_clip.path, "--duration", "0.6", *common, "-o", out)
    assert ended.code == 0, ended.err
    assert probe(out).num_frames == 15
    lacks = cli("animate", "-s", portrait, "-d", "motion:nod", *common, "-o", tmp_path / "none.mp4")
    assert lacks.code == 2
    assert "needs a driving video" in lacks.last_line


def test_without_weights_nothing_is_begun_and_the_command_that_gets_them_is_said(
    cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    options = ("--renderer", "wan-animate", "--cache-dir", cache, "-o", tmp_path / "out.mp4")
    ended = cli("animate", "-s", portrait, "-d", face_clip.path, *options)
    assert ended.code == 3
    assert ended.last_line.startswith("dreamactor: error[missing]: the weights wan2.2-animate-14b are not at ")
    assert ended.last_line.endswith("get them with: dreamactor models pull wan2.2-animate-14b")
    assert not cache.exists()
    assert not (tmp_path / "out.mp4").exists()


def test_a_damaged_shard_is_an_input_that_is_refused(
    cli: Cli, portrait: Path, quick: Path, tiny_wan: Path, tmp_path: Path
) -> None:
    harmed = shutil.copytree(tiny_wan, tmp_path / "harmed")
    shard = sorted((harmed / "transformer").glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    options = ("--preset", quick, "--weights", harmed, "-o", tmp_path / "out.mp4")
    ended = cli("animate", "-s", portrait, "-d", "motion:nod", *options)
    assert ended.code == 4
    assert shard.name in ended.last_line


def test_a_run_of_many_jobs_ends_before_it_begins(cli: Cli, portrait: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(f"id,image,driving,renderer\na,{portrait},motion:nod,geometry\nb,{portrait},motion:nod,wan-animate\n")
    out = tmp_path / "out"
    ended = cli("render", rows, "-o", out, "--workers", 1)
    assert ended.code == 3
    assert "1 of 2 jobs cannot be rendered here" in ended.last_line
    assert "dreamactor models pull wan2.2-animate-14b" in ended.last_line
    assert not list(out.glob("*.mp4"))
    dry = cli("render", rows, "-o", out, "--dry-run", "--json")
    assert "models pull" in dry.out


@pytest.mark.slow
def test_two_workers_draw_a_row_each(
    cli: Cli, portrait: Path, quick: Path, tiny_wan: Path, shared_cache: Cache, tmp_path: Path
) -> None:
    """Each loads the weights in a process of its own, and what they draw of the same job is the same."""
    rows = tmp_path / "rows.csv"
    rows.write_text("id,image,driving,duration\n" + "".join(f"{name},{portrait},motion:nod,0.6\n" for name in "ab"))
    out = tmp_path / "out"
    options = ("--preset", quick, "--weights", tiny_wan, "--devices", "cpu", "--workers", 2, "--cache-dir", shared_cache.root)
    ended = cli("render", rows, "-o", out, *options)
    assert ended.code == 0, ended.err
    assert {line["id"]: line["status"] for line in results.read(out / results.NAME)} == {"a": "ok", "b": "ok"}
    assert probe(out / "a.mp4").num_frames == probe(out / "b.mp4").num_frames == 15
    hashes = {json.loads((out / f"{name}.mp4.json").read_text())["output_sha256"] for name in "ab"}
    assert len(hashes) == 1


def test_heavy_weights_are_not_drawn_on_a_cpu_unawares(
    cli: Cli, portrait: Path, quick: Path, tiny_wan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dreamactor_cli.renderers.wan_animate import weights

    monkeypatch.setattr(weights, "_HEAVY", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    rows = tmp_path / "rows.csv"
    rows.write_text(f"id,image,driving,preset,weights\na,{portrait},motion:nod,{quick},{tiny_wan}\n")
    ended = cli("render", rows, "-o", tmp_path / "out")
    assert ended.code == 3
    assert "takes hours" in ended.last_line
    assert "--devices cpu" in ended.last_line


def test_choosing_the_renderer_takes_what_its_preset_says_where_nothing_else_is_said() -> None:
    chosen = merge(load_preset("default"), {"renderer": "wan-animate", "fps": "25"})
    own = load_preset("wan-animate")
    assert (chosen.steps, chosen.guidance_motion, chosen.segment_frames) == (own.steps, own.guidance_motion, own.segment_frames)
    assert chosen.segment_frames == 77
    assert chosen.fps == "25"
    preview = merge(load_preset("preview"), {"renderer": "wan-animate"})
    assert (preview.size, preview.crf, preview.fps) == (load_preset("preview").size, load_preset("preview").crf, "30")
    assert merge(own, {"renderer": "geometry"}).renderer == "geometry"
