"""`dreamactor evaluate`: the gates from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Cli = Callable[..., Any]


def test_a_good_and_a_bad_video(
    cli: Cli, face_clip: FaceClip, encode_clip: Callable[..., None], shared_cache: Cache, tmp_path: Path
) -> None:
    options = ("--driving", face_clip.path, "--cache-dir", shared_cache.root)
    good = cli("evaluate", face_clip.path, *options)
    assert good.code == 0, good.err
    assert good.out.split()[:2] == ["ok", "frame-count"]
    bad = tmp_path / "bad.mp4"
    encode_clip(bad, np.repeat(face_clip.frames[:1], 30, axis=0), Fraction(25), tone=True)
    ended = cli("evaluate", bad, *options, "--json")
    assert ended.code == 1
    assert "fails frame-count, frozen-frames" in ended.last_line
    records = {record["gate"]: record for record in ended.records() if "gate" in record}
    assert records["frozen-frames"]["passed"] is False
    assert records["black-frames"]["passed"] is True


def test_how_it_was_made_is_read_from_the_sidecar(
    cli: Cli, face_clip: FaceClip, encode_clip: Callable[..., None], shared_cache: Cache, tmp_path: Path
) -> None:
    still = tmp_path / "still.mp4"
    encode_clip(still, np.repeat(face_clip.frames[:1], 38, axis=0), Fraction(25), tone=True)
    sidecar = tmp_path / "still.mp4.json"
    sidecar.write_text(json.dumps({"made_from": {"parameters": {"region": ["hands"]}, "background": "keep"}}))
    options = ("--driving", face_clip.path, "--cache-dir", shared_cache.root)
    assert cli("evaluate", still, *options).code == 0
    sidecar.write_text(json.dumps({"made_from": {"parameters": {"region": ["nose"]}}}))
    assert cli("evaluate", still, *options).code == 2
    sidecar.write_text("{")
    assert cli("evaluate", still, *options).code == 1  # as if there were none: it stands still


def test_what_cannot_be_read(cli: Cli, face_clip: FaceClip, tmp_path: Path) -> None:
    ended = cli("evaluate", tmp_path / "none.mp4", "--driving", face_clip.path)
    assert ended.code == 4
    assert "none.mp4" in ended.last_line
