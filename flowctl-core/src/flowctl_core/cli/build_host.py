"""`flowctl build-host`: what a registry's worker calls in its sandbox, one phase of a remote build at a time."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.component import Jobs, Offline, Timeout
from flowctl_core.cli.streams import write

if TYPE_CHECKING:
    from flowctl_core.build_host.run import States
    from flowctl_core.models import Platform, Progress


class JsonEvents:
    """Progress as JSON lines on standard output: `event`, `phase`, `text` and, of one platform, `platform`."""

    def __init__(self, phase: str, lock: threading.Lock, platform: Platform | None = None) -> None:
        self._lock = lock
        self._fixed = {"phase": phase, **({"platform": str(platform)} if platform is not None else {})}

    def of_platform(self, platform: Platform) -> Progress:
        """The same, of one platform."""
        return JsonEvents(self._fixed["phase"], self._lock, platform)

    def step(self, text: str) -> None:
        """A step began."""
        self._write("step", text)

    def line(self, text: str) -> None:
        """A tool printed a line."""
        self._write("line", text)

    def note(self, text: str) -> None:
        """Something a person wants to know."""
        self._write("note", text)

    def warning(self, text: str) -> None:
        """Something a person should change."""
        self._write("warning", text)

    def _write(self, event: str, text: str) -> None:
        document = json.dumps({"event": event, **self._fixed, "text": text})
        with self._lock:
            write(document + "\n")
            import sys

            sys.stdout.flush()


def build_host(
    phases: Annotated[list[str], typer.Argument(help="export, decide, fetch, test, build, bases, assemble.")],
    workspace: Annotated[Path, typer.Option("--workspace", help="Folder that holds all of the build.")],
    states: Annotated[
        Path | None,
        typer.Option("--states", help="Folder with request.json and what phases before left.", show_default="state/"),
    ] = None,
    answer: Annotated[
        Path | None, typer.Option("--answer", help="File for how it ended.", show_default="answer.json")
    ] = None,
    platform: Annotated[
        list[str] | None, typer.Option("--platform", help="build: for this one; several times for several.")
    ] = None,
    offline: Offline = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
) -> None:
    """Run phases of a remote build, one after the other; for a registry's worker."""
    from flowctl_core.build_host.phases import PHASES
    from flowctl_core.build_host.run import Host, forget, run_phase
    from flowctl_core.build_host.workspace import Workspace
    from flowctl_core.cli.failure import as_flowctl_error
    from flowctl_core.cli.releasing import same_modes
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.errors import UsageError
    from flowctl_core.job import Options
    from flowctl_core.models import Platform

    unknown = [phase for phase in phases if phase not in PHASES]
    if unknown:
        raise UsageError(f"{unknown[0]} is no phase", hint=f"There are {', '.join(PHASES)}.")
    place = Workspace(
        absolute(workspace),
        states=absolute(states) if states is not None else None,
        answer=absolute(answer) if answer is not None else None,
    )
    if not place.folder.is_dir():
        raise UsageError(f"{place.folder} is not a folder")
    forget(place)
    found: States = {}
    phase: str = phases[0]
    engine = None
    try:
        try:
            platforms = tuple(Platform(text) for text in platform or ())
        except ValueError as error:
            raise UsageError(str(error)) from error
        engine = make_engine(cache=False, flags={"build.local.parallel_jobs": jobs, "build.local.timeout": timeout})
        options, lock = Options(offline=offline, jobs=jobs), threading.Lock()
        with same_modes():
            for phase in phases:
                host = Host(place, place.request(), engine, JsonEvents(phase, lock), options, platforms)
                found |= run_phase(host, next(known for known in PHASES if known == phase))
    except (Exception, KeyboardInterrupt) as error:
        from flowctl_core.cli.building import cancel

        if engine is not None:
            cancel(engine)
        failure = as_flowctl_error(error)
        place.write_answer(phase, found, failure)
        raise typer.Exit(failure.exit_code) from error
    place.write_answer(phase, found, None)
