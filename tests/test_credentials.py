"""Which certificates and keys can sign, and what is said of those that cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dreamactor_cli.credentials import Credentials, manifest_of, mime_of, read_seal
from dreamactor_cli.errors import UsageError
from tests import certificates

MANIFEST = manifest_of({"seed": 3}, source_type="http://example.org/type", generator="dreamactor", version="1")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.zeros((16, 16, 3), np.uint8))
    return path


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa"])
def test_keys_that_c2pa_knows(kind: str, tmp_path: Path, picture: Path) -> None:
    signer = certificates.make(tmp_path / kind, kind)
    assert read_seal(picture) is None
    Credentials(signer.chain, signer.key).sign(picture, MANIFEST)
    seal = read_seal(picture, signer.root)
    assert seal is not None
    assert (seal.holds, seal.trusted, seal.signer, seal.problems) == (True, True, certificates.SIGNER, ())
    assert (dict(seal.description), seal.source_type) == ({"seed": 3}, "http://example.org/type")
    untrusted = read_seal(picture)
    assert untrusted is not None
    assert (untrusted.holds, untrusted.trusted) == (True, False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "secp256k1"}, "kind that C2PA does not know"), ({"days": -5}, "cannot sign"), ({"usage": False}, "cannot sign"),
        ({"password": b"secret"}, "is encrypted"),
    ],
)  # fmt: skip
def test_certificates_that_cannot_sign_are_refused_at_once(options: dict[str, object], says: str, tmp_path: Path) -> None:
    signer = certificates.make(tmp_path / "bad", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=says) as caught:
        Credentials(signer.chain, signer.key)
    assert str(signer.chain) in str(caught.value) or str(signer.key) in str(caught.value)


def test_what_is_no_certificate_or_not_its_key(tmp_path: Path) -> None:
    one, other = certificates.make(tmp_path / "one"), certificates.make(tmp_path / "other")
    for wrong, says in (
        (replace(one, key=other.key), "is not the key of"), (replace(one, chain=one.key), "no certificate in PEM"),
        (replace(one, key=one.chain), "no private key in PEM"), (replace(one, chain=tmp_path / "none.pem"), "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            Credentials(wrong.chain, wrong.key)


def test_the_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    signer = certificates.make(tmp_path / "signer")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    with pytest.raises(Exception, match="could not be signed"):
        Credentials(signer.chain, signer.key).sign(broken, MANIFEST)
    assert broken.read_bytes() == b"no video at all"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "signer"]


@pytest.mark.parametrize("name", ["a.webm", "frames", "f_%05d.png"])
def test_formats_that_carry_none(name: str) -> None:
    with pytest.raises(UsageError, match="cannot carry"):
        mime_of(Path(name))
