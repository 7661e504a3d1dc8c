"""Puts verified files where they are used: a version's folder appears whole, by one rename, after everything in it was
verified; a platform that comes later is added file by file, its record last.

The caller holds the lock of the home.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from flowctl_core.install.checking import Verified
from flowctl_core.install.contents import DOCUMENT, PROGRAM, Contents
from flowctl_core.install.download import is_program
from flowctl_core.install.places import RECORD, Home
from flowctl_core.install.request import Request
from flowctl_core.install.shelf import read_record, state_of
from flowctl_core.models.installed import InstalledFile, InstalledProgram, InstalledVersion
from flowctl_core.models.platform import Platform
from flowctl_core.models.published import PublishedFile
from flowctl_core.store.files import atomic_replace, atomic_write, remove_any, system_refusals, temporary_name


def place(
    home: Home,
    contents: Contents,
    request: Request,
    version: str,
    registry: str,
    verified: Verified,
    files: Mapping[str, PublishedFile],
    platforms: tuple[Platform, ...],
) -> InstalledVersion:
    """Put a verified version's files (`files`, all of them measured) into its folder. Raises StoreError."""
    folder = home.version(request.namespace, request.name, version)
    before = read_record(folder)
    record = InstalledVersion(
        namespace=request.namespace,
        name=request.name,
        version=version,
        registry=registry,
        origin=verified.origin,
        commit=verified.commit,
        checks=verified.checks,
        programs=tuple(
            InstalledProgram(name=each.name, path=each.path, platform=each.platform, interpreter=each.interpreter)
            for each in verified.info.artifacts
            if each.platform in platforms and each.kind == "program"
        ),
        installed_at=datetime.now(UTC).replace(microsecond=0),
    )
    with system_refusals(folder.parent, "made"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(".*.tmp"):  # of processes that were killed: nobody else is here now
            remove_any(left)
    if before is None:
        staged = temporary_name(folder)
        with system_refusals(staged, "made"):
            staged.mkdir()
        try:
            record = _fill(staged, contents, record, files)
            atomic_write(staged / RECORD, _text(record))
            atomic_replace(staged, folder)
        except BaseException:  # also Ctrl-C: half a folder must not stay
            remove_any(staged)
            raise
        return record
    with system_refusals(folder, "made"):
        for left in folder.rglob(".*.tmp"):
            remove_any(left)
    kept = {path: file for path, file in before.files.items() if path not in files and _is_there(folder / path, file)}
    added = [each.path for each in record.programs]
    others = tuple(each for each in before.programs if each.path not in added and each.path in kept)
    record = _fill(folder, contents, record.model_copy(update={"programs": (*others, *record.programs)}), files)
    record = record.model_copy(update={"files": {**kept, **record.files}})
    atomic_write(folder / RECORD, _text(record))
    return record


def _fill(
    folder: Path, contents: Contents, record: InstalledVersion, files: Mapping[str, PublishedFile]
) -> InstalledVersion:
    placed = {}
    for path, file in files.items():
        target = folder / path
        contents.link(file.digest, target, PROGRAM if is_program(path) else DOCUMENT)
        with system_refusals(target, "read"):
            placed[path] = InstalledFile(digest=file.digest, size=file.size, state=state_of(target))
    return record.model_copy(update={"files": placed})


def _is_there(path: Path, file: InstalledFile) -> bool:
    try:
        info = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(info.st_mode) and info.st_size == file.size


def _text(record: InstalledVersion) -> bytes:
    return record.model_dump_json(indent=1).encode() + b"\n"
