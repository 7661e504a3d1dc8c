"""The live table, on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from pathlib import Path

FLOWCTL = str(Path(sys.executable).with_name("flowctl"))
PATIENCE_S = 60.0


class Terminal:
    """`flowctl dev` on a terminal of 40 lines."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environ = {**os.environ, "TERM": "xterm-256color", "FLOWCTL_CACHE_DIR": str(folder / "cache")}
            os.chdir(folder)
            os.execve(FLOWCTL, ["flowctl", "dev", *arguments], environ)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))

    def wait(self, pattern: str) -> None:
        """Wait until the screen has shown this after what was waited for before."""
        deadline = time.monotonic() + PATIENCE_S
        seen = ""
        while not re.search(pattern, seen):
            assert time.monotonic() < deadline, self.shown[-3000:]
            assert self._read(), self.shown[-3000:]
            seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown[getattr(self, "mark", 0) :])
        self.mark = len(self.shown)

    def press(self, key: str) -> None:
        os.write(self.fd, key.encode())

    def end(self) -> int:
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        readable, _, _ = select.select([self.fd], [], [], PATIENCE_S)
        try:
            data = os.read(self.fd, 65536) if readable else b""
        except OSError:  # Linux' way to say that the other side is closed
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)


def test_keys_pause_restart_and_quit(tmp_path, program):
    program("gen.py", "import time\nn = 0\nwhile True:\n    n += 1\n    print(n, flush=True)\n    time.sleep(0.01)")
    program("out.py", "import sys\nprint('begins', flush=True)\nfor line in sys.stdin:\n    pass")
    (tmp_path / "pipeline.yaml").write_text(
        "apiVersion: flowctl/v1\nkind: Pipeline\nmetadata: {name: seen}\nspec:\n"
        "  sources: [{id: gen, path: gen.py}]\n  sinks: [{id: out, path: out.py, inputs: [gen]}]\n"
    )
    terminal = Terminal(tmp_path)
    terminal.wait(r"seen +b rebuild")
    terminal.wait(r"gen +running +\d+ .*MB")
    assert not termios.tcgetattr(terminal.fd)[3] & termios.ICANON, "keys are read one by one"
    terminal.press("p")
    terminal.wait("PAUSED")
    terminal.press("p")
    terminal.wait("goes on")
    terminal.press("r")
    terminal.wait(r"out +\| begins")
    terminal.press("q")
    terminal.wait("nothing of it is left")
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.fd)[3] & termios.ICANON, "the terminal is as it was"
