"""Groups of version 2, on a machine whose controllers are of version 1: it counts and kills all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowctl_registry.errors import SandboxError
from flowctl_registry.sandbox import cgroups
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.owner import owner
from sandbox_box import Box, wait_gone


@pytest.fixture
def unified() -> Iterator[Path]:
    """A new group of version 2."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"]
    if not found or os.geteuid() != 0 or "memory" in (found[0] / "cgroup.controllers").read_text():
        pytest.skip("where version 2 has the controllers, every other test uses it")
    folder = found[0] / f"flowctl-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    folder.rmdir()


@pytest.fixture
def box(bubble: Box, unified: Path) -> Box:
    return Box(Bubblewrap(cgroup=unified), bubble.work, False)


def test_what_version_2_cannot_do_here_is_said(box: Box) -> None:
    told = "\n".join(box.sandbox.report())
    assert "no memory cgroup can be made" in told
    assert "no pids cgroup here" in told
    assert "CPU seconds are counted by sampling" not in told


def test_processor_time_is_counted_and_all_is_killed(box: Box, unified: Path) -> None:
    ran = box.python("import os\nfor _ in range(2): os.fork()\nwhile True: pass", "busy-of-the-test", cpu_s=1)
    assert ran.outcome.reached == "cpu"
    assert ran.outcome.cpu_s is not None
    assert ran.outcome.cpu_s >= 1
    assert wait_gone("busy-of-the-test")
    assert [entry for entry in unified.iterdir() if entry.is_dir()] == []


def test_what_no_group_limits_is_sampled(box: Box) -> None:
    code = "import os, time\nfor _ in range(5): os.fork()\nx = bytearray(b'x' * 20_000_000)\ntime.sleep(60)"
    assert box.python(code, memory_bytes=200_000_000).outcome.reached == "memory"


def test_groups_of_others_are_left_alone() -> None:
    found = cgroups.of(os.getpid())
    before = found.usage()
    found.remove()
    assert found.usage().cpu_s is None or before.cpu_s is not None


@pytest.mark.parametrize("place", ["read_only", "writable"])
def test_what_is_not_there_is_the_sandbox_s_fault(bubble: Box, place: str, tmp_path: Path) -> None:
    if place == "writable":
        bubble.work.rmdir()
    with pytest.raises(SandboxError):
        bubble.run("true", read_only={"/given": tmp_path / "missing"} if place == "read_only" else {})
    for found in cgroups.places().values():
        assert not list(found.folder.glob(f"flowctl-run-{owner()}-*"))
