"""The local build cache: results of earlier builds, found by key, restored without the toolchain.

Two levels: the key stands for everything but the resolved tools; an entry also records those. With tools at
hand only an entry of exactly these tools counts; on a machine that lacks the toolchain the key's newest entry
does.

Nothing here fails a build: every fault is told once to `warn` and counts as a miss. A lock file keeps the
sweep and the writers apart (writers share it, the sweep holds it alone; the kernel releases it on kill -9).
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from flowctl_core.errors import FlowctlError, LockedError
from flowctl_core.models import Artifact, Tool
from flowctl_core.store import sweep
from flowctl_core.store.cache_entry import CacheEntry, CacheInfo, PruneReport, remember, tools_digest
from flowctl_core.store.cache_index import CacheIndex, DamagedIndexError, is_damage, set_aside
from flowctl_core.store.content import ContentStore
from flowctl_core.store.files import atomic_replace, remove_any, temporary_name
from flowctl_core.store.lock import file_lock
from flowctl_core.store.stat_index import Stat

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

_LOCK_WAIT_S = 10.0
_FAULTS = (OSError, sqlite3.Error, FlowctlError, ValueError, RecursionError, ImportError, DamagedIndexError)
_USED_PRECISION_S = 60.0
"""A lookup writes `last_used` only when the recorded one is older, so that most lookups write nothing."""


class _Guard:
    """Hands every fault of the cache to a function and swallows it; other exceptions pass."""

    def __init__(self, fault: Callable[[BaseException], None]) -> None:
        self._fault = fault

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # diskcache has a Timeout of its own, raised when somebody else is busy for too long.
        if isinstance(error, _FAULTS) or (error is not None and type(error).__module__.startswith("diskcache")):
            self._fault(error)
            return True
        return False


class BuildCache:
    """The cache in one folder, of at most about `size_limit` bytes."""

    def __init__(self, directory: Path, size_limit: int, *, warn: Callable[[str], None] = lambda text: None) -> None:
        """Nothing is opened before the first use. `warn` receives each kind of fault once."""
        self.directory = directory
        self.size_limit = size_limit
        self.content = ContentStore(directory)
        self._warn = warn
        self._warned: set[str] = set()
        self._opened: CacheIndex | None = None
        self._guard = _Guard(self._fault)

    def __enter__(self) -> BuildCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the index; the cache opens it again when it is used again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def lookup(self, key: str, tools: Iterable[Tool] | None = None) -> CacheEntry | None:
        """The entry for a key, made by exactly these tools; without tools (None), the newest for the key."""
        with self._guard:
            if not self.directory.is_dir():
                return None
            if tools is not None:
                row = f"entry:{key}:{tools_digest(remember(tools))}"
                entry = self._entry(row)
            else:
                rows = self._index().get(f"key:{key}")
                found = map(self._entry, _row_names(rows))
                entry = max((e for e in found if e is not None), key=lambda e: e.created, default=None)
            if entry is not None:
                self._mark_used(entry)
            return entry
        return None

    def latest_for(self, component: str, root_id: str) -> CacheEntry | None:
        """The newest entry of a component in a source tree: what a miss is explained against."""
        with self._guard:
            if not self.directory.is_dir():
                return None
            row = self._index().get(_latest_row(component, root_id))
            return self._entry(row) if isinstance(row, str) else None
        return None

    def manifest(self, entry: CacheEntry) -> dict[str, str] | None:
        """The inputs an entry was built from (path → kind and digest), for `changed_inputs`."""
        with self._guard:
            import json

            data = self.content.get_bytes(entry.manifest) if entry.manifest else None
            loaded = json.loads(data) if data is not None else None
            return loaded if isinstance(loaded, dict) else None
        return None

    def store(
        self,
        key: str,
        *,
        component: str,
        source_root: Path,
        artifacts: Iterable[Artifact],
        tools: Iterable[Tool] = (),
        plugins: Mapping[str, str] | None = None,
        explain: Mapping[str, str] | None = None,
        manifest: Mapping[str, str] | None = None,
    ) -> bool:
        """Keep the artifacts of a build under `source_root`; False (and a warning) when that is not possible.

        What is kept must have the digest that the artifact claims: False when it changed since it was
        measured.
        """
        with self._guard:
            import json

            self._index()  # a damaged one is replaced before the lock is taken
            with self._lock(shared=True):
                modes: dict[str, int] = {}
                seen: dict[str, Stat] = {}
                kept = []
                size = 0
                for artifact in artifacts:
                    path = _inside(source_root, artifact.path)
                    size += artifact.size
                    if artifact.kind == "tree":
                        digest = self.content.put_tree(path)
                    else:
                        real = path.resolve(strict=True)
                        modes[artifact.path] = real.stat().st_mode & 0o7777
                        digest = self.content.put(real)
                        if (look := self.content.look(digest)) is not None:
                            seen[digest] = look
                    if artifact.digest and artifact.digest != digest:
                        raise ValueError(f"{artifact.path} changed while it was stored")
                    kept.append(artifact.model_copy(update={"digest": digest}))
                now = time.time()
                listing = json.dumps(dict(manifest), sort_keys=True).encode() if manifest else b""
                entry = CacheEntry(
                    key=key,
                    component=component,
                    root_id=os.path.realpath(source_root),
                    created=now,
                    last_used=now,
                    artifacts=tuple(kept),
                    modes=modes,
                    seen=seen,
                    tools=remember(tools),
                    plugins=dict(plugins or {}),
                    explain=dict(explain or {}),
                    manifest=self.content.put_bytes(listing) if listing else "",
                )
                self._add(entry)
            self._keep_limit(size)
            return True
        return False

    def restore(self, entry: CacheEntry, source_root: Path) -> list[Artifact] | None:
        """Put an entry's artifacts back, all of them or none; None when one is missing or damaged.

        Each replaces what is there, atomically. What is only valid in the folder it was built in
        (Artifact.relocatable) is not restored elsewhere.
        """
        with self._guard:
            if os.path.realpath(source_root) != entry.root_id and not all(a.relocatable for a in entry.artifacts):
                return None
            prepared: list[tuple[Path, Path]] = []
            try:
                for artifact in entry.artifacts:
                    target = _inside(source_root, artifact.path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _inside(source_root, artifact.path)  # the folder may be a link that leads elsewhere
                    temporary = temporary_name(target)
                    prepared.append((temporary, target))
                    if artifact.kind == "tree":
                        sound = self.content.get_tree(artifact.digest, temporary)
                    else:
                        mode = entry.modes.get(artifact.path, 0o755)
                        seen = entry.seen.get(artifact.digest)
                        sound = self.content.copy_to(artifact.digest, temporary, mode, seen)
                    if not sound:
                        self._forget(entry)
                        return None
                for temporary, target in prepared:
                    atomic_replace(temporary, target)
            finally:
                for temporary, _ in prepared:
                    with suppress(OSError):
                        remove_any(temporary)
            return list(entry.artifacts)
        return None

    def info(self) -> CacheInfo | None:
        """Entries and bytes; None when the cache cannot be read."""
        with self._guard:
            entries = 0
            if self.directory.is_dir():
                entries = sum(name.startswith("entry:") for name in self._index().names())
            sizes = [seen.st_size for _, _, seen in self.content.stored()]
            return CacheInfo(
                path=self.directory, entries=entries, files=len(sizes), bytes=sum(sizes), limit=self.size_limit
            )
        return None

    def prune(
        self, *, max_size: int | None = None, older_than_s: float | None = None, everything: bool = False
    ) -> PruneReport | None:
        """Remove entries and the files that no entry needs any more; None when the cache cannot be read.

        `everything` removes all; `older_than_s` what was not used for so many seconds; then the least
        recently used entries go until the files are at most `max_size` bytes (by default the cache's limit).
        Files without an entry stay for an hour, in case somebody is about to write theirs, except with
        `everything`.
        """
        with self._guard:
            if not self.directory.is_dir():
                return PruneReport()
            index = self._index()
            with self._lock(shared=False):
                entries = [entry for name in list(index.names()) if (entry := self._entry(name)) is not None]
                doomed, needed, released = sweep.choose(
                    entries,
                    self.content,
                    max_size=self.size_limit if max_size is None else max_size,
                    used_before=None if older_than_s is None else time.time() - older_than_s,
                    everything=everything,
                )
                for entry in doomed:
                    self._forget(entry)
                files, size = sweep.remove_unreferenced(
                    self.content, needed, released, grace_s=0.0 if everything else sweep.GRACE_S
                )
                index.set("bytes", sum(seen.st_size for _, _, seen in self.content.stored()))
            return PruneReport(entries=len(doomed), files=files, bytes=size)
        return None

    def _index(self) -> CacheIndex:
        if self._opened is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._opened = CacheIndex(self.directory)
        return self._opened

    def _entry(self, row: str) -> CacheEntry | None:
        if not row.startswith("entry:"):
            return None
        value = self._index().get(row)
        try:
            return CacheEntry.model_validate(value) if value is not None else None
        except ValidationError:  # written by another version of flowctl
            self._index().delete(row)
            return None

    def _add(self, entry: CacheEntry) -> None:
        index = self._index()
        with index.transaction():
            rows = index.get(f"key:{entry.key}")
            known = [row for row in _row_names(rows) if row != entry.row]
            index.set(entry.row, entry.model_dump(mode="json"))
            index.set(f"key:{entry.key}", [*known, entry.row])
            index.set(_latest_row(entry.component, entry.root_id), entry.row)

    def _forget(self, entry: CacheEntry) -> None:
        index = self._index()
        with index.transaction():
            rows = index.get(f"key:{entry.key}")
            left: list[JsonValue] = [row for row in _row_names(rows) if row != entry.row]
            if left:
                index.set(f"key:{entry.key}", left)
            else:
                index.delete(f"key:{entry.key}")
            latest = _latest_row(entry.component, entry.root_id)
            if index.get(latest) == entry.row:
                index.delete(latest)
            index.delete(entry.row)

    def _mark_used(self, entry: CacheEntry) -> None:
        now = time.time()
        if abs(now - entry.last_used) > _USED_PRECISION_S:
            # A read-only or full cache still gives what it has.
            with suppress(OSError, sqlite3.Error):
                self._index().set(entry.row, entry.model_copy(update={"last_used": now}).model_dump(mode="json"))

    def _keep_limit(self, added: int) -> None:
        """Prune when the limit is passed, by a running sum; each prune corrects the sum."""
        index = self._index()
        with index.transaction():
            known = index.get("bytes")
            total = (known if isinstance(known, int) else 0) + added
            index.set("bytes", total)
        if total > self.size_limit:
            self.prune(max_size=self.size_limit * 9 // 10)

    def _lock(self, *, shared: bool) -> AbstractContextManager[None]:
        return file_lock(self.directory / "lock", what="the build cache", timeout_s=_LOCK_WAIT_S, shared=shared)

    def _fault(self, error: BaseException) -> None:
        self.close()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._reclaim()
        if is_damage(error):
            with suppress(OSError, FlowctlError):
                self._replace_index()
        if isinstance(error, LockedError):
            text = "the build cache is in use by another process; going on without it"
        else:
            text = f"the build cache in {self.directory} does not work, the build goes on without it: {error}"
        kind = type(error).__name__
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(text)

    def _reclaim(self) -> None:
        """On a full disk, remove at once what an unfinished `store` left."""
        with suppress(*_FAULTS), self._lock(shared=False):
            entries = [entry for name in list(self._index().names()) if (entry := self._entry(name)) is not None]
            needed: set[str] = set()
            for entry in entries:
                needed.update(sweep.references(entry, self.content) or ())
            sweep.remove_unreferenced(self.content, needed, set(), grace_s=0.0)

    def _replace_index(self) -> None:
        """Set a damaged index aside, unless another process has already done so."""
        with self._lock(shared=False):
            try:
                index = CacheIndex(self.directory)
                index.check()
                index.close()
            except (sqlite3.DatabaseError, DamagedIndexError) as error:
                if is_damage(error):
                    set_aside(self.directory)


def _row_names(value: JsonValue) -> list[str]:
    """The rows of a key."""
    return [row for row in value if isinstance(row, str)] if isinstance(value, list) else []


def _latest_row(component: str, root_id: str) -> str:
    return "latest:" + sha256(f"{component}\0{root_id}".encode(errors="surrogateescape")).hexdigest()


def _inside(source_root: Path, relative: str) -> Path:
    """Absolute path of an artifact; ValueError when it, or its folder through a link, is outside the tree."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{relative} is outside of the source tree")
    target = source_root / path
    if not target.parent.resolve().is_relative_to(source_root.resolve()):
        raise ValueError(f"{relative} leads out of the source tree")
    return target
