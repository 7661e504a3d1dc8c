"""Shows progress: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from flowctl_core.cli.console import inform, is_terminal, say_aside, warn
from flowctl_core.cli.global_options import GLOBAL, LogLevel

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_LIVE_AFTER_S = 0.4


class PlainProgress:
    """One line for each step, warning and note; the toolchain's own lines only when verbose."""

    def __init__(self, label: str = "", *, verbose: bool = False) -> None:
        self._prefix = f"{label}: " if label else ""
        self._verbose = verbose

    def step(self, text: str) -> None:
        """A step began."""
        inform(f"{self._prefix}{text}")

    def line(self, text: str) -> None:
        """A tool printed a line."""
        if self._verbose:
            say_aside(f"{self._prefix}  {text}")

    def note(self, text: str) -> None:
        """Something a person wants to know."""
        inform(f"{self._prefix}{text}")

    def warning(self, text: str) -> None:
        """Something a person should change."""
        warn(text, self._prefix)


class LiveBoard:
    """A live row for each component: its step, its time, the toolchain's latest line.

    rich is imported only when something takes longer than a blink, so quick builds never pay for it.
    """

    def __init__(self, labels: list[str], *, verbose: bool = False) -> None:
        self._rows = {label: BoardRow(self, label, verbose) for label in labels}
        self._live: Live | None = None
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def row(self, label: str) -> BoardRow:
        """The Progress of one component."""
        return self._rows[label]

    def __enter__(self) -> LiveBoard:
        self._timer = threading.Timer(_LIVE_AFTER_S, self._start)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with self._lock:
            self._live = Live(
                get_renderable=self._render, console=Console(stderr=True), refresh_per_second=8, transient=True
            )
            self._live.start()

    def _render(self) -> Text:
        from rich.text import Text

        text = Text(no_wrap=True, overflow="ellipsis")
        rows = [row for row in self._rows.values() if not row.finished]
        for number, row in enumerate(rows):
            text.append("\n" if number else "")
            text.append(f"{row.elapsed():6.1f} s  ", style="dim")
            text.append(row.label, style="bold")
            text.append(f"  {row.current}")
            if row.latest:
                text.append(f"  {row.latest}", style="dim")
        return text

    def print(self, text: str) -> None:
        """A line that stays, above the live rows."""
        with self._lock:
            if self._live is not None:
                self._live.console.print(text, markup=False, highlight=False)
            else:
                say_aside(text)


class BoardRow:
    """Progress of one component on the board."""

    def __init__(self, board: LiveBoard, label: str, verbose: bool) -> None:
        self.label = label
        self.current = "waiting"
        self.latest = ""
        self.finished = False
        self._board = board
        self._verbose = verbose
        self._started = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the row began."""
        return time.monotonic() - self._started

    def step(self, text: str) -> None:
        """A step began."""
        self.current, self.latest = text, ""

    def line(self, text: str) -> None:
        """A tool printed a line."""
        self.latest = text.strip()[:200]
        if self._verbose:
            self._board.print(f"{self.label}:   {text}")

    def note(self, text: str) -> None:
        """Something a person wants to know."""
        self._board.print(f"{self.label}: {text}")

    def warning(self, text: str) -> None:
        """Something a person should change."""
        self._board.print(f"{self.label}: warning: {text}")

    def finish(self) -> None:
        """Take the row off the board."""
        self.finished = True


class PlainBoard:
    """The same interface without a terminal."""

    def __init__(self, labels: list[str], *, verbose: bool = False) -> None:
        several = len(labels) > 1
        self._rows = {label: PlainProgress(label if several else "", verbose=verbose) for label in labels}

    def row(self, label: str) -> PlainProgress:
        """The Progress of one component."""
        return self._rows[label]

    def __enter__(self) -> PlainBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def make_board(labels: list[str], *, verbose: bool = False) -> LiveBoard | PlainBoard:
    """A live board on a terminal, plain lines elsewhere and where more or less than usual is to be told."""
    live = is_terminal() and GLOBAL.log_level is LogLevel.info
    return LiveBoard(labels, verbose=verbose) if live else PlainBoard(labels, verbose=verbose)
