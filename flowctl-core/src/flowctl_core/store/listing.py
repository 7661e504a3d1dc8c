"""Which files of a source tree are inputs.

Not inputs: what git ignores, `.git` and `.flowctl` folders, links into `.flowctl/bin` (flowctl makes them),
paths that the plan says are generated, and what the plan's patterns leave out. A file that git tracks is not
ignored, whatever .gitignore says. Rules of the machine (core.excludesFile) do not count: the digest of a tree
must not depend on who asks. Folders that did not change since the last listing are not read again.
"""

# Byte paths and plain system calls: pathlib is for people, this runs before every build.
# ruff: noqa: PTH112, PTH115, PTH119, PTH120, PTH123
from __future__ import annotations

import os
from stat import S_ISREG
from typing import NamedTuple

from flowctl_core.errors import SourceError
from flowctl_core.store.git_repository import GitRepository, find_repository, open_repository
from flowctl_core.store.ignore import IgnoreRules, is_ignored, read_rules
from flowctl_core.store.stat_index import Stat, StatIndex, stat_of

OWN_LINK_TARGET = b".flowctl/bin/"
"""Where the ./<name> links point that flowctl makes; such links are never inputs, whatever their name."""

_NEVER_INPUTS = frozenset((b".git", b".flowctl"))


class Selection(NamedTuple):
    """What the plan says about inputs."""

    include: IgnoreRules
    exclude: IgnoreRules
    generated: frozenset[bytes]
    include_all: bool


class TrackedFiles:
    """What git tracks in one repository; git's index is read when the first ignored path asks."""

    def __init__(self, repository: GitRepository | None) -> None:
        """Without a repository nothing is tracked."""
        self._repository = repository
        self._files: frozenset[bytes] | None = None
        self._folders: frozenset[bytes] = frozenset()

    @property
    def files(self) -> frozenset[bytes]:
        """Paths relative to the repository's top."""
        if self._files is None:
            self._files = self._repository.tracked() if self._repository else frozenset()
            folders: set[bytes] = set()
            for path in self._files:
                while (path := os.path.dirname(path)) and path not in folders:
                    folders.add(path)
            self._folders = frozenset(folders)
        return self._files

    def has_folder(self, path: bytes) -> bool:
        """True for a submodule and for a folder with a tracked file somewhere below it."""
        return path in self.files or path in self._folders


class _Folder(NamedTuple):
    """What holds inside one folder."""

    prefix: bytes  # path of the folder in its repository: empty or ending with a slash
    rules: tuple[IgnoreRules, ...]
    tracked: TrackedFiles
    ignored: bool  # inside an ignored folder: only tracked files count
    included: bool  # a pattern of `include` matched this folder or one above


class RelistError(Exception):
    """An ignore file or a repository came or went while known folders were reused: list everything again."""


class Listing:
    """The inputs of one tree."""

    def __init__(self, root: bytes, selection: Selection, known: StatIndex | None) -> None:
        """List.

        `root` is absolute and free of symlinks. `known` is an index made under the same selection and ignore
        rules, or None to read every folder. Raises SourceError; RelistError; FileNotFoundError when something
        vanished meanwhile.
        """
        self.root = root
        self.files: list[bytes] = []
        self.dirs: list[bytes] = []
        self.dir_stats: list[Stat] = []
        self.watched: list[bytes] = []
        self.watched_stats: list[Stat] = []
        self.absent: list[bytes] = []
        self.forced: list[bytes] = []
        self.skipped: list[bytes] = []
        self.prefix = b""
        """Path of the root in its repository: empty or ending with a slash."""
        self.tracked = TrackedFiles(None)
        """Of the repository that the root is in."""
        self._selection = selection
        self._states: dict[bytes, _Folder | None] = {b"": self._root_state()}
        self._walk(_Known(known) if known is not None else None)
        if known is not None:
            self.watched, self.watched_stats, self.absent = known.watched, known.watched_stats, known.absent
        self.files.sort()

    def _walk(self, known: _Known | None) -> None:
        pending = [b""]
        while pending:
            folder = pending.pop()
            # Before the listing: a change during it makes the folder differ the next time.
            seen = stat_of(os.lstat(self._path(folder)))
            if known is not None and seen == known.dirs.get(folder):
                files, subdirs = known.files.get(folder, []), known.subdirs.get(folder, [])
                self.skipped += known.skipped.get(folder, [])
                self.forced += known.forced.get(folder, [])
            else:
                files, subdirs = self._read(folder, known)
            self.dirs.append(folder)
            self.dir_stats.append(seen)
            self.files += files
            pending += subdirs

    def _path(self, relative: bytes) -> bytes:
        return self.root + b"/" + relative if relative else self.root

    def _read(self, folder: bytes, known: _Known | None) -> tuple[list[bytes], list[bytes]]:
        """Files and folders of one folder that count."""
        try:
            with os.scandir(self._path(folder)) as scan:
                entries = list(scan)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(folder or b".", error) from error
        if known is not None:
            known.expect_same_rules(self._path(folder), folder == b"", {entry.name for entry in entries})
        state = self._state(folder)
        files: list[bytes] = []
        subdirs: list[bytes] = []
        if state is None:
            return files, subdirs
        base = folder + b"/" if folder else b""
        for entry in entries:
            name = entry.name
            path = base + name
            if name in _NEVER_INPUTS or path in self._selection.generated:
                continue
            if entry.is_dir(follow_symlinks=False):
                if self._state(path) is not None:
                    subdirs.append(path)
            elif self._counts(state, path, name):
                if entry.is_symlink():
                    if not os.readlink(entry.path).startswith(OWN_LINK_TARGET):
                        files.append(path)
                elif entry.is_file(follow_symlinks=False):
                    files.append(path)
                else:
                    self.skipped.append(path)
        return files, subdirs

    def _counts(self, state: _Folder, path: bytes, name: bytes) -> bool:
        """Whether a file in the folder that `state` describes is an input."""
        selection = self._selection
        if selection.exclude and selection.exclude.verdict(path, name, False):
            return False
        if not selection.include_all:
            included = selection.include.verdict(path, name, False)
            if not (state.included if included is None else included):
                return False
        full = state.prefix + name
        if state.ignored or is_ignored(state.rules, full, name, False):
            if full not in state.tracked.files:
                return False
            self.forced.append(path)
        return True

    def _state(self, folder: bytes) -> _Folder | None:
        """What holds in a folder; None when nothing in it counts."""
        missing: list[bytes] = []
        while folder not in self._states:
            missing.append(folder)
            folder = os.path.dirname(folder)
        state = self._states[folder]
        for path in reversed(missing):
            if state is not None:
                state = self._enter(state, path)
            self._states[path] = state
        return state

    def _enter(self, parent: _Folder, folder: bytes) -> _Folder | None:
        """What holds in a subfolder."""
        selection, name = self._selection, os.path.basename(folder)
        if selection.exclude.verdict(folder, name, True):
            return None
        included = selection.include.verdict(folder, name, True)
        included = parent.included if included is None else included
        full = parent.prefix + name
        ignored = parent.ignored or is_ignored(parent.rules, full, name, True)
        if ignored and not parent.tracked.has_folder(full):
            return None
        path = self._path(folder)
        repository = open_repository(path)
        if repository is not None:  # a submodule or a clone: a repository has its own rules only
            self._watch(path + b"/.git/HEAD" if os.path.isdir(path + b"/.git") else path + b"/.git")
            self._watch(repository.index_file)
            rules = (*self._rules(repository.exclude_file, b""), *self._rules(path + b"/.gitignore", b""))
            return _Folder(b"", rules, TrackedFiles(repository), False, included)
        rules = (*parent.rules, *self._rules(path + b"/.gitignore", full + b"/", expect=False))
        return _Folder(full + b"/", rules, parent.tracked, ignored, included)

    def _root_state(self) -> _Folder:
        """What holds in the root: it may be a subfolder of a repository."""
        included = self._selection.include_all
        repository, self.absent = find_repository(self.root)
        if repository is not None:
            prefix = os.path.relpath(self.root, repository.top) + b"/"
            prefix = b"" if prefix == b"./" else prefix
            tracked = TrackedFiles(repository)
            self._watch(repository.index_file)
            rules = (*self._rules(repository.exclude_file, b""),)
            rules += self._rules(repository.top + b"/.gitignore", b"")
            ignored, at = False, b""
            for part in prefix.split(b"/")[:-1]:
                ignored = ignored or is_ignored(rules, at + part, part, True)
                at += part + b"/"
                rules += self._rules(repository.top + b"/" + at + b".gitignore", at)
            # A component in a folder that its repository ignores is no part of that repository.
            if not ignored or tracked.has_folder(prefix[:-1]):
                self.prefix, self.tracked = prefix, tracked
                return _Folder(prefix, rules, tracked, ignored, included)
        rules = self._rules(self.root + b"/.gitignore", b"")
        return _Folder(b"", rules, self.tracked, False, included)

    def _watch(self, path: bytes) -> None:
        try:
            seen = stat_of(os.lstat(path))
        except OSError:
            self.absent.append(path)
            return
        self.watched.append(path)
        self.watched_stats.append(seen)

    def _rules(self, path: bytes, base: bytes, *, expect: bool = True) -> tuple[IgnoreRules, ...]:
        """Rules of an ignore file, none when it is missing; git does not follow a symlink here.

        `expect`: notice if it comes to be (in a listed folder, the folder's own change tells that).
        """
        try:
            seen = os.lstat(path)
        except OSError:
            if expect:
                self.absent.append(path)
            return ()
        self.watched.append(path)
        self.watched_stats.append(stat_of(seen))
        if not S_ISREG(seen.st_mode):
            return ()
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                rules = read_rules(file.read(), base)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(path, error) from error
        return (rules,) if rules else ()


class _Known:
    """An index, by folder."""

    def __init__(self, index: StatIndex) -> None:
        self.dirs = dict(zip(index.dirs, index.dir_stats, strict=True))
        self.files = _by_folder(index.files)
        self.subdirs = _by_folder([name for name in index.dirs if name])
        self.skipped = _by_folder(index.skipped)
        self.forced = _by_folder(index.forced)
        self.watched = frozenset(index.watched)

    def expect_same_rules(self, folder: bytes, is_root: bool, names: set[bytes]) -> None:
        """Raise RelistError when an ignore file or a repository came to a folder or left it."""
        if (b".gitignore" in names) != (folder + b"/.gitignore" in self.watched):
            raise RelistError
        was_repository = folder + b"/.git/HEAD" in self.watched or folder + b"/.git" in self.watched
        if not is_root and (b".git" in names) != was_repository:
            raise RelistError


def unreadable(path: bytes, error: OSError) -> SourceError:
    """The error for a path that cannot be read."""
    return SourceError(
        f"{os.fsdecode(path)} cannot be read: {error.strerror}",
        hint="Make it readable, or name it in .gitignore if it is not a source file.",
    )


def _by_folder(names: list[bytes]) -> dict[bytes, list[bytes]]:
    folders: dict[bytes, list[bytes]] = {}
    for name in names:
        folder = name.rpartition(b"/")[0]
        if folder in folders:
            folders[folder].append(name)
        else:
            folders[folder] = [name]
    return folders
