"""The parent side of the boundary: runs each hook in a child process, JSON in and out.

`ChildCaller` has the interface of `InProcessCaller`. The child uses a runner of its own, so a context's
`runner` has no effect here; progress comes back as events.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from pydantic import ValidationError

from flowctl_core.errors import CancelledError, PluginError, ToolTimeoutError
from flowctl_core.models import BuildContext, Event, Progress, Silent
from flowctl_core.plugins.call import HOOK_MISSING, CallerBase, check_arguments
from flowctl_core.plugins.identity import PluginRecord
from flowctl_core.plugins.manager import PluginManager
from flowctl_core.plugins.processes import descendants, kill
from flowctl_core.plugins.signatures import signature
from flowctl_core.plugins.wire import PluginLocation, Request, decode_error, encode_arguments

GRACE_S = 5.0
"""Seconds that a child has for ending what it started, before it is killed."""
_PRINTED_LIMIT = 1 << 20
"""Bytes kept of what plugins print: the end."""


class ChildCaller(CallerBase):
    """Calls each hook in a child process.

    `python` is the interpreter of the environment that has the plugins; `path` are folders it imports from
    before its own; `environment` replaces this process's. `timeout_s` limits each hook, whatever it runs.
    """

    def __init__(
        self,
        manager: PluginManager,
        *,
        python: str = sys.executable,
        path: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        super().__init__(manager)
        self._python = python
        self._path = tuple(path)
        self._environment = environment
        self._timeout_s = timeout_s
        self._children: set[_Child] = set()

    def call(self, builder: str, hook: str, **arguments: Any) -> Any:
        """See HookCaller. Raises CancelledError after `cancel`, ToolTimeoutError after `timeout_s`.

        On every way out the child and all that it started are gone.
        """
        expected = signature(hook)
        check_arguments(expected, arguments)
        record = self.manager.provider(builder)
        if hook not in record.hooks:
            return HOOK_MISSING
        request = Request(
            plugin=builder,
            hook=hook,
            arguments=encode_arguments(hook, arguments),
            plugins=self._locations(record),
            path=self._path,
        )
        context = arguments.get("context")
        progress = context.progress if isinstance(context, BuildContext) else Silent()
        child = _Child.start(self._python, self._environment, f"plugin {record.label}, {hook}")
        self._children.add(child)
        try:
            message = child.converse(request, progress, self._timeout_s)
        except KeyboardInterrupt:
            raise CancelledError(f"{child.what} was cancelled") from None
        finally:
            self._children.discard(child)
            child.end()
        if "error" in message:
            raise decode_error(message["error"])
        if message.get("missing"):
            return HOOK_MISSING
        answer = message["result"]
        try:
            return None if answer is None else expected.answer.validate_json(json.dumps(answer))
        except ValidationError as error:
            raise child.broke(f"answered with something else than {expected.expected}", str(error)) from error

    def cancel(self) -> None:
        """End all calls under way, from any thread; each raises CancelledError in its own."""
        for child in tuple(self._children):
            child.cancel()

    def _locations(self, record: PluginRecord) -> tuple[PluginLocation, ...]:
        wanted = {record.name, *(wrapper.name for wrapper in self.manager.wrappers)}
        locations = []
        for reference in self.manager.references:
            if reference.name in wanted:
                if not reference.value:
                    raise PluginError(
                        f"plugin {reference.name} is an object of this process, which a child cannot import",
                        hint="Give it as module:attribute.",
                    )
                locations.append(
                    PluginLocation(
                        name=reference.name,
                        value=reference.value,
                        distribution=reference.distribution,
                        version=reference.version,
                    )
                )
        return tuple(locations)


@dataclass(eq=False)
class _Child:
    """One child process and the conversation with it."""

    process: subprocess.Popen[bytes]
    what: str
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    printed: bytearray = field(default_factory=bytearray)
    cancelled: bool = False
    expired: bool = False

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._collect, daemon=True, name="plugin-stderr")

    @classmethod
    def start(cls, python: str, environment: Mapping[str, str] | None, what: str) -> _Child:
        # -P: the working folder may be a source tree, whose json.py must not be ours.
        command = [python, "-P", "-m", "flowctl_core.plugins.host"]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if environment is None else dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            raise PluginError(f"{what}: cannot start {python}: {error.strerror}") from error
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 - asked for with PIPE
        return cls(process, what, process.stdin, process.stdout, process.stderr)

    def converse(self, request: Request, progress: Progress, timeout_s: float | None) -> dict[str, Any]:
        """Send the request, pass events on, and give the message that ended the call."""
        self._reader.start()
        timer = threading.Timer(timeout_s, self._expire) if timeout_s is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            message = self._last_message(request, progress)
        finally:
            if timer is not None:
                timer.cancel()
        # First these: a hook whose tools were just ended may still have answered with their failure.
        if self.cancelled:
            raise CancelledError(f"{self.what} was cancelled")
        if self.expired:
            problem = f"{self.what} did not answer within {timeout_s:g} s and was ended"
            raise ToolTimeoutError(problem, output=self._printed_text())
        if message is None:
            self._reader.join(timeout=1.0)
            raise self.broke(f"ended without an answer, {self._how_it_ended()}")
        return message

    def _last_message(self, request: Request, progress: Progress) -> dict[str, Any] | None:
        with suppress(BrokenPipeError):  # it died at once; why is on its standard error
            self.stdin.write(request.model_dump_json().encode() + b"\n")
            self.stdin.flush()
        for line in self.stdout:
            message = self._message(line)
            if "event" not in message:
                return message
            event = Event.model_validate(message["event"])
            getattr(progress, event.kind)(event.text)
        return None

    def cancel(self) -> None:
        """Let go of the child; its host ends everything it started."""
        self.cancelled = True
        self.end()

    def end(self) -> None:
        """The child and all that it started are gone on return."""
        with suppress(OSError, ValueError):
            self.stdin.close()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:  # its host is stopped or stuck and cannot end what it started
            below = descendants(self.process.pid)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            kill(below)
            self.process.wait()
        self.stdout.close()
        if self._reader.ident is not None:
            self._reader.join(timeout=1.0)

    def broke(self, problem: str, detail: str | None = None) -> PluginError:
        """The error for a child that breaks the protocol."""
        output = "\n".join(part for part in (detail, self._printed_text()) if part)
        return PluginError(f"{self.what}: {problem}", hint="Report this to its authors.", output=output or None)

    def _message(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not {"event", "result", "missing", "error"} & set(message):
            raise self.broke("answered with something that is not of the protocol", line.decode("utf-8", "replace"))
        return message

    def _collect(self) -> None:
        with suppress(OSError, ValueError), self.stderr:
            while block := self.stderr.read1(1 << 16):  # type: ignore[attr-defined]
                self.printed += block
                del self.printed[:-_PRINTED_LIMIT]

    def _printed_text(self) -> str | None:
        return self.printed.decode("utf-8", "replace").strip() or None

    def _expire(self) -> None:
        self.expired = True
        self.end()

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return "its answer stream closed"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"killed by signal {name}"
        return f"with exit code {code}"
