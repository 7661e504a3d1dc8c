"""Runs one phase: takes up what the phases before it left, takes its steps, leaves what it found."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowctl_core.build.platforms import progress_of
from flowctl_core.build_host import relocating, testing
from flowctl_core.build_host.phases import Phase, steps_of
from flowctl_core.build_host.resume import (
    documents,
    find_same_tools,
    open_job,
    remember_tools,
    resume_decided,
    resume_exported,
)
from flowctl_core.build_host.states import (
    AssembleState,
    BasesState,
    BuildState,
    DecideState,
    ExportState,
    FetchState,
    HostRequest,
    State,
    TestState,
)
from flowctl_core.build_host.workspace import Workspace, document_name
from flowctl_core.errors import ArtifactError, EngineError, PlatformsFailedError, UsageError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import Platform, PlatformOutcome, Progress
from flowctl_core.models.build_info import ToolInfo
from flowctl_core.models.release import PlatformReport, ReleaseArtifact
from flowctl_core.release_dockerfile import dockerfile_of
from flowctl_core.release_images import fetch_bases, needed_base
from flowctl_core.release_report import release_report
from flowctl_core.release_steps import (
    BINARIES,
    build_for,
    examine,
    file_digest,
    nothing_built,
    promised_files,
    released_name,
)
from flowctl_core.steps import compute_key, digest_inputs
from flowctl_core.store.files import remove_any, system_refusals

States = dict[str, State]
"""What a phase found, by the name of its file in `state/`."""


@dataclass(frozen=True)
class Host:
    """What all phases of one command share."""

    workspace: Workspace
    request: HostRequest
    engine: Engine
    progress: Progress
    options: Options = field(default_factory=Options)
    platforms: tuple[Platform, ...] = ()
    """Which ones `build` is for; empty: all that can be built."""

    def job(self, *, offline: bool) -> Job:
        """A new job in the workspace."""
        options = replace(self.options, offline=offline or self.options.offline)
        return open_job(self.workspace, self.request, self.engine, options, self.progress)


def run_phase(host: Host, phase: Phase) -> States:
    """Run a phase, keep what it found in the workspace and return it.

    Raises UsageError when a phase before it is missing, and what the steps raise. After a failed `build` the outcomes
    are there all the same.
    """
    return _RUN[phase](host)


def _keep(host: Host, **found: State) -> States:
    states = {document_name(phase): state for phase, state in found.items()}
    for name, state in states.items():
        host.workspace.write(name, state)
    return states


def _export(host: Host) -> States:
    job = host.job(offline=True)
    origin = job.releasing.origin
    if host.workspace.repository.is_dir() and not origin.exists():  # nothing is checked out: git need not look there
        with system_refusals(origin, "made"):
            origin.mkdir(parents=True)
    for step in steps_of("export"):
        step(job)
    state = ExportState(source=job.releasing.source, documents=documents(job.root), warnings=tuple(job.warnings))
    return _keep(host, export=state)


def _decide(host: Host) -> States:
    job = host.job(offline=True)
    resume_exported(job, host.workspace.read("export", ExportState))
    for step in steps_of("decide"):
        (_refuse_dockerfile if step.__name__ == "read_dockerfile" else step)(job)
    spec = job.spec.spec if job.spec is not None else None
    state = DecideState(
        component=job.plan.component,
        version=job.plan.version,
        namespace=spec.namespace if spec is not None else None,
        detection=job.detection,
        plan=job.plan,
        key=job.key,
        tools=tuple(
            ToolInfo(name=name, version=tool.version, digest=tool.digest, origin=tool.origin)
            for name, tool in sorted((job.tools or {}).items())
        ),
        refused=tuple(refusal.model_copy(update={"platform": p}) for p, refusal in job.releasing.refused.items()),
        warnings=_warnings(job),
    )
    return _keep(host, decide=state)


def _refuse_dockerfile(job: Job) -> None:
    dockerfile = dockerfile_of(job)
    if dockerfile is not None:
        raise EngineError(
            f"the images of this component are built from {dockerfile.shown}, and there is no Docker engine for builds "
            "here",
            hint="Leave the Dockerfile out, so that flowctl assembles the image (`spec.build.container.base` names its "
            "base), or build and publish the release yourself.",
        )


def _fetch(host: Host) -> States:
    job, decided = host.job(offline=False), host.workspace.read("decide", DecideState)
    resume_exported(job, host.workspace.read("export", ExportState))
    resume_decided(job, decided, decided.plan, decided.key, decided.warnings)
    digest_inputs(job)
    find_same_tools(job, decided)
    compute_key(job)
    if host.request.tests:
        testing.prepare(job, host.workspace.tests(host.request.name))
    for step in steps_of("fetch"):
        step(job)
    threshold = job.engine.config.build.scan.fail_on
    if threshold is not None and job.releasing.scan is not None:
        from flowctl_core.scan.verdict import require_safe

        require_safe(job.releasing.scan, threshold)
    relocating.make_relative(host.workspace.folder, (job.root, host.workspace.tests(host.request.name)))
    state = FetchState(
        plan=job.plan,
        key=job.key,
        ran_code=job.fetch_ran_code,
        dependencies=job.releasing.dependencies,
        scan=job.releasing.scan,
        warnings=_warnings(job),
    )
    return _keep(host, fetch=state)


def _fetched_job(host: Host) -> tuple[Job, DecideState, FetchState]:
    job = host.job(offline=True)
    decided, fetched = host.workspace.read("decide", DecideState), host.workspace.read("fetch", FetchState)
    resume_exported(job, host.workspace.read("export", ExportState))
    resume_decided(job, decided, fetched.plan, fetched.key, fetched.warnings)
    job.fetch_ran_code = fetched.ran_code
    return job, decided, fetched


def _test(host: Host) -> States:
    job, _, _ = _fetched_job(host)
    state: TestState = testing.run(job, host.workspace.tests(host.request.name))
    return _keep(host, test=state)


def _build(host: Host) -> States:
    job, decided, _ = _fetched_job(host)
    wanted = list(host.platforms or decided.buildable)
    for platform in wanted:
        if platform not in job.plan.platforms:
            raise UsageError(f"{platform} is none of the platforms of the plan: {', '.join(job.plan.platforms)}")
        if platform in job.releasing.refused:
            refusal = job.releasing.refused[platform]
            raise PlatformsFailedError(f"{platform} cannot be built here: {refusal.reason}", hint=refusal.remedy)
    find_same_tools(job, decided)
    if len(wanted) == 1:
        job.progress = progress_of(job.progress, wanted[0])
    build_for(job, wanted)
    states: States = {}
    reports = []
    for built in job.releasing.outcomes:
        outcome, report = _examined(job, built)
        reports.append(report)
        job.releasing.platforms = [report]
        base = needed_base(job, outcome.platform) if host.request.images and outcome.failure is None else None
        files = [] if outcome.failure is not None else promised_files(job.plan, outcome)
        states[document_name("build", outcome.platform)] = BuildState(
            outcomes=(outcome,),
            bases={base: (outcome.platform,)} if base is not None else {},
            files=tuple(_relative(host, job.root / file.path) for file in files),
        )
    for name, state in states.items():
        host.workspace.write(name, state)
    if any(report.state != "built" for report in reports):
        raise nothing_built(reports)
    return states


def _relative(host: Host, path: Path) -> str:
    return Path(os.path.normpath(path)).relative_to(host.workspace.folder).as_posix()


def _examined(job: Job, outcome: PlatformOutcome) -> tuple[PlatformOutcome, PlatformReport]:
    """The outcome, failed where a file is not what its platform runs: `assemble` looks again, here it is told early."""
    made = []
    if outcome.failure is None:
        try:
            for file in promised_files(job.plan, outcome):
                facts = examine(job, file, outcome.platform)
                path = job.root / file.path
                name = path.name
                made.append(
                    ReleaseArtifact(
                        path=f"{BINARIES}/{released_name(name, file, outcome.platform)}",
                        name=name,
                        kind=file.kind,
                        platform=outcome.platform,
                        digest=f"sha256:{file_digest(path)}",
                        size=path.stat().st_size,
                        facts=facts,
                        interpreter=file.interpreter,
                    )
                )
        except ArtifactError as error:
            outcome = outcome.model_copy(update={"failure": error.message, "hint": error.hint})
    return outcome, PlatformReport(
        platform=outcome.platform,
        state="built" if outcome.failure is None else "failed",
        reason=outcome.failure,
        hint=outcome.hint,
        output=outcome.output,
        artifacts=tuple(made),
        duration_s=outcome.duration_s,
    )


def _bases(host: Host) -> States:
    job, decided = host.job(offline=False), host.workspace.read("decide", DecideState)
    wanted: dict[str, list[Platform]] = {}
    for platform in decided.buildable:
        for reference, needed in host.workspace.built(platform).bases.items():
            wanted.setdefault(reference, []).extend(needed)
    digests = {}
    for reference, platforms in wanted.items():
        found = fetch_bases(job, {reference: platforms})
        digests[reference] = next(iter(found.values())).digest
    return _keep(host, bases=BasesState(digests=digests))


def _assemble(host: Host) -> States:
    job, decided, fetched = _fetched_job(host)
    release = job.releasing
    remember_tools(job, decided)
    release.outcomes = [one for platform in decided.buildable for one in host.workspace.built(platform).outcomes]
    release.dependencies, release.scan = fetched.dependencies, fetched.scan
    if host.workspace.has("bases"):
        release.bases = host.workspace.read("bases", BasesState).digests
    try:
        for step in steps_of("assemble"):
            step(job)
            if any(report.state == "failed" for report in release.platforms):  # it was built, and is not the same now
                raise nothing_built(release.platforms)
    except BaseException:  # also Ctrl-C: half a release must not stay
        release.discard()
        raise
    report = release_report(job).model_copy(update={"directory": host.workspace.release.name})
    return _keep(host, assemble=AssembleState(report=report, files=_digests(host.workspace.release)))


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for here, _, names in os.walk(folder):
        for name in names:
            path = Path(here) / name
            found[path.relative_to(folder).as_posix()] = f"sha256:{file_digest(path)}"
    return dict(sorted(found.items()))


def _warnings(job: Job) -> tuple[str, ...]:
    return tuple(dict.fromkeys(job.warnings))


def forget(workspace: Workspace) -> None:
    """Remove how the last command ended, so that nobody takes it for this one's. Raises StoreError."""
    with system_refusals(workspace.answer, "removed"):
        remove_any(workspace.answer)


_RUN: dict[Phase, Callable[[Host], States]] = {
    "export": _export,
    "decide": _decide,
    "fetch": _fetch,
    "test": _test,
    "build": _build,
    "bases": _bases,
    "assemble": _assemble,
}
