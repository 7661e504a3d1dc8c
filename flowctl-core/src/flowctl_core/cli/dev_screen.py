"""The live screen of `flowctl dev`: a table that stays, logs above it, and keys."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from flowctl_core.cli.dev_lines import PlainLines, closing, shown
from flowctl_core.dev.events import ComponentStatus, DevEvent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

REFRESH_S = 1.0
_GATHER_S = 0.05
"""Lines are shown so many times a second at most: drawing each alone would cost more than the pipeline."""
_KEPT = 5000
"""Lines that wait to be shown; of a flood, the oldest are left out, and it is said."""
_STYLES = {
    "running": "green",
    "done": "green",
    "crashed": "red",
    "failed": "bold red",
    "build failed": "bold red",
    "unhealthy": "red",
    "building": "yellow",
    "starting": "yellow",
    "draining": "yellow",
}
_KEYS = "b rebuild   r restart   p pause   q quit"


class Controls(Protocol):
    """What keys do: the supervisor."""

    def rebuild(self) -> None:
        """Build every source."""

    def restart(self, id: str | None = None) -> None:
        """Start all components anew."""

    def toggle_pause(self) -> None:
        """Stop and go on."""

    def quit(self) -> None:
        """End the pipeline."""

    def statuses(self) -> list[ComponentStatus]:
        """Where all components stand."""


class Screen:
    """A reporter for a terminal. `open` once the supervisor is there, `close` when it has ended."""

    def __init__(self, name: str, ids: list[str]) -> None:
        self._name = name
        self._words = PlainLines(ids)
        self._pending: deque[str] = deque(maxlen=_KEPT)
        self._missed = 0
        self._paused = False
        self._something = threading.Event()
        self._closed = False
        self._controls: Controls | None = None
        self._keys: _Keys | None = None
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def open(self, controls: Controls) -> None:
        """Show the table and listen to keys."""
        self._controls = controls
        actions = {"b": controls.rebuild, "r": controls.restart, "p": controls.toggle_pause, "q": controls.quit}
        self._keys = _Keys(actions)
        self._keys.start()
        self._thread.start()

    def close(self) -> None:
        """Show what is left, give the terminal back."""
        self._closed = True
        self._something.set()
        if self._thread.is_alive():
            self._thread.join(5)
        if self._keys is not None:
            self._keys.stop()

    def tell(self, event: DevEvent) -> None:
        """One thing happened."""
        if event.event in ("paused", "resumed"):
            self._paused = event.event == "paused"
        if not shown(event):
            return
        if event.event == "end":
            lines = [
                *self._words.lines(event.model_copy(update={"components": None})),
                *closing(event.components or ()),
            ]
        else:
            lines = self._words.lines(event)
        for line in lines:
            if len(self._pending) == _KEPT:
                self._missed += 1
            self._pending.append(line)
        self._something.set()

    def _run(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
            before: object = None
            while not self._closed:
                if self._something.wait(REFRESH_S) and not self._closed:
                    time.sleep(_GATHER_S)
                self._something.clear()
                before = self._refresh(live, before)
            self._print(console)

    def _refresh(self, live: Live, before: object) -> object:
        """Show new lines, and the table where it changed; an idle pipeline costs nothing."""
        assert self._controls is not None  # noqa: S101
        statuses = self._controls.statuses()
        new = (statuses, self._paused, live.console.size)
        if self._pending:
            self._print(live.console)
        if new != before:
            live.update(self._table(statuses), refresh=True)
        return new

    def _print(self, console: Console) -> None:
        from rich.text import Text

        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._pending.popleft())
        missed, self._missed = self._missed, 0
        if missed:
            lines.insert(0, f"… {missed:,} lines are not shown")
        if lines:
            console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)

    def _table(self, statuses: list[ComponentStatus]) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, expand=False)
        for heading, right in (
            ("component", False), ("state", False), ("pid", True), ("rebuilds", True), ("in/s", True),
            ("out/s", True), ("lag", True), ("memory", True), ("last error", False),
        ):  # fmt: skip
            table.add_column(heading, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
        for status in statuses:
            table.add_row(
                Text(status.component, style="bold"),
                Text(status.state, style=_STYLES.get(status.state, "")),
                str(status.pid or ""),
                str(status.rebuilds or ""),
                rate(status.in_per_s),
                rate(status.out_per_s),
                f"{status.lag:,}" if status.lag else "",
                size(status.memory),
                Text(status.error or "", style="red"),
            )
        state = "  PAUSED" if self._paused else ""
        return Group(Text(f"── {self._name}{state}   {_KEYS}", style="dim", no_wrap=True, overflow="ellipsis"), table)


class _Keys(threading.Thread):
    """Reads single keys from the terminal and gives it back as it was."""

    def __init__(self, actions: dict[str, Callable[[], None]]) -> None:
        super().__init__(name="keys", daemon=True)
        self._actions = actions
        self._woken, self._waker = os.pipe()
        self._terminal = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._terminal)
        tty.setcbreak(self._terminal, termios.TCSANOW)

    def run(self) -> None:
        """Act on keys until stopped."""
        while True:
            readable, _, _ = select.select([self._terminal, self._woken], [], [])
            if self._woken in readable:
                return
            try:
                keys = os.read(self._terminal, 64).decode(errors="replace")
            except OSError:
                return
            if not keys:  # the terminal has gone; a SIGHUP says so as well
                return
            for key in keys:
                action = self._actions.get(key.lower())
                if action is not None:
                    action()

    def stop(self) -> None:
        """Give the terminal back."""
        os.write(self._waker, b"x")
        self.join(1)
        with suppress(termios.error):
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
        for descriptor in (self._woken, self._waker):
            os.close(descriptor)


def usable() -> bool:
    """True on a terminal that can move its cursor, with a keyboard."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return False
    with suppress(OSError, ValueError):
        return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return False


def rate(per_s: float) -> str:
    """Events a second, in at most four figures."""
    if not per_s:
        return ""
    if per_s >= 10_000:
        return f"{per_s / 1000:,.0f}k"
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"


def size(octets: int | None) -> str:
    """Bytes, for people."""
    if octets is None:
        return ""
    return f"{octets / 2**20:,.0f} MB" if octets < 2**30 else f"{octets / 2**30:,.1f} GB"
