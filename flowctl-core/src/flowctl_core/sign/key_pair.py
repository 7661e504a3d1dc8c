"""A key pair's files: PKCS#8 PEM that only its owner may read, and the public half as PEM (RFC 5958, RFC 5280)."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowctl_core.errors import SigningError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

PASSPHRASE = "FLOWCTL_KEY_PASSPHRASE"  # noqa: S105 - the variable's name
LARGEST_KEY_FILE = 64 * 1024


def generate(passphrase: bytes | None) -> tuple[bytes, str]:
    """A new ECDSA P-256 key pair: private half (PKCS#8 PEM, encrypted with `passphrase` if given), public PEM."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    protection = s.BestAvailableEncryption(passphrase) if passphrase else s.NoEncryption()
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, protection), public_pem(key.public_key())


def public_pem(public_key: Any) -> str:
    """SubjectPublicKeyInfo as PEM."""
    from cryptography.hazmat.primitives import serialization as s

    return str(public_key.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo), "ascii")


def hint_of(public_key: str) -> str:
    """How a bundle names the key (PEM): base64 of the SHA-256 of its DER SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives import serialization as s

    der = s.load_pem_public_key(public_key.encode()).public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def pem_of(der: bytes) -> str:
    """A DER SubjectPublicKeyInfo as PEM. Raises SigningError for a key that is not ECDSA P-256."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    public = load_der_public_key(der)
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise SigningError("that is no ECDSA P-256 key, the one kind that every verifier and log takes")
    return public_pem(public)


def is_encrypted(pem: bytes) -> bool:
    """True when a passphrase is needed."""
    return b"ENCRYPTED" in pem.partition(b"\n")[0] or b"\nProc-Type: 4,ENCRYPTED" in pem[:200]


def read_private(path: Path, passphrase: bytes | None) -> EllipticCurvePrivateKey:
    """The private half. Raises SigningError: no file, others may read it, wrong passphrase, wrong kind."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read_owned(path)
    if is_encrypted(pem) and passphrase is None:
        raise SigningError(f"{path} is encrypted", hint=f"Set {PASSPHRASE}, or run where it can be asked for.")
    try:
        key = load_pem_private_key(pem, passphrase if is_encrypted(pem) else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if is_encrypted(pem):
            raise SigningError(f"the passphrase does not open {path}", hint=f"It is read from {PASSPHRASE}.") from None
        raise SigningError(f"{path} is no private key", hint="A PEM file that begins with PRIVATE KEY.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise SigningError(
            f"{path} is no ECDSA P-256 key, the one kind that every verifier and log takes",
            hint="`flowctl keys generate NAME` makes one.",
        )
    return key


def _read_owned(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SigningError(f"the key {path} cannot be read: {error.strerror}", hint="`flowctl keys list`.") from None
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        os.close(fd)
        raise SigningError(f"the key {path} is no regular file")
    with os.fdopen(fd, "rb") as file:
        if facts.st_mode & 0o077:
            raise SigningError(
                f"others than its owner may read the key {path} (mode {stat.S_IMODE(facts.st_mode):04o})",
                hint=f"chmod 600 '{path}'; if others could have read it, make a new one with `flowctl keys rotate`.",
            )
        return file.read(LARGEST_KEY_FILE)
