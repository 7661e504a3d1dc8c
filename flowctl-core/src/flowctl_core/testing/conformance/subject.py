"""What the author of a builder states about it for the conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from flowctl_core.models import LanguageSettings
from flowctl_core.testing.projects import Files, Project


@dataclass(frozen=True)
class ExpectedTests:
    """Counts that the project's own test tool gives, as counted by hand."""

    passed: int
    failed: int = 0
    skipped: int = 0
    errors: int = 0


class Subject:
    """Class attributes of a conformance class. Those without a value must be stated."""

    builder: ClassVar[str]
    """Entry point name of the builder in the group `flowctl`."""
    project: ClassVar[Project]
    """A good project with tests: path → content, or a folder. Use dependencies if the language has them."""
    expected_tests: ClassVar[ExpectedTests]
    """What the project's tests count to."""
    broken_build: ClassVar[Files]
    """Changes to the project (path → content, None removes) after which fetch or build fails."""
    broken_build_says: ClassVar[str]
    """Part of what the tool itself prints then; it must reach the user."""
    failing_test: ClassVar[Files]
    """Changes to the project after which exactly one more test fails, and the build does not."""
    failing_test_name: ClassVar[str]
    """Part of that test's name."""
    failing_test_says: ClassVar[str] = ""
    """Part of what that test prints, where it prints something."""
    foreign: ClassVar[Project] = {
        "README.md": "# Measurements\n\nRaw data of the survey.\n",
        "data/survey.csv": "id,height\n1,180\n2,165\n",
        "docs/notes.txt": "nothing to build here\n",
    }
    """A tree that is not for this builder; add files that resemble the language's."""
    arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments for the program, with which it ends by itself."""
    output: ClassVar[str]
    """Part of what the program then prints."""
    exit_code: ClassVar[int] = 0
    """The program's exit code."""
    settings: ClassVar[LanguageSettings | None] = None
    """The user's settings for the language, where the project needs some."""
    entry_point: ClassVar[str | None] = None
    """Which program, where the project has several."""
    environ: ClassVar[Mapping[str, str]] = {}
    """Added to the environment of tools (a folder for their caches, for example)."""
    plan_seconds: ClassVar[float] = 0.5
    """Processor time that a plan may take."""
