"""Control groups of one run: they limit and count all of its processes together (version 2, or version 1)."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from flowctl_registry.sandbox.confinement import Limits, Reached, Usage
from flowctl_registry.sandbox.owner import is_owner_alive, owner

_PREFIX = "flowctl-run-"
_NEEDED = ("memory", "pids", "cpuacct")
"""Controllers by their version 1 names; in version 2 every group has what `cpuacct` counts."""
_REMOVE_S = 5.0


@dataclass(frozen=True)
class Place:
    """Where groups of one controller can be made, or where one is."""

    folder: Path
    version: int


class Groups:
    """The groups that one run is in, one folder for each controller (in version 2 it is the same folder)."""

    def __init__(self, places: dict[str, Place], *, ours: bool) -> None:
        self._places = places
        self._ours = ours

    @property
    def procs(self) -> list[str]:
        """Files that a process writes itself into."""
        return [str(folder / "cgroup.procs") for folder in self._folders()]

    def has(self, controller: str) -> bool:
        """Whether this controller limits or counts here."""
        return controller in self._places

    def usage(self) -> Usage:
        """What all processes took together, and a limit that the kernel had to enforce."""
        reached: Reached | None = None
        if self._count("pids", {1: "pids.events", 2: "pids.events"}, "max"):
            reached = "processes"
        if self._count("memory", {1: "memory.oom_control", 2: "memory.events"}, "oom_kill"):
            reached = "memory"
        cpu = self._places.get("cpuacct")
        cpu_s: float | None = None
        if cpu is not None and cpu.version == 1 and (text := _read(cpu.folder / "cpuacct.usage")):
            cpu_s = int(text) / 1e9
        elif cpu is not None and cpu.version == 2:
            cpu_s = self._count("cpuacct", {2: "cpu.stat"}, "usage_usec") / 1e6
        memory = self._places.get("memory")
        peak: int | None = None
        if memory is not None:
            text = _read(memory.folder / ("memory.max_usage_in_bytes" if memory.version == 1 else "memory.peak"))
            peak = int(text) if text else None
        return Usage(cpu_s, peak, reached)

    def processes(self) -> list[int]:
        """Process ids, as far as they are known here."""
        return [int(pid) for folder in self._folders()[:1] for pid in _read(folder / "cgroup.procs").split()]

    def kill(self) -> None:
        """End every process in the groups."""
        for place in self._places.values():
            if place.version == 2:
                with contextlib.suppress(OSError):
                    (place.folder / "cgroup.kill").write_text("1")
        for folder in self._folders():
            for pid in _read(folder / "cgroup.procs").split():
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)

    def remove(self) -> None:
        """End what is left and remove the groups."""
        if not self._ours:
            return
        deadline = time.monotonic() + _REMOVE_S
        for folder in self._folders():
            while folder.is_dir() and time.monotonic() < deadline:
                self.kill()
                try:
                    folder.rmdir()
                except OSError:
                    time.sleep(0.01)

    def _folders(self) -> list[Path]:
        return sorted({place.folder for place in self._places.values()})

    def _count(self, controller: str, names: dict[int, str], key: str) -> int:
        place = self._places.get(controller)
        if place is None:
            return 0
        for line in _read(place.folder / names[place.version]).splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
        return 0


def make(limits: Limits, parent: Path | None = None) -> Groups:
    """New groups with these limits, of as many controllers as this process may use; perhaps none.

    `parent` is a version 2 group that was delegated for builds; default: the group of this process.
    """
    name = f"{_PREFIX}{owner()}-{secrets.token_hex(4)}"
    made: dict[str, Place] = {}
    for controller, place in places(parent).items():
        folder = place.folder / name
        try:
            folder.mkdir(exist_ok=True)  # version 1 has one for each controller, unless they are mounted together
            _limit(controller, Place(folder, place.version), limits)
        except OSError:
            continue  # report() says so
        made[controller] = Place(folder, place.version)
    return Groups(made, ours=True)


def of(pid: int) -> Groups:
    """The groups that a process is in already (a container's): to be read, and nothing else."""
    return Groups(_places(_read(Path(f"/proc/{pid}/cgroup"))), ours=False)


def places(parent: Path | None = None) -> dict[str, Place]:
    """Where this process may make groups, by controller. Removes groups of processes that are gone."""
    found: dict[str, Place] = {}
    here = _places(_read(Path("/proc/self/cgroup")))
    if parent is not None:
        here = {controller: Place(parent, 2) for controller in _NEEDED}
    for controller, place in here.items():
        folder = place.folder
        if place.version == 2 and parent is None and _is_delegated(folder.parent):
            folder = folder.parent  # the service stands in a group of its own below, as version 2 wants it
        # Version 2 counts processor time in every group; other controllers must be handed down.
        if place.version == 2 and controller != "cpuacct" and not _enable(controller, folder):
            continue
        if os.access(folder, os.W_OK):
            found[controller] = Place(folder, place.version)
            _sweep(folder)
    return found


def _places(membership: str) -> dict[str, Place]:
    """Folders of the groups that `/proc/PID/cgroup` names, as they are mounted here."""
    mounts: dict[str, tuple[str, Path | None]] = {}
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        left, _, right = line.partition(" - ")
        at, target = left.split()[3:5]
        kind, _, options = right.split()[:3]
        if kind == "cgroup2":
            mounts[""] = at, Path(target)
        elif kind == "cgroup":
            mounts |= {option: (at, Path(target)) for option in options.split(",")}
    found: dict[str, Place] = {}
    for line in sorted(membership.splitlines(), reverse=True):  # the unified one, 0, last: version 1 has what it lacks
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else [""]:
            root, mounted = mounts.get(controller, ("", None))
            if mounted is None or not Path(path).is_relative_to(root):
                continue
            folder = mounted / Path(path).relative_to(root)
            for wanted in _NEEDED if controller == "" else {controller} & set(_NEEDED):
                if folder.is_dir() and wanted not in found:
                    found[wanted] = Place(folder, 2 if controller == "" else 1)
    return found


def _is_delegated(folder: Path) -> bool:
    """Whether systemd left this group to the service (`Delegate=`), as it marks it."""
    for mark in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, mark) == b"1":
                return True
    return False


def _enable(controller: str, folder: Path) -> bool:
    """Hand a version 2 controller down, where it is there; processes in the group itself forbid it."""
    if controller not in _read(folder / "cgroup.controllers").split():
        return False
    control = folder / "cgroup.subtree_control"
    if controller not in _read(control).split():
        with contextlib.suppress(OSError):
            control.write_text(f"+{controller}")
    return controller in _read(control).split()


def _limit(controller: str, place: Place, limits: Limits) -> None:
    if controller == "memory" and place.version == 1:
        (place.folder / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
        with contextlib.suppress(OSError):  # where swap is not counted
            (place.folder / "memory.memsw.limit_in_bytes").write_text(str(limits.memory_bytes))
    elif controller == "memory":
        (place.folder / "memory.max").write_text(str(limits.memory_bytes))
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with contextlib.suppress(OSError):
                (place.folder / name).write_text(value)
    elif controller == "pids":
        (place.folder / "pids.max").write_text(str(limits.processes))


def _sweep(folder: Path) -> None:
    """Remove groups of a service that was killed; their processes died with it, but for an accident."""
    for old in folder.glob(f"{_PREFIX}*"):
        if not is_owner_alive(old.name.removeprefix(_PREFIX).rpartition("-")[0]):
            Groups({"": Place(old, 1)}, ours=True).kill()
            with contextlib.suppress(OSError):
                old.rmdir()


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
