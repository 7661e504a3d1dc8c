"""Says which input caused a cache miss (`flowctl component build --explain`)."""

from __future__ import annotations

from collections.abc import Mapping

from flowctl_core.build.key import differences
from flowctl_core.models import CacheKey


def explain_miss(
    previous: CacheKey | None, current: CacheKey, changed_paths: list[str], *, shown: int = 20
) -> tuple[str, ...]:
    """Lines that name each input that differs from the previous build; paths first."""
    if previous is None:
        return ("this component was never built here",)
    lines: list[str] = []
    for difference in differences(previous.parts, current.parts):
        if difference == "source changed" and changed_paths:
            lines.extend(changed_paths[:shown])
            if len(changed_paths) > shown:
                lines.append(f"… and {len(changed_paths) - shown} more files")
        else:
            lines.append(difference)
    lines.extend(_tool_changes(previous.tools, current.tools))
    return tuple(lines) or ("every input is the same, but the outputs are not in the cache any more",)


def _tool_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    lines = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            before, after = (text.split(" ")[0] if text else "none" for text in (old.get(name), new.get(name)))
            detail = f" ({before} → {after})" if before != after else " (same version, other bytes)"
            lines.append(f"tool {name} changed{detail}")
    return lines
