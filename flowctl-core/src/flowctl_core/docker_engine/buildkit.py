"""Builds an image by BuildKit, the engine's newer builder.

It speaks a protocol of its own (a gRPC session for the context and for logins) that docker-py does not know: the
command `docker` does, so it is used for what the older builder cannot do.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from flowctl_core.docker_engine.build import ImageBuild, build_failure
from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.images import find_image
from flowctl_core.errors import StoreError
from flowctl_core.models.event import Progress
from flowctl_core.models.process import Command, Runner

_NEEDED = re.compile(
    r"""^\s*\#\s*syntax\s*=                                       # a frontend of its own
    | ^\s*(RUN|COPY|ADD)\s+(--\S+\s+)*--(mount|security|network|link|chmod|parents|exclude|checksum)\b
    | ^\s*(RUN|COPY|ADD)\b.*<<-?["']?[A-Za-z_]                       # here-documents
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_OWN_BUILDKIT = 23
"""Docker commands before this one have BuildKit's client built in, later ones as the plugin buildx."""
_STEP = re.compile(r"#\d+ \[")


def needs_buildkit(text: str) -> bool:
    """True for a Dockerfile with instructions that the older builder does not know."""
    return _NEEDED.search(text) is not None


def find_command(environ: Mapping[str, str], runner: Runner) -> tuple[str, ...] | None:
    """The command `docker` with BuildKit's client, as far as its arguments; None where there is none."""
    for folder in environ.get("PATH", "").split(os.pathsep):
        program = shutil.which("docker", path=folder) if folder else None
        if program is None:
            continue
        if _ask(program, ("buildx", "version"), environ, runner).startswith("github.com/docker/buildx"):
            return program, "buildx", "build", "--load"
        version = re.search(r"version (\d+)\.", _ask(program, ("--version",), environ, runner))
        if version is not None and int(version[1]) < _OWN_BUILDKIT:
            return program, "build"
    return None


def _ask(program: str, arguments: tuple[str, ...], environ: Mapping[str, str], runner: Runner) -> str:
    command = Command(argv=(program, *arguments), cwd=Path("/"), environment=dict(environ), timeout_s=60)
    return runner.run(command).stdout


def build_by_command(
    engine: DockerEngine,
    command: tuple[str, ...],
    context: IO[bytes],
    wanted: ImageBuild,
    progress: Progress,
    *,
    runner: Runner,
    environ: Mapping[str, str],
    folder: Path,
    timeout_s: float | None = None,
) -> str:
    """Build the image and return its id. `context` is a tar archive, unpacked below `folder` while it lasts.

    Raises BuildError with all that was printed when a step fails, ToolTimeoutError, EngineError, StoreError.
    """
    with tempfile.TemporaryDirectory(prefix="context-", dir=folder) as unpacked:
        try:
            with tarfile.open(fileobj=context) as archive:
                archive.extractall(unpacked, filter="fully_trusted")  # noqa: S202 - we have just packed it
        except OSError as error:
            raise StoreError.of(error, doing="written") from error
        argv = [*command, "--progress", "plain", "--file", f"{unpacked}/{wanted.dockerfile}", "--tag", wanted.tag]
        argv += ["--platform", wanted.platform, *(("--target", wanted.target) if wanted.target else ())]
        for flag, pairs in (("--build-arg", wanted.args), ("--label", wanted.labels)):
            argv += [part for name, value in sorted(pairs.items()) for part in (flag, f"{name}={value}")]
        argv += [*(() if wanted.network else ("--network", "none")), unpacked]
        done = runner.run(
            Command(
                argv=tuple(argv),
                cwd=Path(unpacked),
                environment={**environ, "DOCKER_HOST": engine.address, "DOCKER_BUILDKIT": "1"},
                timeout_s=timeout_s,
                network=wanted.network,
            ),
            on_line=lambda line: (progress.step if _STEP.match(line) else progress.line)(line),
        )
    if not done.ok:
        lines = [line for line in done.output.splitlines() if line.strip()]
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"{command[0]} ended with exit code {done.exit_code}"
        raise build_failure(wanted, reason, done.output)
    found = find_image(engine, wanted.tag)
    if found is None:
        raise build_failure(wanted, "the engine does not have the image that was built", done.output)
    return found.id
