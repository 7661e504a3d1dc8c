"""A component's tests in a container: of its Dockerfile's image, or of an image with the language's tools."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from flowctl_core.docker_engine.connect import DockerEngine, connect
from flowctl_core.docker_engine.images import EngineImage
from flowctl_core.docker_engine.pull import require_image
from flowctl_core.errors import ImageError, NoTestsError
from flowctl_core.job import Engine, Job, Options, Release, ReleaseOptions
from flowctl_core.models import Command, Progress, TestReport
from flowctl_core.package.dockerfile import Dockerfile, find_dockerfile
from flowctl_core.package.dockerfile_build import Workbench, build_dockerfile
from flowctl_core.package.load import scratch_name
from flowctl_core.release_source import export_source, new_release, workspace_of
from flowctl_core.runners.docker import DockerRunner, caller_name
from flowctl_core.steps import build, compute_key, detect, digest_inputs, fetch, make_context, plan, read_source
from flowctl_core.store.export import exported_files
from flowctl_core.store.files import make_state_dir, system_refusals
from flowctl_core.store.lock import component_lock
from flowctl_core.store.workspaces import FOLDER
from flowctl_core.toolchains.container import find_tools_inside

STAGE = "test"
"""The stage of a Dockerfile that runs the tests."""
DEFAULT_IMAGES = {
    "go": "docker.io/library/golang:1",
    "rust": "docker.io/library/rust:1",
    "node": "docker.io/library/node:lts",
    "typescript": "docker.io/library/node:lts",
    "javascript": "docker.io/library/node:lts",
    "python": "ghcr.io/astral-sh/uv:python3.13-bookworm",
}
"""For a language without an image of its own in component.yaml and configuration."""
_KEPT = {"GOPATH": "go", "CARGO_HOME": ".cargo"}
"""Where tools put what is fetched, where an image moves it: below the home folder that all containers share."""
_FOLDER = re.compile(r"(^|:)/(?!/)")
"""A folder of this machine, alone or in a list; an address is none."""
_NOT_INSIDE = frozenset({"PATH", "HOME", "SHELL", "USER", "LOGNAME", "TMPDIR", "PWD", "OLDPWD"})


def run_container_tests(
    root: Path, engine: Engine, options: Options, progress: Progress
) -> tuple[Job, TestReport | None]:
    """Run the tests of the working tree's export; None when the builder knows no tests.

    Raises EngineError without an engine, ImageError when there is no image, ToolchainError when it lacks a tool.
    """
    docker = connect(engine.environ)
    cache = engine.config.build.local.cache_dir
    wanted = ReleaseOptions(workspace=_workspace(root, cache))
    release = Release(root, wanted)
    job = Job(new_release(root, release, cache), replace(engine, cache=None), options, progress, release=release)
    with component_lock(job.root.parent, timeout_s=options.lock_timeout_s):
        export_source(job)
        read_source(job)
        detect(job)
        dockerfile = find_dockerfile(job.spec.spec.container_build, job.root) if job.spec is not None else None
        if dockerfile is not None:
            plan(job)
            return job, _by_dockerfile(job, docker, dockerfile)
        return job, _by_toolchain(job, docker)


def _workspace(root: Path, cache: Path) -> Path:
    other = workspace_of(root, cache, as_registry=False)
    return other.with_name(sha256(f"container\0{other.name}".encode()).hexdigest()[:16])


def _by_dockerfile(job: Job, docker: DockerEngine, dockerfile: Dockerfile) -> TestReport:
    own = STAGE in dockerfile.stages
    command = job.plan.settings.test_command
    if not own and not command:
        raise NoTestsError(
            f"{dockerfile.shown} has no stage called {STAGE}, and no test command is known for {job.plan.component}",
            hint=(
                f"Add a stage: FROM … AS {STAGE}; or set build.local.languages.{job.plan.language}.test_command in "
                "the configuration."
            ),
        )
    local = job.engine.config.build.local
    bench = Workbench(
        engine=docker,
        root=job.root,
        files=exported_files(job.root),
        folder=make_state_dir(job.root),
        runner=job.engine.runner,
        environ=job.engine.environ,
        epoch=job.releasing.source.epoch,
        offline=job.options.offline,
        timeout_s=local.timeout,
    )
    tag = f"{scratch_name(job.plan.component, docker.platform)}-{STAGE}"
    target = STAGE if own else None
    build_dockerfile(bench, dockerfile, docker.platform, tag, job.progress, target=target)
    job.progress.step(f"testing in a container of {dockerfile.shown}")
    argv = Command(argv=tuple(command), cwd=Path("/"), environment={}, timeout_s=local.timeout)
    done = DockerRunner(docker, tag, (), own=True).run(argv, on_line=job.progress.line)
    return TestReport(
        tool=" ".join(command) or f"stage {STAGE}",
        command=tuple(command),
        counted=False,
        exit_code=done.exit_code,
        duration_s=done.duration_s,
        output="" if done.ok else done.output,
    )


def _by_toolchain(job: Job, docker: DockerEngine) -> TestReport | None:
    name = _image_name(job)
    image = require_image(docker, name, job.progress, offline=job.options.offline)
    home = job.engine.config.build.local.cache_dir / FOLDER / "container-home"
    with system_refusals(home, "made"):
        home.mkdir(parents=True, exist_ok=True)
        os.utime(home)  # `cache prune` goes by it
    runner = DockerRunner(docker, name, (job.root.parent, home))
    job.engine = replace(job.engine, runner=runner, environ=_environment(job.engine.environ, image, home))
    plan(job)
    digest_inputs(job)
    job.progress.step(f"testing in containers of {name}")
    job.tools = find_tools_inside(job.plan.toolchain, runner, job.environment, job.root, image=name, image_id=image.id)
    compute_key(job)
    fetch(job)
    build(job)
    return job.engine.plugins.test(job.builder, job.plan, make_context(job, job.state))


def _image_name(job: Job) -> str:
    language = job.detection.winner.detection.language
    declared = job.spec.spec.container_build.test_image if job.spec is not None else None
    name = declared or job.engine.config.build.images.test.get(language) or DEFAULT_IMAGES.get(language)
    if name is None:
        raise ImageError(
            f"no image is known in which {language} components are tested",
            hint=(
                "Name one: spec.build.container.test_image in component.yaml, or "
                f"build.images.test.{language} in the configuration."
            ),
        )
    return name


def _environment(caller: Mapping[str, str], image: EngineImage, home: Path) -> dict[str, str]:
    """The image's variables, and the caller's that do not speak of this machine's folders and tools."""
    passed = {
        name: value
        for name, value in caller.items()
        if name not in _NOT_INSIDE and not name.startswith("DOCKER_") and not _FOLDER.search(value)
    }
    moved = {name: str(home / place) for name, place in _KEPT.items() if name in image.environment}
    user = caller_name()
    return {**passed, **image.environment, **moved, "HOME": str(home), "USER": user, "LOGNAME": user}
