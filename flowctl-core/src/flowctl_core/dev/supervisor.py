"""Runs a pipeline: builds it, starts it in order, swaps what changed, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.dev.building import Builds
from flowctl_core.dev.context import Context
from flowctl_core.dev.edges import Edge, Feed, Outlet, Tap
from flowctl_core.dev.events import ComponentStatus, DevEvent
from flowctl_core.dev.keeper import Keeper
from flowctl_core.dev.pipeline import needs
from flowctl_core.dev.recording.play import Player
from flowctl_core.dev.watching import Watcher
from flowctl_core.errors import FlowctlError, PipelineError
from flowctl_core.job import Engine

if TYPE_CHECKING:
    from flowctl_core.dev.control_plane.health import Health

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK_S = 1.0
"""Seconds between looks at the counters."""
STORM = 50
"""Paths that change within one debounce and are no edit by hand."""
CALM_S, LONGEST_STORM_S = 0.5, 15.0
"""Seconds without a change that end a storm, and after which it is not waited for."""


class Supervisor:
    """One pipeline, from its first build to its last process. `run` has to be called in the main thread."""

    def __init__(self, context: Context, engine: Engine) -> None:
        self.context = context
        self._loop = context.loop
        self._watcher = Watcher(self._heard, self._warn)
        self._builds = Builds(
            engine, self._loop, self._watcher.watch, offline=context.options.offline, images=context.images
        )
        self._player: Player | None = None
        self.keepers = self._wire()
        """In the order in which they start."""
        self._by_id = {keeper.id: keeper for keeper in self.keepers}
        self._files: dict[Path, Keeper] = {}
        self._storms: dict[Path, tuple[float, float]] = {}
        """Where many files change: when that began, and when it was last heard of."""
        self._told_letters: dict[str, int] = {}
        self._told_status: tuple[ComponentStatus, ...] = ()
        self._interrupts = 0
        self._ending_rest = False
        self._paused = False
        self._last_status = time.monotonic()
        self._failure: str | None = None

    def run(self) -> int:
        """Run until the pipeline has ended or the user ends it; returns 0, or 80 when a component failed."""
        before = {number: signal.signal(number, self._signalled) for number in SIGNALS}
        try:
            self._begin()
            self._loop.run()
        finally:
            self._leave()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._player is not None and self._player.problem is not None:
            self._failure = self._failure or self._player.problem.message
        self._tell_dead_letters()
        code = PipelineError.exit_code if self._failure is not None else 0
        self.context.tell(DevEvent(event="end", exit_code=code, text=self._failure, components=tuple(self.statuses())))
        return code

    @property
    def interrupted(self) -> bool:
        """True when the user ended it."""
        return self._interrupts > 0

    def statuses(self) -> list[ComponentStatus]:
        """Where all components stand, in the order of their start."""
        elapsed, self._last_status = time.monotonic() - self._last_status, time.monotonic()
        return [status for keeper in self.keepers for status in keeper.statuses(elapsed)]

    def rebuild(self) -> None:
        """From any thread: build every source, whether or not it changed."""
        self._loop.post(self._builds.build_all)

    def restart(self, id: str | None = None) -> None:
        """From any thread: start one component, or all, anew."""
        for keeper in self.keepers:
            if keeper.launched and id in (None, keeper.id):
                self._loop.post(keeper.restart)

    def toggle_pause(self) -> None:
        """From any thread: let no event through, or let them through again."""
        self._loop.post(lambda: self._pause(not self._paused))

    def quit(self) -> None:
        """From any thread: end the pipeline; a second time: at once."""
        self._loop.post(self._interrupted)

    def _wire(self) -> list[Keeper]:
        """Feeds and taps, and the edges between them; what speaks gRPC gets its events without flowctl's pipes."""
        context = self.context
        order = [c for c in context.pipeline.start_order() if c.replicas > 0]
        piped = {c.id for c in order if not c.speaks_grpc}
        taps = {
            c.id: Tap(c.id, context.dead_letters)
            for c in order
            if c.id in piped and (c.stage in ("sources", "processors") or context.pipeline.readers(c.id))
        }
        for listener in context.listeners:
            for id in taps:
                taps[id].connect(listener(id))
        rerun = context.rerun
        played: dict[str, list[Outlet]] = {id: [] for id in rerun.played} if rerun is not None else {}
        outgoing: dict[str, list[Edge]] = {id: [] for id in taps}
        keepers = []
        for component in order:
            feed = None
            sources = [id for id in component.entry.inputs if id in taps]
            recorded = [id for id in component.entry.inputs if id in played]
            if component.id in piped and (sources or recorded):
                options = context.options
                feed = Feed(component.id, window=options.window, keep=options.replay)
                for id in dict.fromkeys(sources):
                    outgoing[id].append(edge := feed.edge(id))
                    taps[id].connect(edge)
                if recorded:
                    edge = feed.edge("the recording")  # one for all: edges would take turns
                    for id in recorded:
                        played[id].append(edge)
            tap = taps.get(component.id)
            keepers.append(Keeper(component, context, feed, tap, self._consider, outgoing.get(component.id, [])))
        if rerun is not None:
            self._player = Player(rerun.recording, played)
        return keepers

    def _begin(self) -> None:
        watching = not self.context.options.once
        for keeper in self.keepers:
            program = keeper.component.program
            if program.kind == "source" and program.root is not None:
                self._builds.add(program.root, keeper)
            elif program.file is not None:
                self._files[program.file] = keeper
                if watching:
                    self._watcher.watch(program.file, {str(program.file.parent)})
        if watching:
            self._watcher.start()
        self._builds.build_all()
        if self._player is not None:
            self._player.start()
        self._serve_control_plane()  # while builds run
        self._loop.later(TICK_S, self._tick)
        self._consider()

    def _tick(self) -> None:
        """What nobody tells of by itself: counters."""
        self._tell_dead_letters()
        if self.context.options.tell_status:
            statuses = tuple(self.statuses())
            if statuses != self._told_status:
                self.context.tell(DevEvent(event="status", components=statuses))
                self._told_status = statuses
        self._loop.later(TICK_S, self._tick)

    def _tell_dead_letters(self) -> None:
        for keeper in self.keepers:
            known = self._told_letters.get(keeper.id, 0)
            new = keeper.tap.dead_letters - known if keeper.tap is not None else 0
            if new:
                self._told_letters[keeper.id] = known + new
                lines = "a line that is" if new == 1 else f"{new:,} lines that are"
                letters = self.context.dead_letters
                where = letters.problem or f"kept in {letters.path}"
                text = f"wrote {lines} no JSON; {where}"
                self.context.tell(DevEvent(event="dead-letters", component=keeper.id, text=text))

    def _serve_control_plane(self) -> None:
        """Components that know `flowctl.v1` register there; the others never notice."""
        from flowctl_core.dev.control_plane.server import ControlPlane, Neighbours

        pipeline = self.context.pipeline
        near = {
            c.id: Neighbours(tuple(c.entry.inputs), tuple(reader.id for reader in pipeline.readers(c.id)))
            for c in pipeline.components
        }
        control = ControlPlane(near, on_change=self._said)
        try:
            control.start()
        except FlowctlError as error:
            self._warn(f"{error.message}; components run without it")
        else:
            self.context.control = control

    def _said(self, id: str, health: Health) -> None:
        """In a thread of the control plane: a component told how it is."""
        self.context.tell(DevEvent(event="note", component=id, text=f"says that it is {health}"))

    def _consider(self) -> None:
        """Start whatever has all that it waits for; notice when all is over."""
        if not self.context.stopping:
            for keeper in self.keepers:
                if keeper.launched or not keeper.built:
                    continue
                waits = [self._by_id[id] for id in needs(keeper.component) if id in self._by_id]
                if all(other.ready for other in waits):
                    keeper.launch()
        if self.context.options.once or self.context.stopping:
            for keeper in self.keepers:
                if keeper.settled:
                    keeper.finish_edges()
            self._notice_end()

    def _notice_end(self) -> None:
        failed = next((keeper for keeper in self.keepers if keeper.failed), None)
        if failed is not None and not self.context.stopping:
            self._failure = f"{failed.id} failed"
            self._stop()
        elif all(keeper.settled for keeper in self.keepers):
            self._loop.end()
        elif self.context.stopping and (self._ending_rest or not self._draining()):
            self._end_next()

    def _draining(self) -> bool:
        """True while something runs that an EOF will end."""
        return any(keeper.running and (keeper.feed or keeper.tap) for keeper in self.keepers)

    def _signalled(self, number: int, frame: object) -> None:
        self._loop.post(self._interrupted)

    def _interrupted(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._stop()
            return
        for keeper in reversed(self.keepers):
            for copy in keeper.copies:
                copy.kill()

    def _stop(self) -> None:
        """What sources have sent runs through to the sinks; what still runs then ends in reverse order of its start."""
        if self.context.stopping:
            return
        self.context.stopping = True
        self.context.tell(DevEvent(event="stopping"))
        self._watcher.stop()
        self._builds.stop()
        self._pause(False)
        for keeper in self.keepers:
            keeper.give_up()
            if keeper.feed is None and keeper.tap is not None:
                for copy in keeper.copies:
                    copy.stop_source()
        self._loop.later(self.context.options.grace_s, self._end_rest)
        self._consider()

    def _end_rest(self) -> None:
        self._ending_rest = True
        self._end_next()

    def _end_next(self) -> None:
        """End the last of those that still run; its end calls for the next."""
        self._ending_rest = True
        for keeper in reversed(self.keepers):
            if keeper.running:
                for copy in keeper.copies:
                    copy.terminate()
                return

    def _leave(self) -> None:
        """Whatever happened, nothing stays."""
        self.context.stopping = True
        self._watcher.stop()
        self._builds.stop()
        for keeper in reversed(self.keepers):
            for copy in keeper.copies:
                copy.kill()
        self.context.launcher.close()
        if self._player is not None:
            self._player.stop()
        if self.context.control is not None:
            self.context.control.stop()

    def _pause(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        for keeper in self.keepers:
            if keeper.feed is not None:
                (keeper.feed.hold if paused else keeper.feed.release)()
        self.context.tell(DevEvent(event="paused" if paused else "resumed"))

    def _heard(self, owner: Path, paths: int) -> None:
        """In the watcher's thread: something changed where a source or a program is."""
        self._loop.post(partial(self._weather, owner, paths))

    def _weather(self, owner: Path, paths: int) -> None:
        """An edit is acted on at once; a storm (a checkout, an unpacked archive) when it has calmed down."""
        if paths < STORM and owner not in self._storms:
            self._changed_on_disk(owner)
            return
        began = self._storms.get(owner, (time.monotonic(), 0.0))[0]
        heard = time.monotonic()
        self._storms[owner] = (began, heard)
        self._loop.later(CALM_S, partial(self._calm, owner, heard))

    def _calm(self, owner: Path, heard: float) -> None:
        began, last = self._storms.get(owner, (heard, 0.0))
        if last == heard or (last and time.monotonic() - began > LONGEST_STORM_S):
            del self._storms[owner]
            self._changed_on_disk(owner)

    def _changed_on_disk(self, owner: Path) -> None:
        keeper = self._files.get(owner)
        if self.context.stopping:
            return
        if keeper is None:
            self._builds.build(owner, force=False)
        elif keeper.launched and os.access(owner, os.X_OK) and keeper.program_changed():
            keeper.restart(time.monotonic())

    def _warn(self, text: str) -> None:
        self.context.tell(DevEvent(event="warning", text=text))
