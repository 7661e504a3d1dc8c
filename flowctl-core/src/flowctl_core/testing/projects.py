"""Source trees for tests: a dict of files, or a folder, becomes a project folder."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

Files = Mapping[str, str | bytes | None]
"""Path in POSIX spelling → content; None removes the file (in changes laid over a project)."""
Project = Files | Path
"""Files, or a folder that is copied."""


def write_project(root: Path, project: Project, changes: Files | None = None) -> Path:
    """Create a project in `root` (made when missing), lay `changes` over it, and return `root`.

    A file whose content begins with `#!` becomes executable. Text is written in UTF-8 with the line ends it
    has. Raises ValueError for a path that leads outside.
    """
    root.mkdir(parents=True, exist_ok=True)
    if isinstance(project, Path):
        shutil.copytree(project, root, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".flowctl"))
    else:
        _write(root, project)
    _write(root, changes or {})
    return root


def _write(root: Path, files: Files) -> None:
    for name, content in files.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise ValueError(f"'{name}' is not a path inside the project")
        path = root / relative
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
        if data.startswith(b"#!"):
            path.chmod(path.stat().st_mode | 0o111)


def commit_all(root: Path, message: str = "Start") -> str:
    """Make `root` a git repository if it is none, commit all files, and return the commit's hash.

    The user's own git configuration has no effect. Raises CalledProcessError, with git's words, when git
    fails.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@example.com",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@example.com",
    }

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    if not (root / ".git").exists():
        git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)
    return git("rev-parse", "HEAD")


@dataclass(frozen=True)
class Snapshot:
    """What is in a folder: for each path its kind, mode and content."""

    entries: Mapping[str, tuple[str, int, str]]

    @classmethod
    def take(cls, root: Path, *, without: Iterable[str] = ()) -> Snapshot:
        """Read everything below `root` except the paths `without` (and what is below them)."""
        left_out = {PurePosixPath(path) for path in without}
        entries: dict[str, tuple[str, int, str]] = {}
        for folder, folders, files in os.walk(root):
            here = PurePosixPath(Path(folder).relative_to(root).as_posix())
            for name in sorted((*folders, *files)):
                relative = here / name
                if left_out & {relative, *relative.parents}:
                    if name in folders:
                        folders.remove(name)
                    continue
                entries[str(relative)] = _entry(root / relative)
        return cls(entries)

    def changes_to(self, later: Snapshot) -> list[str]:
        """`added x`, `removed y`, `changed z`, in path order; empty when nothing differs."""
        lines = []
        for path in sorted({*self.entries, *later.entries}):
            before, after = self.entries.get(path), later.entries.get(path)
            if before != after:
                what = "added" if before is None else "removed" if after is None else "changed"
                lines.append(f"{what} {path}")
        return lines


def _entry(path: Path) -> tuple[str, int, str]:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return "link", 0, str(path.readlink())
    if stat.S_ISDIR(status.st_mode):
        return "folder", mode, ""
    if not stat.S_ISREG(status.st_mode):
        return "special", mode, ""
    return "file", mode, sha256(path.read_bytes()).hexdigest()
