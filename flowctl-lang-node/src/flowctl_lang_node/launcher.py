"""The launcher: what a component of Node.js is started by, with the chosen runtime."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.launcher import launcher_script

_BODY = """\
entry=$root/{entry}
if [ ! -f "$entry" ]; then
  echo "{shown}: $entry is missing; run: flowctl component build" >&2
  exit 127
fi
runtime={runtime}
if [ ! -x "$runtime" ]; then
  runtime=$(command -v {program}) || {{
    echo "{shown}: {program} was not found; install it, or run: flowctl component build" >&2
    exit 127
  }}
fi
exec "$runtime"{options} "$entry" "$@"
"""


@dataclass(frozen=True)
class Launch:
    """What a launcher starts."""

    entry: str
    """File, relative to the source tree."""
    runtime: str
    """Absolute path of node or bun on this machine; elsewhere the one on PATH is taken."""
    program: str = "node"
    """Name of the runtime on PATH."""
    options: tuple[str, ...] = ()
    """Options of the runtime itself."""
    preload: tuple[tuple[str, str], ...] = ()
    """Option and file (relative to the source tree) of modules that are loaded first: `--require`, `.pnp.cjs`."""


def script(name: str, launch: Launch) -> str:
    """The launcher's text."""
    options = [" " + shlex.quote(option) for option in launch.options]
    options += [f' {option} "$root/"{shlex.quote(path)}' for option, path in launch.preload]
    body = _BODY.format(
        # A name ends up in messages: nothing of it may be read as shell.
        shown=re.sub(r"[^\w.@-]", "_", name),
        entry=shlex.quote(launch.entry),
        runtime=shlex.quote(launch.runtime),
        program=launch.program,
        options="".join(options),
    )
    return launcher_script(launch.entry, body)


def shebang(path: Path) -> list[str]:
    """The words of a script's first line without `#!` and env; empty for a file without one."""
    try:
        with path.open("rb") as file:
            first = file.readline(512)
    except OSError:
        return []
    if not first.startswith(b"#!"):
        return []
    words = first[2:].decode("utf-8", "replace").split()
    if words and words[0].rsplit("/", 1)[-1] == "env":
        words = [word for word in words[1:] if word != "-S" and "=" not in word.split("/")[0]]
    return words
