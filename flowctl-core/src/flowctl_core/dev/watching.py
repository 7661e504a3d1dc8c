"""Tells when something changes in the folders of the sources: those that hold inputs of a build, never its outputs.

watchfiles' own loop asks every few milliseconds whether the kernel told it of anything (0.4 % of a core at 5 ms).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from watchfiles._rust_notify import RustNotify

STEP_MS = 5
"""An edit is heard once so long nothing more was written."""
DEBOUNCE_MS = 400
"""A storm of edits is heard at the latest after so long."""
_POLL_MS = 300
"""How often folders are looked at where the system has no watches to give."""


class Watcher(threading.Thread):
    """Watches folders, without those below them, for several owners."""

    def __init__(self, on_change: Callable[[Path, int], None], on_warning: Callable[[str], None]) -> None:
        """`on_change(owner, paths)` is called in this thread with how many paths changed at once, also (with 0) after
        the folders of an owner were replaced."""
        super().__init__(name="watcher", daemon=True)
        self._on_change = on_change
        self._on_warning = on_warning
        self._lock = threading.Lock()
        self._folders: dict[Path, frozenset[str]] = {}
        self._renewed = threading.Event()
        self._something = threading.Event()
        self._stopped = False
        self._polling = False

    def watch(self, owner: Path, folders: Iterable[str]) -> None:
        """From now on these are the folders of this owner."""
        found = frozenset(folders)
        with self._lock:
            if self._folders.get(owner) == found:
                return
            self._folders[owner] = found
        self._renewed.set()
        self._something.set()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped = True
        self._renewed.set()
        self._something.set()

    def run(self) -> None:
        """Watch until stopped."""
        self._something.wait()
        while not self._stopped:
            self._renewed.clear()
            with self._lock:
                folders = dict(self._folders)
            notify = self._notify({folder for owned in folders.values() for folder in owned})
            # What changed before the watches were there is looked for by those who are told.
            for owner in folders:
                self._on_change(owner, 0)
            while not self._renewed.is_set():
                changes = notify.watch(DEBOUNCE_MS, STEP_MS, 0, self._renewed)
                if not isinstance(changes, set):
                    break
                touched = {str(Path(path).parent) for _, path in changes} | {path for _, path in changes}
                for owner in _owners(folders, touched):
                    self._on_change(owner, len(changes))

    def _notify(self, folders: set[str]) -> RustNotify:
        present = sorted(folder for folder in folders if Path(folder).is_dir())
        try:
            return RustNotify(present, False, self._polling, _POLL_MS, False, True)
        except (OSError, RuntimeError) as error:
            if self._polling:
                raise
            self._polling = True
            self._on_warning(
                f"{len(present)} folders cannot be watched ({error}); they are looked at every {_POLL_MS / 1000:g} s. "
                "On Linux raise fs.inotify.max_user_watches"
            )
            return RustNotify(present, False, True, _POLL_MS, False, True)


def _owners(folders: Mapping[Path, frozenset[str]], touched: set[str]) -> list[Path]:
    return [owner for owner, owned in folders.items() if not touched.isdisjoint(owned)]
