"""Takes installed versions away: their links first, so that nothing leads to what is going."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from flowctl_core.errors import LockedError, NotFoundError
from flowctl_core.install.installing import LOCK_TIMEOUT_S, Room
from flowctl_core.install.links import link_programs, linked, unlink_version
from flowctl_core.install.ranges import in_range
from flowctl_core.install.request import Request
from flowctl_core.install.shelf import installed
from flowctl_core.models.installation import RemovedReport
from flowctl_core.models.installed import InstalledVersion
from flowctl_core.store.files import remove_any, system_refusals, temporary_name
from flowctl_core.store.lock import file_lock

_KEPT_S = 30 * 86400.0
"""What no version has any more is kept so long, for those who install it again."""


def uninstall(requests: Sequence[Request], room: Room, *, keep_contents: bool = True) -> RemovedReport:
    """Remove the versions in the ranges that are named: all of a component where none is.

    A program whose link led to one of them gets the newest version that is left. `keep_contents`: what was received
    stays for 30 days, so that it need not come again. Raises NotFoundError for what is not installed, StoreError.
    """
    home = room.home
    with system_refusals(home.path, "made"):
        home.path.mkdir(parents=True, exist_ok=True)
    with file_lock(home.lock, what=str(home.path), timeout_s=LOCK_TIMEOUT_S):
        there = list(installed(home))
        gone: list[InstalledVersion] = []
        for request in requests:
            found = [each for each in there if _is_meant(each, request)]
            if not found:
                versions = ", ".join(each.version for each in there if _component(each) == request.component)
                raise NotFoundError(
                    f"{request} is not installed",
                    hint=f"Installed of it: {versions}." if versions else "`flowctl component list` shows what is.",
                )
            gone += [each for each in found if each not in gone]
        links: list[str] = []
        for each in gone:
            links += unlink_version(home, each.namespace, each.name, each.version)
            _remove(room, each)
        left = [each for each in there if each not in gone]
        for component in dict.fromkeys(_component(each) for each in gone):
            for newest in [each for each in left if _component(each) == component][:1]:
                link_programs(home, newest, room.host)
    freed = 0
    if keep_contents:
        with suppress(LockedError):  # somebody is installing: the next time will do
            freed = sweep_contents(room, older_than_s=_KEPT_S, timeout_s=0)
    else:
        freed = sweep_contents(room)
    return RemovedReport(
        removed=tuple(each.reference for each in gone),
        links=tuple(name for name in dict.fromkeys(links) if name not in linked(home)),
        freed=freed,
    )


def sweep_contents(room: Room, *, older_than_s: float = -1, timeout_s: float = LOCK_TIMEOUT_S) -> int:
    """Remove from the store what nothing that is installed has; the number of bytes that are free now.

    Raises LockedError where others do not end to install within `timeout_s`.
    """
    home = room.home
    with system_refusals(home.store, "made"):
        home.store.mkdir(parents=True, exist_ok=True)
    with (
        file_lock(home.store_lock, what=str(home.store), timeout_s=timeout_s),
        file_lock(home.lock, what=str(home.path), timeout_s=LOCK_TIMEOUT_S),
    ):
        kept = (*installed(home), *installed(home, "bundle"))
        wanted = {file.digest for each in kept for file in each.files.values()}
        return room.contents.sweep(wanted, older_than_s, time.time())


def _remove(room: Room, version: InstalledVersion) -> None:
    folder = room.home.version(version.namespace, version.name, version.version)
    aside = temporary_name(folder)
    with system_refusals(folder, "removed"):
        folder.rename(aside)  # from here on it is not installed, whatever happens to the rest
        remove_any(aside)
    for parent in (folder.parent, folder.parent.parent):
        with suppress(OSError):
            parent.rmdir()


def _is_meant(version: InstalledVersion, request: Request) -> bool:
    return _component(version) == request.component and in_range(version.version, request.wanted, prereleases=True)


def _component(version: InstalledVersion) -> str:
    return f"{version.namespace}/{version.name}"
