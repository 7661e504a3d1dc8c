"""The test kit for plugin authors: `pip install flowctl-core[testing]`.

`flowctl_core.testing.conformance.BuilderConformance` is the suite that every builder passes; the fixtures
`flowctl_project`, `flowctl_manager` and `flowctl_runner` are there wherever pytest runs beside flowctl-core.
See docs/plugins/conformance.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowctl_core.testing.driver import Driver, ProjectRun, build_project
    from flowctl_core.testing.projects import commit_all, write_project
    from flowctl_core.testing.recording import RecordingRunner

__all__ = ["Driver", "ProjectRun", "RecordingRunner", "build_project", "commit_all", "write_project"]

_MODULES = {
    "Driver": "driver",
    "ProjectRun": "driver",
    "RecordingRunner": "recording",
    "build_project": "driver",
    "commit_all": "projects",
    "write_project": "projects",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every project that has flowctl-core installed: that must cost nothing.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"flowctl_core.testing.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'flowctl_core.testing' has no attribute {name!r}")
