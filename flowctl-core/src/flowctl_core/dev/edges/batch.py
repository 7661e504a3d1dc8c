"""Events on their way: whole lines, shared by reference between edges, buffers and the replay window."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events of one component in the order in which it wrote them.

    `data` are `count` lines of JSON, each with its line end; `first` is the sequence number of the first of them among
    all events that this component has given since the pipeline started, counted from 1.
    """

    data: bytes
    count: int
    first: int

    @property
    def last(self) -> int:
        """The sequence number of the last of these events."""
        return self.first + self.count - 1

    def split(self, count: int) -> tuple[Batch | None, Batch | None]:
        """The first `count` events and the rest; None for an empty part."""
        if count <= 0:
            return None, self
        if count >= self.count:
            return self, None
        end = 0
        if count <= self.count // 2:
            for _ in range(count):
                end = self.data.index(b"\n", end) + 1
        else:
            end = len(self.data)
            for _ in range(self.count - count + 1):
                end = self.data.rindex(b"\n", 0, end)
            end += 1
        return self._cut(end, count)

    def split_at_byte(self, position: int) -> tuple[Batch | None, Batch | None]:
        """The events that end before the byte at `position`, and those of which it or a later one is a part."""
        end = self.data.rfind(b"\n", 0, max(position, 0)) + 1
        return self._cut(end, self.data.count(b"\n", 0, end))

    def _cut(self, end: int, count: int) -> tuple[Batch | None, Batch | None]:
        if not count:
            return None, self
        if count == self.count:
            return self, None
        return Batch(self.data[:end], count, self.first), Batch(self.data[end:], self.count - count, self.first + count)
