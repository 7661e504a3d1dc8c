"""The table of exit codes, made from the error classes; docs/exit-codes.md is held to it by a test."""

from __future__ import annotations

from flowctl_core import errors


def exit_code_table() -> str:
    """Markdown: one row for each exit code, with the error classes' names in JSON and what they mean."""
    rows = [(0, "-", "Success.")]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.FlowctlError):
            meaning = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
            if kind not in (errors.FlowctlError, errors.DetectionError):
                rows.append((kind.exit_code, kind.code, meaning))
    rows.append((1, "-", "`flowctl doctor` found something missing."))
    lines = ["| Exit code | `error.code` in JSON | Meaning |", "|---|---|---|"]
    lines += [f"| {code} | {f'`{name}`' if name != '-' else '–'} | {meaning} |" for code, name, meaning in sorted(rows)]
    return "\n".join(lines) + "\n"
