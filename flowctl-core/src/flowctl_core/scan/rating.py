"""How bad a vulnerability is: from CVSS vectors, else from the word that a database uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flowctl_core.models.severity import SEVERITIES, Severity
from flowctl_core.scan.advisory import Advisory, Affected, SeverityEntry

_WORDS: dict[str, Severity] = {
    "critical": "critical",
    "high": "high",
    "important": "high",
    "moderate": "medium",
    "medium": "medium",
    "low": "low",
    "minor": "low",
    "none": "low",
}
_LONGEST_VECTOR = 512


class Rating(NamedTuple):
    """A severity, with score and vector where it comes from CVSS."""

    severity: Severity
    score: float | None = None
    vector: str | None = None


def worst(advisories: Iterable[tuple[Advisory, Iterable[Affected]]]) -> Rating:
    """The worst rating that advisories of one flaw give, for the parts of them that concern a package.

    Malware (ids MAL-…, https://github.com/ossf/malicious-packages) has no vector and is critical.
    """
    ratings = [rating for advisory, parts in advisories for rating in _ratings(advisory, parts)]
    return min(ratings, key=_order, default=Rating("unknown"))


def _order(rating: Rating) -> tuple[int, float, str]:
    return SEVERITIES.index(rating.severity), -(rating.score or 0.0), rating.vector or ""


def _ratings(advisory: Advisory, parts: Iterable[Affected]) -> Iterator[Rating]:
    """A package's own severity counts instead of the advisory's, as the schema has it."""
    parts = list(parts)
    entries = [entry for part in parts for entry in part.severity] or list(advisory.severity)
    found = [rating for entry in entries if (rating := _rate(entry)) is not None]
    yield from found
    if not found:
        for word in (*(p.ecosystem_specific for p in parts), *(p.database_specific for p in parts)):
            yield from _word(word)
        yield from _word(advisory.database_specific)
    if advisory.id.startswith("MAL-"):
        yield Rating("critical")


def _word(value: str | None) -> Iterator[Rating]:
    if value and value.strip().lower() in _WORDS:
        yield Rating(_WORDS[value.strip().lower()])


def _rate(entry: SeverityEntry) -> Rating | None:
    if not entry.type.startswith("CVSS_"):
        return next(_word(entry.score), None)
    return rate_vector(entry.score)


def rate_vector(vector: str) -> Rating | None:
    """Rating of a CVSS vector of version 2, 3.0, 3.1 or 4.0; None when the text is none.

    The score is that of the base metrics; for version 4.0 the one that the vector has. Version 2 has no words of its
    own: NVD's are used (https://nvd.nist.gov/vuln-metrics/cvss), where nothing is critical.
    """
    from cvss import CVSS2, CVSS3, CVSS4, CVSSError

    vector = vector.strip()
    if len(vector) > _LONGEST_VECTOR:
        return None
    with contextlib.suppress(CVSSError, ValueError, KeyError, ArithmeticError):
        if vector.startswith("CVSS:4"):
            score = float(CVSS4(vector).base_score)
        elif vector.startswith("CVSS:3"):
            score = float(CVSS3(vector).base_score)
        else:
            score = float(CVSS2(vector).base_score)
            return Rating("high" if score >= 7 else _severity(score), score, vector)
        return Rating(_severity(score), score, vector)
    return None


def _severity(score: float) -> Severity:
    return "critical" if score >= 9 else "high" if score >= 7 else "medium" if score >= 4 else "low"
