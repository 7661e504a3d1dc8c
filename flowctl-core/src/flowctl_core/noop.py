"""The no-op build: answers `flowctl component build` from a stamp, without importing the engine.

The stamp (`.flowctl/stamp.json`, written by `flowctl_core.stamp` after a build) lists everything the last answer
depended on: stat values of each input file and folder, of outputs, configuration, tools and plugins, and the
environment. If all of it is as it was, the build is up to date and the recorded report is the answer. Anything else,
any doubt and any error falls through to the full command line. A test holds the two to the same answers.

A file written in the very moment it was digested could change again without its stat showing it (git calls this racy):
such an input is stored with a size that no file has, so the stamp does not match until the next digest.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter

STAMP = ".flowctl/stamp.json"
VERSION = 1
_IRRELEVANT = ("_", "OLDPWD", "PWD", "SHLVL", "PYDANTIC_DISABLE_PLUGINS")
_FORMS = {(): "table", ("-o", "json"): "json", ("--output", "json"): "json", ("--output=json",): "json"}


def answer(arguments: list[str]) -> str | None:
    """What the full command line would print, when nothing has to be done; else None."""
    if arguments[:2] != ["component", "build"]:
        return None
    form = _FORMS.get(tuple(arguments[2:]))
    if form is None:
        return None
    started = perf_counter()
    try:
        return _from_stamp(form, started)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None  # a stamp that cannot be used is no stamp


def fingerprint(path: str) -> list[int] | None:
    """Mode, size, mtime and ctime in nanoseconds, inode of a path itself (links are not followed); None: absent."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]


def relevant_environment() -> str:
    """Every variable in one text: any change, of whichever variable, takes the full path once."""
    return "\0".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name not in _IRRELEVANT)


def environment_digest() -> str:
    """The environment as it is stored in a stamp: never as text, since it holds secrets."""
    from _blake2 import blake2b

    return blake2b(relevant_environment().encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _from_stamp(form: str, started: float) -> str | None:
    from json import loads

    with open(STAMP, "rb") as file:  # noqa: PTH123 - pathlib costs a third of this path's time
        stamp = loads(file.read())
    here = os.getcwd()  # noqa: PTH109
    if (
        stamp["version"] != VERSION
        or stamp["cwd"] != here
        or stamp["python"] != [sys.version, sys.prefix]
        or stamp["environment"] != environment_digest()
    ):
        return None
    for path, state in stamp["paths"]:
        if fingerprint(path) != state:
            return None
    report = stamp["report"]
    report["duration_s"] = round(perf_counter() - started, 4)
    from flowctl_core.cli.summary import build_summary, json_text

    if form == "json":
        return json_text(report)
    for warning in report["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")
    return build_summary(report) + "\n"
