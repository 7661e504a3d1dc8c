"""pytest fixtures for plugin authors; pytest loads this module wherever flowctl-core is installed.

It imports only pytest: everything else comes when a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("flowctl_core.testing.conformance")

if TYPE_CHECKING:
    from flowctl_core.plugins.manager import PluginManager
    from flowctl_core.testing.conformance.workshop import Workshop
    from flowctl_core.testing.recording import RecordingRunner


@pytest.fixture
def flowctl_project(tmp_path: Path) -> Callable[..., Path]:
    """A function `(files, *, name="project", git=False) -> Path` that makes a source tree from a dict or a
    folder.

    With `git=True` the tree is a git repository with everything committed.
    """

    def make(files: object, *, name: str = "project", git: bool = False) -> Path:
        from flowctl_core.testing.projects import commit_all, write_project

        root = write_project(tmp_path / name, files)  # type: ignore[arg-type]
        if git:
            commit_all(root)
        return root

    return make


@pytest.fixture
def flowctl_manager() -> PluginManager:
    """A fresh plugin manager with the installed plugins and core's own."""
    from flowctl_core.testing.driver import default_manager

    return default_manager()


@pytest.fixture
def flowctl_runner() -> RecordingRunner:
    """A runner that runs commands for real and records them; `script()` answers in a tool's place."""
    from flowctl_core.testing.recording import RecordingRunner

    return RecordingRunner()


@pytest.fixture(scope="class")
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """What the rules of one BuilderConformance class share: its manager, its projects, and one whole
    build."""
    from flowctl_core.testing.conformance.workshop import Workshop

    return Workshop(request.cls, tmp_path_factory)
