"""The table of exit codes, from the error classes."""

from __future__ import annotations

from flowctl_core import errors
from generator.models import table


def exit_codes() -> str:
    """One row for each exit code, with the error classes' names in JSON and what they mean."""
    rows = [
        (0, "", "Success."),
        (1, "", "`flowctl doctor` found something missing."),
    ]
    for kind in error_classes():
        meaning = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        rows.append((kind.exit_code, kind.code, meaning))
    shown = [(str(code), f"`{name}`" if name else "–", meaning) for code, name, meaning in sorted(rows)]
    return table(("Exit code", "`error.code` in JSON", "Meaning"), shown)


def error_classes() -> list[type[errors.FlowctlError]]:
    """Error classes that a user can meet; the two bases are left out."""
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.FlowctlError)]
    return [kind for kind in kinds if kind not in (errors.FlowctlError, errors.DetectionError)]
