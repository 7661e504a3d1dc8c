"""The launcher: a POSIX shell script that starts a component with the chosen runtime.

It needs nothing of flowctl. It finds the source tree from its own place (`<source>/.flowctl/bin/<name>`),
through any symlinks and without `readlink -f`, which older macOS lacks; then it replaces itself with the
runtime, so that signals and the exit code are the program's own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_TEMPLATE = """\
#!/bin/sh
# Starts {title}; written by flowctl, changed by every build.
self=$0
case $self in
  */*) ;;
  *) self=$(command -v -- "$self") ;;
esac
while [ -L "$self" ]; do
  next=$(readlink "$self")
  case $next in
    /*) self=$next ;;
    *) self=${{self%/*}}/$next ;;
  esac
done
root=$(CDPATH= cd -- "${{self%/*}}/../.." && pwd -P) || exit 127
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
    return _TEMPLATE.format(
        # A name ends up in a comment and in messages: nothing of it may be read as shell.
        title=re.sub(r"[^\w./@-]", "_", launch.entry),
        shown=re.sub(r"[^\w.@-]", "_", name),
        entry=shlex.quote(launch.entry),
        runtime=shlex.quote(launch.runtime),
        program=launch.program,
        options="".join(options),
    )


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


def is_native(path: Path) -> bool:
    """True for an ELF or Mach-O executable, which starts by itself."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError:
        return False
    return magic in (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
