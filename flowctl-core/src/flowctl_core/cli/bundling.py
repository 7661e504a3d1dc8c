"""Builds and tests the members of a bundle, and shows what came of each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from flowctl_core.bundles.folder import BundleFolder, Member, read_folder
from flowctl_core.bundles.run import Done, Failed, LeftOut, Outcome, options_of, run_members, workers_of
from flowctl_core.bundles.validate import require_valid
from flowctl_core.cli.building import cancel
from flowctl_core.cli.bundle_documents import (
    BuiltMember,
    BundleBuildDocument,
    BundleTestDocument,
    MemberState,
    TestedMember,
)
from flowctl_core.cli.console import counted, emit, machine_readable, say, say_aside, warn
from flowctl_core.cli.documents import CountedTests, Failure, FailureDocument
from flowctl_core.cli.failure import show_failure
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import duration_text
from flowctl_core.cli.testing import verdict
from flowctl_core.errors import CancelledError, FlowctlError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import BuildReport, Progress, TestReport
from flowctl_core.specfile.finding import Finding
from flowctl_core.test_outcome import failing_output, interface_findings, summary
from flowctl_core.workflow import run_build, run_tests

_STATES: dict[str, MemberState] = {"fresh": "fresh", "hit": "restored", "miss": "built"}
_WORDS = {"fresh": "up to date", "restored": "restored", "built": "built", "failed": "failed", "left-out": "left out",
          "published": "published elsewhere"}  # fmt: skip


def build_bundle(engine: Engine, options: Options, root: Path, *, verbose: bool) -> int:
    """Check the bundle, then build every member; returns the exit code of the first failure in bundle.yaml's order.

    Raises SpecError before anything is built, when members contradict each other or bundle.yaml.
    """
    started = time.monotonic()
    bundle = read_folder(root)
    warnings = _checked(bundle)
    workers = workers_of(bundle, engine)
    jobs = max(1, engine.config.build.local.parallel_jobs // workers)

    def build(member: Member, row: Progress) -> BuildReport:
        assert member.root is not None  # noqa: S101 - only members with a folder are worked on
        return run_build(Job(member.root, engine, options_of(member, options, jobs), row))

    with make_board([member.name for member in bundle.sources], verbose=verbose) as board:
        outcomes = run_members(bundle, build, workers=workers, row=board.row, cancel=lambda: cancel(engine))
    error = _first_failure(outcomes)
    document = BundleBuildDocument(
        bundle=bundle.name,
        version=bundle.version,
        ok=error is None,
        duration_s=round(time.monotonic() - started, 4),
        members=tuple(_built(member, outcomes) for member in bundle.members),
        warnings=tuple(warnings),
        error=_failure(error),
    )
    if not emit(document.model_dump(mode="json")):
        _show_built(document, outcomes, root)
    return error.exit_code if error is not None else 0


def test_bundle(engine: Engine, options: Options, root: Path, *, verbose: bool) -> int:
    """Check the bundle, then build and test every member; returns the exit code of the first failure."""
    started = time.monotonic()
    bundle = read_folder(root)
    warnings = _checked(bundle)
    workers = workers_of(bundle, engine)
    jobs = max(1, engine.config.build.local.parallel_jobs // workers)
    reports: dict[str, tuple[TestReport | None, list[str]]] = {}

    def test(member: Member, row: Progress) -> Job:
        assert member.root is not None  # noqa: S101
        job = Job(member.root, engine, options_of(member, options, jobs), row)
        report = run_tests(job)
        findings = interface_findings(job)
        reports[member.name] = report, findings
        error = verdict(job, report, findings)
        if error is not None:
            error.output = error.output or (failing_output(report) if report is not None and not report.ok else None)
            raise error
        return job

    with make_board([member.name for member in bundle.sources], verbose=verbose) as board:
        outcomes = run_members(bundle, test, workers=workers, row=board.row, cancel=lambda: cancel(engine))
    error = _first_failure(outcomes)
    document = BundleTestDocument(
        bundle=bundle.name,
        version=bundle.version,
        ok=error is None,
        duration_s=round(time.monotonic() - started, 4),
        members=tuple(_tested(member, outcomes, reports) for member in bundle.members),
        warnings=tuple(warnings),
        error=_failure(error),
    )
    if not emit(document.model_dump(mode="json")):
        _show_tested(document, outcomes)
    return error.exit_code if error is not None else 0


def _checked(bundle: BundleFolder) -> list[Finding]:
    warnings = require_valid(bundle)
    if not machine_readable():
        for finding in warnings:
            warn(str(finding))
    return warnings


def _first_failure(outcomes: Mapping[str, Outcome[object]]) -> FlowctlError | None:
    errors = [outcome.error for outcome in outcomes.values() if isinstance(outcome, Failed)]
    cancelled = next((error for error in errors if isinstance(error, CancelledError)), None)
    return cancelled or next(iter(errors), None)


def _failure(error: FlowctlError | None) -> Failure | None:
    return FailureDocument.of(error).error if error is not None else None


def _built(member: Member, outcomes: Mapping[str, Outcome[BuildReport]]) -> BuiltMember:
    name, path = member.name, member.entry.path
    match outcomes.get(name):
        case Done(report):
            return BuiltMember(name=name, path=path, state=_STATES[report.cache], report=report)
        case Failed(error):
            return BuiltMember(name=name, path=path, state="failed", error=_failure(error))
        case LeftOut(needs):
            return BuiltMember(name=name, path=path, state="left-out", needs=needs)
    return BuiltMember(name=name, path=path, state="published")


def _tested(
    member: Member, outcomes: Mapping[str, Outcome[Job]], reports: Mapping[str, tuple[TestReport | None, list[str]]]
) -> TestedMember:
    name, path = member.name, member.entry.path
    report, findings = reports.get(name, (None, []))
    tests = None if report is None else CountedTests(**dict(report))
    match outcomes.get(name):
        case Done():
            return TestedMember(name=name, path=path, state="passed", tests=tests)
        case Failed(error):
            told = tuple(findings)
            return TestedMember(
                name=name, path=path, state="failed", tests=tests, interface=told, error=_failure(error)
            )
        case LeftOut(needs):
            return TestedMember(name=name, path=path, state="left-out", needs=needs)
    return TestedMember(name=name, path=path, state="published")


def _show_failures(outcomes: Mapping[str, Outcome[object]]) -> None:
    for name, outcome in outcomes.items():
        if isinstance(outcome, Failed):
            say_aside(f"\n{name}: failed")
            show_failure(outcome.error)


def _show_built(document: BundleBuildDocument, outcomes: Mapping[str, Outcome[BuildReport]], root: Path) -> None:
    _show_failures(outcomes)
    width = max(len(member.name) for member in document.members)
    for member in document.members:
        report = member.report
        for warning in report.warnings if report is not None else ():
            warn(warning, f"{member.name}: ")
        more = f", needs {', '.join(member.needs)}" if member.needs else ""
        if report is not None:
            more = f" {report.version} for {report.platform} in {duration_text(report.duration_s)} ({report.language})"
            if member.state == "fresh":
                more = f" {report.version} ({report.language})"
        say(f"{member.name:<{width}}  {_WORDS[member.state]}{more}")
    took = duration_text(document.duration_s)
    if document.ok:
        say(f"{document.bundle} {document.version}: {counted(len(document.members), 'component')} ready ({took})")
        programs = [
            f"{Path(m.path or '') / (m.report.link or '')}" for m in document.members if m.report and m.report.link
        ]
        if programs and any(member.state != "fresh" for member in document.members):
            say(f"  programs: {', '.join(programs)}")
        return
    bad = sum(member.state in ("failed", "left-out") for member in document.members)
    say_aside(f"\n{document.bundle}: {bad} of {counted(len(document.members), 'component')} not built ({took})")


def _show_tested(document: BundleTestDocument, outcomes: Mapping[str, Outcome[Job]]) -> None:
    _show_failures(outcomes)
    width = max(len(member.name) for member in document.members)
    for member in document.members:
        told = _WORDS.get(member.state, member.state)
        if member.tests is not None:
            counts = summary(member.tests) if member.tests.counted else f"{member.tests.tool} {member.state}"
            told = f"{counts} in {duration_text(member.tests.duration_s)} ({member.tests.tool})"
        elif member.needs:
            told += f", needs {', '.join(member.needs)}"
        say(f"{member.name:<{width}}  {told}")
    took = duration_text(document.duration_s)
    if document.ok:
        say(f"{document.bundle} {document.version}: {counted(len(document.members), 'component')} passed ({took})")
        return
    bad = sum(member.state in ("failed", "left-out") for member in document.members)
    say_aside(f"\n{document.bundle}: {bad} of {counted(len(document.members), 'component')} failed ({took})")
