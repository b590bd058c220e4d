"""Content Credentials: a C2PA manifest, signed with the user's certificate, inside the file.

The certificate file holds the signer's certificate and those that signed it, in PEM, without the root or with it. C2PA wants
version 3, a critical key usage with ``digitalSignature``, an extended key usage (``emailProtection`` or
``documentSigning``), and a signer that did not sign itself. No time stamp is asked of anybody, because rendering needs no
network: the signature holds as long as the certificate does.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import JobFailed, MissingRequirement, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MIME = {".mp4": "video/mp4", ".mov": "video/quicktime", ".gif": "image/gif", ".png": "image/png"}
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
LABEL = "org.dreamactor.render"  # of the assertion that holds the sidecar's description
_HINT = "give the signer's certificate and its chain in PEM, and the unencrypted key that belongs to it"
_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
# One grey pixel, to find out before the work whether a certificate can sign.
_TINY_GIF = bytes.fromhex("47494638396101000100800000808080000000" + "2c00000000010001000002024401003b")
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a manifest in a file says, and whether it holds.

    Attributes:
        holds: nothing was changed since it was signed.
        trusted: the signer's certificate leads to a root that the reader trusts.
        signer: name in the certificate.
        source_type: IPTC digital source type that it states, a URL; empty if it states none.
        description: of `sign`; empty if the manifest is not ours.
        problems: why it does not hold.
    """

    holds: bool
    trusted: bool
    signer: str
    source_type: str
    description: Mapping[str, Any]
    problems: tuple[str, ...]


class Credentials:
    """A certificate and its key, tried out.

    Raises:
        UsageError: they cannot be read, do not belong together, or C2PA does not accept them.
        MissingRequirement: the packages for it are not installed.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._c2pa = _library()
        self._certificate = certificate
        self._chain, self._key = _read(certificate), _read(key)
        self._algorithm = _algorithm(certificate, self._chain, key, self._key)
        with _mapped(f"{certificate} cannot sign Content Credentials"):
            trial = manifest_of({}, source_type=SOURCE_TYPES + "algorithmicMedia", generator="dreamactor", version="0")
            self._embed(trial, "image/gif", io.BytesIO(_TINY_GIF), io.BytesIO())

    def sign(self, path: Path, manifest: Mapping[str, Any]) -> None:
        """Put a signed manifest into a file; the file is replaced when that is done.

        Raises:
            UsageError: its format carries none.
            DiskFull: no space.
        """
        mime = mime_of(path)
        with replacing(path) as beside, open(path, "rb") as source, open(beside, "w+b") as target:
            try:
                self._embed(manifest, mime, source, target)
            except self._c2pa.C2paError as error:
                raise JobFailed(f"{path} could not be signed: {error}", "see that the disk has space, and run again") from error

    def _embed(self, manifest: Mapping[str, Any], mime: str, source: Any, target: Any) -> None:
        info = self._c2pa.C2paSignerInfo(self._algorithm, self._chain, self._key, None)
        with (
            self._c2pa.Context.from_dict(_SETTINGS) as context,
            self._c2pa.Signer.from_info(info) as signer,
            self._c2pa.Builder(dict(manifest), context=context) as builder,
        ):
            builder.sign(signer, mime, source, target)


def mime_of(path: Path) -> str:
    """Raises UsageError for a format that carries no C2PA manifest."""
    mime = MIME.get(path.suffix.lower())
    if mime is None or "%" in path.name:
        raise UsageError(f"{path} cannot carry Content Credentials", "write .mp4, .mov or .gif, or leave --credentials out")
    return mime


def manifest_of(description: Mapping[str, Any], *, source_type: str, generator: str, version: str) -> dict[str, Any]:
    """A C2PA manifest that says: made by an algorithm, with what, from which inputs.

    Args:
        description: of the sidecar; hashes and parameters.
        source_type: IPTC digital source type, a URL.
    """
    agent = {"name": generator, "version": version}
    created = {"action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent}
    return {
        "claim_generator_info": [agent],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": LABEL, "data": dict(description)},
        ],
    }


def read_seal(path: Path, trust: Path | None = None) -> Seal | None:
    """The active manifest of a file; None if there is none.

    Args:
        trust: PEM file of roots that are trusted beside those that the library knows.

    Raises:
        UsageError: ``trust`` cannot be read.
        MissingRequirement: the package for it is not installed.
    """
    if path.suffix.lower() not in MIME:
        return None
    c2pa = _library()
    settings: dict[str, Any] = dict(_SETTINGS)
    if trust is not None:
        settings["trust"] = {"user_anchors": _read(trust).decode("ascii", "replace")}
    try:
        with c2pa.Context.from_dict(settings) as context, c2pa.Reader(path, context=context) as reader:
            return _seal(json.loads(reader.json()))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        return Seal(holds=False, trusted=False, signer="", source_type="", description={}, problems=(str(error),))


def _seal(store: Mapping[str, Any]) -> Seal:
    manifest = store["manifests"][store["active_manifest"]]
    assertions = {found["label"]: found.get("data", {}) for found in manifest.get("assertions", ())}
    types = [
        action.get("digitalSourceType", "")
        for label, data in assertions.items()
        if label.startswith("c2pa.actions")
        for action in data.get("actions", ())
    ]
    signature = manifest.get("signature_info", {})
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
    state = store.get("validation_state", "Invalid")
    return Seal(
        holds=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        signer=signature.get("common_name") or signature.get("issuer") or "",
        source_type=next(filter(None, types), ""),
        description=assertions.get(LABEL, {}),
        problems=tuple(f"{f.get('explanation') or f['code']}" for f in failures if f["code"] != "signingCredential.untrusted"),
    )


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise MissingRequirement(
            f"Content Credentials need c2pa-python ({error})", "pip install 'dreamactor[credentials]'"
        ) from error
    module: ModuleType = c2pa
    return module


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _HINT) from error


def _algorithm(certificate: Path, chain: bytes, key_file: Path, key: bytes) -> str:
    """Name of C2PA's for the signature that a key makes.

    Raises:
        UsageError: the two cannot be read, or are no pair.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise MissingRequirement(
            f"Content Credentials need cryptography ({error})", "pip install 'dreamactor[credentials]'"
        ) from error
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise UsageError(f"{certificate} holds no certificate in PEM", _HINT) from error
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        what = "is encrypted" if isinstance(error, TypeError) else "holds no private key in PEM"
        raise UsageError(f"{key_file} {what}", _HINT) from error
    if private.public_key() != leaf.public_key():
        raise UsageError(f"{key_file} is not the key of {certificate}", _HINT)
    return _name(private, key_file)


def _name(key: PrivateKeyTypes, path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case ec.EllipticCurvePrivateKey() if key.curve.name in _CURVES:
            return _CURVES[key.curve.name]
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey():
            return "ps256"
    raise UsageError(f"{path} is of a kind that C2PA does not know", "use a key on P-256, P-384, P-521 or Ed25519, or RSA-PSS")


@contextmanager
def _mapped(what: str) -> Iterator[None]:
    """Turn the library's refusal of a certificate into ours."""
    c2pa = _library()
    try:
        yield
    except c2pa.C2paError as error:
        raise UsageError(f"{what}: {error}", _HINT) from error
