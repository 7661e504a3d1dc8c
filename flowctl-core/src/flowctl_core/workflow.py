"""The order of things: what happens between `flowctl component build` and a runnable program.

This module alone knows the order; what a step does stands in `steps`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.errors import FlowctlError, PluginError, StoreError
from flowctl_core.job import Engine, Job, Options, Release, ReleaseOptions
from flowctl_core.models import BuildReport, CleanReport, DetectionReport, Plan, Platform, TestReport
from flowctl_core.steps import (
    build,
    compute_key,
    detect,
    digest_inputs,
    fetch,
    find_toolchain,
    link,
    make_context,
    plan,
    read_folder,
    read_source,
    remember,
    reuse,
)
from flowctl_core.store import files, outputs, record, restored
from flowctl_core.store.lock import component_lock

if TYPE_CHECKING:
    from flowctl_core.models import Progress
    from flowctl_core.models.release import ReleaseReport

_log = logging.getLogger(__name__)

Step = Callable[[Job], None]

DECIDE: tuple[Step, ...] = (
    read_source,  # component.yaml and the tree
    detect,  # all builders answer, one wins
    plan,  # what will be built, from which inputs, with which tools
)

LOCAL: tuple[Step, ...] = (
    *DECIDE,
    digest_inputs,  # no content is read when nothing changed
    find_toolchain,  # PATH if it satisfies the source, else the pip extra
    compute_key,  # every input by name
    reuse,  # fresh or restored: the next two are left out
    fetch,  # the only step with network
    build,  # the toolchain runs
)

FINISH: tuple[Step, ...] = (
    link,  # ./<name>
    remember,  # state.json, cache
)


def release_way() -> tuple[Step, ...]:
    """The steps of a release, in order; imported on first use, since a local build needs none of them."""
    from flowctl_core.release_dockerfile import read_dockerfile
    from flowctl_core.release_images import assemble_images
    from flowctl_core.release_inventory import list_dependencies, scan_dependencies, write_sbom, write_scan
    from flowctl_core.release_record import write_checksums, write_metadata
    from flowctl_core.release_source import choose_platforms, export_source, keep_fetched, refuse_impossible
    from flowctl_core.release_steps import build_release, check_artifacts, choose_target, place

    return (
        export_source,  # the working tree or one commit, into a private folder
        read_source,  # component.yaml and the tree, as exported
        choose_platforms,  # --platforms, component.yaml, configuration
        detect,  # all builders answer, one wins
        plan,  # profile release
        read_dockerfile,  # where there is one: without an engine no time is spent
        choose_target,  # dist/, unless the source has something of that name
        digest_inputs,  # for the memory of fetch; the release itself is always built
        find_toolchain,
        compute_key,
        refuse_impossible,  # before time is spent: what this machine cannot build, and what would help
        fetch,  # the only step with network
        keep_fetched,
        build_release,  # all platforms at once, an outcome each
        check_artifacts,  # right format and architecture, or it goes no further
        list_dependencies,  # what was really resolved
        write_sbom,
        scan_dependencies,  # "not scanned" with the reason, never "clean"
        write_scan,
        assemble_images,  # one for each linux platform, and their index
        write_metadata,  # component.yaml, metadata.json, build-info.json
        write_checksums,
        place,  # the old dist/ or the new one, at every moment
    )


def run_detection(job: Job) -> DetectionReport:
    """Read and detect only; writes nothing."""
    read_source(job)
    detect(job)
    return job.detection


def run_plan(job: Job) -> Plan:
    """Read, detect and plan; writes nothing."""
    for step in DECIDE:
        step(job)
    return job.plan


def run_build(job: Job, *, linked: Step = lambda job: None) -> BuildReport:
    """Build one component for this host (profile dev).

    `linked` is called as soon as the program is in its place; what is only of use to the next build comes after it.
    """
    _build(job, linked=linked)
    return report(job)


def _locked(job: Job) -> AbstractContextManager[None]:
    held = job.ahead.give_lock() if job.ahead is not None else None
    return component_lock(job.root, timeout_s=job.options.lock_timeout_s, on_wait=_tell_waiting(job), held=held)


def _tell_waiting(job: Job) -> Callable[[int | None], None]:
    def waiting(holder: int | None) -> None:
        job.waited = True
        by = f"process {holder}" if holder else "another process"
        job.progress.note(f"waiting for {by}, which is working on this component")

    return waiting


def _build(job: Job, then: Step = lambda job: None, linked: Step = lambda job: None) -> None:
    """Take the local way, holding the component's lock from the first step that writes."""
    for step in DECIDE:  # where nothing can be built, no folder is made
        step(job)
    with _locked(job):
        if job.waited:  # for a build that may have taken minutes: look at the source again
            job.warnings.clear()
            for step in DECIDE:
                step(job)
        for step in LOCAL[len(DECIDE) :]:
            step(job)
            if job.done:
                break
        for step in (FINISH[0], linked, *FINISH[1:]):
            step(job)
        _log.debug("%s: cache %s", job.root, job.cache)
        then(job)


def report(job: Job) -> BuildReport:
    """What happened, for people and programs."""
    program = job.root / job.plan.component
    return BuildReport(
        component=job.plan.component,
        version=job.plan.version,
        language=job.plan.language,
        platform=Platform.host(),
        profile=job.plan.profile,
        cache=job.cache,
        duration_s=round(time.monotonic() - job.started, 4),
        artifacts=job.artifacts,
        warnings=tuple(dict.fromkeys(job.warnings)),
        explanation=job.explanation,
        link=f"./{job.plan.component}" if program.is_symlink() else None,
    )


def run_release(
    root: Path, engine: Engine, options: Options, wanted: ReleaseOptions, progress: Progress
) -> ReleaseReport:
    """Build one component for several platforms into `dist/`.

    Raises PlatformsFailedError when it could be built for none of them; the report tells of single ones.
    """
    from flowctl_core.release_report import release_report
    from flowctl_core.release_source import new_release, release_engine

    engine = release_engine(engine, wanted)
    release = Release(root, wanted)
    export = new_release(root, release, engine.config.build.local.cache_dir)
    job = Job(export, engine, options, progress, release=release)
    with component_lock(export.parent, timeout_s=options.lock_timeout_s, on_wait=_tell_waiting(job)):
        try:
            for step in release_way():
                step(job)
        except OSError as error:
            release.discard()
            raise StoreError.of(error, error.filename or export) from error
        except BaseException:
            release.discard()
            raise
    return release_report(job)


def run_tests(job: Job) -> TestReport | None:
    """Build, then run the project's own tests; None when the builder knows no tests."""
    reports: list[TestReport | None] = []

    def test(job: Job) -> None:
        if job.missing_tools is not None:
            raise job.missing_tools
        reports.append(job.engine.plugins.test(job.builder, job.plan, make_context(job, job.state)))

    _build(job, then=test)
    return reports[0]


def run_dependencies(root: Path, engine: Engine, options: Options, progress: Progress) -> Job:
    """Take a release's way for this machine up to its dependencies, and build nothing.

    `releasing.dependencies` of the answer is None when the builder cannot tell.
    """
    from flowctl_core.release_inventory import list_dependencies
    from flowctl_core.release_source import (
        choose_platforms,
        export_source,
        keep_fetched,
        new_release,
        release_engine,
        require_tools,
    )

    wanted = ReleaseOptions(platforms=(Platform.host(),), images=False)
    engine = release_engine(engine, wanted)
    release = Release(root, wanted)
    export = new_release(root, release, engine.config.build.local.cache_dir)
    job = Job(export, engine, options, progress, release=release)
    steps: tuple[Step, ...] = (
        export_source,
        read_source,
        choose_platforms,
        detect,
        plan,
        digest_inputs,
        find_toolchain,
        compute_key,
        require_tools,
        fetch,
        keep_fetched,
        list_dependencies,
    )
    with component_lock(export.parent, timeout_s=options.lock_timeout_s, on_wait=_tell_waiting(job)):
        for step in steps:
            step(job)
    return job


def run_clean(job: Job) -> CleanReport:
    """Remove what build made, and nothing else.

    What the last build recorded decides, so clean needs no toolchain, no `--main`, no source that still makes sense.
    """
    read_folder(job)
    if not (job.root / files.STATE_DIR).is_dir():
        return CleanReport(removed=tuple(outputs.remove_outputs(job.root)))
    with _locked(job):
        job.state = job.root / files.STATE_DIR
        last = record.read_record(job.state)
        if last is not None and last.plan is not None:
            removed = _clean_by_builder(job, last.builder, last.plan)
        else:
            removed = _clean_unfinished(job)
        removed.extend(restored.remove(job.root, job.state))
        removed.extend(outputs.remove_outputs(job.root))
    return CleanReport(removed=tuple(dict.fromkeys(removed)))


def _clean_unfinished(job: Job) -> list[str]:
    """No build ever succeeded, but one may have begun: ask its builder, else the one that the source names."""
    begun = record.read_begun(job.state)
    if begun is not None:
        return _clean_by_builder(job, begun.builder, begun.plan)
    try:
        planned = run_plan(job)
    except FlowctlError:  # then there is nobody to ask, and only `.flowctl` to remove
        return []
    return _clean_by_builder(job, job.builder, planned)


def _clean_by_builder(job: Job, builder: str, planned: Plan) -> list[str]:
    """What the builder removes outside `.flowctl`; nothing when its plugin is no longer installed."""
    if builder not in {known.name for known in job.engine.plugins.manager.builders}:
        job.progress.warning(f"the plugin {builder} that built this is gone; what it made outside .flowctl stays")
        return []
    try:  # the record came with the folder, and the folder may be a stranger's
        outputs.require_inside(job.root, (*planned.generated, *planned.fetched), builder)
    except PluginError as error:
        job.progress.warning(f"what was built outside .flowctl stays: {error.message}")
        return []
    cleaned = job.engine.plugins.clean(builder, planned, make_context(job, job.state, planned, builder))
    return list(cleaned.removed) if cleaned is not None else []
