"""The steps between `flowctl component build` and a runnable program, each a function over one Job.

`workflow` knows their order; the stages that they call (detect, plan, build, store, …) never import each other.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.build import explain, key
from flowctl_core.build.fetch import fetch_digest
from flowctl_core.build_runner import BuildRunner
from flowctl_core.detect.resolve import Answer, resolve
from flowctl_core.errors import DependenciesMissingError, SourceError, StoreError, ToolchainError
from flowctl_core.job import Job
from flowctl_core.models import Artifact, BuildContext, CacheKey, Plan, SourceTree
from flowctl_core.plan.request import make_request
from flowctl_core.runners.environment import tool_environment
from flowctl_core.store import files, outputs, record, restored, source_digest
from flowctl_core.toolchains.find import find_tools

if TYPE_CHECKING:
    from flowctl_core.head_start import HeadStart
    from flowctl_core.store.cache import BuildCache
    from flowctl_core.store.cache_entry import CacheEntry

COMPONENT_FILE = "component.yaml"
_log = logging.getLogger(__name__)


def read_folder(job: Job) -> None:
    """The component's folder is there and can be read."""
    try:
        is_folder = job.root.is_dir()
    except OSError as error:
        raise SourceError(f"{job.root} cannot be read: {error.strerror}") from error
    if not is_folder:
        raise SourceError(f"{job.root} is not a folder", hint="Name the folder that holds the component's source.")


def read_source(job: Job) -> None:
    """component.yaml, where there is one, and the folder around it."""
    read_folder(job)
    component = None
    file = job.root / COMPONENT_FILE
    if not job.options.ignore_spec and os.path.lexists(file):
        from flowctl_core.specfile.load import load_component

        origin = job.release.origin / COMPONENT_FILE if job.release is not None else None
        job.spec = load_component(file, copy_of=origin)
        component = job.spec.spec
        job.warnings.extend(str(finding) for finding in job.spec.warnings)
    language = job.options.language
    if language is None and component is not None and component.languages and not _has_command(component):
        language = component.languages[0].name
    job.source = SourceTree(root=job.root, component=component, language=language)


def detect(job: Job) -> None:
    """Ask every builder, choose one."""
    answers = [
        Answer(asked.builder, asked.distribution, asked.detection, asked.crash)
        for asked in job.engine.plugins.detect_all(job.source)
    ]
    settings = job.engine.config.build.local.languages
    asked = job.source.language
    preferred = settings[asked].builder if asked in settings else None
    if asked is None:
        chosen = {language: s.builder for language, s in settings.items() if s.builder}
        detected = {a.detection.language for a in answers if a.detection is not None} & set(chosen)
        preferred_for = {language: chosen[language] for language in detected}
        answers = [
            a
            for a in answers
            if a.detection is None
            or a.detection.language not in preferred_for
            or preferred_for[a.detection.language] in (a.builder, a.distribution)
        ]
    job.detection = resolve(answers, where=str(job.root), language=asked, preferred=preferred)
    winner = job.detection.winner
    _log.debug("%s: builder %s builds %s", job.root, winner.builder, winner.detection.language)


def plan(job: Job) -> None:
    """Ask the chosen builder what will be built."""
    request = make_request(
        job.source,
        job.detection.winner,
        profile=job.options.profile,
        platforms=job.options.platforms,
        entry_point=job.options.entry_point,
        languages=job.engine.config.build.local.languages,
    )
    job.plan = job.engine.plugins.plan(job.builder, job.source, request)
    outputs.require_inside(job.root, (*job.plan.generated, *job.plan.fetched), job.builder)
    job.warnings.extend(job.plan.warnings)
    job.environment = tool_environment(job.engine.environ, job.plan.environment, job.plan.passthrough)


def digest_inputs(job: Job) -> None:
    """Digest of the source files that belong to the key; reads only what changed since last time."""
    job.state = files.make_state_dir(job.root)
    job.previous = record.read_record(job.state)
    job.names = frozenset(os.listdir(job.root))  # noqa: PTH208 - names are enough
    job.inputs = _digest(job)
    job.warnings.extend(f"{path} is neither a file nor a folder and is no input" for path in job.inputs.skipped)


def _digest(job: Job) -> source_digest.SourceDigest:
    return source_digest.digest_source(job.root, job.plan.inputs, generated=(*job.plan.generated, *job.plan.fetched))


def find_toolchain(job: Job) -> None:
    """Find the tools that the plan wants; a missing one matters only if the result is not in the cache."""
    try:
        job.tools = find_tools(
            job.plan.toolchain,
            job.environment,
            cache_path=job.engine.config.build.local.cache_dir / "tools.json",
            cwd=job.root / job.plan.root,
        )
    except ToolchainError as error:
        job.missing_tools = error
    for tool in (job.tools or {}).values():
        _log.debug("%s: tool %s %s from %s, %s", job.root, tool.name, tool.version, tool.origin, tool.path)


def compute_key(job: Job) -> None:
    """Everything that the result depends on, by name."""
    job.key = key.make_key(
        job.plan,
        source_digest=job.inputs.digest,
        plugins=[(p.name, p.version, p.digest) for p in job.engine.plugins.identities(job.builder)],
        environment=job.environment,
        tools=job.tools or {},
    )
    _log.debug("%s: cache key %s", job.root, job.key.primary)
    for name, text in job.key.parts.items():
        _log.debug("%s:   %s = %s", job.root, name, text)


def reuse(job: Job) -> None:
    """Up to date: nothing runs. In the cache: restore, without the toolchain."""
    previous, current = job.previous, job.key
    tools_match = job.missing_tools is not None or (previous is not None and previous.key.tools == current.tools)
    fetched = not job.plan.fetched or job.missing_tools is not None or _is_fetched(job)
    same = previous is not None and previous.key.primary == current.primary and tools_match and fetched
    if previous is not None and same and record.outputs_intact(job.root, previous):
        job.artifacts, job.cache, job.done = previous.artifacts, "fresh", True
        if job.missing_tools is not None:
            job.key = previous.key
        return
    if _restore_from_cache(job):
        return
    if job.options.explain:
        _explain(job)
    if job.missing_tools is not None:
        raise job.missing_tools
    record.write_begun(job.state, job.builder, job.plan)


def _restore_from_cache(job: Job) -> bool:
    """Restore what the cache has under the job's key; False when it has nothing."""
    cache = job.engine.cache
    if cache is None:
        return False
    tools = None if job.missing_tools is not None else (job.tools or {}).values()
    entry = cache.lookup(job.key.primary, tools)
    return entry is not None and _restore(job, cache, entry)


def _restore(job: Job, cache: BuildCache, entry: CacheEntry) -> bool:
    if job.plan.fetched:
        # What fetch puts into the source tree is no artifact: it has to be there, and of this lockfile.
        if job.missing_tools is None:
            wanted = job.key
            fetch(job)
            if job.key is not wanted:  # it wrote a lockfile: the entry is of another source
                return job.done
        elif not all((job.root / path).exists() for path in job.plan.fetched):
            return False
    job.progress.step("restoring from the cache")
    new = restored.absent(job.root, (artifact.path for artifact in entry.artifacts))
    artifacts = cache.restore(entry, job.root)
    if artifacts is None:
        return False
    try:
        restored.remember(job.root, job.state, new)
    except StoreError as error:
        job.warnings.append(f"clean will leave {', '.join(new)}: {error.message}")
    job.artifacts, job.cache, job.done = tuple(artifacts), "hit", True
    if job.missing_tools is not None:
        built_with = ", ".join(f"{tool.name} {tool.version}".strip() for tool in entry.tools)
        job.progress.note(f"no toolchain here; what was restored was built with {built_with or 'no tools'}")
        remembered = {tool.name: key.tool_text(tool.version, tool.digest) for tool in entry.tools}
        job.key = job.key.model_copy(update={"tools": remembered})
    return True


def _explain(job: Job) -> None:
    """Compare with the last build here; after a clean, with the newest one of this folder in the cache."""
    before, manifest = (job.previous.key if job.previous else None), record.read_manifest(job.state)
    cache = job.engine.cache
    if before is None and cache is not None:
        latest = cache.latest_for(job.plan.component, os.path.realpath(job.root))
        if latest is not None:
            tools = {tool.name: key.tool_text(tool.version, tool.digest) for tool in latest.tools}
            before = CacheKey(primary=latest.key, parts=latest.explain, tools=tools)
            manifest = cache.manifest(latest)
    changed = source_digest.changed_inputs(manifest, job.inputs.manifest()) if manifest is not None else []
    job.explanation = explain.explain_miss(before, job.key, changed)


def fetch(job: Job) -> None:
    """Bring dependencies in, when a manifest or lockfile changed or what was fetched is gone."""
    if not _is_fetched(job):
        _fetch_now(job)
        before, job.inputs = job.inputs.digest, _digest(job)
        if job.inputs.digest != before:
            _plan_again(job)
            _restore_from_cache(job)  # clean may have removed the lockfile of a build that is known
    job.fetch_ran_code = record.read_ran_code(job.state)


def _plan_again(job: Job) -> None:
    """Fetching has written a lockfile that was missing: from here on it is a source file as any other."""
    said = job.plan.warnings
    job.warnings = [warning for warning in job.warnings if warning not in said]
    plan(job)
    for warning in said:
        if warning not in job.plan.warnings:  # true until now, and not to be said of later builds
            job.progress.warning(warning)
    job.inputs = _digest(job)
    compute_key(job)


def _is_fetched(job: Job) -> bool:
    present = all((job.root / path).exists() for path in job.plan.fetched)
    wanted = fetch_digest(job.root, job.plan, job.builder, job.key.tools)
    return present and record.read_fetched(job.state) == wanted


def _fetch_now(job: Job) -> None:
    record.forget_fetched(job.state)
    report = job.engine.plugins.fetch(job.builder, job.plan, make_context(job, job.state))
    if report is not None and report.ran_code:
        job.progress.note(f"fetching ran code of {', '.join(report.ran_code)}")
    ran = report.ran_code if report is not None else ()
    record.write_fetched(job.state, fetch_digest(job.root, job.plan, job.builder, job.key.tools), ran)


def build(job: Job) -> None:
    """Run the toolchain; when a dependency has vanished since it was fetched, fetch and build once more."""
    ahead = _usable_head_start(job)
    if ahead is not None:
        job.staging = Path(ahead.staging)
        outputs.sweep_staging(job.state, keep=job.staging)
    else:
        job.staging = outputs.new_staging(job.state)
    runner = BuildRunner(job.engine.runner, ahead)
    context = make_context(job, job.staging).model_copy(update={"runner": runner})
    try:
        job.result = job.engine.plugins.build(job.builder, job.plan, context)
    except DependenciesMissingError:
        _fetch_now(job)
        job.result = job.engine.plugins.build(job.builder, job.plan, context)
    job.commands = tuple(runner.commands)
    outputs.require_inside(job.root, (artifact.path for artifact in job.result.artifacts), job.builder)
    job.warnings.extend(job.result.warnings)
    measured = [_measured(job.root, artifact) for artifact in job.result.artifacts]
    job.artifacts = outputs.place(job.root, job.staging, measured)
    job.cache = "miss"


def _usable_head_start(job: Job) -> HeadStart | None:
    """The command that runs already, if it saw the very inputs that were digested; any other is ended."""
    ahead = job.ahead
    paths = (path for path, _ in job.inputs.stamp_entries() if path.rstrip("/") != str(job.root))
    if ahead is None or ahead.fits(paths):
        return ahead
    _log.debug("%s: the head start does not count, the source is no longer what it was", job.root)
    ahead.drop()
    return None


def _measured(root: Path, artifact: Artifact) -> Artifact:
    from flowctl_core.store.content import measure

    digest, size = measure(root / artifact.path)
    return artifact.model_copy(update={"digest": digest, "size": size})


def link(job: Job) -> None:
    """`./<name>`, unless something else has that name."""
    if job.cache == "miss":
        outputs.remove_links(job.root)  # of a component that was renamed
    taken = outputs.link_program(job.root, job.plan.component)
    if taken is not None:
        job.warnings.append(taken)


def remember(job: Job) -> None:
    """Write down what was built and put it into the cache; neither can fail a build.

    What was built while somebody edited the source belongs to no key: it is neither recorded nor kept.
    """
    if job.cache == "miss" and _digest(job).digest != job.inputs.digest:
        job.warnings.append("the source changed while it was built; the next build runs again")
        record.forget_record(job.state)
        return
    new = record.BuildRecord(
        key=job.key,
        builder=job.builder,
        plan=job.plan,
        artifacts=job.artifacts,
        stats={a.path: record.artifact_stat(job.root / a.path) for a in job.artifacts},
        version=job.plan.version,
        language=job.plan.language,
    )
    if new != job.previous:
        try:
            record.write_record(job.state, new)
            if job.previous is None or job.previous.key.parts.get("source") != job.inputs.digest:
                record.write_manifest(job.state, job.inputs.manifest())
        except StoreError as error:
            job.warnings.append(f"the next build will not know of this one: {error.message}")
    if job.cache == "miss" and job.engine.cache is not None:
        job.engine.cache.store(
            job.key.primary,
            component=job.plan.component,
            source_root=job.root,
            artifacts=job.artifacts,
            tools=(job.tools or {}).values(),
            plugins={name: text for name, text in job.key.parts.items() if name.startswith("plugin ")},
            explain=job.key.parts,
            manifest=job.inputs.manifest(),
        )


def make_context(job: Job, output_dir: Path, planned: Plan | None = None, builder: str | None = None) -> BuildContext:
    """What hooks may use: folders, tools, runner, progress; for the job's own plan or a recorded one."""
    work_dir = files.make_own_folder(job.state, "work", builder or job.builder)
    local = job.engine.config.build.local
    if planned is not None:
        job.environment = tool_environment(job.engine.environ, planned.environment, planned.passthrough)
    return BuildContext(
        source_root=job.root,
        output_dir=output_dir,
        work_dir=work_dir,
        tools=job.tools or {},
        environment=job.environment,
        parallel_jobs=job.options.jobs or local.parallel_jobs,
        timeout_s=local.timeout,
        offline=job.options.offline,
        runner=job.engine.runner,
        progress=job.progress,
    )


def _has_command(component: object) -> bool:
    native = getattr(component, "native_build", None)
    return native is not None and bool(native.command or native.commands)
