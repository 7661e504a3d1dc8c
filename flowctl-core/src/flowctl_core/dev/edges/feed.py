"""Merges the edges that enter a component and gives their events to its processes, one after the other or several."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowctl_core.dev.edges.delivery import Delivery, Piece
from flowctl_core.dev.edges.edge import Edge, Limits

WINDOW = 1000
"""Events that a process had read before it crashed and that the next one gets again, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What of a gone process's events goes to the next one, and what does not.

    unread: were still in its pipe and count as not yet delivered; replayed: it had read them, they are sent again;
    older: it had read them, it crashed, and they lie before the window.
    """

    unread: int
    replayed: int
    older: int


class Feed:
    """One a component with inputs. Events of one edge keep their order; edges that wait take turns, batch by batch.

    `exhausted` is set when every edge is finished and everything was written; processes have then been given their EOF.
    """

    def __init__(self, component: str, *, window: int = WINDOW, keep: int = 0) -> None:
        """`window`: events sent again after a crash; `keep`: events kept for `detach(replay=…)`."""
        self.component = component
        self.edges: list[Edge] = []
        self.exhausted = threading.Event()
        self._window = window
        self._keep = keep
        self._changed = threading.Condition()
        self._held = False
        self._returned: deque[Piece] = deque()
        self._recent: list[Piece] = []
        self._turn = 0
        self._deliveries: list[Delivery] = []

    def edge(self, source: str, *, limits: Limits | None = None) -> Edge:
        """A new edge that enters; the source's tap must be connected to it."""
        edge = Edge(source, self.component, limits=limits or Limits(), changed=self._changed)
        with self._changed:
            self.edges.append(edge)
        return edge

    def attach(self, fd: int, *, close: Callable[[], None] | None = None) -> Delivery:
        """Begin to write to this stdin of a new process, from now on the feed's to close.

        `fd` must block. `close` gives the EOF where closing `fd` would not (a socket, closed in one direction).
        """
        keep = max(self._window, self._keep)
        delivery = Delivery(self, fd, name=self.component, keep=keep, close=close)
        with self._changed:
            self._deliveries.append(delivery)
        delivery.start()
        return delivery

    @property
    def held(self) -> bool:
        """Whether nothing is given out."""
        return self._held

    def hold(self) -> None:
        """Give out nothing more until `release`; what is being written is finished."""
        self._held = True

    def release(self) -> None:
        """Go on after `hold`."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def end(self) -> None:
        """Give every attached process its EOF after what is being written to it; what waits stays for the next one."""
        for delivery in tuple(self._deliveries):
            delivery.end()

    def detach(self, delivery: Delivery | None = None, *, crashed: bool, replay: int = 0) -> Returned:
        """A process is gone (this one, or the only one): take back what it did not read.

        Call it once the process is reaped. After a crash the window of what it had read comes back as well; `replay`
        brings back as many of the last events (at most `keep`), crash or not. All of it goes to the next process first.
        """
        delivery = delivery or self._deliveries[0]
        outcome = delivery.settle()
        with self._changed:
            self._deliveries.remove(delivery)
            floor = _lowest(outcome.unread)
            self._recent = _last_events([*self._recent, *outcome.read], max(self._keep, replay), {})
            again = _last_events(outcome.read, self._window if crashed else 0, floor)
            asked = _last_events(self._recent, replay, floor)
            again = asked if _count(asked) > _count(again) else again
            for piece in outcome.unread:
                if piece.again:
                    piece.edge.counters.replayed -= piece.batch.count
                else:
                    piece.edge.counters.events -= piece.batch.count
                    piece.edge.counters.bytes -= len(piece.batch.data)
                    piece.edge.counters.lag += piece.batch.count
            older = 0
            if crashed:
                for edge, count in (outcome.taken - _per_edge(again)).items():
                    edge.counters.older += count
                    older += count
            self._returned.extendleft(reversed([*again, *outcome.unread]))
            self._changed.notify_all()
        return Returned(_count(outcome.unread), _count(again), older)

    def discard(self) -> None:
        """The component is gone for good: what waits and what comes is thrown away and counted as lost."""
        with self._changed:
            for piece in self._returned:
                if not piece.again:
                    piece.edge.counters.lost += piece.batch.count
                    piece.edge.counters.lag -= piece.batch.count
            self._returned.clear()
            for edge in self.edges:
                edge.discard()
            self._changed.notify_all()

    def take(self, delivery: Delivery, limit: int) -> Sequence[Piece]:
        """For a delivery's thread: see `Origin`."""
        with self._changed:
            while not delivery.ending:
                if not self._held:
                    pieces = self._pieces(limit)
                    if pieces:
                        self._changed.notify_all()  # who gives may go on
                        return pieces
                    if all(edge.finished for edge in self.edges):
                        self.exhausted.set()
                        return ()
                self._changed.wait()
            return ()

    def wake(self) -> None:
        """Let all deliveries look again at what they are to do."""
        with self._changed:
            self._changed.notify_all()

    def _pieces(self, limit: int) -> list[Piece]:
        """What comes next, of about `limit` bytes; a batch that is larger is cut at a line's end."""
        pieces: list[Piece] = []
        room = limit
        while room > 0 and (piece := self._next_piece()) is not None:
            if len(piece.batch.data) > room:
                head, tail = piece.batch.split_at_byte(room)
                if head is None and pieces:
                    head, tail = None, piece.batch
                elif head is None:
                    head, tail = piece.batch.split(1)
                if tail is not None:
                    self._returned.appendleft(Piece(piece.edge, tail, piece.again))
                if head is None:
                    break
                piece = Piece(piece.edge, head, piece.again)
            pieces.append(piece)
            room -= len(piece.batch.data)
        for piece in pieces:
            self._count_out(piece)
        return pieces

    def _next_piece(self) -> Piece | None:
        if self._returned:
            return self._returned.popleft()
        for offset in range(len(self.edges)):
            edge = self.edges[(self._turn + offset) % len(self.edges)]
            batch = edge.pop()
            if batch is not None:
                self._turn = (self._turn + offset + 1) % len(self.edges)
                return Piece(edge, batch)
        return None

    def _count_out(self, piece: Piece) -> None:
        counters = piece.edge.counters
        if piece.again:
            counters.replayed += piece.batch.count
        else:
            counters.events += piece.batch.count
            counters.bytes += len(piece.batch.data)
            counters.lag -= piece.batch.count


def _count(pieces: Sequence[Piece]) -> int:
    return sum(piece.batch.count for piece in pieces)


def _per_edge(pieces: Sequence[Piece]) -> Counter[Edge]:
    counts: Counter[Edge] = Counter()
    for piece in pieces:
        counts[piece.edge] += piece.batch.count
    return counts


def _lowest(pieces: Sequence[Piece]) -> dict[Edge, int]:
    """The first sequence number of each edge among these."""
    lowest: dict[Edge, int] = {}
    for piece in pieces:
        lowest[piece.edge] = min(piece.batch.first, lowest.get(piece.edge, piece.batch.first))
    return lowest


def _last_events(pieces: Sequence[Piece], count: int, floor: dict[Edge, int]) -> list[Piece]:
    """The last `count` events of these, each once, in order; of an edge only those before its sequence in `floor`."""
    chosen: deque[Piece] = deque()
    lowest = dict(floor)
    for piece in reversed(pieces):
        if count <= 0:
            break
        limit = lowest.get(piece.edge, piece.batch.last + 1)
        batch, _ = piece.batch.split(limit - piece.batch.first)
        if batch is not None and batch.count > count:
            batch = batch.split(batch.count - count)[1]
        if batch is not None:
            chosen.appendleft(Piece(piece.edge, batch, again=True))
            lowest[piece.edge] = batch.first
            count -= batch.count
    return list(chosen)
