"""What the build host prints: JSON lines of its own, and whatever else came out of the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, get_args

from flowctl_core.models.base import Frozen

Kind = Literal["step", "line", "note", "warning"]
_LONGEST = 64 * 1024
"""Bytes of a line; the rest of a longer one is dropped."""
_TAIL = 16 * 1024


class HostEvent(Frozen):
    """One thing that happened. Nothing proves that it did: code of the source can print the same."""

    kind: Kind
    """As in flowctl_core.models.event; `line` is what a tool printed."""
    text: str
    """Without control characters but tabs."""
    phase: str = ""
    platform: str = ""
    """Empty where it is not of one."""


class EventReader:
    """Cuts output into events; `tail` is the last of what was no event, `told` what the registry said."""

    def __init__(self, on_event: Callable[[HostEvent], None]) -> None:
        self._on_event = on_event
        self._rest = b""
        self._dropping = False
        self.tail = ""
        self.told: list[str] = []

    def feed(self, data: bytes) -> None:
        """Take some output."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._dropping:
                self._dropping = False
            else:
                self._line(line[:_LONGEST])
        self._rest = rest
        if len(rest) > _LONGEST:
            if not self._dropping:
                self._line(rest[:_LONGEST])
            self._dropping, self._rest = True, b""

    def close(self) -> None:
        """The output has ended."""
        if self._rest and not self._dropping:
            self._line(self._rest)
        self._rest = b""

    def tell(self, text: str) -> None:
        """Say something of the registry's own."""
        self.told.append(text)
        self._on_event(HostEvent(kind="warning", text=text))

    def _line(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        event = _event(text)
        if event is None:
            event = HostEvent(kind="line", text=_printable(text))
            self.tail = f"{self.tail}{event.text}\n"[-_TAIL:]
        self._on_event(event)


def _event(text: str) -> HostEvent | None:
    if not text.startswith("{"):
        return None
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("event") not in get_args(Kind) or not isinstance(data.get("text"), str):
        return None
    named = {name: value for name in ("phase", "platform") if isinstance(value := data.get(name), str)}
    return HostEvent(kind=data["event"], text=_printable(data["text"]), **named)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign == "\t" or sign.isprintable())
