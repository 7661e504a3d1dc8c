"""Makes the job of a phase from what the phases before it left."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from flowctl_core import __version__
from flowctl_core.build_host.states import DecideState, ExportState, HostRequest
from flowctl_core.build_host.workspace import Workspace
from flowctl_core.errors import PluginError, SourceError, ToolchainError
from flowctl_core.job import Engine, Job, Options, Release, ReleaseOptions
from flowctl_core.models import CacheKey, Plan, Progress, Tool
from flowctl_core.release_record import OWN_METADATA
from flowctl_core.release_source import release_engine
from flowctl_core.runners.environment import tool_environment
from flowctl_core.steps import COMPONENT_FILE, find_toolchain, read_source
from flowctl_core.store import files


def open_job(workspace: Workspace, request: HostRequest, engine: Engine, options: Options, progress: Progress) -> Job:
    """A release as a registry makes it, in the workspace."""
    wanted = ReleaseOptions(
        platforms=request.platforms,
        as_registry=True,
        revision=request.revision,
        dist=workspace.release,
        images=request.images,
        workspace=workspace.folder,
    )
    origin = workspace.repository / request.subdirectory
    return Job(
        workspace.source(request.name),
        release_engine(engine, wanted),
        options,
        progress,
        release=Release(origin, wanted),
    )


def documents(root: Path) -> dict[str, str]:
    """Digests of the documents that the release carries as they are in the source."""
    found = {}
    for name in (COMPONENT_FILE, OWN_METADATA):
        file = root / name
        if file.is_file():
            found[name] = f"sha256:{sha256(file.read_bytes()).hexdigest()}"
    return found


def resume_exported(job: Job, exported: ExportState) -> None:
    """The source is there. Raises SourceError when its documents are not what they were when it was exported."""
    if documents(job.root) != exported.documents:
        raise SourceError(
            "component.yaml or metadata.json is not the one of the commit any more",
            hint="The build changes it; let it write somewhere else.",
        )
    job.releasing.source = exported.source
    job.warnings = list(exported.warnings)
    job.engine = replace(job.engine, environ={**job.engine.environ, "SOURCE_DATE_EPOCH": str(exported.source.epoch)})


def resume_decided(job: Job, decided: DecideState, plan: Plan, key: CacheKey, warnings: tuple[str, ...]) -> None:
    """What is built is known. Raises PluginError when this is not the engine that decided it."""
    read_source(job)
    job.warnings = list(warnings)
    job.options = replace(job.options, profile="release", platforms=plan.platforms)
    job.detection, job.plan, job.key = decided.detection, plan, key
    job.environment = tool_environment(job.engine.environ, plan.environment, plan.passthrough)
    job.state = files.make_state_dir(job.root)
    job.releasing.refused = {refusal.platform: refusal for refusal in decided.refused if refusal.platform is not None}
    _require_same_engine(job)


def _require_same_engine(job: Job) -> None:
    here = {
        f"plugin {known.name}": f"{known.version} {known.digest}"
        for known in job.engine.plugins.identities(job.builder)
    }
    here["flowctl"] = __version__
    then = {name: text for name, text in job.key.parts.items() if name == "flowctl" or name.startswith("plugin ")}
    if here != then:
        different = sorted(name for name in {*here, *then} if here.get(name) != then.get(name))
        raise PluginError(
            f"this machine has another {', '.join(different)} than the one that planned the build",
            hint="Give all workers the same plugin environment.",
        )


def find_same_tools(job: Job, decided: DecideState) -> None:
    """Find the tools again, for they may be elsewhere. Raises ToolchainError when they are not the same ones."""
    find_toolchain(job)
    if job.missing_tools is not None:
        raise job.missing_tools
    here = {name: (tool.version, tool.digest) for name, tool in (job.tools or {}).items()}
    then = {tool.name: (tool.version, tool.digest) for tool in decided.tools}
    if here != then:
        said = [
            f"{name}: {' '.join(then.get(name, ('none',)))} there, {' '.join(here.get(name, ('none',)))} here"
            for name in sorted({*here, *then})
            if here.get(name) != then.get(name)
        ]
        raise ToolchainError(
            "this machine has other tools than the one that planned the build\n" + "\n".join(said),
            hint="Give all workers the same toolchains.",
        )


def remember_tools(job: Job, decided: DecideState) -> None:
    """The tools as they were, for the record; none of them runs."""
    job.tools = {
        tool.name: Tool(
            name=tool.name, version=tool.version, digest=tool.digest, origin=tool.origin, path=Path(tool.name)
        )
        for tool in decided.tools
    }
