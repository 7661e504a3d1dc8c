"""Finds the events in what a component writes: one JSON text (RFC 8259) a line, in UTF-8."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

LINE_LIMIT = 16 * 2**20
"""Bytes of the longest line that can be an event."""

_KEPT_OF_A_LONG_LINE = 4096
_decoder = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event: its number among the component's lines, why, and its beginning."""

    number: int
    reason: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Sifted:
    """The events of a chunk (whole lines, each with its line end), how many they are, and the lines that are none."""

    data: bytes
    count: int
    bad: list[BadLine] = field(default_factory=list)


class LineSieve:
    """Takes a stream in chunks and gives its events; blank lines are passed over, as NDJSON readers do."""

    def __init__(self, *, line_limit: int = LINE_LIMIT) -> None:
        self._line_limit = line_limit
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._lines = 0

    def feed(self, chunk: bytes) -> Sifted:
        """The events that end in this chunk."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._keep(chunk)
            return Sifted(b"", 0)
        whole = chunk if end == len(chunk) else chunk[:end]
        if not self._rest:
            sifted = self._sift(whole)
        elif self._rest_size <= self._line_limit:
            sifted = self._sift(b"".join((*self._rest, whole)))
        else:
            sifted = self._sift_after_long_line(whole)
        self._rest, self._rest_size = [], 0
        if end < len(chunk):
            self._keep(chunk[end:])
        return sifted

    def close(self) -> Sifted:
        """The stream has ended: a last line without its line end counts if it must be whole (a number may be cut)."""
        rest, self._rest = b"".join(self._rest), []
        size, self._rest_size = self._rest_size, 0
        if not rest.strip():
            return Sifted(b"", 0)
        self._lines += 1
        reason = self._too_long(size) if size > self._line_limit else why_not_an_event(rest)
        if reason is None and not rest.lstrip()[:1].isalpha() and rest.lstrip()[:1] not in (b"{", b"[", b'"'):
            reason = "the output ends within this line"
        if reason is None:
            return Sifted(rest + b"\n", 1)
        return Sifted(b"", 0, [BadLine(self._lines, reason, rest[:_KEPT_OF_A_LONG_LINE])])

    def _keep(self, part: bytes) -> None:
        """Hold the beginning of a line until its end comes; of one that is too long only what a dead letter shows."""
        self._rest_size += len(part)
        if self._rest_size > self._line_limit:
            self._rest = [b"".join(self._rest)[:_KEPT_OF_A_LONG_LINE]]
        else:
            self._rest.append(part)

    def _sift_after_long_line(self, whole: bytes) -> Sifted:
        end = whole.index(b"\n") + 1
        self._lines += 1
        size = self._rest_size + end - 1
        bad = BadLine(self._lines, self._too_long(size), b"".join(self._rest)[:_KEPT_OF_A_LONG_LINE])
        rest = self._sift(whole[end:])
        return Sifted(rest.data, rest.count, [bad, *rest.bad])

    def _too_long(self, size: int) -> str:
        return f"the line has {size:,} bytes, more than {self._line_limit:,}"

    def _sift(self, whole: bytes) -> Sifted:
        count = whole.count(b"\n")
        if not count:
            return Sifted(b"", 0)
        if _all_are_events(whole, count):
            self._lines += count
            return Sifted(whole, count)
        good: list[bytes] = []
        bad: list[BadLine] = []
        for line in whole[:-1].split(b"\n"):
            self._lines += 1
            if not line.strip():
                continue
            reason = self._too_long(len(line)) if len(line) > self._line_limit else why_not_an_event(line)
            if reason is None:
                good.append(line)
            else:
                bad.append(BadLine(self._lines, reason, line[:_KEPT_OF_A_LONG_LINE]))
        good.append(b"")
        return Sifted(b"\n".join(good), len(good) - 1, bad)


def why_not_an_event(line: bytes) -> str | None:
    """Why this line is not one JSON text in UTF-8; None when it is one."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}"
    try:
        _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        try:  # the quick decoder is stricter than RFC 8259: it refuses an escaped lone surrogate
            json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return str(error)
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _all_are_events(whole: bytes, count: int) -> bool:
    """Whether every line is exactly one JSON text without space around it; False only means: look at each."""
    try:
        values = _decoder.decode_lines(whole)
    except (msgspec.DecodeError, RecursionError):
        return False
    # It reads values that go over several lines and several on one line, too: then the lines differ from the values.
    if len(values) != count or b"\n".join(values) + b"\n" != whole:
        return False
    if not whole.isascii():
        try:
            whole.decode()
        except UnicodeDecodeError:
            return False
    return True
