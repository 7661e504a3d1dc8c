"""requirements.txt and its kin: which further files they include, and which folders of the source they install."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from flowctl_core.models import SourceTree

_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*(?P<path>\S.*)")


@dataclass(frozen=True)
class Listing:
    """What some requirement files say between them; all paths relative to the source tree."""

    files: tuple[str, ...] = ()
    """The files themselves and those that they include with `-r` and `-c`."""
    requirements: tuple[str, ...] = ()
    """Lines that name a distribution."""
    folders: tuple[str, ...] = ()
    """Folders of the source that are installed as copies: a change in one has to be installed again."""


def read(source: SourceTree, root: str, names: Iterable[str]) -> Listing:
    """Read requirement files in the folder `root`, followed wherever they lead inside the source tree.

    Raises SourceError when one cannot be read.
    """
    files: dict[str, None] = {}
    requirements: list[str] = []
    folders: dict[str, None] = {}
    todo = [_normalised(root, name) for name in names]
    while todo:
        path = todo.pop(0)
        if path in files or not source.exists(path):
            continue
        files[path] = None
        for line in source.read_text(path).splitlines():
            text = re.sub(r"(^|\s)#.*", "", line).strip()
            include = _INCLUDE.fullmatch(text)
            if include:
                todo.append(_normalised(posixpath.dirname(path), include["path"].strip("'\"")))
            elif (folder := folder_of(source, root, text)) is not None:
                folders[folder] = None
            elif text[:1].isalnum():
                requirements.append(text)
    return Listing(tuple(files), tuple(requirements), tuple(folders))


def folder_of(source: SourceTree, root: str, requirement: str) -> str | None:
    """The folder that a requirement such as `./libs/events[fast]` or `file:libs/events` installs, None for others.

    An editable one (`-e ./libs/events`) is none of them: it needs no second install.
    """
    text = requirement.split(";")[0].rpartition(" @ ")[2].split("[")[0].strip()
    text = text.removeprefix("file://").removeprefix("file:").removeprefix("${PROJECT_ROOT}/")
    if not (text.startswith(".") or "/" in text) or "://" in text or text.startswith("-"):
        return None
    path = _normalised(root, text)
    return path if source.is_dir(path) else None


def _normalised(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))
