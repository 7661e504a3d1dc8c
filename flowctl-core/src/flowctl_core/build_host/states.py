"""What the caller asks of the build host, and what each phase leaves for others: plain JSON, no absolute path.

Paths are relative to the workspace, POSIX spelling. A caller who keeps these documents and puts them back before the
next phase need not believe what is in the workspace, where the source's own code has run.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from flowctl_core.models import CacheKey, DependencyReport, Frozen, Limitation, Plan, Platform, PlatformOutcome
from flowctl_core.models.build_info import ToolInfo
from flowctl_core.models.detection import DetectionReport
from flowctl_core.models.release import ReleaseReport, SourceIdentity
from flowctl_core.models.scan import ScanReport

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _require_inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError("must be relative and stay inside")
    return path


def _require_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("must be letters, digits, dots, dashes and underscores")
    return name


Inside = Annotated[str, AfterValidator(_require_inside)]


class HostRequest(Frozen):
    """What is to be built: `request.json` in the workspace."""

    name: Annotated[str, AfterValidator(_require_name)]
    """Folder that the source is exported to; names a component that has no component.yaml."""
    revision: str
    """The commit, as the repository in the workspace knows it."""
    subdirectory: Inside = "."
    """The component's folder in the repository."""
    platforms: tuple[Platform, ...] = ()
    """Empty: those of component.yaml, else the configuration's."""
    tests: bool = True
    """Whether fetch brings in what the tests need."""
    images: bool = True
    """Whether container images are made."""


class ExportState(Frozen):
    """The source is in `source/<name>`."""

    source: SourceIdentity
    documents: dict[str, str] = Field(default={})
    """Digests of component.yaml and metadata.json, where the source has them: the release carries both as they are."""
    warnings: tuple[str, ...] = ()


class DecideState(Frozen):
    """What will be built, by whom and with what."""

    component: str
    version: str
    namespace: str | None = None
    detection: DetectionReport
    plan: Plan
    key: CacheKey
    tools: tuple[ToolInfo, ...] = ()
    """Every later phase must find the same ones."""
    refused: tuple[Limitation, ...] = ()
    """Platforms of the plan that cannot be built here."""
    warnings: tuple[str, ...] = ()

    @property
    def buildable(self) -> tuple[Platform, ...]:
        """Platforms that are to be built."""
        refused = {limitation.platform for limitation in self.refused}
        return tuple(platform for platform in self.plan.platforms if platform not in refused)


class FetchState(Frozen):
    """Everything from the network is in the workspace; what follows needs none, but for base images."""

    plan: Plan
    """Decided again where fetching wrote a lockfile that the source lacks."""
    key: CacheKey
    ran_code: tuple[str, ...] = ()
    """Packages whose own code ran in fetch."""
    dependencies: DependencyReport | None = None
    scan: ScanReport | None = None
    warnings: tuple[str, ...] = ()


class TestState(Frozen):
    """How the project's own tests ended."""

    __test__ = False

    state: str
    """`passed`, or `none`: there are no tests."""
    tool: str = ""
    passed: int = 0
    skipped: int = 0
    duration_s: float = 0.0


class BuildState(Frozen):
    """What was built for one platform."""

    outcomes: tuple[PlatformOutcome, ...]
    bases: dict[str, tuple[Platform, ...]] = Field(default={})
    """Base images that its image stands on. Where there are any, `bases` runs before `assemble`."""
    files: tuple[str, ...] = ()
    """Of the artifacts, relative to the workspace: what `assemble` needs."""


class BasesState(Frozen):
    """The base images are in the cache."""

    digests: dict[str, str] = Field(default={})
    """By the reference that names them."""


class AssembleState(Frozen):
    """The release is in `release/`."""

    report: ReleaseReport
    files: dict[str, str]
    """Path below `release/` → `sha256:<hex>`, of every file."""


State = ExportState | DecideState | FetchState | TestState | BuildState | BasesState | AssembleState
