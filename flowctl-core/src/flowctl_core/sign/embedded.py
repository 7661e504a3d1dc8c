"""The `embedded` signer: a key of this user, of a file, or of a device or service behind a URI."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.hookspecs import hookimpl
from flowctl_core.models import Attestation, SigningRequest, Subject

NAME = "embedded"


class EmbeddedSigner:
    """Signs with a key. What it is given are names, digests and statements; it looks at nothing else."""

    contract = 3

    @hookimpl
    def flowctl_sign(self, subjects: tuple[Subject, ...], request: SigningRequest) -> tuple[Attestation, ...] | None:
        """A Sigstore bundle for each subject, in their order. Raises SigningError."""
        from flowctl_core.sign.bundle import digest_to_sign, key_bundle
        from flowctl_core.sign.signing_key import open_key

        with open_key(request.key) as key:
            return tuple(
                Attestation(subject=each, bundle=key_bundle(each, key.sign(digest_to_sign(each)), key.hint))
                for each in subjects
            )


def needs_passphrase(key: str | None) -> bool:
    """True when the key's file is there and encrypted, or it is on a token, which has a PIN.

    What else is wrong with a file is told when it is used.
    """
    from flowctl_core.sign.key_folder import DEFAULT_NAME, KeyFolder
    from flowctl_core.sign.key_pair import is_encrypted
    from flowctl_core.sign.signing_key import is_path, scheme_of

    if scheme := scheme_of(key):
        return scheme == "pkcs11"
    path = Path(key) if key is not None and is_path(key) else KeyFolder().folder / f"{key or DEFAULT_NAME}.key"
    try:
        with path.open("rb") as file:
            return is_encrypted(file.read(4096))
    except OSError:
        return False


plugin = EmbeddedSigner()
