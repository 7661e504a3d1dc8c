"""What two programs print, made comparable: the names of the programs, the folders of their copies, times of day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?")


def neutral(text: str, programs: Iterable[str], *, root: Path, top: Path) -> str:
    """`text` with `…` in place of what differs between two copies of a tree for no reason of the program's.

    `programs` are all ways' programs as they were called, relative to `root`: a name that one way's program has
    may be a word of the source that the other way's program prints as well. `top` is the copy of the whole tree.
    """
    paths = {spelling for name in programs for spelling in (str(root / name), name, name.removeprefix("./"))}
    names = {name.rpartition("/")[2] for name in programs}
    for path in sorted((path for path in paths if "/" in path), key=len, reverse=True):
        text = text.replace(path, "…")
    text = text.replace(str(top), "…")
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    text = re.sub(rf"(?<![\w-])(?:{words})(?![\w-])", "…", text)
    return _TIMESTAMP.sub("…", text).strip()
