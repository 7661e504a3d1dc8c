"""The source tree as builders see it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath

from pydantic import JsonValue

from flowctl_core.errors import SourceError
from flowctl_core.models.base import Frozen
from flowctl_core.models.component import ComponentSpec

READ_LIMIT = 16 * 1024 * 1024
"""Bytes; a manifest larger than this is refused rather than read into memory."""

PRUNED = frozenset({".git", ".hg", ".svn", ".flowctl", "node_modules", ".venv", "venv", "__pycache__", "target"})
"""Folder names that `walk` never enters: version control, outputs and installed dependencies."""


class SourceTree(Frozen):
    """A folder with a component's source, and what is declared about it.

    Builders read files only through these methods: paths are relative to the root in POSIX spelling,
    symlinks that lead outside the root are refused, and huge files are not read.
    """

    root: Path
    """Absolute path of the component's folder."""
    component: ComponentSpec | None = None
    """The component.yaml beside the source, where there is one."""
    language: str | None = None
    """The language that `--language` or component.yaml asks for; None lets every builder answer."""

    def path(self, relative: str) -> Path:
        """Absolute path of a file in the tree.

        Raises SourceError when it, or a symlink on the way, leads outside the tree.
        """
        candidate = self.root / relative
        try:
            resolved = candidate.resolve()
            inside = resolved.is_relative_to(self.root.resolve())
        except (OSError, RuntimeError) as error:  # RuntimeError: symlink loop
            raise SourceError(f"{relative}: {error}", hint="Remove the symlink loop.") from error
        if not inside:
            raise SourceError(
                f"{relative} leads outside the source tree, to {resolved}",
                hint="Copy the file into the component's folder, or move the component up to the folder that has both.",
            )
        return candidate

    def exists(self, relative: str) -> bool:
        """True when a regular file of that name is in the tree."""
        try:
            return self.path(relative).is_file()
        except (SourceError, OSError):
            return False

    def is_dir(self, relative: str) -> bool:
        """True when a folder of that name is in the tree."""
        try:
            return self.path(relative).is_dir()
        except (SourceError, OSError):
            return False

    def read_text(self, relative: str) -> str:
        """Content of a text file, undecodable bytes replaced.

        Raises SourceError when it cannot be read or is larger than READ_LIMIT.
        """
        path = self.path(relative)
        try:
            if path.stat().st_size > READ_LIMIT:
                raise SourceError(f"{relative} is larger than {READ_LIMIT // 2**20} MiB")
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise SourceError(f"{relative} cannot be read: {error.strerror}") from error

    def walk(
        self, relative: str = ".", *, depth: int = 8, limit: int = 20_000, skip: Container[str] = ()
    ) -> Iterator[str]:
        """Relative POSIX paths of regular files, folders in name order, never following symlinked folders.

        Folders named in PRUNED or `skip` and hidden folders are left out; `depth` counts folders below `relative`;
        after `limit` entries the walk ends, so detection stays quick in a huge tree.
        """
        seen = 0
        start = self.path(relative)
        for folder, folders, files in os.walk(start, followlinks=False):
            here = Path(folder).relative_to(self.root)
            level = len(Path(folder).relative_to(start).parts)
            folders[:] = sorted(f for f in folders if f not in PRUNED and f not in skip and not f.startswith("."))
            if level >= depth:
                folders.clear()
            for name in sorted(files):
                seen += 1
                if seen > limit:
                    return
                yield str(PurePosixPath(here / name))

    def extra(self, key: str) -> JsonValue:
        """An unknown field of component.yaml's `spec.build`, for builders with settings of their own."""
        return None if self.component is None else self.component.build_extra(key)
