"""A problem found in a spec file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from flowctl_core.errors import SpecError
from flowctl_core.models.base import Frozen
from flowctl_core.specfile.limits import MAX_PROBLEMS

Severity = Literal["error", "warning"]


class Finding(Frozen):
    """A problem: what is wrong, where, and how bad it is."""

    severity: Severity
    """Only an error makes the component invalid."""
    file: str
    """As shown to the user: relative to the working directory where it is below it."""
    line: int | None = None
    """From 1."""
    field: str = ""
    """Dotted path, `spec.languages[0].main`; empty for the file as a whole."""
    message: str
    """What is wrong, and where it helps, what was probably meant."""

    def __str__(self) -> str:
        """`component.yaml:12: spec.type: 'sorce' is not a type; did you mean 'source'?`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


def raise_errors(findings: Iterable[Finding], *, hint: str | None = None) -> None:
    """Raise one SpecError that lists every finding of severity error; nothing when there is none."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    lines = [str(finding) for finding in errors[:MAX_PROBLEMS]]
    if len(errors) > MAX_PROBLEMS:
        lines.append(f"… and {len(errors) - MAX_PROBLEMS} more problems")
    raise SpecError("\n".join(lines), hint=hint)
