"""Takes installed versions away: their links first, so that nothing leads to what is going."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from flowctl_core.errors import NotFoundError
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
        wanted = {file.digest for each in left for file in each.files.values()}
        freed = room.contents.sweep(wanted, _KEPT_S if keep_contents else -1, time.time())
    return RemovedReport(
        removed=tuple(each.reference for each in gone),
        links=tuple(name for name in dict.fromkeys(links) if name not in linked(home)),
        freed=freed,
    )


def sweep_contents(room: Room, others: Iterable[InstalledVersion] = ()) -> int:
    """Remove from the store what no installed version has; the number of bytes that are free now."""
    home = room.home
    with file_lock(home.lock, what=str(home.path), timeout_s=LOCK_TIMEOUT_S):
        wanted = {file.digest for each in (*installed(home), *others) for file in each.files.values()}
        return room.contents.sweep(wanted, -1, time.time())


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
