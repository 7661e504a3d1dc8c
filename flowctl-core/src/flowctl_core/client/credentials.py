"""Tokens of registries: in the keyring of the operating system where there is one, else in a file of the user's own.

`~/.flowctl/credentials.json` (mode 0600) says for each registry where its token is; the keyring is only loaded when it
is there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from flowctl_core.errors import ConfigError, StoreError
from flowctl_core.models.base import Frozen
from flowctl_core.store.files import atomic_write, system_refusals
from flowctl_core.store.lock import file_lock

Place = Literal["keyring", "file"]
_SERVICE = "flowctl"
_LOCK_TIMEOUT_S = 30.0


class _Kept(Frozen):
    place: Place
    token: str | None = None


class _Credentials(Frozen):
    schema_version: Literal[1] = 1
    registries: dict[str, _Kept] = Field(default_factory=dict)


class Credentials:
    """The tokens of one user, below `~/.flowctl` or where FLOWCTL_HOME says."""

    def __init__(self, home: Path | None = None) -> None:
        named = os.environ.get("FLOWCTL_HOME")
        usual = Path(named) if named else Path(os.environ.get("HOME") or Path.home()) / ".flowctl"
        self.path = (home or usual) / "credentials.json"

    def find(self, url: str) -> str | None:
        """The token for a registry. Raises ConfigError when the file or the keyring cannot be read."""
        kept = self._read().registries.get(url)
        if kept is None:
            return None
        return kept.token if kept.place == "file" else _from_keyring(url)

    def place(self, url: str) -> Place | None:
        """Where the token for a registry is."""
        kept = self._read().registries.get(url)
        return kept.place if kept is not None else None

    def keep(self, url: str, token: str) -> Place:
        """Remember a token and return where. Raises StoreError."""
        self._make_folder()
        with file_lock(self.path.with_name("credentials.lock"), what=str(self.path), timeout_s=_LOCK_TIMEOUT_S):
            old = self._read()
            place: Place = "keyring" if _to_keyring(url, token) else "file"
            kept = _Kept(place=place, token=token if place == "file" else None)
            self._write(old.model_copy(update={"registries": {**old.registries, url: kept}}))
        return place

    def forget(self, url: str) -> bool:
        """Remove the token of a registry; False when there was none."""
        if self._read().registries.get(url) is None:
            return False
        with file_lock(self.path.with_name("credentials.lock"), what=str(self.path), timeout_s=_LOCK_TIMEOUT_S):
            old = self._read()
            kept = old.registries.get(url)
            if kept is None:
                return False
            if kept.place == "keyring":
                _out_of_keyring(url)
            rest = {other: each for other, each in old.registries.items() if other != url}
            self._write(old.model_copy(update={"registries": rest}))
        return True

    def known(self) -> tuple[str, ...]:
        """Registries with a token."""
        return tuple(self._read().registries)

    def _make_folder(self) -> None:
        with system_refusals(self.path.parent, "made"):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _read(self) -> _Credentials:
        try:
            return _Credentials.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return _Credentials()
        except ValidationError as error:  # whose words have the tokens
            raise ConfigError(
                f"{self.path} is damaged", hint="Remove it and `flowctl login` again; nothing else is lost."
            ) from error
        except OSError as error:
            raise StoreError.of(error, self.path, "read") from error

    def _write(self, credentials: _Credentials) -> None:
        atomic_write(self.path, credentials.model_dump_json(indent=1, exclude_none=True).encode() + b"\n", mode=0o600)


def _to_keyring(url: str, token: str) -> bool:
    """False where there is no keyring, or it refuses."""
    import keyring
    from keyring.backends import fail, null
    from keyring.errors import KeyringError

    if isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring):
        return False
    try:
        keyring.set_password(_SERVICE, url, token)
    except KeyringError:
        return False
    except Exception:  # noqa: BLE001 - backends talk to D-Bus and raise what it raises; the file is always there
        return False
    return True


def _from_keyring(url: str) -> str:
    import keyring

    try:
        token = keyring.get_password(_SERVICE, url)
    except Exception as error:  # backends raise what D-Bus does; it becomes an error of ours
        raise ConfigError(
            f"the keyring does not give the token of {url}: {type(error).__name__}: {error}",
            hint="Unlock it, or set FLOWCTL_TOKEN.",
        ) from error
    if token is None:
        raise ConfigError(f"the keyring has no token of {url} any more", hint=f"`flowctl login {url}`")
    return token


def _out_of_keyring(url: str) -> None:
    import keyring
    from keyring.errors import PasswordDeleteError

    try:
        keyring.delete_password(_SERVICE, url)
    except PasswordDeleteError:
        return  # it has none
    except Exception as error:  # likewise
        raise ConfigError(
            f"the keyring does not remove the token of {url}: {type(error).__name__}: {error}", hint="Unlock it."
        ) from error
