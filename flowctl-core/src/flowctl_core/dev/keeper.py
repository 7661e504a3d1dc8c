"""Keeps one component of a pipeline running: its builds, its copies, its place between the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.dev.context import Context
from flowctl_core.dev.copy import Copy
from flowctl_core.dev.events import ComponentStatus, DevEvent, State
from flowctl_core.dev.pipeline import DevComponent
from flowctl_core.errors import FlowctlError
from flowctl_core.noop import fingerprint

if TYPE_CHECKING:
    from flowctl_core.dev.building import Built
    from flowctl_core.dev.edges import Edge, Feed, Tap


class Keeper:
    """One component. Its methods are called in the loop's thread."""

    def __init__(
        self,
        component: DevComponent,
        context: Context,
        feed: Feed | None,
        tap: Tap | None,
        changed: Callable[[], None],
        outgoing: list[Edge],
    ) -> None:
        """`changed()` is called whenever its state did; `outgoing` fills up as those behind it are wired."""
        self.component = component
        self.context = context
        self.feed = feed
        self.tap = tap
        self.changed = changed
        self.rebuilds = 0
        self.copies = [Copy(self, replica) for replica in range(component.replicas)]
        self._outgoing = outgoing
        self._program: Path | None = None
        self._image: str | None = None
        self._building = False
        self._build_error: str | None = None
        self._launched = False
        self._finished = False
        self._given_up = False
        file = component.program.file
        self._seen = None if file is None else fingerprint(str(file))
        self._last: tuple[int, int] = (0, 0)

    @property
    def id(self) -> str:
        """The component's id."""
        return self.component.id

    @property
    def built(self) -> bool:
        """True when there is something to start."""
        return self._program is not None or self._image is not None or self.component.program.kind != "source"

    @property
    def launched(self) -> bool:
        """True once it was started for the first time."""
        return self._launched

    @property
    def ready(self) -> bool:
        """True when those that wait for it may start."""
        return self._launched and all(copy.ready for copy in self.copies)

    @property
    def settled(self) -> bool:
        """True when nothing of it will run again by itself."""
        never = not self._launched and self._build_error is not None and not self._building
        return never or (self._launched and all(copy.settled for copy in self.copies)) or self._given_up

    @property
    def failed(self) -> bool:
        """True when it did not do its work."""
        return self._build_error is not None or any(copy.state == "failed" for copy in self.copies)

    @property
    def running(self) -> bool:
        """True while a process of it is there."""
        return any(copy.instance is not None for copy in self.copies)

    @property
    def waited_for(self) -> bool:
        """True while those behind it have not taken all that it gave, so that its output may be held back."""
        return any(edge.counters.lag for edge in self._outgoing)

    def argv(self) -> tuple[str, ...]:
        """What is started; of an image its arguments."""
        return self.component.program.command(self._program)

    def image(self) -> str | None:
        """What a container of it is made of; None: it is a process."""
        return self._image or self.component.program.image

    def launch(self) -> None:
        """Those it waits for are there: start it."""
        self._launched = True
        for copy in self.copies:
            copy.start()

    def restart(self, since: float | None = None) -> None:
        """Replace its processes by new ones, gently."""
        for copy in self.copies:
            copy.swap(since)

    def program_changed(self) -> bool:
        """True when the program's file is another than at the last call."""
        before, self._seen = self._seen, fingerprint(str(self.component.program.file))
        return before != self._seen

    def give_up(self) -> None:
        """The pipeline ends: what does not run now never will."""
        self._given_up = not self.running
        for copy in self.copies:
            copy.give_up()

    def finish_edges(self) -> None:
        """Nothing of it runs any more, nor will: tell those before and behind it, once."""
        if self._finished:
            return
        self._finished = True
        if self.feed is not None and not self.feed.exhausted.is_set():
            self.feed.discard()
        if self.tap is not None:
            self.tap.finish()

    def build_began(self) -> None:
        """A build began."""
        self._building = True
        self._tell(DevEvent(event="building", component=self.id))

    def build_step(self, text: str) -> None:
        """What the build does."""
        self._tell(DevEvent(event="building", component=self.id, text=text))

    def build_succeeded(self, built: Built) -> None:
        """Start what was built, or put it in place of what runs."""
        self._building, self._build_error = False, None
        first, self._program, self._image = not self.built, built.program, built.image
        for warning in built.report.warnings if first else ():
            self._tell(DevEvent(event="warning", component=self.id, text=warning))
        text = {"fresh": "up to date", "hit": "from the cache"}.get(built.report.cache)
        self._tell(DevEvent(event="built", component=self.id, duration_s=built.report.duration_s, text=text))
        if not self._launched:
            self.changed()
        elif built.changed:
            self.rebuilds += 1
            self.restart(built.since)

    def build_failed(self, error: FlowctlError) -> None:
        """What runs goes on."""
        self._building, self._build_error = False, error.message
        text = error.message + ("; the old process goes on" if self.running else "")
        self._tell(DevEvent(event="build-failed", component=self.id, text=text, output=error.output, hint=error.hint))
        self.changed()

    def statuses(self, elapsed_s: float) -> list[ComponentStatus]:
        """Where its copies stand; counters are the component's, rates since the last call, `elapsed_s` ago."""
        counters = [edge.counters for edge in self.feed.edges] if self.feed is not None else []
        taken, given = sum(c.events for c in counters), self.tap.events if self.tap is not None else 0
        before, self._last = self._last, (taken, given)
        statuses = []
        for copy in self.copies:
            pid = copy.instance.pid if copy.instance is not None else None
            memory = copy.instance.memory() if copy.instance is not None else None
            statuses.append(
                ComponentStatus(
                    component=copy.name,
                    stage=self.component.stage,
                    state=self._state(copy),
                    pid=pid,
                    rebuilds=self.rebuilds,
                    restarts=copy.crashes,
                    events_in=taken,
                    events_out=given,
                    in_per_s=round((taken - before[0]) / elapsed_s, 1) if elapsed_s else 0,
                    out_per_s=round((given - before[1]) / elapsed_s, 1) if elapsed_s else 0,
                    lag=sum(c.lag for c in counters),
                    dead_letters=self.tap.dead_letters if self.tap is not None else 0,
                    replayed=sum(c.replayed for c in counters),
                    older=sum(c.older for c in counters),
                    lost=sum(c.lost for c in counters),
                    memory=memory,
                    error=self.context.mask(found) if (found := self._build_error or copy.error) else None,
                )
            )
        return statuses

    def _state(self, copy: Copy) -> State:
        if copy.instance is None and self._building:
            return "building"
        if copy.instance is None and self._build_error is not None:
            return "build failed"
        return copy.state

    def _tell(self, event: DevEvent) -> None:
        self.context.tell(event)
