"""A private key that is open for signing, wherever it is kept: a file, a token behind PKCS#11, a KMS.

All of them sign digests: neither a token nor a service ever sees more of a release than 32 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.errors import SigningError
from flowctl_core.sign.key_pair import PASSPHRASE

KINDS = ("pkcs11", "awskms", "gcpkms", "azurekms")
"""Schemes of URIs that name a key."""


@dataclass(frozen=True)
class SigningKey:
    """An ECDSA P-256 key that signs."""

    hint: str
    """base64 of the SHA-256 of its DER SubjectPublicKeyInfo."""
    sign: Callable[[bytes], bytes]
    """Signature (DER, RFC 3279 §2.2.3) over a SHA-256 digest of 32 bytes."""
    public_key: str
    """PEM."""


@contextmanager
def open_key(key: str | None) -> Iterator[SigningKey]:
    """The key that a `SigningRequest` names: None, a name, a PEM file's path, or a URI. Raises SigningError."""
    from flowctl_core.sign.key_folder import DEFAULT_NAME, KeyFolder

    if scheme := scheme_of(key):
        with _open_uri(scheme, key or "") as opened:
            yield opened
    elif key is not None and is_path(key):
        yield _open_file(Path(key), expected=None)
    else:
        folder = KeyFolder()
        name = key or DEFAULT_NAME
        yield _open_file(folder.private_file(name), expected=folder.lives(name)[0].hint)


def scheme_of(key: str | None) -> str:
    """Scheme of a key's URI; "" for a name or a path."""
    before, colon, _ = (key or "").partition("/")[0].partition(":")
    return before if colon else ""


def is_path(key: str) -> bool:
    """True for what names a file and no key of the key folder."""
    return "/" in key or key.endswith((".key", ".pem"))


@contextmanager
def _open_uri(scheme: str, uri: str) -> Iterator[SigningKey]:
    if scheme == "pkcs11":
        from flowctl_core.sign.pkcs11_key import open_token_key

        with open_token_key(uri, os.environ.get(PASSPHRASE)) as opened:
            yield opened
    elif scheme in KINDS:
        from flowctl_core.sign.kms_key import open_service_key

        yield open_service_key(scheme, uri)
    else:
        raise SigningError(
            f"{scheme}: is not a kind of key that is known",
            hint=f"The name of a key, a PEM file, or a URI of {', '.join(KINDS)}.",
        )


def _open_file(path: Path, expected: str | None) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    from flowctl_core.sign.key_pair import hint_of, public_pem, read_private

    passphrase = os.environ.get(PASSPHRASE)
    private = read_private(path, passphrase.encode() if passphrase is not None else None)
    public = public_pem(private.public_key())
    hint = hint_of(public)
    if expected is not None and hint != expected:
        raise SigningError(
            f"{path} is not the key that its record names: making it was interrupted",
            hint=f"`flowctl keys rotate {path.stem}` makes a new one.",
        )
    over_digest = ec.ECDSA(utils.Prehashed(SHA256()))
    return SigningKey(hint, lambda digest: private.sign(digest, over_digest), public)
