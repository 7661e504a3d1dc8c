"""What of a scan counts: ignores of component.yaml, and the severity that makes a command fail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from flowctl_core.errors import ScanError, VulnerableError
from flowctl_core.models.scan import Ignored, ScanFinding, ScanIgnore, ScanReport
from flowctl_core.models.severity import SEVERITIES, Threshold
from flowctl_core.scan.findings import count

_SHOWN = 10


class IgnoreRemark(NamedTuple):
    """Something odd about one of the ignores."""

    place: int
    """Its index in `spec.build.scan.ignore`, from 0."""
    message: str


def apply_ignores(
    report: ScanReport, ignores: Sequence[ScanIgnore], today: date
) -> tuple[ScanReport, list[IgnoreRemark]]:
    """The report with findings marked that component.yaml ignores, and remarks on ignores that do nothing.

    An ignore names an advisory by its id or any alias, whatever the case. One whose last day is over does not count.
    """
    remarks: list[IgnoreRemark] = []
    active: dict[str, ScanIgnore] = {}
    names = {name.casefold() for finding in report.findings for name in (finding.id, *finding.aliases)}
    for place, ignore in enumerate(ignores):
        matches = ignore.id.casefold() in names
        if ignore.until is not None and ignore.until < today:
            ended = f"the ignore of {ignore.id} has ended on {ignore.until}"
            remarks.append(IgnoreRemark(place, f"{ended} and does not count" if matches else ended))
        elif not matches and report.status != "not-scanned":
            remarks.append(IgnoreRemark(place, f"nothing was found that {ignore.id} names; the ignore can go"))
        else:
            active.setdefault(ignore.id.casefold(), ignore)
    findings = tuple(_marked(finding, active) for finding in report.findings)
    warnings = (*report.warnings, *(remark.message for remark in remarks))
    return report.model_copy(update={"findings": findings, "counts": count(findings), "warnings": warnings}), remarks


def _marked(finding: ScanFinding, active: dict[str, ScanIgnore]) -> ScanFinding:
    for name in (finding.id, *finding.aliases):
        ignore = active.get(name.casefold())
        if ignore is not None:
            return finding.model_copy(update={"ignored": Ignored(reason=ignore.reason, until=ignore.until)})
    return finding


def counting(report: ScanReport, threshold: Threshold) -> tuple[ScanFinding, ...]:
    """Findings at or above a threshold that neither component.yaml ignores nor only tests use.

    One whose severity is not known counts where everything does: at `low`.
    """
    worst = SEVERITIES[: SEVERITIES.index(threshold) + 1]
    allowed = (*worst, "unknown") if threshold == "low" else worst
    return tuple(f for f in report.findings if f.ignored is None and f.scope != "test" and f.severity in allowed)


def require_safe(report: ScanReport, threshold: Threshold | None) -> None:
    """Raise VulnerableError when a finding counts, ScanError when that could not be decided; nothing without threshold.

    It cannot be decided where nothing was scanned, or where the database lacks an ecosystem that is used. A dependency
    that no database could tell anything about (its version is not known) is no reason to fail.
    """
    if threshold is None:
        return
    bad = counting(report, threshold)
    if bad:
        lines = [f"  {finding_line(finding)}" for finding in bad[:_SHOWN]]
        if len(bad) > _SHOWN:
            lines.append(f"  … and {len(bad) - _SHOWN} more")
        what = "1 vulnerability" if len(bad) == 1 else f"{len(bad)} vulnerabilities"
        raise VulnerableError(
            f"the scan found {what} of severity {threshold} or worse:\n" + "\n".join(lines),
            hint="Update what has a fixed version. What does not matter here can be ignored, with a reason, in "
            "component.yaml: spec.build.scan.ignore.",
        )
    if report.status == "not-scanned":
        raise ScanError(
            f"--fail-on {threshold} cannot be decided: {report.reason}",
            hint="Name a local database (--database), allow the network, or leave --fail-on out.",
        )
    lacking = [unscanned for unscanned in report.unscanned if unscanned.database_lacks_it]
    if lacking:
        raise ScanError(
            f"--fail-on {threshold} cannot be decided: {len(lacking)} of the dependencies were not looked up; "
            f"{lacking[0].package}: {lacking[0].reason}",
            hint="Name a database that has advisories of all ecosystems that are used, or leave --fail-on out.",
        )


def finding_line(finding: ScanFinding) -> str:
    """`high GO-2023-2102 in pkg:golang/golang.org/x/net@v0.1.0: HTTP/2 rapid reset; fixed in 0.17.0`."""
    fixed = f"fixed in {finding.fixed}" if finding.fixed else "no fixed version"
    about = f": {finding.summary}" if finding.summary else ""
    return f"{finding.severity} {finding.id} in {finding.package}{about} ({fixed})"
