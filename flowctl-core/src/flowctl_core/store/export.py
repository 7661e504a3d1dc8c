"""The source of a release, exported into a private folder: what is built is never the user's own tree.

The folder is kept between releases, so that tools which go by time stamps build incrementally: a file whose content did
not change is not written again, everything that is not of the source is removed, except what fetch brought in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from flowctl_core.errors import SourceError
from flowctl_core.models import Inputs
from flowctl_core.store.files import STATE_DIR, atomic_write, remove_any, system_refusals
from flowctl_core.store.git_commit import BlobReader, Commit, list_commit
from flowctl_core.store.source_digest import digest_source

_MANIFEST = "export.json"


class SourceFile(NamedTuple):
    """A file of the source."""

    path: str
    kind: str
    """`file`, `exec` or `symlink`."""
    name: str
    """Stands for the content: equal names, equal content."""
    read: Callable[[], bytes]
    """The content; a link's target."""


class Exported(NamedTuple):
    """What was exported."""

    tree_digest: str
    """`sha256:<hex>` over the sorted lines `kind sha256 path` of all files."""
    files: int


def export_working_tree(root: Path, target: Path, keep: Collection[str]) -> Exported:
    """Export what git does not ignore of the tree as it is now; `keep` are paths in the target that stay.

    Raises SourceError; StoreError when the target cannot be written.
    """
    index = target.parent / "index"
    inputs = digest_source(root, Inputs(), index_path=index)

    def files() -> Iterable[SourceFile]:
        for path, kind, content in inputs.entries():
            yield SourceFile(path, kind, content, lambda path=path, kind=kind: _read(root / path, kind))  # type: ignore[misc]

    return _export(files(), target, keep)


def export_commit(commit: Commit, target: Path, keep: Collection[str]) -> Exported:
    """Export one commit, as git stores it. Raises SourceError; StoreError when the target cannot be written."""
    with BlobReader() as blobs:
        entries = (
            SourceFile(entry.path, entry.kind, entry.blob, lambda entry=entry: blobs.read(entry))  # type: ignore[misc]
            for entry in list_commit(commit)
        )
        return _export(entries, target, keep)


def exported_files(target: Path) -> tuple[str, ...]:
    """Paths of the source's files where it was exported to, sorted; nothing that a build added is among them."""
    return tuple(sorted(_read_manifest(target)))


def _read(path: Path, kind: str) -> bytes:
    try:
        return os.fsencode(path.readlink()) if kind == "symlink" else path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _export(files: Iterable[SourceFile], target: Path, keep: Collection[str]) -> Exported:
    known = _read_manifest(target)
    manifest: dict[str, list[object]] = {}
    hasher = sha256()
    with system_refusals(target):
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted(files, key=lambda file: os.fsencode(file.path)):
            _require_harmless(file.path)
            entry = known.get(file.path)
            if (
                entry is None
                or entry[0] != file.kind
                or entry[1] != file.name
                or entry[3:] != _seen(target / file.path)
            ):
                content = file.read()
                _write(target, file, content)
                entry = [file.kind, file.name, sha256(content).hexdigest(), *_seen(target / file.path)]
            manifest[file.path] = entry
            hasher.update(os.fsencode(f"{entry[0]} {entry[2]} {file.path}\n"))
        _remove_others(target, manifest, keep)
    atomic_write(target.parent / _MANIFEST, json.dumps(manifest).encode(), durable=False)
    return Exported("sha256:" + hasher.hexdigest(), len(manifest))


def _require_harmless(path: str) -> None:
    """Git refuses such paths itself; a repository made by other means may have them."""
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise SourceError(f"the source has a file named {path!r}, which leads outside of it")


def _write(target: Path, file: SourceFile, content: bytes) -> None:
    path = target / file.path
    folder = target
    for part in Path(file.path).parts[:-1]:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):  # never written through a link
            folder.unlink()
        folder.mkdir(exist_ok=True)
    remove_any(path)
    if file.kind == "symlink":
        path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    path.chmod(0o755 if file.kind == "exec" else 0o644)


def _seen(path: Path) -> list[int]:
    try:
        info = path.lstat()
    except OSError:
        return []
    return [info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino]


def _remove_others(target: Path, manifest: Collection[str], keep: Collection[str]) -> None:
    """Remove what a build left: whatever is neither source nor fetched."""
    folders = {os.path.dirname(path) for path in manifest}  # noqa: PTH120 - relative names
    for folder in list(folders):
        while folder:
            folder = os.path.dirname(folder)  # noqa: PTH120
            folders.add(folder)
    folders |= {"/".join(Path(path).parts[:depth]) for path in keep for depth in range(len(Path(path).parts))}
    pending = [""]
    while pending:
        here = pending.pop()
        with os.scandir(target / here) as scan:
            for entry in scan:
                path = f"{here}/{entry.name}" if here else entry.name
                if path in (STATE_DIR, *keep):
                    continue
                if entry.is_dir(follow_symlinks=False) and path in folders:
                    pending.append(path)
                elif path not in manifest:
                    remove_any(target / path)


def _read_manifest(target: Path) -> dict[str, list[object]]:
    with suppress(OSError, ValueError):
        manifest = json.loads((target.parent / _MANIFEST).read_bytes())
        if isinstance(manifest, dict) and target.is_dir():
            return manifest
    return {}
