"""The child side of the boundary: `python -m flowctl_core.plugins.host` runs one hook and ends.

Standard input carries the request and then stays open as a lifeline: when it closes, because the parent
cancelled or died in whatever way, everything this process started is ended and so is the process. Standard
output carries JSON lines; what plugins and tools print goes to standard error instead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

from pydantic import JsonValue, ValidationError

from flowctl_core.errors import FlowctlError, PluginError
from flowctl_core.hookspecs import CONTRACT_VERSION
from flowctl_core.models import Event, Runner
from flowctl_core.models.event import EventKind
from flowctl_core.plugins.processes import end_descendants
from flowctl_core.plugins.wire import Request, decode_arguments, encode_error
from flowctl_core.runners.local import LocalRunner

ENDED = 130
"""Exit code after the lifeline closed or a signal came."""
HOOK_GRACE_S = 3.5
"""Seconds that a cancelled hook has to come back: more than the runner's grace, less than the parent's."""


class Channel:
    """Writes JSON lines to a file descriptor; also the Progress that hooks report to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: dict[str, JsonValue]) -> None:
        """Write one line, whole."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        """Send nothing more: what tools say while they are being ended is no answer."""
        self._lock.acquire(timeout=1.0)  # a writer may wait for a parent that reads no more

    def _event(self, kind: EventKind, text: str) -> None:
        self.send({"event": Event(kind=kind, text=text).model_dump()})

    def step(self, text: str) -> None:
        """See Progress."""
        self._event("step", text)

    def line(self, text: str) -> None:
        """See Progress."""
        self._event("line", text)

    def note(self, text: str) -> None:
        """See Progress."""
        self._event("note", text)

    def warning(self, text: str) -> None:
        """See Progress."""
        self._event("warning", text)


def take_streams() -> tuple[int, Channel]:
    """Keep the request stream and the answer stream for this module alone.

    Afterwards standard input is empty and standard output is standard error, for plugins and for tools alike.
    """
    lifeline, answers = os.dup(0), os.dup(1)  # dup makes them non-inheritable: no tool can hold them open
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return lifeline, Channel(answers)


def read_request(lifeline: int) -> Request:
    """The first line of the stream; PluginError when it is not a request of a known contract."""
    received = bytearray()
    while not received.endswith(b"\n"):
        block = os.read(lifeline, 1 << 16)
        if not block:
            break
        received += block
    try:
        request = Request.model_validate_json(bytes(received))
    except ValidationError as error:
        raise PluginError("the request is not one of the plugin contract", output=str(error)) from error
    if request.contract > CONTRACT_VERSION:
        raise PluginError(f"asked under contract {request.contract}, this side offers {CONTRACT_VERSION}")
    return request


def run(request: Request, channel: Channel, runner: Runner) -> dict[str, JsonValue]:
    """Call the hook and give the message that ends the call."""
    from flowctl_core.plugins.call import HOOK_MISSING, InProcessCaller
    from flowctl_core.plugins.manager import load_plugins
    from flowctl_core.plugins.signatures import signature

    try:
        sys.path[:0] = request.path
        chosen = None if request.plugins is None else [place.reference() for place in request.plugins]
        caller = InProcessCaller(load_plugins(entry_points=chosen))
        arguments: dict[str, Any] = decode_arguments(request.hook, request.arguments, runner=runner, progress=channel)
        answer = caller.call(request.plugin, request.hook, **arguments)
        if answer is HOOK_MISSING:
            return {"missing": True}
        if answer is None:
            return {"result": None}
        return {"result": signature(request.hook).answer.dump_python(answer, mode="json")}
    except FlowctlError as error:
        return {"error": encode_error(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        problem = PluginError(
            f"calling {request.hook} of {request.plugin} failed: {type(error).__name__}: {error}",
            output=traceback.format_exc(),
        )
        return {"error": encode_error(problem)}


class Ending:
    """Ends all that this process started, then the process itself."""

    def __init__(self, channel: Channel, runner: LocalRunner) -> None:
        self._channel = channel
        self._runner = runner
        self.hook_ended = threading.Event()
        self._wanted = threading.Event()

    def ask(self, *_: object) -> None:
        """A signal came. The lifeline's thread does the rest: a handler may not wait for locks."""
        self._wanted.set()

    def watch(self, lifeline: int) -> None:
        """Wait for the parent to let go, or for `ask`; does not return."""
        threading.Thread(target=self._read_to_end, args=(lifeline,), daemon=True, name="lifeline").start()
        self._wanted.wait()
        self._channel.close()
        self._runner.cancel()
        self.hook_ended.wait(HOOK_GRACE_S)
        end_descendants(os.getpid())  # what a plugin started past its runner
        os._exit(ENDED)

    def _read_to_end(self, lifeline: int) -> None:
        while os.read(lifeline, 4096):
            pass
        self._wanted.set()


def main() -> None:
    """Answer one request."""
    lifeline, channel = take_streams()
    runner = LocalRunner()
    ending = Ending(channel, runner)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, ending.ask)
    try:
        request = read_request(lifeline)
    except FlowctlError as error:
        channel.send({"error": encode_error(error)})
        os._exit(1)
    threading.Thread(target=ending.watch, args=(lifeline,), daemon=True, name="ending").start()
    message = run(request, channel, runner)
    ending.hook_ended.set()
    channel.send(message)
    sys.stderr.flush()
    # Not a plain return: threads that a plugin left behind must not keep the parent waiting.
    os._exit(0)


if __name__ == "__main__":
    main()
