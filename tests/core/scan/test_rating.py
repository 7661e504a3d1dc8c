"""Severity: from CVSS vectors of every version, from words, of several advisories the worst."""

from __future__ import annotations

from typing import Any

import pytest

from flowctl_core.scan.advisory import advisory_from
from flowctl_core.scan.rating import Rating, rate_vector, worst

V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
V3 = "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:N"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("vector", "severity", "score"),
    [
        # Scores as FIRST's calculators give them.
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "critical", 10.0),
        (V3, "high", 8.1),
        ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:L/A:N", "medium", 4.2),
        ("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L", "low", 1.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "low", 0.0),
        (V4, "critical", 9.3),
        ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "high", 7.3),
        (V2, "high", 10.0),
        ("AV:N/AC:L/Au:N/C:N/I:P/A:N", "medium", 5.0),
    ],
)
def test_vectors(vector: str, severity: str, score: float) -> None:
    assert rate_vector(vector) == Rating(severity, score, vector)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "9.8", "CVSS:3.1/", "CVSS:9.9/AV:N", "CVSS:3.1/AV:X", "A" * 100_000, "CVSS:4.0/\0"]
)
def test_what_is_no_vector_rates_nothing(text: str) -> None:
    assert rate_vector(text) is None


def rating(*advisories: dict[str, Any]) -> Rating:
    parsed = [advisory_from({"id": "X-1", **advisory}) for advisory in advisories]
    return worst((advisory, advisory.affected) for advisory in parsed)


def cvss(vector: str) -> list[dict[str, str]]:
    kind = "CVSS_V4" if vector.startswith("CVSS:4") else "CVSS_V3" if vector.startswith("CVSS:3") else "CVSS_V2"
    return [{"type": kind, "score": vector}]


def test_the_worst_of_several_advisories_counts() -> None:
    assert rating({"severity": cvss(V3)}, {"severity": cvss(V4)}) == Rating("critical", 9.3, V4)
    assert rating({}, {"severity": cvss(V3)}) == Rating("high", 8.1, V3)


def test_words_of_databases_count_where_there_is_no_vector() -> None:
    assert rating({"database_specific": {"severity": "MODERATE"}}).severity == "medium"
    assert rating({"affected": [{"ecosystem_specific": {"severity": "critical"}}]}).severity == "critical"
    assert rating({"severity": cvss(V3), "database_specific": {"severity": "CRITICAL"}}).severity == "high"
    assert rating({"severity": [{"type": "Ubuntu", "score": "low"}]}).severity == "low"


def test_a_packages_own_severity_counts_instead_of_the_advisorys() -> None:
    assert rating({"severity": cvss(V4), "affected": [{"severity": cvss(V3)}]}) == Rating("high", 8.1, V3)


def test_malware_is_critical() -> None:
    assert worst([(advisory_from({"id": "MAL-2024-1"}), ())]).severity == "critical"


@pytest.mark.parametrize("odd", [{}, {"database_specific": {"severity": "dreadful"}}, {"database_specific": "LOW?"},
                                 {"severity": [{"type": "CVSS_V3", "score": "nonsense"}]}, {"severity": None}])  # fmt: skip
def test_where_nothing_is_said_it_is_unknown(odd: dict[str, Any]) -> None:
    assert rating(odd) == Rating("unknown")
