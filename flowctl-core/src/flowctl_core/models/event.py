"""Progress: what happens now, as events that a terminal, a log or a registry can show."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from flowctl_core.models.base import Frozen

EventKind = Literal["step", "line", "note", "warning"]


class Event(Frozen):
    """One thing that happened. `step`: a step began; `line`: a tool printed; `note`, `warning`: for people."""

    kind: EventKind
    text: str


@runtime_checkable
class Progress(Protocol):
    """Receives events while a hook works."""

    def step(self, text: str) -> None:
        """A step began: `go build ./cmd/sink`."""
        ...

    def line(self, text: str) -> None:
        """A tool printed a line."""
        ...

    def note(self, text: str) -> None:
        """Something a person wants to know."""
        ...

    def warning(self, text: str) -> None:
        """Something a person should change."""
        ...


class Silent:
    """Progress that shows nothing."""

    def step(self, text: str) -> None:
        """Ignore."""

    def line(self, text: str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""

    def warning(self, text: str) -> None:
        """Ignore."""
