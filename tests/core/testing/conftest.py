"""The third-party shell builder of tests/projects, importable here and in child processes, not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECTS = Path(__file__).parents[2] / "projects"
SOURCES = PROJECTS / "flowctl-lang-sh" / "src"


@pytest.fixture(autouse=True, scope="module")
def shell_builder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCES))
        patch.setenv("PYTHONPATH", str(SOURCES))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        yield


@pytest.fixture
def greeting() -> Path:
    """A good shell project: two tests pass, one is skipped."""
    return PROJECTS / "sh-greeting"
