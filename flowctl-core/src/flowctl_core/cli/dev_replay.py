"""`flowctl dev --replay-from FILE`: components on recorded events, and what their output changed after an edit."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from flowctl_core.cli.console import counted, machine_readable, say, say_aside, warn
from flowctl_core.cli.streams import write
from flowctl_core.dev.recording.compare import EventChange, OutputDiff, compare
from flowctl_core.dev.recording.read import Recording
from flowctl_core.dev.recording.rerun import Outputs, Rerun, plan_rerun

if TYPE_CHECKING:
    from flowctl_core.dev.edges import Outlet
    from flowctl_core.dev.pipeline import DevPipeline


@dataclass(frozen=True)
class Replaying:
    """What the user asked for."""

    file: Path
    only: tuple[str, ...]
    diff: bool
    ignore: tuple[str, ...]
    once: bool


class DiffEvent(OutputDiff):
    """One more line of `-o json`: what a component's output changed."""

    event: Literal["diff"] = "diff"


class Run(Protocol):
    """Runs the part of the pipeline once, to its end."""

    def __call__(self, rerun: Rerun, listener: Callable[[str], Outlet]) -> tuple[int, bool]:
        """Returns the exit code, and whether the user ended it."""


def replay(pipeline: DevPipeline, asked: Replaying, run: Run) -> int:
    """Run on the recording; unless `once`, again after each edit, compared with the run before.

    The first run is compared with what was recorded. Returns the exit code of the last run.
    """
    recording = Recording(asked.file)
    rerun = plan_rerun(pipeline, recording, asked.only)
    ids = [component.id for component in rerun.pipeline.components]
    before = Outputs.recorded(recording, [id for id in ids if id in recording.inputs]) if asked.diff else Outputs()
    if recording.torn:
        warn(f"{asked.file} ends within a line; what is before that is replayed")
    against = "the recording"
    while True:
        now, seen = Outputs(), _state(rerun.pipeline)
        code, interrupted = run(rerun, now.outlet)
        if interrupted:
            return code
        try:
            if asked.diff and code == 0:
                for id, lines in now.of.items():
                    show_diff(compare(id, before.of.get(id, []), lines, ignore=asked.ignore), against)
            if asked.once:
                return code
            if code == 0:
                before, against = now, "the run before"
            if not _edited(rerun.pipeline, seen):
                return code
        except KeyboardInterrupt:
            if asked.once:
                raise
            return code  # nothing runs: that is how the waiting ends


def show_diff(diff: OutputDiff, against: str) -> None:
    """Print it: a JSON line, or words."""
    if machine_readable():
        write(DiffEvent(**dict(diff)).model_dump_json(exclude_none=True) + "\n")
        return
    if diff.same == diff.before == diff.after:
        say(f"{diff.component}: {counted(diff.after, 'event')}, the same as in {against}")
        return
    parts = [
        f"{n:,} {word}" for n, word in ((diff.changed, "changed"), (diff.added, "new"), (diff.removed, "gone")) if n
    ]
    say(f"{diff.component}: {', '.join(parts)}, {diff.same:,} the same as in {against}")
    for change in diff.changes:
        for line in _lines(change):
            say(f"  {line}")
    hidden = diff.changed + diff.added + diff.removed - len(diff.changes)
    if hidden and diff.lined_up:
        say(f"  … and {hidden:,} more")


def _lines(change: EventChange) -> list[str]:
    if change.kind == "changed":
        fields = [f"{f.path or 'the event'}: {_text(f.before)} → {_text(f.after)}" for f in change.fields]
        return [f"~ event {change.after}  {'; '.join(fields)}"]
    number, sign = (change.after, "+") if change.kind == "added" else (change.before, "-")
    return [f"{sign} event {number}  {_text(change.event)}"]


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:99] + "…"


def _state(pipeline: DevPipeline) -> dict[Path, str]:
    """What every source and program of the pipeline looks like, by its place."""
    from flowctl_core.models import Inputs
    from flowctl_core.noop import fingerprint
    from flowctl_core.store.source_digest import digest_source

    found = {}
    for program in (component.program for component in pipeline.components):
        if program.kind == "source" and program.root is not None:
            found[program.root] = digest_source(program.root, Inputs()).digest
        elif program.file is not None:
            found[program.file] = str(fingerprint(str(program.file)))
    return found


def _edited(pipeline: DevPipeline, before: dict[Path, str]) -> bool:
    """Wait until a source or program is another than `before`; False: there is none."""
    from flowctl_core.dev.building import folders_of
    from flowctl_core.dev.watching import Watcher

    if not before:
        return False
    heard = threading.Event()
    watcher = Watcher(lambda owner, paths: heard.set(), warn)
    for place in before:
        watcher.watch(place, folders_of(place, None) if place.is_dir() else {str(place.parent)})
    say_aside("waiting for an edit; Ctrl-C ends")
    watcher.start()
    try:
        while _state(pipeline) == before:
            heard.wait()
            heard.clear()
    finally:
        watcher.stop()
    return True
