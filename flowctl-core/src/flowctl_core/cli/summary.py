"""The text that ends a build; next to no imports, since the no-op path prints it too."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself would cost the no-op path several milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def json_text(data: Any) -> str:
    """A document as `-o json` prints it: characters as they are where standard output can hold them."""
    from json import dumps

    ascii_only = sys.stdout.encoding.lower() not in ("utf-8", "utf8")
    return dumps(data, indent=2, ensure_ascii=ascii_only, default=str) + "\n"


def size_text(size: int) -> str:
    """A size for people: `4.2 MB`."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def duration_text(seconds: float) -> str:
    """A duration for people: `0.04 s`, `3.1 s`, `2 min 5 s`."""
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def build_summary(report: Mapping[str, Any], folder: str = "") -> str:
    """What was made, how long it took, what to do next; `report` is BuildReport's JSON.

    `folder` is shown where several components were built, or one that is not in the current folder.
    """
    name, version = report["component"], report["version"]
    took = duration_text(report["duration_s"])
    how = f"({report['language']}, {report['profile']})"
    head = {
        "fresh": f"{name} {version} is up to date ({took})",
        "hit": f"{name} {version} restored from the cache in {took}",
        "miss": f"{name} {version} built for {report['platform']} in {took} {how}",
    }[report["cache"]]
    lines = [head]
    for artifact in report["artifacts"]:
        if report["cache"] == "fresh":
            break
        lines.append(
            f"  {artifact['kind']:<8} {artifact['path']}  {size_text(artifact['size'])}  {artifact['digest'][:19]}…"
        )
    programs = [a["path"] for a in report["artifacts"] if a["kind"] == "program"]
    if report.get("link"):
        lines.append(f"  run it:  {_join(folder, report['link'])}")
    elif programs:
        lines.append(f"  run it:  {_join(folder, './' + programs[0])}")
    return "\n".join(lines)


def _join(folder: str, path: str) -> str:
    if folder in ("", "."):
        return path
    joined = f"{folder.rstrip('/')}/{path.removeprefix('./')}"
    return quoted(f"./{joined}" if joined.startswith("-") else joined)


def quoted(text: str) -> str:
    """A word for a POSIX shell; shlex would import re."""
    if all(letter.isalnum() or letter in "@%+=:,./_-" for letter in text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"
