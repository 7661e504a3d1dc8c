"""One copy of a component: starts its process, feeds it, reads it, and starts it again."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Literal

from flowctl_core.dev.events import DevEvent, State
from flowctl_core.dev.health import HealthWatch, health_check
from flowctl_core.dev.launch import Instance, Launch, copy_name
from flowctl_core.dev.log_lines import LogReader
from flowctl_core.dev.ports import require_free
from flowctl_core.dev.restart import Restarts
from flowctl_core.errors import FlowctlError

if TYPE_CHECKING:
    from flowctl_core.dev.edges import Delivery, Returned
    from flowctl_core.dev.keeper import Keeper

LINGER_S = 5.0
"""Seconds of silence after which the output of a process that has ended counts as ended too."""
Ending = Literal["swap", "stop"]


class Copy:
    """All methods are called in the loop's thread, except those that say otherwise."""

    def __init__(self, keeper: Keeper, replica: int) -> None:
        self.keeper = keeper
        self.context = keeper.context
        self.replica = replica
        self.name = copy_name(keeper.component, replica)
        self.state: State = "waiting"
        self.error: str | None = None
        self.starts = 0
        self.crashes = 0
        self.instance: Instance | None = None
        self.restarts = Restarts(keeper.component.entry.restart_policy)
        self._delivery: Delivery | None = None
        self._returned: Returned | None = None
        self._health: HealthWatch | None = None
        self._ending: Ending | None = None
        self._asked = False
        """It was sent a signal by us."""
        self._since: float | None = None
        self._started = 0.0

    @property
    def ready(self) -> bool:
        """True when those that wait for it may start."""
        return self.state in ("running", "draining", "done")

    @property
    def settled(self) -> bool:
        """True when it will not run again by itself."""
        return self.instance is None and self.state in ("done", "failed", "stopped")

    def start(self) -> None:
        """Start a process, unless one runs."""
        if self.instance is not None or self.context.stopping:
            return
        keeper, context = self.keeper, self.context
        component = keeper.component
        try:
            ports = context.ports.ports(component, self.replica)
            require_free(component, ports)
            launch = Launch(
                component,
                self.replica,
                keeper.argv(),
                context.pipeline.folder,
                context.hand_over(component, ports, self.replica),
                ports,
                keeper.feed is not None,
                keeper.image(),
            )
            instance = context.launcher.start(launch)
        except FlowctlError as error:
            self._could_not_start(error)
            return
        self.instance, self._started = instance, time.monotonic()
        self._ending, self._asked, self.starts = None, False, self.starts + 1
        if keeper.feed is not None and instance.stdin is not None:
            self._delivery = keeper.feed.attach(instance.stdin, close=instance.close_stdin)
        self._tell_replay()
        if keeper.tap is not None:
            keeper.tap.attach(instance.stdout)
        else:
            LogReader(instance.stdout, partial(self._log, "stdout"), name=self.name).start()
        LogReader(instance.stderr, partial(self._log, "stderr"), name=self.name).start()
        threading.Thread(target=self._wait, args=(instance,), name=f"wait {self.name}", daemon=True).start()
        check = health_check(component)
        if check is None:
            self._runs(instance)
            return
        self.state = "starting"
        self._tell(DevEvent(event="starting", component=self.name, pid=instance.pid))
        changed = partial(self._health_changed, instance)
        self._health = HealthWatch(check, check.port or ports.health, changed, name=self.name)
        self._health.start()

    def swap(self, since: float | None) -> None:
        """Let the old process work off what it was given and start the new one; `since`: when the change was heard."""
        self.restarts.forget()
        self._since = since
        if self.instance is None:
            self.start()
        elif self._ending is None:
            self.state = "draining"
            self._tell(DevEvent(event="draining", component=self.name, pid=self.instance.pid))
            self._end("swap")

    def stop_source(self) -> None:
        """The pipeline ends: what gives events without taking any gives no more."""
        if self.instance is not None:
            self._ending, self.state = "stop", "draining"
            self._terminate(self.instance)

    def terminate(self) -> None:
        """SIGTERM, and SIGKILL soon after."""
        if self.instance is not None and not (self._asked and self._ending == "stop"):
            self._ending = "stop"
            self._terminate(self.instance)

    def kill(self) -> None:
        """SIGKILL."""
        if self.instance is not None:
            self._ending = "stop"
            self.instance.kill()

    def give_up(self) -> None:
        """It does not run and will not: it is as if it had ended."""
        if self.instance is None and not self.settled:
            self.state = "stopped"

    def _end(self, ending: Ending) -> None:
        """EOF first; who takes no events is asked by a signal. SIGTERM and SIGKILL when that is ignored."""
        instance = self.instance
        assert instance is not None  # noqa: S101
        self._ending = ending
        if self._delivery is None:
            self._terminate(instance)
            return
        self._delivery.end()
        self.context.loop.later(self.context.options.grace_s, partial(self._still_there, instance))

    def _still_there(self, instance: Instance) -> None:
        if self.instance is instance and not self._asked:
            text = f"did not end within {self.context.options.grace_s:g} s after its input ended; it gets a SIGTERM"
            self._tell(DevEvent(event="warning", component=self.name, text=text, pid=instance.pid))
            self._terminate(instance)

    def _terminate(self, instance: Instance) -> None:
        self._asked = True
        instance.terminate()
        self.context.loop.later(self.context.options.term_s, partial(self._kill_if_there, instance))

    def _kill_if_there(self, instance: Instance) -> None:
        if self.instance is instance:
            text = f"did not end within {self.context.options.term_s:g} s of a SIGTERM; it is killed"
            self._tell(DevEvent(event="warning", component=self.name, text=text, pid=instance.pid))
            instance.kill()

    def _runs(self, instance: Instance) -> None:
        self.state = "running"
        since, self._since = self._since, None
        took = None if since is None else round(time.monotonic() - since, 3)
        event = "ready" if took is None else "swapped"
        self._tell(DevEvent(event=event, component=self.name, pid=instance.pid, duration_s=took))
        self.keeper.changed()

    def _health_changed(self, instance: Instance, well: bool, why: str) -> None:
        """In the health watch's thread."""
        self.context.loop.post(partial(self._set_health, instance, well, why))

    def _set_health(self, instance: Instance, well: bool, why: str) -> None:
        if self.instance is not instance or self._ending is not None:
            return
        if well:
            self._runs(instance)
            return
        self.state, self.error = "unhealthy", why
        self._tell(DevEvent(event="unhealthy", component=self.name, pid=instance.pid, text=why))
        if self.restarts.policy != "no":
            self._terminate(instance)

    def _log(self, stream: Literal["stdout", "stderr"], line: str) -> None:
        """In a reader's thread."""
        self._tell(DevEvent(event="log", component=self.name, stream=stream, text=line))

    def _wait(self, instance: Instance) -> None:
        """In a thread of its own: until the process has ended and its last words are with those who take them."""
        code = instance.wait()
        tap = self.keeper.tap
        if tap is not None and self.keeper.component.replicas <= 1:
            read = tap.bytes
            while not tap.drained.wait(LINGER_S):
                # Something that cannot be found holds the pipe open and is silent; those behind wait for nothing.
                if tap.bytes == read and not self.keeper.waited_for:
                    tap.abandon()
                read = tap.bytes
        self.context.loop.post(partial(self._gone, instance, code))

    def _gone(self, instance: Instance, code: int) -> None:
        ending, self._ending = self._ending, None
        self.instance = None
        if self._health is not None:
            self._health.stop()
            self._health = None
        if self.context.control is not None:
            self.context.control.forget(self.name)
        self._take_back(code, restarted=not self.context.stopping)
        if self.context.stopping or ending == "stop":
            self._stopped(instance, code)
        elif ending == "swap":
            if code and not (self._asked and code == -signal.SIGTERM):
                text = f"the old process {ended(code)}"
                self._tell(DevEvent(event="warning", component=self.name, text=text, exit_code=code))
            self.start()
        else:
            self._ended_by_itself(instance, code)
        self.keeper.changed()

    def _take_back(self, code: int, *, restarted: bool) -> None:
        """What the process did not read goes to the next one; after a crash, the replay window as well."""
        delivery, self._delivery = self._delivery, None
        feed = self.keeper.feed
        if delivery is None or feed is None:
            return
        replay = self.context.options.replay if restarted else 0
        self._returned = feed.detach(delivery, crashed=code != 0, replay=replay)

    def _tell_replay(self) -> None:
        """What the process that has just started gets again."""
        returned, self._returned = self._returned, None
        if returned is None or not (returned.replayed or returned.older):
            return
        text = f"{returned.replayed:,} events are sent again"
        if returned.older:
            text += f"; {returned.older:,} older ones may not have been finished"
        told = DevEvent(event="replayed", component=self.name, text=text, replayed=returned.replayed)
        self._tell(told.model_copy(update={"older": returned.older}))

    def _stopped(self, instance: Instance, code: int) -> None:
        self.state = "stopped"
        if code and not self._asked:
            self.error = ended(code)
        self._tell(DevEvent(event="stopped", component=self.name, pid=instance.pid, exit_code=code))

    def _ended_by_itself(self, instance: Instance, code: int) -> None:
        ran_s = time.monotonic() - self._started
        exhausted = self.keeper.feed is not None and self.keeper.feed.exhausted.is_set()
        verdict = "done" if exhausted and code == 0 else self.restarts.verdict(code)
        if verdict != "restart":
            self.state = "done" if verdict == "done" else "failed"
            self.error = None if verdict == "done" else ended(code)
            self._tell(DevEvent(event=verdict, component=self.name, pid=instance.pid, exit_code=code))
            return
        if code:
            self.error = ended(code)
            self.crashes += 1
        self._start_later(self.restarts.delay_s(ran_s), instance.pid, code)

    def _could_not_start(self, error: FlowctlError) -> None:
        self.error = error.message
        self._tell(DevEvent(event="warning", component=self.name, text=error.message, hint=error.hint))
        if self.restarts.policy == "no" or self.context.options.once:
            self.state = "failed"
            self._tell(DevEvent(event="failed", component=self.name, text=error.message))
            self.keeper.changed()
            return
        self._start_later(self.restarts.delay_s(0.0), None, None)

    def _start_later(self, delay_s: float, pid: int | None, code: int | None) -> None:
        if self.restarts.looping and self.context.options.once:
            self.state = "failed"
            told = f"crashed {self.restarts.in_a_row} times in a row"
            self._tell(DevEvent(event="failed", component=self.name, text=told, exit_code=code))
            return
        self.state = "crashed"
        text = f"a crash loop: {self.restarts.in_a_row} times in a row" if self.restarts.looping else None
        starts = self.starts
        self._tell(DevEvent(event="crashed", component=self.name, pid=pid, exit_code=code, delay_s=delay_s, text=text))
        self.context.loop.later(delay_s, lambda: self.start() if self.starts == starts else None)

    def _tell(self, event: DevEvent) -> None:
        self.context.tell(event)


def ended(code: int) -> str:
    """`ended with exit code 3`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
