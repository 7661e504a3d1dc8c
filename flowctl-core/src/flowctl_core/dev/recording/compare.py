"""What differs between two outputs of a component: which events are new, gone or changed, and in which fields."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from flowctl_core.models.base import Frozen

_LINED_UP = 4000
"""Events between the first and the last difference that are lined up; of more only the numbers are told."""

SHOWN = 20
"""Differences that are listed."""


class FieldChange(Frozen):
    """One field of an event."""

    path: str = Field(description="Names and indices from the top, joined by dots; empty: the event itself.")
    before: Any = Field(None, description="Old value; null as well when there was none.")
    after: Any = Field(None, description="New value; null as well when there is none.")


class EventChange(Frozen):
    """One event."""

    kind: Literal["added", "removed", "changed"] = Field(description="What happened to it.")
    before: int | None = Field(None, description="Its number in the old output, from 1.")
    after: int | None = Field(None, description="Its number in the new output, from 1.")
    event: Any = Field(None, description="The event; of a changed one the new one.")
    fields: tuple[FieldChange, ...] = Field((), description="What changed in it.")


class OutputDiff(Frozen):
    """Two outputs of one component."""

    component: str = Field(description="id in the pipeline.")
    before: int = Field(description="Events in the old output.")
    after: int = Field(description="Events in the new output.")
    same: int = Field(description="Events that are in both.")
    added: int = Field(description="Events that only the new output has.")
    removed: int = Field(description="Events that only the old output has.")
    changed: int = Field(description="Events that stand in the same place with other fields.")
    lined_up: bool = Field(description="false: too many differ; changed ones count as added and removed.")
    changes: tuple[EventChange, ...] = Field((), description=f"The first {SHOWN}.")


def compare(
    component: str, before: Sequence[bytes], after: Sequence[bytes], *, ignore: Collection[str] = ()
) -> OutputDiff:
    """Compare events by value: the order of keys and the spelling of numbers do not matter.

    `ignore`: paths of fields (`timestamp`, `payload.seen_at`) that may differ, for example a time of processing.
    """
    old, new = ([_canonical(line, ignore) for line in lines] for lines in (before, after))
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(old_middle), len(new_middle)) > _LINED_UP:
        return _counted(component, old, new)
    changes = list(_changes(old_middle, new_middle, start))
    kinds = Counter(change.kind for change in changes)
    return OutputDiff(
        component=component,
        before=len(old),
        after=len(new),
        same=len(old) - kinds["removed"] - kinds["changed"],
        added=kinds["added"],
        removed=kinds["removed"],
        changed=kinds["changed"],
        lined_up=True,
        changes=tuple(changes[:SHOWN]),
    )


def _canonical(line: bytes, ignore: Collection[str]) -> str:
    event = json.loads(line)
    for path in ignore:
        *parents, last = path.split(".")
        inner = event
        for name in parents:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.pop(last, None)
    return json.dumps(event, sort_keys=True, separators=(",", ":"))


def _counted(component: str, old: list[str], new: list[str]) -> OutputDiff:
    olds, news = Counter(old), Counter(new)
    same = (olds & news).total()
    return OutputDiff(
        component=component,
        before=len(old),
        after=len(new),
        same=same,
        added=len(new) - same,
        removed=len(old) - same,
        changed=0,
        lined_up=False,
    )


def _changes(old: list[str], new: list[str], start: int) -> Iterator[EventChange]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if kind == "equal":
            continue
        paired = min(old_to - old_from, new_to - new_from)
        for offset in range(paired):
            before, after = json.loads(old[old_from + offset]), json.loads(new[new_from + offset])
            yield EventChange(
                kind="changed",
                before=start + old_from + offset + 1,
                after=start + new_from + offset + 1,
                event=after,
                fields=tuple(_fields(before, after, "")),
            )
        for index in range(old_from + paired, old_to):
            yield EventChange(kind="removed", before=start + index + 1, event=json.loads(old[index]))
        for index in range(new_from + paired, new_to):
            yield EventChange(kind="added", after=start + index + 1, event=json.loads(new[index]))


def _fields(before: Any, after: Any, path: str) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            yield from _fields(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _fields(one, other, f"{path}.{index}" if path else str(index))
    elif before != after or type(before) is not type(after):
        yield FieldChange(path=path, before=before, after=after)
