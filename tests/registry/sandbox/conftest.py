"""Every sandbox of this machine; a test with `box` runs in each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.docker import DockerSandbox
from sandbox_box import IMAGE, Box, has_bwrap, system_image


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> dict[str, Path]:
    """What the tests' image takes from this machine."""
    return system_image(request.getfixturevalue("docker"))


@pytest.fixture(params=["bubblewrap", "bubblewrap-without-cgroups", "docker"])
def box(request: pytest.FixtureRequest, tmp_path: Path, give_up: Callable[[str], None]) -> Box:
    work = tmp_path / "work"
    work.mkdir()
    if request.param == "docker":
        engine, system = request.getfixturevalue("docker"), request.getfixturevalue("system")
        return Box(DockerSandbox(IMAGE, engine=engine), work, True, system)
    if not has_bwrap():
        give_up("bwrap not found")
    if request.param == "bubblewrap":
        return Box(Bubblewrap(), work, True)
    return Box(Bubblewrap(cgroup=tmp_path / "none"), work, False)


@pytest.fixture
def bubble(tmp_path: Path, give_up: Callable[[str], None]) -> Box:
    """Where one sandbox is enough."""
    if not has_bwrap():
        give_up("bwrap not found")
    (tmp_path / "work").mkdir()
    return Box(Bubblewrap(), tmp_path / "work", True)
