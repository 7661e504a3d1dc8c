"""A command that was started before the engine was loaded, for `flowctl_core.head_start`.

Started as `LocalRunner` starts one (a session of its own, a marker, the watcher), with few imports; `LocalRunner` takes
it over when the same command is asked for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

from flowctl_core.runners import process_tree, watcher

TYPE_CHECKING = False  # typing itself would cost several milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowctl_core.models.process import Command

_GRACE_S = 2.0


class EarlyCommand:
    """One command under way."""

    def __init__(self, argv: Sequence[str], cwd: str, environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError or ValueError when that is not possible."""
        self.argv, self.cwd, self.environment = tuple(argv), cwd, dict(environment)
        self.began = time.monotonic()
        outer = os.environ.get(process_tree.MARKER_VARIABLE)
        self.marker = f"{os.getpid()}-early-{time.time_ns():x}"
        marked = {process_tree.MARKER_VARIABLE: f"{outer}/{self.marker}" if outer else self.marker}
        watcher.watch_command(0, self.marker)
        try:
            self.process = subprocess.Popen(
                self.argv,
                cwd=cwd,
                env={**self.environment, **marked},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError):  # not Ctrl-C: the command may run by then, and the watcher ends it by its marker
            watcher.release_command(self.marker)
            raise
        watcher.watch_command(self.process.pid, self.marker)

    def is_of(self, command: Command) -> bool:
        """True when this is the command, to the last argument and variable."""
        return (self.argv, self.cwd, self.environment) == (command.argv, str(command.cwd), command.environment)

    def end(self) -> None:
        """End it and all that it started; what it printed is lost."""
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        try:
            # Like Ctrl-C, upon which tools remove their temporary folders.
            process_tree.send(signal.SIGINT, self.process.pid, self.marker)
            self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process_tree.kill_tree(self.process.pid, self.marker)
            self.process.wait()
            watcher.release_command(self.marker)
