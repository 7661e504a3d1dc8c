"""The bytes of a spec file: bounded, regular, inside its folder, UTF-8."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flowctl_core.errors import SpecError
from flowctl_core.specfile.limits import MAX_BYTES
from flowctl_core.specfile.yaml_text import TextProblem


def display(path: Path) -> str:
    """The path as people see it: relative to the working directory where it is below it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def read_bytes(path: Path) -> bytes:
    """Content of a spec file.

    Raises SpecError when it is missing, no regular file, a link out of its folder, or too large.
    """
    shown = display(path)
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
            raise SpecError(f"{shown} is a link that leads outside its folder", hint="Copy the file into the folder.")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise SpecError(f"{shown} is {what}, not a file")
        if status.st_size > MAX_BYTES:
            raise SpecError(
                f"{shown} has {status.st_size:,} bytes; more than {MAX_BYTES:,} are not read",
                hint="Real spec files have a few kilobytes. Is this the right file?",
            )
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise SpecError(f"{shown} is a link to {path.readlink()}, which does not exist") from error
        raise SpecError(f"{shown} does not exist") from error
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # RuntimeError: symlink loop, ValueError: NUL in the name
        raise SpecError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def decode(content: bytes) -> str:
    """The text of a file. Raises TextProblem when it is too large or not UTF-8."""
    if len(content) > MAX_BYTES:
        raise TextProblem(f"more than {MAX_BYTES:,} bytes are not read")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TextProblem("the file is UTF-16; save it as UTF-8", 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TextProblem(f"not UTF-8: byte 0x{content[error.start]:02x}; save the file as UTF-8", line) from error
    if "\0" in text:
        raise TextProblem("the file contains a NUL byte; is it a binary?", text.count("\n", 0, text.index("\0")) + 1)
    return text
