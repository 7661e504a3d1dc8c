"""The `embedded` signer: a key of this user, of a file, or of a device or service behind a URI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from flowctl_core.errors import SigningError
from flowctl_core.hookspecs import hookimpl
from flowctl_core.models import Attestation, SigningRequest, Subject

NAME = "embedded"

Sign = Callable[[Subject], bytes]
"""Signature over a subject: its statement's encoding, else the bytes that its digest is of."""


class EmbeddedSigner:
    """Signs with a key. What it is given are names, digests and statements; it looks at nothing else."""

    contract = 3

    @hookimpl
    def flowctl_sign(self, subjects: tuple[Subject, ...], request: SigningRequest) -> tuple[Attestation, ...] | None:
        """A Sigstore bundle for each subject, in their order. Raises SigningError."""
        from flowctl_core.sign.bundle import key_bundle

        sign, hint = self._open(request.key)
        return tuple(Attestation(subject=each, bundle=key_bundle(each, sign(each), hint)) for each in subjects)

    def _open(self, key: str | None) -> tuple[Sign, str]:
        from flowctl_core.sign.key_folder import DEFAULT_NAME, KeyFolder

        if key is not None and ":" in key.partition("/")[0]:
            raise SigningError(f"{key} is not a kind of key that is known", hint="The name of a key, or a PEM file.")
        if key is not None and ("/" in key or key.endswith((".key", ".pem"))):
            return _open_file(Path(key), expected=None)
        folder = KeyFolder()
        name = key or DEFAULT_NAME
        return _open_file(folder.private_file(name), expected=folder.lives(name)[0].hint)


def needs_passphrase(key: str | None) -> bool:
    """True when the key's file is there and encrypted; what else is wrong with it is told when it is used."""
    from flowctl_core.sign.key_folder import DEFAULT_NAME, KeyFolder
    from flowctl_core.sign.key_pair import is_encrypted

    path = Path(key) if key is not None and "/" in key else KeyFolder().folder / f"{key or DEFAULT_NAME}.key"
    try:
        with path.open("rb") as file:
            return is_encrypted(file.read(4096))
    except OSError:
        return False


def _open_file(path: Path, expected: str | None) -> tuple[Sign, str]:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    from flowctl_core.sign.bundle import pre_authentication_encoding
    from flowctl_core.sign.key_pair import PASSPHRASE, hint_of, public_pem, read_private

    passphrase = os.environ.get(PASSPHRASE)
    private = read_private(path, passphrase.encode() if passphrase is not None else None)
    hint = hint_of(public_pem(private.public_key()))
    if expected is not None and hint != expected:
        raise SigningError(
            f"{path} is not the key that its record names: making it was interrupted",
            hint=f"`flowctl keys rotate {path.stem}` makes a new one.",
        )
    over_bytes, over_digest = ec.ECDSA(SHA256()), ec.ECDSA(utils.Prehashed(SHA256()))

    def sign(subject: Subject) -> bytes:
        if subject.statement is not None:
            return private.sign(pre_authentication_encoding(subject.statement.encode()), over_bytes)
        return private.sign(bytes.fromhex(subject.digest.removeprefix("sha256:")), over_digest)

    return sign, hint


plugin = EmbeddedSigner()
