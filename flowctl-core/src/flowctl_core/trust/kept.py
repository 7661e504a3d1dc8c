"""What a client keeps between runs beside python-tuf's metadata: when it was verified."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.errors import StoreError, TrustError
from flowctl_core.models.base import Frozen
from flowctl_core.store.files import atomic_write, remove_any
from flowctl_core.trust.pinning import TrustFolder

_CLOCK_SLACK_S = 300.0
_LEFT_BEHIND_S = 3600.0


class Verified(Frozen):
    """`verified.json`."""

    at: datetime
    """When the registry was last asked and its answer verified."""


def write_verified(folder: TrustFolder) -> None:
    """Note that what is kept was verified now. Raises StoreError."""
    atomic_write(folder.verified, Verified(at=datetime.now(UTC)).model_dump_json().encode())


def read_verified(folder: TrustFolder, registry: str) -> Verified:
    """When what is kept was verified. Raises TrustError when it never was."""
    try:
        return Verified.model_validate_json(folder.verified.read_bytes())
    except FileNotFoundError as error:
        raise TrustError(
            f"{registry} was never verified on this machine", hint="Run the command once with network."
        ) from error
    except ValidationError as error:
        raise TrustError(f"{folder.verified} is damaged", hint="Run the command with network.") from error
    except OSError as error:
        raise StoreError.of(error, folder.verified, "read") from error


def check_clock(verified: Verified) -> None:
    """Raise TrustError when the clock was set back: what has expired would look good again."""
    behind = (verified.at - datetime.now(UTC)).total_seconds()
    if behind > _CLOCK_SLACK_S:
        raise TrustError(
            f"this machine's clock is {behind:.0f} s before the last verification",
            hint="Set the clock: with a wrong one, expiry cannot be judged.",
        )


def copy_metadata(source: Path, target: Path) -> None:
    """Copy what python-tuf keeps, without the modes of a read-only folder. Raises OSError."""
    history = target / "root_history"
    history.mkdir(parents=True)
    for path in source.glob("*.json"):
        if not path.is_symlink():  # root.json, which python-tuf makes anew
            shutil.copyfile(path, target / path.name)
    for path in (source / "root_history").glob("*.json"):
        shutil.copyfile(path, history / path.name)


def sweep_metadata(metadata: Path) -> None:
    """Remove temporary files that killed processes left. Never raises."""
    limit = time.time() - _LEFT_BEHIND_S
    for path in metadata.glob("tmp*"):
        with suppress(OSError):
            if path.lstat().st_mtime < limit:
                remove_any(path)


def ago(at: datetime) -> str:
    """`3 days ago`."""
    seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {name} ago"
    return f"{seconds:.0f} seconds ago"
