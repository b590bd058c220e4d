"""`dreamactor animate --credentials` and `dreamactor verify`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tests import certificates

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache

Cli = Callable[..., Any]


def test_a_signed_render_is_verified_until_it_is_touched(
    cli: Cli, tmp_path: Path, astronaut_rgb: np.ndarray, shared_cache: Cache
) -> None:
    signer = certificates.make(tmp_path / "signer")
    picture, output = tmp_path / "portrait.png", tmp_path / "out.mp4"
    cv2.imwrite(str(picture), astronaut_rgb[:256, 96:352, ::-1])
    options = ("-s", picture, "-d", "motion:nod", "--duration", "0.2", "-o", output, "--cache-dir", shared_cache.root)
    sealed = ("--credentials", signer.chain, "--key", signer.key)
    assert cli("animate", *options, "--credentials", signer.chain).code == 2
    assert not output.exists()
    done = cli("animate", *options, *sealed)
    assert done.code == 0, done.err
    assert cli("animate", *options, *sealed, "--json").records()[0]["status"] == "skipped"
    ended = cli("verify", output, "--trust", signer.root, "--json")
    assert ended.code == 0, ended.err
    assert [(r["place"], r["state"]) for r in ended.records()] == [(p, "agrees") for p in ("sidecar", "container", "credentials")]
    with output.open("ab") as file:
        file.write(b"\0\0\0\x08free")
    touched = cli("verify", output)
    assert touched.code == 4
    assert "error[tampered]" in touched.last_line
    assert "changed after the sidecar was written" in touched.last_line


def test_a_video_of_nobody(cli: Cli, tmp_path: Path, encode_clip: Callable[..., None]) -> None:
    plain = tmp_path / "plain.mp4"
    encode_clip(plain, np.zeros((3, 32, 32, 3), np.uint8), Fraction(25))
    ended = cli("verify", plain)
    assert ended.code == 1
    assert "nothing says where" in ended.last_line
    assert cli("verify", tmp_path / "none.mp4").code == 4
