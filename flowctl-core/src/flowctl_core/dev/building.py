"""Builds the sources of a pipeline in this process, several at once, each anew when one of its inputs changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Protocol

from flowctl_core.dev.loop import Loop
from flowctl_core.dev.program import built_program
from flowctl_core.errors import BuildError, CancelledError, FlowctlError, StoreError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import Inputs
from flowctl_core.noop import fingerprint
from flowctl_core.steps import COMPONENT_FILE
from flowctl_core.store.source_digest import digest_source
from flowctl_core.workflow import report, run_build

if TYPE_CHECKING:
    from flowctl_core.dev.image_build import ImageBuilder
    from flowctl_core.models import BuildReport, Plan

Seen = tuple[str, tuple[str, ...]]
"""Digest of the inputs, and what component.yaml and metadata.json looked like."""


@dataclass(frozen=True)
class Built:
    """What a build made."""

    program: Path | None
    """None where an image was made."""
    changed: bool
    """False: it made what was there before."""
    report: BuildReport
    since: float
    """When the change was heard, in seconds of the monotonic clock."""
    image: str | None = None
    """The image that the Docker engine has now."""


class BuildListener(Protocol):
    """Who wants to know of a source's builds; called in the loop's thread."""

    def build_began(self) -> None:
        """A build began."""

    def build_step(self, text: str) -> None:
        """What it does."""

    def build_succeeded(self, built: Built) -> None:
        """It made something."""

    def build_failed(self, error: FlowctlError) -> None:
        """It did not."""


@dataclass
class _Source:
    root: Path
    listeners: list[BuildListener] = field(default_factory=list)
    busy: bool = False
    dirty: bool = False
    heard: float = 0.0
    plan: Plan | None = None
    seen: Seen | None = None
    artifacts: tuple[str, ...] = ()
    """Digests of what the last successful build made."""


class Builds:
    """All sources of a pipeline. Its methods are called in the loop's thread."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        watch: Callable[[Path, set[str]], None],
        *,
        offline: bool,
        images: ImageBuilder | None = None,
    ) -> None:
        """`watch(root, folders)` is told which folders hold a source's inputs; `images`: build containers' images."""
        self._images = images
        self._engine = engine
        self._loop = loop
        self._watch = watch
        self._sources: dict[Path, _Source] = {}
        self._parallel = engine.config.build.local.parallel_jobs
        self._offline = offline
        self._pool = ThreadPoolExecutor(self._parallel, "build")
        self._stopped = False

    def add(self, root: Path, listener: BuildListener) -> None:
        """This component is built from that folder; two components may share one."""
        self._sources.setdefault(root, _Source(root)).listeners.append(listener)

    def build_all(self) -> None:
        """Build every source."""
        for root in self._sources:
            self.build(root)

    def build(self, root: Path, *, force: bool = True) -> None:
        """Build a source, unless (without `force`) none of its inputs changed; again later if it is being built."""
        source = self._sources[root]
        if self._stopped:
            return
        if source.busy:
            source.dirty = True
            return
        source.busy, source.heard = True, time.monotonic()
        self._pool.submit(self._work, source, force)

    def stop(self) -> None:
        """End what runs; nothing is told any more."""
        self._stopped = True
        cancel = getattr(self._engine.runner, "cancel", None)
        if cancel is not None:
            cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, source: _Source, force: bool) -> None:
        """In a thread of the pool."""
        try:
            if not force and source.seen is not None and source.seen == _look(source):
                self._loop.post(lambda: self._settled(source))
                return
        except (FlowctlError, OSError):
            pass  # the build will say what is wrong
        self._loop.post(lambda: self._tell(source, lambda listener: listener.build_began()))
        beside = _beside(source.root)
        at_once = min(self._parallel, len(self._sources))
        options = Options(offline=self._offline, jobs=max(1, self._parallel // at_once))
        job = Job(source.root, self._engine, options, _Steps(lambda text: self._step(source, text)))
        error: FlowctlError | None = None
        read: str | None = None
        try:
            if self._images is not None:
                read = _look(source)[0]
            self._make(source, job)
        except FlowctlError as failure:
            error = failure
        except OSError as failure:
            error = StoreError.of(failure, failure.filename or source.root)
        source.plan = getattr(job, "plan", source.plan)
        try:
            # As it was when the build read it: what was written since has to be built as well.
            inputs = getattr(job, "inputs", None)
            source.seen = (inputs.digest if inputs is not None else read or _look(source)[0], beside)
            self._watch(source.root, folders_of(source.root, source.plan))
        except (FlowctlError, OSError):
            self._watch(source.root, {str(source.root)})
        self._loop.post(lambda: self._finished(source, error))

    def _make(self, source: _Source, job: Job) -> None:
        """Build a program, or an image, and tell of it. Raises FlowctlError."""
        if self._images is not None:
            made = self._images.build(source.root, job.engine, job.options, job.progress)
            before, source.artifacts = source.artifacts, (made.id,)
            self._made(source, Built(None, before != source.artifacts, made.report, source.heard, made.id))
            return

        def linked(job: Job) -> None:
            """The program is in its place: it may start while the cache still takes its copy."""
            made = report(job)
            program = built_program(source.root, made.component, tuple(a.path for a in made.artifacts))
            if program is None:
                raise BuildError(f"the build of {source.root} made no program to start")
            before, source.artifacts = source.artifacts, tuple(artifact.digest for artifact in made.artifacts)
            changed = before != source.artifacts or (made.cache != "fresh" and not _complete(program, made))
            self._made(source, Built(program, changed, made, source.heard))

        run_build(job, linked=linked)

    def _made(self, source: _Source, built: Built) -> None:
        self._loop.post(lambda: self._tell(source, lambda listener: listener.build_succeeded(built)))

    def _step(self, source: _Source, text: str) -> None:
        self._loop.post(lambda: self._tell(source, lambda listener: listener.build_step(text)))

    def _finished(self, source: _Source, error: FlowctlError | None) -> None:
        if isinstance(error, CancelledError) and self._stopped:
            return
        if error is not None:
            self._tell(source, lambda listener: listener.build_failed(error))
        self._settled(source)

    def _settled(self, source: _Source) -> None:
        source.busy = False
        if source.dirty:
            source.dirty = False
            self.build(source.root, force=False)

    def _tell(self, source: _Source, what: Callable[[BuildListener], None]) -> None:
        if not self._stopped:
            for listener in source.listeners:
                what(listener)


class _Steps:
    """Progress of one build."""

    def __init__(self, on_step: Callable[[str], None]) -> None:
        self._on_step = on_step

    def step(self, text: str) -> None:
        """A step began."""
        self._on_step(text)

    def line(self, text: str) -> None:
        """The tool's own words are shown when it fails."""

    def note(self, text: str) -> None:
        """Something a person wants to know."""
        self._on_step(text)

    def warning(self, text: str) -> None:
        """Stands in the report."""


def _complete(program: Path, made: BuildReport) -> bool:
    """True for one whole file of machine code: equal bytes are the same program. What a script runs may be read from
    the source itself (Python, Node): there any input counts."""
    with program.open("rb") as file:
        return file.read(2) != b"#!" and all(artifact.kind != "tree" for artifact in made.artifacts)


def _look(source: _Source) -> Seen:
    made = () if source.plan is None else (*source.plan.generated, *source.plan.fetched)
    inputs = Inputs() if source.plan is None else source.plan.inputs
    return digest_source(source.root, inputs, generated=made).digest, _beside(source.root)


def _beside(root: Path) -> tuple[str, ...]:
    """The files that say what it is and takes; they need not be inputs of its build."""
    return tuple(str(fingerprint(str(root / name))) for name in (COMPONENT_FILE, "metadata.json"))


def folders_of(root: Path, plan: Plan | None) -> set[str]:
    """The folders in which inputs of a source are: watching these and nothing below hears no build."""
    made = () if plan is None else (*plan.generated, *plan.fetched)
    digest = digest_source(root, Inputs() if plan is None else plan.inputs, generated=made)
    return {path for path, seen in digest.stamp_entries() if seen is not None and S_ISDIR(seen[0])}
