"""`flowctl dev`: a pipeline on this machine that reloads what changed."""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.console import counted, emit, machine_readable, say, say_aside, warn
from flowctl_core.cli.global_options import GLOBAL, OutputFormat
from flowctl_core.cli.options import Output

if TYPE_CHECKING:
    from flowctl_core.cli.dev_replay import Replaying
    from flowctl_core.dev.context import Context, DevOptions
    from flowctl_core.dev.edges import Outlet
    from flowctl_core.dev.events import Reporter
    from flowctl_core.dev.pipeline import DevPipeline
    from flowctl_core.dev.recording.record import Recorder
    from flowctl_core.dev.recording.rerun import Rerun
    from flowctl_core.specfile.finding import Finding


class Mode(enum.StrEnum):
    """What components run as."""

    native = "native"
    container = "container"
    hybrid = "hybrid"


@dataclass(frozen=True)
class Surroundings:
    """How the pipeline of one call runs."""

    mode: Mode
    secrets: Path | None
    record: Path | None
    plain: bool


class _Aside:
    """Progress while images are brought in."""

    def step(self, text: str) -> None:
        """Say it."""
        say_aside(text)

    def line(self, text: str) -> None:
        """The engine's own words are shown when it fails."""

    def note(self, text: str) -> None:
        """Say it."""
        say_aside(text)

    def warning(self, text: str) -> None:
        """Say it."""
        warn(text)


def dev(
    pipeline: Annotated[
        Path, typer.Argument(help="pipeline.yaml, or its folder.", show_default="pipeline.yaml")
    ] = Path("pipeline.yaml"),
    check: Annotated[bool, typer.Option("--check", help="Check the wiring and end; nothing is started.")] = False,
    mode: Annotated[
        Mode,
        typer.Option("--mode", help="hybrid: images run as containers, all else as processes; container: sources too."),
    ] = Mode.hybrid,
    once: Annotated[
        bool, typer.Option("--once", help="Watch nothing, and end when the pipeline has come to its end.")
    ] = False,
    secrets: Annotated[
        Path | None,
        typer.Option("--secrets", help="File of NAME=value lines; without one, secrets come from the environment."),
    ] = None,
    replay: Annotated[
        int, typer.Option("--replay", min=0, metavar="N", help="Give a restarted component the last N events again.")
    ] = 0,
    window: Annotated[
        int, typer.Option("--window", min=0, metavar="N", help="Events given again after a crash.")
    ] = 1000,
    grace: Annotated[
        float, typer.Option("--grace", min=0.1, metavar="SECONDS", help="How long old processes may work off events.")
    ] = 10.0,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Keep every event in a new file.")
    ] = None,
    replay_from: Annotated[
        Path | None,
        typer.Option("--replay-from", metavar="FILE", help="Run on recorded events, in place of the sources."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID", help="With --replay-from: run this component; repeat for several."),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="With --replay-from: show what outputs changed, again after each edit.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="FIELD", help="With --diff: a field that may differ (payload.seen_at)."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live table, on a terminal too.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Build without network.")] = False,
    output: Output = None,
) -> None:
    """Run a pipeline from locally built components, and reload what changed."""
    from flowctl_core.cli.session import absolute

    file = absolute(pipeline)
    file = file / "pipeline.yaml" if file.is_dir() else file
    if check:
        _show_check(*_read(file))
        return
    from flowctl_core.cli.dev_lines import write_failure
    from flowctl_core.dev.context import DevOptions
    from flowctl_core.errors import FlowctlError

    options = DevOptions(
        once=once, replay=replay, window=window, grace_s=grace, offline=offline, tell_status=machine_readable()
    )
    surroundings = Surroundings(mode, secrets, record, plain)
    try:
        runnable = _runnable(*_read(file))
        if replay_from is not None:
            replaying = _replaying(replay_from, record, only or [], diff, ignore or [], once)
            code = _replay(runnable, replaying, options, surroundings)
        else:
            _refuse_alone(only, diff, ignore)
            code, _ = _run(runnable, options, surroundings)
    except FlowctlError as error:
        if not machine_readable():
            raise
        code = write_failure(error)  # on one line, as all that a reader of this stream gets
    if code:
        raise typer.Exit(code)


def _read(file: Path) -> tuple[DevPipeline | None, list[Finding]]:
    from flowctl_core.dev.check import check_wiring
    from flowctl_core.dev.pipeline import read_dev_pipeline
    from flowctl_core.errors import SpecError
    from flowctl_core.specfile.content import display

    if not file.exists():
        hint = "Name pipeline.yaml or its folder: `flowctl dev examples/pipeline`."
        raise SpecError(f"{display(file)} does not exist", hint=hint)
    reading = read_dev_pipeline(file, namespace=GLOBAL.namespace)
    findings = list(reading.findings)
    if reading.pipeline is not None:
        findings += check_wiring(reading.pipeline, os.environ)
    return reading.pipeline, findings


def _show_check(pipeline: DevPipeline | None, findings: list[Finding]) -> None:
    from flowctl_core.cli.documents import ValidateDocument
    from flowctl_core.errors import SpecError

    errors = [finding for finding in findings if finding.severity == "error"]
    document = ValidateDocument(valid=not errors, findings=tuple(findings))
    if not emit(document.model_dump(mode="json")):
        for finding in findings:
            say_aside(f"{finding.severity}: {finding}")
        if errors or pipeline is None:
            say(counted(len(errors), "error"))
        else:
            edges = sum(len(component.entry.inputs) for component in pipeline.components)
            parts = f"{counted(len(pipeline.components), 'component')}, {counted(edges, 'edge')}"
            say(f"the pipeline {pipeline.name} is valid: {parts}")
    if errors:
        raise typer.Exit(SpecError.exit_code)


def _runnable(pipeline: DevPipeline | None, findings: list[Finding]) -> DevPipeline:
    """The pipeline. Raises SpecError with all that is wrong with it."""
    from flowctl_core.errors import SpecError
    from flowctl_core.specfile.finding import raise_errors

    raise_errors(findings, hint="`flowctl dev --check` shows the warnings as well.")
    if pipeline is None:
        raise SpecError("the pipeline could not be read")
    for finding in findings:
        warn(str(finding))
    missing = [component for component in pipeline.components if component.program.kind == "missing"]
    if missing:
        names = ", ".join(component.program.told for component in missing)
        raise SpecError(
            f"not on this machine: {names}",
            hint="Install it with `flowctl component install`, or name its folder with `path`.",
        )
    return pipeline


def _replaying(
    file: Path, record: Path | None, only: list[str], diff: bool, ignore: list[str], once: bool
) -> Replaying:
    from flowctl_core.cli.dev_replay import Replaying
    from flowctl_core.cli.session import absolute
    from flowctl_core.errors import UsageError

    if record is not None:
        raise UsageError("--record and --replay-from exclude each other")
    if ignore and not diff:
        raise UsageError("--ignore says what --diff leaves out", hint="Add --diff.")
    return Replaying(absolute(file), tuple(dict.fromkeys(only)), diff, tuple(ignore), once)


def _refuse_alone(only: list[str] | None, diff: bool, ignore: list[str] | None) -> None:
    from flowctl_core.errors import UsageError

    for name, given in (("--only", only), ("--diff", diff), ("--ignore", ignore)):
        if given:
            raise UsageError(f"{name} is for recorded events", hint="Name a recording: --replay-from FILE.")


def _replay(pipeline: DevPipeline, asked: Replaying, options: DevOptions, given: Surroundings) -> int:
    from flowctl_core.cli.dev_replay import replay

    once = dataclasses.replace(options, once=True)

    def run(rerun: Rerun, listener: Callable[[str], Outlet]) -> tuple[int, bool]:
        return _run(rerun.pipeline, once, given, rerun=rerun, listener=listener)

    return replay(pipeline, asked, run)


def _run(
    pipeline: DevPipeline,
    options: DevOptions,
    given: Surroundings,
    *,
    rerun: Rerun | None = None,
    listener: Callable[[str], Outlet] | None = None,
) -> tuple[int, bool]:
    """Returns the exit code, and whether the user ended the pipeline."""
    from flowctl_core.cli.dev_lines import JsonLines, PlainLines
    from flowctl_core.cli.dev_screen import Screen, usable
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.dev.context import Context
    from flowctl_core.dev.edges import DeadLetters
    from flowctl_core.dev.environment import Secrets
    from flowctl_core.dev.launchers import choose_ways
    from flowctl_core.dev.loop import Loop
    from flowctl_core.dev.secrets_file import read_secrets
    from flowctl_core.dev.supervisor import Supervisor
    from flowctl_core.errors import UsageError

    if GLOBAL.output is OutputFormat.yaml:
        raise UsageError("flowctl dev has no YAML output", hint="-o json prints each event as a JSON line.")
    screen = None
    reporter: Reporter = JsonLines() if machine_readable() else PlainLines(list(pipeline.by_id))
    engine = make_engine()
    ways = choose_ways(pipeline, given.mode.value, _Aside(), offline=options.offline)
    if not machine_readable() and not given.plain and usable():
        reporter = screen = Screen(pipeline.name, list(pipeline.by_id))
    context = Context(
        pipeline=pipeline,
        options=options,
        loop=Loop(),
        launcher=ways.launcher,
        reporter=reporter,
        secrets=Secrets(read_secrets(absolute(given.secrets)) if given.secrets is not None else {}, os.environ),
        dead_letters=DeadLetters(pipeline.folder / ".flowctl" / "dev" / "dead-letters.ndjson"),
    )
    context.images = ways.images
    _check_environments(context)
    context.rerun = rerun
    recorder = _recorder(pipeline, absolute(given.record)) if given.record is not None else None
    kept = recorder.outlet if recorder is not None else None
    context.listeners = tuple(each for each in (listener, kept) if each is not None)
    supervisor = Supervisor(context, engine)
    if screen is not None:
        screen.open(supervisor)
    try:
        return supervisor.run(), supervisor.interrupted
    finally:
        if screen is not None:
            screen.close()
        if recorder is not None:
            recorder.close()
            _tell_recording(recorder)


def _recorder(pipeline: DevPipeline, file: Path) -> Recorder:
    from flowctl_core.dev.recording.record import Recorder

    inputs = {component.id: component.entry.inputs for component in pipeline.components}
    return Recorder(file, pipeline=pipeline.name, inputs=inputs)


def _tell_recording(recorder: Recorder) -> None:
    if recorder.problem is not None:
        warn(recorder.problem)
    say_aside(f"recorded {counted(recorder.events, 'event')} in {recorder.path}")


def _check_environments(context: Context) -> None:
    """Raises SpecError before anything is built when a secret or a variable is not there."""
    from flowctl_core.dev.environment import Ports

    for component in context.pipeline.components:
        context.hand_over(component, Ports(0), 0)
