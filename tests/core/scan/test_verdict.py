"""What counts: ignores of component.yaml, and the severity that makes a command fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from flowctl_core.errors import ScanError, SpecError, VulnerableError
from flowctl_core.models import ScanFinding, ScanIgnore, ScanReport
from flowctl_core.models.scan import Ignored, Unscanned
from flowctl_core.models.severity import Severity
from flowctl_core.scan.findings import count
from flowctl_core.scan.osv import not_scanned
from flowctl_core.scan.verdict import apply_ignores, counting, finding_line, require_safe
from flowctl_core.specfile.load import parse_component

TODAY = date(2026, 6, 15)


def finding(advisory_id: str = "GHSA-1", severity: Severity = "high", **more: Any) -> ScanFinding:
    return ScanFinding(id=advisory_id, package="pkg:npm/p@1.0.0", severity=severity, **more)


def report(*findings: ScanFinding, **more: Any) -> ScanReport:
    return ScanReport(status="scanned", packages=1, findings=findings, counts=count(findings), **more)


@pytest.mark.parametrize("name", ["GHSA-1", "CVE-2024-1", "ghsa-1", "cve-2024-1"])
def test_an_ignore_names_an_advisory_or_an_alias(name: str) -> None:
    marked, remarks = apply_ignores(
        report(finding(aliases=("CVE-2024-1",))), [ScanIgnore(id=name, reason="not reachable")], TODAY
    )
    assert marked.findings[0].ignored == Ignored(reason="not reachable")
    assert marked.counts.high == 0
    assert (remarks, marked.warnings) == ([], ())
    require_safe(marked, "low")


@pytest.mark.parametrize(("until", "counts"), [(date(2026, 6, 15), False), (date(2026, 6, 14), True), (None, False)])
def test_an_ignore_counts_until_the_end_of_its_last_day(until: date | None, counts: bool) -> None:
    marked, remarks = apply_ignores(report(finding()), [ScanIgnore(id="GHSA-1", reason="r", until=until)], TODAY)
    assert (marked.findings[0].ignored is None) is counts
    assert marked.counts.high == int(counts)
    assert [(r.place, r.message) for r in remarks] == (
        [(0, "the ignore of GHSA-1 has ended on 2026-06-14 and does not count")] if counts else []
    )
    assert marked.warnings == tuple(r.message for r in remarks)


def test_an_ignore_that_matches_nothing_is_told() -> None:
    _, remarks = apply_ignores(
        report(finding()),
        [ScanIgnore(id="GHSA-1", reason="r"), ScanIgnore(id="GHSA-9", reason="r")],
        TODAY,
    )
    assert [(r.place, r.message) for r in remarks] == [(1, "nothing was found that GHSA-9 names; the ignore can go")]


def test_where_nothing_was_scanned_ignores_are_not_called_useless() -> None:
    _, remarks = apply_ignores(not_scanned("no network"), [ScanIgnore(id="GHSA-1", reason="r")], TODAY)
    assert remarks == []


def test_an_ended_ignore_does_not_hide_a_valid_one() -> None:
    ignores = [
        ScanIgnore(id="GHSA-1", reason="old", until=date(2020, 1, 1)),
        ScanIgnore(id="GHSA-1", reason="new", until=date(2030, 1, 1)),
    ]
    marked, _ = apply_ignores(report(finding()), ignores, TODAY)
    assert marked.findings[0].ignored == Ignored(reason="new", until=date(2030, 1, 1))


@pytest.mark.parametrize(
    ("threshold", "failing"),
    [
        ("critical", ["critical"]),
        ("high", ["critical", "high"]),
        ("medium", ["critical", "high", "medium"]),
        ("low", ["critical", "high", "medium", "low", "unknown"]),
    ],
)
def test_thresholds(threshold: Any, failing: list[str]) -> None:
    severities: tuple[Severity, ...] = ("critical", "high", "medium", "low", "unknown")
    everything = report(*(finding(f"GHSA-{severity}", severity) for severity in severities))
    assert [f.severity for f in counting(everything, threshold)] == failing
    for severity in severities:
        one = report(finding(severity=severity))
        if severity in failing:
            with pytest.raises(VulnerableError):
                require_safe(one, threshold)
        else:
            require_safe(one, threshold)


def test_the_error_names_what_was_found() -> None:
    bad = report(*(finding(f"GHSA-{n}", fixed="1.1.0", summary="Prototype pollution") for n in range(12)))
    with pytest.raises(VulnerableError) as caught:
        require_safe(bad, "high")
    assert caught.value.exit_code == 45
    assert "12 vulnerabilities of severity high or worse" in caught.value.message
    assert "high GHSA-0 in pkg:npm/p@1.0.0: Prototype pollution (fixed in 1.1.0)" in caught.value.message
    assert "… and 2 more" in caught.value.message
    assert "spec.build.scan.ignore" in (caught.value.hint or "")


def test_without_threshold_nothing_fails() -> None:
    require_safe(report(finding(severity="critical")), None)
    require_safe(not_scanned("no network"), None)


def test_what_only_tests_use_does_not_count() -> None:
    require_safe(report(finding(severity="critical", scope="test")), "low")
    with pytest.raises(VulnerableError):
        require_safe(report(finding(severity="critical", scope="build")), "low")


def test_a_threshold_cannot_be_decided_where_nothing_was_scanned() -> None:
    with pytest.raises(ScanError, match="cannot be decided: no network") as caught:
        require_safe(not_scanned("no network"), "critical")
    assert caught.value.exit_code == 44


def test_a_threshold_cannot_be_decided_where_the_database_lacks_an_ecosystem() -> None:
    lacking = Unscanned(
        package="pkg:pypi/q@1.0", reason="the database has no advisories of PyPI", database_lacks_it=True
    )
    with pytest.raises(ScanError, match=r"pkg:pypi/q@1\.0: the database has no advisories of PyPI"):
        require_safe(report(unscanned=(lacking,)), "critical")
    require_safe(report(unscanned=(lacking.model_copy(update={"database_lacks_it": False}),)), "critical")
    with pytest.raises(VulnerableError):
        require_safe(report(finding(), unscanned=(lacking,)), "high")


def test_a_finding_in_a_line() -> None:
    assert finding_line(finding(severity="low")) == "low GHSA-1 in pkg:npm/p@1.0.0 (no fixed version)"


HEAD = """apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: ledger
spec:
  type: processor
  build:
    scan:
      ignore:
"""
Lines = Callable[[str], list[str]]


@pytest.fixture
def problems() -> Lines:
    def lines(entries: str) -> list[str]:
        with pytest.raises(SpecError) as caught:
            parse_component((HEAD + entries).encode())
        return caught.value.message.splitlines()

    return lines


def test_component_yaml_says_what_is_ignored() -> None:
    loaded = parse_component(
        (HEAD + "        - {id: GO-2024-2687, reason: serves no HTTP, until: 2027-03-31}\n"
         "        - id: CVE-2024-1\n          reason: |\n            long\n            story\n").encode()
    )  # fmt: skip
    assert loaded.warnings == ()
    assert loaded.spec.scan_ignores == (
        ScanIgnore(id="GO-2024-2687", reason="serves no HTTP", until=date(2027, 3, 31)),
        ScanIgnore(id="CVE-2024-1", reason="long\nstory\n"),
    )
    assert parse_component(HEAD.replace("    scan:\n      ignore:\n", "").encode()).spec.scan_ignores == ()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("        - id: GO-1\n", "component.yaml:10: spec.build.scan.ignore[0].reason"),
        (
            "        - {id: GO-1, reason: ''}\n",
            "component.yaml:10: spec.build.scan.ignore[0].reason: must not be empty",
        ),
        ("        - {id: GO-1, reason: '  '}\n", "must not be empty"),
        ("        - reason: why\n", "component.yaml:10: spec.build.scan.ignore[0].id"),
        ("        - {id: GO-1, reason: r, until: soon}\n", "'soon' is not a date; write one such as 2027-03-31"),
        ("        - {id: GO-1, reason: r, until: 20270331}\n", "'20270331' is not a date"),
        ("        - {id: GO-1, reason: r, until: 2027-02-30}\n", "'2027-02-30' is not a date"),
        ("        - {id: GO-1, reason: r, until: 2027-03-31T10:00:00Z}\n", "is not a date"),
        ("        - GO-1\n", "component.yaml:10: spec.build.scan.ignore[0]"),
    ],
)
def test_an_ignore_that_says_too_little_is_an_error_with_its_place(entry: str, message: str, problems: Lines) -> None:
    assert any(message in line for line in problems(entry)), problems(entry)
