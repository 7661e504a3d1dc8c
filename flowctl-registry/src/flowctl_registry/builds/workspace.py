"""The folder that a worker keeps for a build: made from its snapshots, and used again while it is what they say."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowctl_core.errors import FlowctlError
from flowctl_core.store.files import atomic_write
from flowctl_registry.errors import StorageFullError
from flowctl_registry.sandbox.disk import remove

_MARKER = "marker.json"
_TREE = "tree"
_HINT = "Free some space on the worker."


class BuildWorkspace:
    """One build's folder on one worker; steps of several platforms may work in it at the same time.

    tree/        what sandboxes see: nothing in it is believed, and no link in it is followed here
    marker.json  the snapshots that it came from or went into, and the steps that were at work when it was written
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._working = 0

    @property
    def tree(self) -> Path:
        """What sandboxes see."""
        return self._folder / _TREE

    @contextmanager
    def at_work(self, what: str, snapshots: Sequence[str], restore: Callable[[Path, str], None]) -> Iterator[Path]:
        """The tree as it was when these snapshots were taken, for one step that changes it.

        `restore` unpacks one snapshot. A step that did not reach its end (`settle`) leaves the tree in doubt: the next
        one that is alone makes it anew.
        """
        with self._lock:
            has, busy = self._read()
            if not set(snapshots) <= has or (busy and not self._working):
                self._make_anew(snapshots, restore)
                has, busy = set(snapshots), set()
            self._write(has, busy | {what})
            self._working += 1
        try:
            yield self.tree
        finally:
            with self._lock:
                self._working -= 1

    def settle(self, what: str, snapshot: str | None = None) -> None:
        """A step is done, and what it left is in a snapshot where later steps need it."""
        with self._lock:
            has, busy = self._read()
            self._write(has | ({snapshot} if snapshot is not None else set()), busy - {what})

    def remove(self) -> bool:
        """It is needed no more; False: a step works in it, as of a build that is tried again."""
        with self._lock:
            if self._working:
                return False
            if self._folder.exists():
                remove(self._folder)
            return True

    def _make_anew(self, snapshots: Sequence[str], restore: Callable[[Path, str], None]) -> None:
        try:
            (self._folder / _MARKER).unlink(missing_ok=True)
            if self.tree.exists():
                remove(self.tree)
            self.tree.mkdir(mode=0o755, parents=True)
        except OSError as error:
            raise StorageFullError(f"{self._folder}: {error.strerror}", hint=_HINT) from error
        for digest in snapshots:
            restore(self.tree, digest)

    def _read(self) -> tuple[set[str], set[str]]:
        try:
            found = json.loads((self._folder / _MARKER).read_bytes())
            return set(found["snapshots"]), set(found["busy"])
        except (OSError, ValueError, KeyError, TypeError):
            return set(), {"unknown"}

    def _write(self, has: set[str], busy: set[str]) -> None:
        try:
            atomic_write(
                self._folder / _MARKER, json.dumps({"snapshots": sorted(has), "busy": sorted(busy)}).encode(),
                durable=False,
            )  # fmt: skip
        except (OSError, FlowctlError) as error:
            raise StorageFullError(f"{self._folder}: {error}", hint=_HINT) from error


class Workspaces:
    """Those of all builds of this process."""

    def __init__(self, data: Path) -> None:
        self._top = data.absolute() / "work"
        self._known: dict[tuple[str, str], BuildWorkspace] = {}
        self._lock = threading.Lock()

    def of(self, worker: str, build_id: str) -> BuildWorkspace:
        """The one of a build; workers that share a data folder have each their own."""
        with self._lock:
            key = (worker, build_id)
            if key not in self._known:
                folder = self._of_worker(worker) / build_id
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._known[key] = BuildWorkspace(folder)
            return self._known[key]

    def forget(self, worker: str, build_id: str) -> None:
        """Remove the one of a build that has ended."""
        key = (worker, build_id)
        with self._lock:
            found = self._known.get(key) or BuildWorkspace(self._of_worker(worker) / build_id)
        if found.remove():
            with self._lock:
                self._known.pop(key, None)

    def kept(self, worker: str) -> list[str]:
        """Builds that this worker keeps a folder of, ended ones too."""
        try:
            return [path.name for path in self._of_worker(worker).iterdir()]
        except FileNotFoundError:
            return []

    def _of_worker(self, worker: str) -> Path:
        return self._top / hashlib.sha256(worker.encode()).hexdigest()[:8]
