"""Launchers: POSIX shell scripts in `.flowctl/bin` that start what is not a native program.

A launcher needs nothing of flowctl. It finds the source tree from its own place, through any symlinks and without
`readlink -f`, which older macOS lacks; its last command is an `exec`, so that signals and the exit code are the
program's own.
"""

from __future__ import annotations

import re
from pathlib import Path

_PREAMBLE = """\
#!/bin/sh
# Starts {purpose}; written by flowctl, changed by every build.
self=$0
case $self in */*) ;; *) self=$(command -v -- "$self") ;; esac
while [ -h "$self" ]; do
  next=$(readlink "$self") || exit 126
  case $next in /*) self=$next ;; *) self=${{self%/*}}/$next ;; esac
done
root=$(CDPATH= cd -P -- "${{self%/*}}/../.." && pwd -P) || exit 126
"""
_NATIVE_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xcf")


def launcher_script(purpose: str, body: str) -> str:
    """Text of a launcher. `body` is shell code that finds the source tree in `$root` and ends with an `exec`.

    `purpose` says what it starts; it stands in a comment, with everything that shell could read taken out.
    """
    return _PREAMBLE.format(purpose=re.sub(r"[^\w ./@:-]", "_", purpose)) + body


def is_native_program(path: Path) -> bool:
    """True for an ELF or Mach-O file, which starts by itself; False when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) in _NATIVE_MAGIC
    except OSError:
        return False
