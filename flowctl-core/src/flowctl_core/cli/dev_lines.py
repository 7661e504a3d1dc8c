"""Shows a running pipeline as plain lines, for people, or as JSON lines, for programs."""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING

from flowctl_core.cli.console import is_coloured
from flowctl_core.cli.global_options import GLOBAL, LogLevel
from flowctl_core.cli.streams import write, write_aside
from flowctl_core.dev.events import ComponentStatus, DevEvent

if TYPE_CHECKING:
    from flowctl_core.errors import FlowctlError

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_QUIET = frozenset({"building", "starting", "status", "draining"})
"""Not said under --log-level warn and error; neither are notes."""
_PROBLEMS = frozenset({"build-failed", "crashed", "failed", "unhealthy", "warning", "dead-letters", "replayed", "log"})


class JsonLines:
    """Each event as one JSON object on a line of standard output."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def tell(self, event: DevEvent) -> None:
        """Write one event, at once."""
        text = event.model_dump_json(exclude_none=True) + "\n"
        with self._lock:
            write(text)
            flush()


class PlainLines:
    """`archive | …` for what components say, `archive: …` for what happens to them."""

    def __init__(self, ids: list[str]) -> None:
        self._width = max((len(id) for id in ids), default=0)
        self._colours = {id: _COLOURS[zlib.crc32(id.encode()) % len(_COLOURS)] for id in ids}
        for position, id in enumerate(ids[: len(_COLOURS)]):
            self._colours[id] = _COLOURS[position]
        self._coloured = is_coloured()
        self._lock = threading.Lock()

    def tell(self, event: DevEvent) -> None:
        """Write one event."""
        if not shown(event):
            return
        text = "".join(f"{line}\n" for line in self.lines(event))
        with self._lock:
            if event.event == "log":
                write(text)
                flush()
            else:
                write_aside(text)

    def lines(self, event: DevEvent) -> list[str]:
        """An event in words."""
        if event.event == "log":
            return [f"{self.label(event.component or '')} {event.text or ''}"]
        head = [event.output.rstrip() + "\n"] if event.output else []
        mark = {"build-failed": "error: ", "failed": "error: ", "warning": "warning: "}.get(event.event, "")
        place = f"{event.component}: " if event.component else ""
        said = [f"{mark}{place}{sentence(event)}"]
        if event.hint:
            said.append(f"hint:  {event.hint}")
        if event.event == "end" and event.components:
            said += closing(event.components)
        return [*head, *said]

    def label(self, name: str) -> str:
        """A component's name before what it says, as wide as the widest."""
        text = f"{name:<{self._width}} |"
        if not self._coloured:
            return text
        colour = self._colours.get(name) or self._colours.get(name.rpartition("-")[0], 37)
        return f"\033[{colour}m{text}\033[0m"


def shown(event: DevEvent) -> bool:
    """Whether an event is for people at the log level that was asked for."""
    if event.event == "status":
        return False
    if GLOBAL.log_level in (LogLevel.debug, LogLevel.info):
        return True
    return event.event in _PROBLEMS


def sentence(event: DevEvent) -> str:
    """What happened, without whose it was."""
    pid = f" (pid {event.pid})" if event.pid is not None else ""
    took = f" in {event.duration_s:.2f} s" if event.duration_s is not None else ""
    text = event.text or ""
    match event.event:
        case "building":
            return text or "building"
        case "built":
            return f"{text or 'built'}{'' if text else took}"
        case "build-failed":
            return f"the build failed: {text}"
        case "starting":
            return f"started{pid}; its health is asked for"
        case "ready":
            return f"runs{pid}"
        case "swapped":
            return f"the new one runs{pid}, {event.duration_s or 0:.2f} s after the change"
        case "draining":
            return f"works off what it was given{pid}"
        case "crashed":
            code = event.exit_code
            how = "could not be started" if code is None else ended_words(code)
            more = f" ({text})" if text else ""
            return f"{how}{more}; starts again in {event.delay_s or 0:g} s"
        case "done":
            return "done"
        case "failed":
            return text or ended_words(event.exit_code or 0)
        case "stopped":
            return "stopped" + (f" ({ended_words(event.exit_code)})" if event.exit_code else "")
        case "stopping":
            return "ending: what was sent runs through; Ctrl-C again ends everything at once"
        case "paused":
            return "paused: no event moves"
        case "resumed":
            return "goes on"
        case "end":
            return text or "ended; nothing of it is left"
        case _:
            return text


def ended_words(code: int) -> str:
    """`ended with exit code 3`."""
    from flowctl_core.dev.copy import ended

    return ended(code)


def closing(components: tuple[ComponentStatus, ...]) -> list[str]:
    """The counts of the whole run, a line for each component."""
    rows: list[tuple[str, ...]] = [
        ("component", "in", "out", "rebuilds", "restarts", "dead letters", "sent again", "lost")
    ]
    for c in components:
        counts = (c.events_in, c.events_out, c.rebuilds, c.restarts, c.dead_letters, c.replayed, c.lost + c.older)
        rows.append((c.component, *(f"{count:,}" if count else "-" for count in counts)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def write_failure(error: FlowctlError) -> int:
    """The command failed before or beside the pipeline: one more line; returns the exit code."""
    from flowctl_core.cli.documents import FailureDocument

    write(FailureDocument.of(error).model_dump_json() + "\n")
    return error.exit_code


def flush() -> None:
    """What was written is seen now."""
    import sys
    from contextlib import suppress

    with suppress(OSError, ValueError):
        sys.stdout.flush()
