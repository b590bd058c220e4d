"""Certificates as C2PA wants them, made on the spot: a root, and a signer that it vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER = "Somebody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files.

    Attributes:
        chain: the signer and the root.
    """

    chain: Path
    key: Path
    root: Path


def make(folder: Path, kind: str = "p256", *, days: int = 30, usage: bool = True, password: bytes | None = None) -> Certificates:
    """Write the three files.

    Args:
        kind: of the signer's key: p256, p384, p521, ed25519, rsa, secp256k1.
        days: until the signer's certificate expires; negative is in the past.
        usage: the signer may sign documents at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), _key(kind)
    root = _begun("Root", "Root", root_key.public_key(), 60).add_extension(x509.BasicConstraints(True, None), True)
    root = root.add_extension(_key_usage(signs=False), True)
    root_certificate = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), False)
    signed_root = root_certificate.sign(root_key, hashes.SHA256())
    leaf = _begun(SIGNER, "Root", key.public_key(), days).add_extension(x509.BasicConstraints(False, None), True)
    leaf = leaf.add_extension(_key_usage(signs=True), True)
    if usage:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
    signed_leaf = leaf.sign(root_key, hashes.SHA256())
    paths = Certificates(chain=folder / "chain.pem", key=folder / "key.pem", root=folder / "root.pem")
    pem = serialization.Encoding.PEM
    paths.chain.write_bytes(signed_leaf.public_bytes(pem) + signed_root.public_bytes(pem))
    paths.root.write_bytes(signed_root.public_bytes(pem))
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    paths.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, hidden))
    return paths


def _key(kind: str) -> Any:
    curves: dict[str, ec.EllipticCurve] = {
        "p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()
    }  # fmt: skip
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)


def _begun(subject: str, issuer: str, public: Any, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=40)).not_valid_after(now + timedelta(days=days))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A test")])


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=not signs, crl_sign=not signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
