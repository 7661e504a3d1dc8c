"""The folder of this user's signing keys: `<name>.key`, `<name>.pub`, and `<name>.json` which remembers its life."""

from __future__ import annotations

import json
import os
import re
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flowctl_core.errors import SigningError, UsageError
from flowctl_core.models.key import KeyInfo
from flowctl_core.sign import key_pair
from flowctl_core.store.files import atomic_write, system_refusals
from flowctl_core.store.lock import file_lock

DEFAULT_NAME = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_LIVES = TypeAdapter(tuple[KeyInfo, ...])


class KeyFolder:
    """Keys by name. The first entry of a name's record is in use; those behind it were replaced."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get("FLOWCTL_KEYS") or Path.home() / ".flowctl" / "keys")

    def generate(self, name: str, passphrase: bytes | None) -> KeyInfo:
        """Make a key pair. Raises SigningError if the name is taken, UsageError if it is no name."""
        with self._locked(name):
            if self._record(name).exists() or self._private(name).exists():
                raise SigningError(
                    f"there is a key {name} already",
                    hint=f"`flowctl keys rotate {name}` replaces it.",
                )
            return self._make(name, passphrase, ())

    def rotate(self, name: str, passphrase: bytes | None) -> KeyInfo:
        """Replace a key by a new one. The old public half stays listed, so that what it signed stays good."""
        with self._locked(name):
            current, *older = self.lives(name)
            retired = current.model_copy(update={"retired": current.retired or _now()})
            return self._make(name, passphrase, (retired, *older))

    def revoke(self, name: str, hint: str | None, reason: str | None) -> KeyInfo:
        """Mark a key (`hint` names one that was replaced) as never to be believed; the private half is removed."""
        with self._locked(name):
            lives = list(self.lives(name))
            chosen = next((at for at, each in enumerate(lives) if hint in (None, each.hint)), None)
            if chosen is None:
                raise SigningError(f"no key {name} has the hint {hint}", hint="`flowctl keys list` shows hints.")
            if lives[chosen].revoked is None:
                lives[chosen] = lives[chosen].model_copy(update={"revoked": _now(), "reason": reason})
                self._write(name, tuple(lives))
            if chosen == 0:
                with system_refusals(self._private(name), "removed"):
                    self._private(name).unlink(missing_ok=True)
            return lives[chosen]

    def all(self) -> tuple[KeyInfo, ...]:
        """Every key, by name, the one in use before those that it replaced."""
        with system_refusals(self.folder, "read"):
            names = sorted(path.stem for path in self.folder.glob("*.json")) if self.folder.is_dir() else []
        return tuple(life for name in names for life in self.lives(name))

    def lives(self, name: str) -> tuple[KeyInfo, ...]:
        """The key of that name and those it replaced. Raises SigningError if there is none."""
        record = self._record(name)
        try:
            lives = _LIVES.validate_json(record.read_bytes())
        except FileNotFoundError:
            raise SigningError(
                f"there is no key {name} in {self.folder}", hint=f"`flowctl keys generate {name}`."
            ) from None
        except ValidationError:
            lives = ()
        except OSError as error:
            raise SigningError(f"{record} cannot be read: {error.strerror}") from None
        if not lives:
            raise SigningError(
                f"{record} is damaged",
                hint=f"Remove it and run `flowctl keys generate` under another name; {name}.pub still verifies.",
            )
        return lives

    def private_file(self, name: str) -> Path:
        """The private half of the key in use. Raises SigningError for one that is missing or revoked."""
        current = self.lives(name)[0]
        if current.revoked:
            raise SigningError(f"the key {name} is revoked", hint=f"`flowctl keys rotate {name}` makes a new one.")
        return self._private(name)

    def _make(self, name: str, passphrase: bytes | None, older: tuple[KeyInfo, ...]) -> KeyInfo:
        private, public = key_pair.generate(passphrase)
        made = KeyInfo(
            name=name,
            hint=key_pair.hint_of(public),
            public_key=public,
            created=_now(),
            encrypted=passphrase is not None,
        )
        # The record is last: a run that is killed before it leaves the old record, whose key the next run replaces.
        atomic_write(self._private(name), private, mode=0o600)
        atomic_write(self.folder / f"{name}.pub", public.encode(), mode=0o644)
        self._write(name, (made, *older))
        return made

    def _write(self, name: str, lives: tuple[KeyInfo, ...]) -> None:
        text = json.dumps([each.model_dump(mode="json", exclude_none=True) for each in lives], indent=2)
        atomic_write(self._record(name), text.encode() + b"\n", mode=0o644)

    def _record(self, name: str) -> Path:
        return self.folder / f"{_checked(name)}.json"

    def _private(self, name: str) -> Path:
        return self.folder / f"{_checked(name)}.key"

    def _locked(self, name: str) -> AbstractContextManager[None]:
        _checked(name)
        with system_refusals(self.folder, "made"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_mode & 0o077:
                self.folder.chmod(0o700)
        return file_lock(self.folder / ".lock", what="the key folder", timeout_s=30.0)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a key", hint="Small letters, digits, dot, dash and underscore; at most 63."
        )
    return name


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
