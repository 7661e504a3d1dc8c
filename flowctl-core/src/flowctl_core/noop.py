"""The no-op build: answers `flowctl component build` from a stamp, without importing the engine.

The stamp (written by `flowctl_core.stamp` after a build, kept in the user's cache so that `clean` does not take it)
lists everything the last answer depended on: stat values of each input file and folder, of outputs, configuration,
tools and plugins, and the environment. If all of it is as it was, the build is up to date and the recorded report is
the answer; if only the outputs are gone and the build cache has them, they are restored (`quick_restore`); if only
source files changed, the toolchain starts before the full command line does (`head_start`). Anything else, any doubt
and any error falls through to the full command line. A test holds the ways to the same answers.

A file written in the very moment it was digested could change again without its stat showing it (git calls this racy):
such an input is stored with a size that no file has, so the stamp does not match until the next digest.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter

VERSION = 3
_IRRELEVANT = ("_", "OLDPWD", "PWD", "SHLVL", "PYDANTIC_DISABLE_PLUGINS")
_FORMS = {(): "table", ("-o", "json"): "json", ("--output", "json"): "json", ("--output=json",): "json"}


def answer(arguments: list[str]) -> str | None:
    """What the full command line would print, when nothing has to be done; else None."""
    form = plain_build(arguments)
    if form is None:
        return None
    started = perf_counter()
    try:
        return _from_stamp(form, started)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None  # a stamp that cannot be used is no stamp


def plain_build(arguments: list[str]) -> str | None:
    """The output format that a build without any other option asks for; None for all other command lines."""
    return _FORMS.get(tuple(arguments[2:])) if arguments[:2] == ["component", "build"] else None


def fingerprint(path: str) -> list[int] | None:
    """Mode, size, mtime and ctime in nanoseconds, inode of a path itself (links are not followed); None: absent."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]


def environment_digest() -> str:
    """All variables in one digest, never as text, since they hold secrets: a change of any takes the full path once."""
    return _digest(
        "\0".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name not in _IRRELEVANT)
    )


def stamps_folder() -> str | None:
    """Where stamps are kept: FLOWCTL_CACHE_DIR or the default cache folder; None where neither is an absolute path."""
    given = os.environ.get("FLOWCTL_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    folder = given or f"{base}/flowctl"
    return f"{folder}/stamps" if folder.startswith("/") else None


def stamp_path(here: str) -> str | None:
    """The stamp of the component in the folder `here`."""
    folder = stamps_folder()
    return None if folder is None else f"{folder}/{_digest(here)}.json"


def other_names(here: str, ours: list[str]) -> list[str]:
    """What is in a component's folder besides what flowctl makes there."""
    return sorted(name for name in os.listdir(here) if name not in ours)  # noqa: PTH208 - pathlib is too slow here


def _digest(text: str) -> str:
    from _blake2 import blake2b

    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _from_stamp(form: str, started: float) -> str | None:
    from json import loads

    here = os.getcwd()  # noqa: PTH109
    file_name = stamp_path(here)
    if file_name is None:
        return None
    with open(file_name, "rb") as file:  # noqa: PTH123 - pathlib costs a third of this path's time
        stamp = loads(file.read())
    if (
        stamp["version"] != VERSION
        or stamp["cwd"] != here
        or stamp["python"] != [sys.version, sys.prefix]
        or stamp["environment"] != environment_digest()
        or other_names(here, stamp["ours"]) != stamp["names"]
    ):
        return None
    if any(fingerprint(path) != state for path, state in stamp["inputs"]):
        from flowctl_core.head_start import begin

        begin(stamp, here)
        return None
    report = stamp["report"]
    if any(fingerprint(path) != state for path, state in stamp["outputs"]):
        from flowctl_core.quick_restore import restore

        if not restore(stamp, here, file_name):
            return None
        report["cache"] = "hit"
    report["duration_s"] = round(perf_counter() - started, 4)
    from flowctl_core.cli.summary import build_summary, json_text

    if form == "json":
        return json_text(report)
    for warning in report["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")
    return build_summary(report) + "\n"
