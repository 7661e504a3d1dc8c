"""Who made an answer: distribution, version and digest of a plugin, for cache keys and provenance."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from functools import cached_property, lru_cache
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, computed_field

from flowctl_core.models.base import Frozen

State = Literal["active", "broken", "conflict"]
Kind = Literal["builder", "signer", "wrapper", "unknown"]

_NOT_CONTENT = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})
"""Files in `.dist-info` that tell how a wheel was installed, not what is in it."""
_SCRIPT_FOLDERS = frozenset({"bin", "Scripts"})


class PluginIdentity(Frozen):
    """What a cache key and provenance record about a plugin that took part in an answer."""

    name: str
    distribution: str
    version: str
    digest: str
    hooks: tuple[str, ...]


class PluginRecord(Frozen):
    """One plugin as `flowctl plugin list` shows it, whether it works or not."""

    name: str
    """Entry point name; for a builder the name that configuration and `call` use."""
    distribution: str
    """Distribution that it comes from."""
    version: str
    """Version of the distribution."""
    value: str
    """`module:attribute` of the entry point."""
    contract: int | None = None
    """Contract version that the plugin declares."""
    hooks: tuple[str, ...] = ()
    """Hooks of the contract that it implements."""
    kind: Kind = "unknown"
    """`unknown` for one that cannot be loaded."""
    wrappers: bool = False
    """True when it wraps hooks of other plugins: then it takes part in each build's key."""
    state: State = "active"
    """`conflict`: two distributions claim the name, and neither is used."""
    problem: str | None = None
    """Why it is not active."""
    detail: str | None = None
    """Traceback of a plugin that cannot be imported."""
    metadata: Path | None = Field(default=None, exclude=True)

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of the installed distribution, see `distribution_digest`; empty when not installed.

        Computed on first use: a build asks only for its builder and the wrappers.
        """
        if self.metadata is None:
            return ""
        return distribution_digest(self.metadata, self.value.partition(":")[0].partition(".")[0])

    @property
    def label(self) -> str:
        """Name and distribution, for messages."""
        return f"{self.name} ({self.distribution})" if self.distribution else self.name

    def source_paths(self) -> tuple[str, ...]:
        """Files and folders of the import package of an editable installation; empty for an installed
        wheel."""
        if self.metadata is None or not _editable(self.metadata):
            return ()
        files = [path for _, path, *_ in _package_files(self.value.partition(":")[0].partition(".")[0])]
        return tuple(sorted({*files, *(os.path.dirname(path) for path in files)}))  # noqa: PTH120

    def identity(self) -> PluginIdentity:
        """The part that belongs to a cache key."""
        return PluginIdentity(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            digest=self.digest,
            hooks=self.hooks,
        )


def distribution_digest(metadata: Path, package: str) -> str:
    """Canonical digest of an installed distribution: equal for the same wheel in every environment.

    It covers the sorted `path,hash` lines of RECORD without files that differ between installations (RECORD
    itself, bytecode, INSTALLER, REQUESTED, direct_url.json, scripts whose first line names the interpreter).
    For an editable installation RECORD says nothing about the code, so the files of the import package
    `package` are read instead.
    """
    try:
        return _digest_of(metadata, package, _editable(metadata))
    except OSError:
        return ""


def _digest_of(metadata: Path, package: str, editable: bool) -> str:
    if editable:
        files = tuple(_package_files(package))
        return _sources_digest(files)
    record = metadata / "RECORD"
    try:
        stat = record.stat()
    except FileNotFoundError:  # an `.egg-info`, or a distribution's package manager that keeps no RECORD
        return _sources_digest(tuple(_package_files(package)))
    return _record_digest(record, stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _editable(metadata: Path) -> bool:
    try:
        url = json.loads((metadata / "direct_url.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(url, dict) and bool(url.get("dir_info", {}).get("editable"))


@lru_cache(maxsize=256)
def _record_digest(record: Path, mtime_ns: int, size: int, inode: int) -> str:
    """The stat values are there so that a new installation is read again."""
    lines = sorted(
        f"{path},{digest}"
        for path, digest, *_ in csv.reader(io.StringIO(record.read_text(encoding="utf-8")))
        if not _differs_between_installations(PurePosixPath(path), record.parent.name)
    )
    return _sha256("\n".join(lines).encode())


def _differs_between_installations(path: PurePosixPath, metadata: str) -> bool:
    if path.suffix == ".pyc" or "__pycache__" in path.parts:
        return True
    if path.parts[:1] == ("..",):
        return path.parent.name in _SCRIPT_FOLDERS
    return path.parts[:1] == (metadata,) and path.name in _NOT_CONTENT


_File = tuple[str, str, int, int, int]
"""Name in the package, absolute path, mtime in ns, size, inode."""


def _package_files(package: str) -> list[_File]:
    """The files of a top-level import package (or module), found without importing it."""
    spec = PathFinder.find_spec(package)
    if spec is None:
        return []
    roots = list(spec.submodule_search_locations or ())
    if not roots:
        return [_stat(Path(spec.origin).name, spec.origin)] if spec.origin else []
    files = []
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                if not name.endswith(".pyc"):
                    path = os.path.join(folder, name)  # noqa: PTH118 - a third of the time of Path, on each build
                    files.append(_stat(os.path.relpath(path, root).replace(os.sep, "/"), path))
    return sorted(files)


def _stat(name: str, path: str) -> _File:
    stat = os.stat(path)  # noqa: PTH116 - as above
    return name, path, stat.st_mtime_ns, stat.st_size, stat.st_ino


@lru_cache(maxsize=256)
def _sources_digest(files: tuple[_File, ...]) -> str:
    if not files:
        return ""
    lines = (f"{name},{hashlib.sha256(Path(path).read_bytes()).hexdigest()}" for name, path, *_ in files)
    return _sha256("\n".join(lines).encode())


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
