"""Scans a component's dependencies, or lists them as an SBOM, and shows the result."""

from __future__ import annotations

from pathlib import Path

from flowctl_core.cli.building import cancel
from flowctl_core.cli.console import counted, emit, machine_readable, say, table, warn
from flowctl_core.cli.documents import FailureDocument, ScanDocument
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.streams import write
from flowctl_core.errors import FlowctlError, PluginError, ScanError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models.scan import ScanReport
from flowctl_core.workflow import run_dependencies

_NO_LIST_HINT = "That takes the hook flowctl_dependencies; ask the plugin's authors for it."
_LACKS_HINT = "Name a database that has advisories of all ecosystems that are used."
_NO_DATABASE_HINT = "Name a local database of advisories (--database DIR), or allow the network."


def scan_component(engine: Engine, options: Options, root: Path, *, verbose: bool) -> int:
    """Scan and show; returns the exit code.

    Raises ScanError when nothing was scanned, VulnerableError when `build.scan.fail_on` says so; each after the report
    was shown. For programs the report carries the error, so that they read one document.
    """
    from flowctl_core.dependency_steps import scan_dependencies
    from flowctl_core.scan.verdict import require_safe

    job = _resolved(engine, options, root, verbose=verbose)
    dependencies = job.releasing.dependencies
    with make_board([root.name], verbose=verbose) as board:
        job.progress = board.row(root.name)
        report = scan_dependencies(job, dependencies)
    _warn(job)
    error: FlowctlError | None = None
    try:
        if report.status == "not-scanned":
            raise ScanError(
                f"{job.plan.component} was not scanned: {report.reason}",
                hint=_NO_LIST_HINT if dependencies is None else _LACKS_HINT if report.database else _NO_DATABASE_HINT,
            )
        require_safe(report, engine.config.build.scan.fail_on)
    except FlowctlError as failure:
        error = failure
    if machine_readable():
        emit(_document(job, report, error).model_dump(mode="json"))
        return error.exit_code if error is not None else 0
    _show(job, report)
    if error is not None:
        raise error
    return 0


def print_sbom(engine: Engine, options: Options, root: Path, *, verbose: bool) -> None:
    """Write the SBOM to standard output, as CycloneDX JSON whatever the output format."""
    from flowctl_core.dependency_steps import sbom_input
    from flowctl_core.scan.sbom import make_sbom

    job = _resolved(engine, options, root, verbose=verbose)
    dependencies = job.releasing.dependencies
    if dependencies is None:
        raise PluginError(
            f"the builder {job.builder} does not list dependencies",
            hint=_NO_LIST_HINT,
        )
    _warn(job)
    write(make_sbom(sbom_input(job, dependencies, epoch=job.releasing.source.epoch)))


def _resolved(engine: Engine, options: Options, root: Path, *, verbose: bool) -> Job:
    with make_board([root.name], verbose=verbose) as board:
        try:
            return run_dependencies(root, engine, options, board.row(root.name))
        except KeyboardInterrupt:
            cancel(engine)
            raise


def _warn(job: Job) -> None:
    for warning in dict.fromkeys(job.warnings):
        warn(warning)


def _document(job: Job, report: ScanReport, error: FlowctlError | None) -> ScanDocument:
    return ScanDocument(
        **dict(report),
        component=job.plan.component,
        version=job.plan.version,
        language=job.plan.language,
        error=FailureDocument.of(error).error if error is not None else None,
    )


def _show(job: Job, report: ScanReport) -> None:
    if report.status == "not-scanned":
        return  # the error says it
    rows = []
    for finding in report.findings:
        severity = finding.severity if finding.ignored is None else f"({finding.severity})"
        rows.append((severity, finding.id, _short(finding.package), finding.fixed or "-", _way(finding.introduced_by)))
    if rows:
        table(("SEVERITY", "ADVISORY", "PACKAGE", "FIXED IN", "BY WAY OF"), rows)
        say()
    say(f"{job.plan.component} {job.plan.version}: {summary(report)}")


def summary(report: ScanReport) -> str:
    """`3 known vulnerabilities (1 high, 2 unknown), 1 ignored, in 12 dependencies (osv, newest 2024-07-11)`."""
    parts = [f"{number} {severity}" for severity, number in report.counts if number]
    total = sum(number for _, number in report.counts)
    text = counted(total, "known vulnerability", "known vulnerabilities") if total else "no known vulnerability"
    text += f" ({', '.join(parts)})" if parts else ""
    ignored = sum(finding.ignored is not None for finding in report.findings)
    text += f", {ignored} ignored," if ignored else ""
    text += f" in {counted(report.packages, 'dependency', 'dependencies')}"
    if report.unscanned:
        text += f", {len(report.unscanned)} not looked up"
    database = report.database
    if database is not None:
        newest = f", newest of {database.newest[:10]}" if database.newest else ""
        text += f" ({database.location}{newest})"
    return text


def _short(purl: str) -> str:
    return purl.removeprefix("pkg:")


def _way(purls: tuple[str, ...]) -> str:
    return " > ".join(_short(purl) for purl in purls[:-1]) or ("direct" if purls else "-")
