"""One component on its way through the workflow, and what all jobs share."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.errors import InternalError, ToolchainError
from flowctl_core.models import (
    Artifact,
    BuildResult,
    CacheKey,
    CacheOutcome,
    Command,
    ComponentSpec,
    DependencyReport,
    DetectionReport,
    Limitation,
    Plan,
    Platform,
    PlatformOutcome,
    Profile,
    Progress,
    Runner,
    Silent,
    SourceTree,
    Tool,
)
from flowctl_core.models.config import Config

if TYPE_CHECKING:
    from flowctl_core.docker_engine.connect import DockerEngine
    from flowctl_core.head_start import HeadStart
    from flowctl_core.models.build_info import BuildInfo, DockerfileInfo
    from flowctl_core.models.image import LayoutReport
    from flowctl_core.models.release import ImageFailure, PlatformReport, SourceIdentity
    from flowctl_core.models.scan import ScanReport
    from flowctl_core.package.dockerfile import Dockerfile
    from flowctl_core.plugins.call import HookCaller
    from flowctl_core.specfile.load import LoadedSpec
    from flowctl_core.store.cache import BuildCache
    from flowctl_core.store.record import BuildRecord
    from flowctl_core.store.source_digest import SourceDigest


@dataclass(frozen=True)
class Engine:
    """What every job on this machine shares."""

    plugins: HookCaller
    config: Config
    runner: Runner
    environ: Mapping[str, str]
    cache: BuildCache | None
    """None: `--no-cache`."""


@dataclass(frozen=True)
class Options:
    """What the user asked of one build."""

    language: str | None = None
    entry_point: str | None = None
    profile: Profile = "dev"
    platforms: tuple[Platform, ...] = field(default_factory=lambda: (Platform.host(),))
    offline: bool = False
    explain: bool = False
    ignore_spec: bool = False
    """True: look at the source as if it had no component.yaml."""
    jobs: int | None = None
    """Jobs that the toolchain may run at once; None: the configuration's `parallel_jobs`."""
    lock_timeout_s: float = 600.0


@dataclass(frozen=True)
class ReleaseOptions:
    """What the user asked of a release build."""

    platforms: tuple[Platform, ...] = ()
    """Empty: those of component.yaml, else the configuration's."""
    as_registry: bool = False
    """Build the commit, not the working tree, under the plan that a registry would make."""
    revision: str = "HEAD"
    """With `as_registry`: which commit."""
    dist: Path | None = None
    """Where the release goes; None: see `store.dist.choose_dist`."""
    images: bool = True
    workspace: Path | None = None
    """Where the source is exported to and built; None: a folder of this component's in the cache."""
    again: BuildInfo | None = None
    """The record of a release that is to be made again: its settings, variables and base images count, not today's."""


@dataclass
class Release:
    """The part of a job that only releases have."""

    origin: Path
    """The component's folder; `Job.root` is its export."""
    options: ReleaseOptions
    source: SourceIdentity = field(init=False)
    refused: dict[Platform, Limitation] = field(default_factory=dict)
    outcomes: list[PlatformOutcome] = field(default_factory=list)
    platforms: list[PlatformReport] = field(default_factory=list)
    target: Path = field(init=False)
    """Where the release will be."""
    made: Path = field(init=False)
    """Where it is put together: beside the target."""
    dependencies: DependencyReport | None = None
    layout: LayoutReport | None = None
    dockerfile: Dockerfile | None = None
    """What its images are built from; None: they are assembled."""
    docker: DockerEngine | None = None
    """Set where there is a Dockerfile to build."""
    built_by_dockerfile: DockerfileInfo | None = None
    image_failures: list[ImageFailure] = field(default_factory=list)
    bases: dict[str, str] = field(default_factory=dict)
    """Digests of base images that were fetched before, by the reference that named them."""
    scan: ScanReport | None = None

    def discard(self) -> None:
        """Remove what an interrupted release has put together; what was there before stays."""
        made = getattr(self, "made", None)
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


@dataclass
class Job:
    """One component on its way through the steps; each step fills in what the next ones need."""

    root: Path
    engine: Engine
    options: Options
    progress: Progress = field(default_factory=Silent)
    started: float = field(default_factory=time.monotonic)

    spec: LoadedSpec[ComponentSpec] | None = None
    source: SourceTree = field(init=False)
    detection: DetectionReport = field(init=False)
    plan: Plan = field(init=False)
    state: Path = field(init=False)
    inputs: SourceDigest = field(init=False)
    names: frozenset[str] = frozenset()
    """What was in the component's folder when its inputs were digested."""
    tools: dict[str, Tool] | None = None
    missing_tools: ToolchainError | None = None
    environment: dict[str, str] = field(default_factory=dict)
    key: CacheKey = field(init=False)
    previous: BuildRecord | None = None
    ahead: HeadStart | None = None
    """The toolchain's command, if it runs already."""
    commands: tuple[Command, ...] = ()
    """What the build hook ran."""
    staging: Path | None = None
    """Where the build hook put what it made; gone by the end."""
    result: BuildResult | None = None
    cache: CacheOutcome = "miss"
    artifacts: tuple[Artifact, ...] = ()
    explanation: tuple[str, ...] = ()
    fetch_ran_code: tuple[str, ...] = ()
    """Packages whose own code ran in the last complete fetch."""
    warnings: list[str] = field(default_factory=list)
    waited: bool = False
    """Another process held the component's lock."""
    done: bool = False
    release: Release | None = None

    @property
    def releasing(self) -> Release:
        """The release part of a job that is one."""
        if self.release is None:
            raise InternalError("this job is no release")
        return self.release

    @property
    def builder(self) -> str:
        """Name of the plugin that builds this component."""
        return self.detection.winner.builder
