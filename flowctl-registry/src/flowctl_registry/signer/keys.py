"""The signer's own key: in the data folder, or behind the URI that the settings name."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowctl_core.errors import ConfigError
from flowctl_core.models.signing import TrustedKey
from flowctl_core.sign.key_folder import KeyFolder
from flowctl_core.sign.key_pair import PASSPHRASE
from flowctl_core.sign.signing_key import SigningKey, open_key
from flowctl_registry.settings import Settings

_NAME = "registry"


class SignerKeys:
    """The key in use, and those of the data folder that it replaced."""

    def __init__(self, settings: Settings) -> None:
        self._uri = settings.signer_key
        self._folder = KeyFolder(folder_of(settings) / "keys")

    @contextmanager
    def open(self) -> Iterator[SigningKey]:
        """The key, made when the data folder has none. Raises SigningError."""
        if self._uri is None and not (self._folder.folder / f"{_NAME}.json").exists():
            self._folder.generate(_NAME, _passphrase())
        name = self._uri or str(self._folder.private_file(_NAME))
        with open_key(name) as key:
            yield key

    def trusted(self) -> TrustedKey:
        """The public half under the name that clients' policies use: `registry-` and the start of its digest."""
        with self.open() as key:
            start = base64.b64decode(key.hint)[:8].hex()
            return TrustedKey(name=f"registry-{start}", public_key=key.public_key)

    def rotate(self) -> None:
        """A new key in the data folder; what the old one signed stays good. Raises SigningError, ConfigError."""
        if self._uri is not None:
            raise ConfigError(
                f"the signer's key is {self._uri}",
                hint="Make a new key there, name it in signer_key, and start the signer again: it enters the key.",
            )
        self._folder.rotate(_NAME, _passphrase())


def folder_of(settings: Settings) -> Path:
    """Where the signer keeps what nobody else reads."""
    return settings.data.absolute() / "signer"


def _passphrase() -> bytes | None:
    text = os.environ.get(PASSPHRASE)
    return text.encode() if text else None
