"""Restores a cleaned component from the build cache, as the full command line would, in the time that a copy takes.

Called by `flowctl_core.noop` when everything that the last build depended on is as it was and only its outputs are
gone. Stored files are trusted by their stat values, which the stamp recorded when their content had just been hashed;
anything that does not fit leaves the work to the full command line, which finds nothing half done: the record is
written last.
"""

# ruff: noqa: PTH102, PTH103, PTH104, PTH108, PTH120, PTH123, PTH211
# pathlib would cost a third of this path's time
from __future__ import annotations

import os
from typing import Any

from flowctl_core.noop import fingerprint

STATE = ".flowctl"


def restore(stamp: dict[str, Any], here: str, stamp_file: str) -> bool:
    """Put the outputs back and bring the stamp up to date; False when the full command line has to look.

    `stamp` is the loaded stamp of the component in the folder `here`. Raises OSError when a file cannot be written.
    """
    wanted = stamp["restore"]
    if wanted is None or fingerprint(STATE) is not None:
        return False
    if wanted["link"] is not None and fingerprint(wanted["link"]) is not None:
        return False
    if any(fingerprint(blob) != seen for _, blob, seen, _ in wanted["programs"]):
        return False
    from fcntl import LOCK_EX, LOCK_NB, flock

    os.mkdir(STATE)
    _write(f"{STATE}/.gitignore", "*\n")
    lock = os.open(f"{STATE}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        flock(lock, LOCK_EX | LOCK_NB)
        _put_back(wanted)
        _renew(stamp, stamp_file)
    finally:
        os.close(lock)
    return True


def _put_back(wanted: dict[str, Any]) -> None:
    from json import dumps, loads

    record = loads(wanted["record"])
    os.mkdir(f"{STATE}/bin")
    for path, blob, _, mode in wanted["programs"]:
        _copy(blob, path, mode)
        info = os.lstat(path)
        record["stats"][path] = [info.st_size, info.st_mtime_ns, info.st_ino]
    if wanted["link"] is not None:
        os.symlink(f"{STATE}/bin/{wanted['link']}", wanted["link"])
    for name, text in wanted["files"]:
        _write(f"{STATE}/{name}", text)
    _write(f"{STATE}/state.json", dumps(record))


def _copy(source: str, target: str, mode: int) -> None:
    """Copy a file under another name first, so that `target` is there whole or not at all."""
    temporary = f"{target}.{os.getpid()}.tmp"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        with open(source, "rb", buffering=0) as reader, open(temporary, "xb", buffering=0) as writer:
            while chunk := reader.read(2**22):
                writer.write(chunk)
            os.fchmod(writer.fileno(), mode)
        os.rename(temporary, target)
    except OSError:
        if fingerprint(temporary) is not None:
            os.unlink(temporary)
        raise


def _write(path: str, text: str) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "x", encoding="utf-8") as file:
        file.write(text)
    os.rename(temporary, path)


def _renew(stamp: dict[str, Any], stamp_file: str) -> None:
    from json import dumps

    stamp["outputs"] = [[path, fingerprint(path)] for path, _ in stamp["outputs"]]
    temporary = f"{stamp_file}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(dumps(stamp, separators=(",", ":")))
    os.rename(temporary, stamp_file)
