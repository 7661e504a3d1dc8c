"""What is installed: read from the records in the versions' folders, and held to how the files look now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.errors import StoreError
from flowctl_core.install.places import RECORD, Home
from flowctl_core.install.ranges import is_version, sort_key
from flowctl_core.models.installed import InstalledFile, InstalledVersion, Kind
from flowctl_core.store.copying import hash_bytes


def read_record(folder: Path) -> InstalledVersion | None:
    """What a version's folder says it is; None where there is none, or a damaged one."""
    try:
        return InstalledVersion.model_validate_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    except OSError as error:
        raise StoreError.of(error, folder / RECORD, "read") from error


def installed(home: Home, kind: Kind = "component") -> Iterator[InstalledVersion]:
    """All installed versions, by namespace and name, the newest first."""
    for namespace in _folders(home.installed(kind)):
        for name in _folders(namespace):
            for folder in sorted(_folders(name), key=lambda each: sort_key(each.name), reverse=True):
                if is_version(folder.name):
                    record = read_record(folder)
                    if record is not None and (record.namespace, record.name, record.version) == (
                        namespace.name, name.name, folder.name,
                    ):  # fmt: skip
                        yield record


def state_of(path: Path) -> tuple[int, int, int, int]:
    """Mode, size, mtime and inode. Not ctime: another version's link to the same file changes it. Raises OSError."""
    info = path.lstat()
    return info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino


def damaged(folder: Path, record: InstalledVersion, *, whole: bool = False) -> list[str]:
    """Files of an installed version that are not what was verified, missing ones too. Those that look as they did
    are not read, unless `whole`."""
    found = []
    for path, file in record.files.items():
        try:
            if (whole or state_of(folder / path) != file.state) and not _is(folder / path, file):
                found.append(path)
        except OSError:
            found.append(path)
    return found


def _is(path: Path, file: InstalledFile) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_size != file.size or os.fstat(fd).st_mode & 0o777 != file.state[0] & 0o777:
            return False
        return "sha256:" + hash_bytes(fd) == file.digest
    finally:
        os.close(fd)


def _folders(path: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as scan:
        return sorted(
            Path(entry.path) for entry in scan if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        )
    return []
