"""The steps of a release after its source is there: platforms, images, SBOM, scan, and the folder `dist/`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flowctl_core.build.platforms import build_platforms, progress_of
from flowctl_core.errors import ArtifactError, PlatformsFailedError
from flowctl_core.job import Job
from flowctl_core.models import Artifact, ArtifactKind, BuildContext, Plan, Platform, PlatformOutcome, ReleaseResult
from flowctl_core.models.release import BinaryFacts, ImageFailure, PlatformReport, ReleaseArtifact
from flowctl_core.package.binary import check_artifact
from flowctl_core.steps import make_context
from flowctl_core.store import dist
from flowctl_core.store.copying import copy_and_hash
from flowctl_core.store.files import make_own_folder, remove_any, system_refusals

BINARIES, CONTAINERS, METADATA = "binaries", "containers", "metadata"


def slug(platform: Platform) -> str:
    """A platform in file names: `linux-arm64`, `linux-arm-v7`."""
    return platform.replace("/", "-")


def choose_target(job: Job) -> None:
    """Where the release goes, before any time is spent on it."""
    release = job.releasing
    release.target = dist.choose_dist(
        release.origin,
        release.options.dist,
        job.plan.generated,
        frozenset(os.listdir(job.root)),  # noqa: PTH208
    )
    if release.options.dist is None and release.target.parent != release.origin:
        job.progress.note(f"{dist.DIST}/ is the source's own; the release goes to {_shown_target(job)}/")
    release.made = dist.new_release_folder(release.target)
    for folder in (BINARIES, CONTAINERS, METADATA):
        (release.made / folder).mkdir()


def _shown_target(job: Job) -> str:
    return dist.shown(job.releasing.origin, job.releasing.target)


def build_release(job: Job) -> None:
    """Build for all platforms that this machine can build, several at once, with an outcome each."""
    build_for(job, [platform for platform in job.plan.platforms if platform not in job.releasing.refused])


def build_for(job: Job, wanted: list[Platform]) -> None:
    """Build for some of the plan's platforms, several at once."""
    contexts = _contexts(job, wanted)

    def build(plan: Plan) -> ReleaseResult | None:
        return job.engine.plugins.build_multiplatform(job.builder, plan, contexts[plan.platforms[0]])

    jobs = job.options.jobs or job.engine.config.build.local.parallel_jobs
    job.releasing.outcomes = build_platforms(job.plan, wanted, build, parallel=jobs, stop=_stopper(job))


def _stopper(job: Job) -> Callable[[], None]:
    stop: Callable[[], None] | None = getattr(job.engine.runner, "cancel", None)
    return stop or (lambda: None)


def _contexts(job: Job, wanted: list[Platform]) -> dict[Platform, BuildContext]:
    jobs = job.options.jobs or job.engine.config.build.local.parallel_jobs
    share = max(1, jobs // max(1, min(jobs, len(wanted))))
    out = make_own_folder(job.state, "out")
    contexts = {}
    for platform in wanted:
        folder = out / slug(platform)
        with system_refusals(folder, "made"):
            remove_any(folder)
            folder.mkdir()
        progress = progress_of(job.progress, platform) if len(wanted) > 1 else job.progress
        contexts[platform] = make_context(job, folder).model_copy(update={"parallel_jobs": share, "progress": progress})
    return contexts


def check_artifacts(job: Job) -> None:
    """Each file is what its platform runs, and is put under the name that the release gives it."""
    release = job.releasing
    built = {outcome.platform: outcome for outcome in release.outcomes}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        reports = pool.map(
            lambda platform: _take(job, built[platform]) if platform in built else _refused(job, platform),
            job.plan.platforms,
        )
        release.platforms = list(reports)
    if not any(report.state == "built" for report in release.platforms):
        raise nothing_built(release.platforms)


def nothing_built(reports: list[PlatformReport]) -> PlatformsFailedError:
    """The error for a release without a single platform, with all that the tools said."""
    failed = [report for report in reports if report.state != "built"]
    said = [f"{report.platform}:\n{report.output.rstrip()}" for report in failed if report.output]
    hints = dict.fromkeys(report.hint for report in failed if report.hint)
    lines = "\n".join(f"{report.platform}: {report.reason}" for report in failed)
    which = "no platform" if len(failed) == len(reports) else f"{len(failed)} of {len(reports)} platforms"
    return PlatformsFailedError(
        f"{which} could be built\n{lines}" if which == "no platform" else f"{which} could not be built\n{lines}",
        hint="\n".join(hints) or None,
        output="\n\n".join(said) or None,
    )


def image_missing(failures: Sequence[ImageFailure]) -> PlatformsFailedError:
    """The error for a release that lacks images, with all that the engine said."""
    return PlatformsFailedError(
        "\n".join(f"no image for {failure.platform}: {failure.reason}" for failure in failures),
        hint="\n".join(dict.fromkeys(failure.hint for failure in failures if failure.hint)) or None,
        output="\n\n".join(f"{failure.platform}:\n{failure.output}" for failure in failures if failure.output) or None,
    )


def _refused(job: Job, platform: Platform) -> PlatformReport:
    limitation = job.releasing.refused[platform]
    return PlatformReport(platform=platform, state="refused", reason=limitation.reason, hint=limitation.remedy)


def _take(job: Job, outcome: PlatformOutcome) -> PlatformReport:
    reason, hint, output = outcome.failure, outcome.hint, outcome.output
    artifacts: tuple[ReleaseArtifact, ...] = ()
    if reason is None:
        try:
            artifacts = _taken(job, outcome)
        except ArtifactError as error:
            reason, hint = error.message, error.hint
    return PlatformReport(
        platform=outcome.platform,
        state="built" if reason is None else "failed",
        reason=reason,
        hint=hint,
        output=output,
        artifacts=artifacts,
        materials=outcome.materials,
        duration_s=outcome.duration_s,
    )


def _taken(job: Job, outcome: PlatformOutcome) -> tuple[ReleaseArtifact, ...]:
    return tuple(_take_file(job, artifact, outcome.platform) for artifact in promised_files(job.plan, outcome))


def promised_files(plan: Plan, outcome: PlatformOutcome) -> list[Artifact]:
    """The files that were made for a platform. Raises ArtifactError when one that the plan promises is missing."""
    files = [artifact for artifact in outcome.artifacts if artifact.kind != "tree"]
    promised = {_without_ending(entry.name, entry.kind) for entry in plan.entry_points}
    made = {_without_ending(Path(artifact.path).name, artifact.kind) for artifact in files}
    if not files or not promised <= made:
        missing = ", ".join(sorted(promised - made)) or "anything"
        raise ArtifactError(f"the builder did not make {missing}", hint="This is a fault of the builder plugin.")
    return files


def _without_ending(name: str, kind: ArtifactKind) -> str:
    """A library's ending is its platform's: `libsink.so`, `libsink.dylib`."""
    return name.partition(".")[0] if kind == "library" else name


def examine(job: Job, artifact: Artifact, platform: Platform) -> BinaryFacts:
    """What a file that was built is. Raises ArtifactError when that is not what its platform runs."""
    source = job.root / artifact.path
    if not source.resolve().is_relative_to(job.root.resolve()):
        raise ArtifactError(f"the builder names {artifact.path}, which is outside the component's folder")
    facts = check_artifact(source, platform, artifact.kind)
    if facts.format == "script" and artifact.format != "script":
        raise ArtifactError(
            f"{Path(artifact.path).name} begins with #! where a native program was promised",
            hint="This is a fault of the builder plugin, or of a setting that makes it build something else.",
        )
    return facts


def _take_file(job: Job, artifact: Artifact, platform: Platform) -> ReleaseArtifact:
    source, facts = job.root / artifact.path, examine(job, artifact, platform)
    name = Path(artifact.path).name
    path = f"{BINARIES}/{released_name(name, artifact, platform)}"
    target = job.releasing.made / path
    with system_refusals(target), source.open("rb") as read:
        fd = os.open(
            target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o777 if artifact.kind == "program" else 0o666
        )
        try:
            digest = copy_and_hash(read.fileno(), fd)
            size = os.fstat(fd).st_size
        finally:
            os.close(fd)
    return ReleaseArtifact(
        path=path,
        name=name,
        kind=artifact.kind,
        platform=platform,
        digest=f"sha256:{digest}",
        size=size,
        facts=facts,
        interpreter=artifact.interpreter,
    )


def released_name(name: str, artifact: Artifact, platform: Platform) -> str:
    """`sink-linux-amd64`; a library keeps its ending: `libsink-linux-amd64.so`."""
    stem, dot, ending = name.partition(".") if artifact.kind == "library" else (name, "", "")
    return f"{stem}-{slug(platform)}{dot}{ending}"


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(job: Job) -> None:
    """The new release takes the old one's place, at once."""
    release = job.releasing
    dist.place_release(release.made, release.target)
