"""Keys of a trust repository's roles: `<role>-<start of key id>.key`, PKCS#8 PEM, offline and online ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from securesystemslib.signer import CryptoSigner, Key, Signer

from flowctl_core.errors import SigningError
from flowctl_core.store.files import atomic_write, system_refusals
from flowctl_core.trust.names import ONLINE

PASSPHRASE = "FLOWCTL_KEY_PASSPHRASE"  # noqa: S105 - name of the variable
"""Environment variable; encrypts new keys and opens encrypted ones."""
_ID_LENGTH = 16


@dataclass(frozen=True)
class KeyFolders:
    """Where keys are. Keys of root and targets need not be on the machine that serves the repository."""

    offline: Path
    """Keys of root and targets."""
    online: Path
    """Keys of timestamp, snapshot and the namespaces."""

    def new(self, role: str) -> CryptoSigner:
        """Make an ECDSA P-256 key for a role and keep it. Raises StoreError."""
        folder = self.offline if role in ("root", "targets") else self.online
        signer = CryptoSigner.generate_ecdsa()
        with system_refusals(folder, "made"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = signer.private_bytes
        secret = _passphrase()
        if secret is not None:
            data = serialization.load_pem_private_key(data, None).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(secret),
            )
        atomic_write(folder / f"{role}-{signer.public_key.keyid[:_ID_LENGTH]}.key", data, mode=0o600)
        return signer

    def signers(self, role: str, keys: Iterable[Key], threshold: int) -> list[Signer]:
        """Signers for those keys that are here. Raises SigningError when they are fewer than the threshold."""
        keys = list(keys)
        found = [signer for key in keys if (signer := self._signer(key)) is not None]
        if len(found) < threshold:
            ids = ", ".join(key.keyid[:_ID_LENGTH] for key in keys)
            raise SigningError(
                f"{role} is to be signed by {threshold} of the keys {ids}; {len(found)} found",
                hint=f"Name the folder that has them ({'--online-keys' if role in ONLINE else '--keys'}).",
            )
        return found

    def _signer(self, key: Key) -> Signer | None:
        for folder in dict.fromkeys((self.offline, self.online)):
            with system_refusals(folder, "read"):
                path = next(iter(sorted(folder.glob(f"*-{key.keyid[:_ID_LENGTH]}.key"))), None)
                if path is None:
                    continue
                data = path.read_bytes()
            return _load(path, data, key)
        return None


def _load(path: Path, data: bytes, key: Key) -> Signer:
    secret = _passphrase()
    try:
        encrypted = b"ENCRYPTED" in data.split(b"\n", 1)[0]
        private = serialization.load_pem_private_key(data, secret if encrypted else None)
        signer = CryptoSigner(private)  # refuses what is no key for signing
    except TypeError as error:
        raise SigningError(f"{path} is encrypted", hint=f"Set {PASSPHRASE} to its passphrase.") from error
    except Exception as error:
        raise SigningError(
            f"{path} cannot be read as a private key, or {PASSPHRASE} is wrong",
            hint="Name the folder that has the key, or restore it from your backup.",
        ) from error
    if signer.public_key.keyid != key.keyid:
        raise SigningError(f"{path} holds another key than its name says", hint="Restore it from your backup.")
    return signer


def _passphrase() -> bytes | None:
    text = os.environ.get(PASSPHRASE)
    return text.encode() if text else None
