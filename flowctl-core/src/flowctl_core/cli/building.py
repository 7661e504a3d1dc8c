"""Builds one or several components and shows all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core import head_start
from flowctl_core.cli.console import emit, machine_readable, say, say_aside, warn
from flowctl_core.cli.failure import failure_document, show_failure
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import build_summary
from flowctl_core.errors import CancelledError, FlowctlError, StoreError, UsageError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import BuildReport
from flowctl_core.workflow import run_build

if TYPE_CHECKING:
    from flowctl_core.cli.progress import LiveBoard, PlainBoard

Target = tuple[Path, Path]
"""The path as the user wrote it, and absolute."""


def build_components(engine: Engine, options: Options, targets: list[Target], *, verbose: bool) -> int:
    """Build all targets, `parallel_jobs` at once; one failure does not hide the others.

    Returns 0, or the exit code of the first failure in the order of the targets.
    """
    if len({root for _, root in targets}) < len(targets):
        raise UsageError("the same folder is named twice")
    if len(targets) == 1:
        return _build_one(engine, options, targets[0], verbose=verbose)
    labels = {root: str(shown) for shown, root in targets}
    with make_board(list(labels.values()), verbose=verbose) as board:
        results = _build_several(engine, options, targets, labels, board)
    return _show_several(targets, results)


def _build_one(engine: Engine, options: Options, target: Target, *, verbose: bool) -> int:
    shown, root = target
    label = root.name
    with make_board([label], verbose=verbose) as board:
        job = Job(root, engine, options, board.row(label), ahead=head_start.take())
        try:
            report = run_build(job)
        except KeyboardInterrupt:
            cancel(engine)
            raise
        except FlowctlError:
            for line in job.explanation:
                say_aside(f"rebuilt because: {line}")
            raise
        finally:
            if job.ahead is not None:
                job.ahead.drop()
    _show_warnings(report, "")
    if not emit(report.model_dump(mode="json", exclude={"explanation"} if not options.explain else None)):
        for line in report.explanation:
            say(f"rebuilt because: {line}")
        say(build_summary(report.model_dump(mode="json"), str(shown)))
    _write_stamp(job, report, options)
    return 0


def _write_stamp(job: Job, report: BuildReport, options: Options) -> None:
    from flowctl_core.stamp import write_stamp

    # What `--config` names is not looked at by a plain `flowctl component build`, which the stamp answers.
    if options == Options(explain=options.explain) and GLOBAL.config is None:
        write_stamp(job, report)


def _build_several(
    engine: Engine, options: Options, targets: list[Target], labels: dict[Path, str], board: LiveBoard | PlainBoard
) -> dict[Path, BuildReport | FlowctlError]:
    parallel = engine.config.build.local.parallel_jobs
    share = replace(options, jobs=max(1, parallel // min(parallel, len(targets))))  # the machine is shared between them

    def build(root: Path) -> BuildReport | FlowctlError:
        row = board.row(labels[root])
        try:
            return run_build(Job(root, engine, share, row))
        except FlowctlError as error:
            return error
        except OSError as error:
            return StoreError.of(error, error.filename or root)
        finally:
            if hasattr(row, "finish"):
                row.finish()

    with ThreadPoolExecutor(max_workers=parallel) as pool:
        pending = {root: pool.submit(build, root) for _, root in targets}
        try:
            return {root: future.result() for root, future in pending.items()}
        except KeyboardInterrupt:
            for future in pending.values():
                future.cancel()
            cancel(engine)
            raise


def cancel(engine: Engine) -> None:
    """End every tool that the engine's runner has started."""
    stop = getattr(engine.runner, "cancel", None)
    if stop is not None:
        stop()


def _show_several(targets: list[Target], results: dict[Path, BuildReport | FlowctlError]) -> int:
    documents: list[dict[str, object]] = []
    failures: list[FlowctlError] = []
    for shown, root in targets:
        result = results[root]
        if isinstance(result, FlowctlError):
            failures.append(result)
            documents.append({"path": str(shown), **failure_document(result)})
            if not machine_readable():
                say_aside(f"\n{shown}: failed")
                show_failure(result)
        else:
            documents.append({"path": str(shown), **result.model_dump(mode="json", exclude={"explanation"})})
            _show_warnings(result, f"{shown}: ")
            say(build_summary(result.model_dump(mode="json"), str(shown)))
    emit(documents)
    cancelled = next((failure for failure in failures if isinstance(failure, CancelledError)), None)
    if cancelled is not None:
        return cancelled.exit_code
    if failures:
        say_aside(f"\n{len(failures)} of {len(targets)} components failed")
        return failures[0].exit_code
    return 0


def _show_warnings(report: BuildReport, prefix: str) -> None:
    for warning in report.warnings:
        warn(warning, prefix)
