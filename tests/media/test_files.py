"""Hashes of files: remembered, and never of what a file was before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dreamactor_cli.driving import driving_sha256
from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.media import sha256_file


def test_a_file_that_changes_has_another_hash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for age in (0, 3600):  # just written, and settled, when hashes are remembered
        for number, content in enumerate((b"one", b"two", b"one")):
            path.write_bytes(content)
            if age:
                os.utime(path, (age + number, age + number))
            for _ in range(2):
                assert sha256_file(path) == hashlib.sha256(content).hexdigest()


def test_a_settled_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (3600, 3600))
    before = sha256_file(path)
    with path.open("r+b") as file:
        file.write(b"two")
    os.utime(path, (3600, 3600))  # nobody can tell, short of reading it
    assert sha256_file(path) == before


def test_what_is_gone_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (3600, 3600))
    sha256_file(path)
    path.unlink()
    with pytest.raises(UnreadableInput, match=str(path)):
        sha256_file(path)


def test_a_motion_file_that_changes_is_another_driver(tmp_path: Path) -> None:
    path = tmp_path / "bow.toml"
    hashes = set()
    for value in (5, 6):
        path.write_text(f'name = "bow"\nduration = 1\n[curves.headPitch]\ntimes = [0, 1]\nvalues = [0, {value}]\n')
        hashes |= {driving_sha256(f"motion:{path}") for _ in range(2)}
    assert len(hashes) == 2
    assert driving_sha256("motion:nod") == driving_sha256("motion:nod") != driving_sha256("motion:talk")
