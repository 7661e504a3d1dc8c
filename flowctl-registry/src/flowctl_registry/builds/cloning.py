"""Fetches one commit of a repository that strangers name and fill: as data, never as files of ours.

Nothing is checked out. Names of files, links, hooks, filters and attributes in a repository so stay what they are:
bytes in objects; an export reads them in a sandbox of its own. git itself runs in one too (`git_runs`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row

from flowctl_core.errors import SourceError
from flowctl_registry.builds import git_url
from flowctl_registry.builds.git_runs import Git
from flowctl_registry.builds.git_url import GitUrl
from flowctl_registry.builds.listing import Entry, check_path, read_listing
from flowctl_registry.builds.newest import newest_tag
from flowctl_registry.errors import BadRequestError
from flowctl_registry.settings import Sources

_REF_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\t(refs/[^\x00-\x20\x7f]{1,300})")
_HEAD = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9]{1,12})\n")
_MODULE = re.compile(r"submodule\.(.+)\.(path|url)\n(.*)", re.DOTALL | re.IGNORECASE)
_DEPTH = 5
_LISTING_BYTES = 300
"""Of a listed file at most, on average."""


@dataclass(frozen=True)
class CloneRequest:
    """What is to be fetched."""

    repository: str
    ref: str | None = None
    """Tag, branch, commit or `refs/…`; None: the newest version among the tags of `tag_pattern`."""
    tag_pattern: str = "v*"
    subdirectory: str = "."
    """It must be a folder of the commit."""

    @classmethod
    def of(cls, build: Row[Any], tag_pattern: str) -> CloneRequest:
        """What a build needs, from its row.

        A ref is looked up in the repository, whatever commit a webhook said that it stands for: else who knows the
        webhook's secret could name any commit that the server gives, of a fork for instance, as that tag.
        """
        return cls(build.repository, build.ref or build.commit, tag_pattern, build.subdirectory)


@dataclass(frozen=True)
class Cloned:
    """A commit that was fetched."""

    commit: str
    time: int
    """Committer's time, seconds since 1970."""
    tag: str | None
    """That was asked for, or was the newest."""
    ref: str | None
    """`refs/tags/…` or `refs/heads/…`; None where a commit was asked for."""
    files: int
    size: int
    """Bytes of all files."""
    submodules: int

    def answer(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def clone(git: Git, settings: Sources, asked: CloneRequest) -> Cloned:
    """Fetch into git's folder, which becomes a repository without working tree; submodules lie where the tree has them.

    Whatever an earlier try left there is removed. Raises SourceError, BadRequestError for addresses that are not
    allowed, TransientError where another try may succeed, CancelledError.
    """
    url = git_url.parse(asked.repository, settings)
    ref, commit = find_commit(git, settings, url, asked)
    git.clear()
    counted = _Fetched(git, settings)
    counted.fetch(url, ref, commit, "", 0)
    if asked.subdirectory != ".":
        top = git_url.check_subdirectory(asked.subdirectory)
        if top not in counted.folders:
            raise SourceError(
                f"{top} is no folder of the repository at {commit[:12]}",
                hint="Correct the subdirectory of the source, or the tag.",
            )
    tag = ref.removeprefix("refs/tags/") if ref is not None and ref.startswith("refs/tags/") else None
    return Cloned(commit, counted.time, tag, ref, counted.files, counted.size, counted.submodules)


def find_commit(git: Git, settings: Sources, url: GitUrl, asked: CloneRequest) -> tuple[str | None, str]:
    """The full ref, None for a commit, and its commit. A tag beats a branch of the same name. Raises SourceError."""
    if asked.ref is None:
        tags = list_tags(git, url)
        tag = newest_tag(tags, asked.tag_pattern)
        if tag is None:
            raise SourceError(
                f"{url} has no tag that names a version ({asked.tag_pattern})",
                hint="Push a tag, or name the tag, branch or commit.",
            )
        return f"refs/tags/{tag}", tags[tag]
    ref = git_url.check_ref(asked.ref)
    if git_url.is_commit(ref):
        return None, ref
    names = [ref] if ref.startswith("refs/") else [f"refs/tags/{ref}", f"refs/heads/{ref}"]
    found = _refs(git, url, [each for name in names for each in (name, f"{name}^{{}}")])
    for name in names:
        if name in found:
            return name, found.get(f"{name}^{{}}", found[name])
    raise SourceError(
        f"{url} has no tag or branch {ref}", hint="Push it, or name another one; of a commit, give all digits."
    )


def list_tags(git: Git, url: GitUrl) -> dict[str, str]:
    """All tags with the commits that they stand for. Raises SourceError, TransientError."""
    found = _refs(git, url, ["refs/tags/*"])
    tags: dict[str, str] = {}
    for ref, commit in found.items():
        name = ref.removeprefix("refs/tags/")
        if ref.startswith("refs/tags/") and not name.endswith("^{}"):
            tags[name] = found.get(f"{ref}^{{}}", commit)
    return tags


def _refs(git: Git, url: GitUrl, patterns: list[str]) -> dict[str, str]:
    said = git.network(url, 'exec git ls-remote --quiet -- "$@"', url.text, *patterns)
    found = {}
    for line in said.split(b"\n"):
        parts = _REF_LINE.fullmatch(line)
        if parts is not None:
            found[parts[2].decode(errors="replace")] = parts[1].decode()
    return found


class _Fetched:
    """Counts what comes, over all submodules."""

    def __init__(self, git: Git, settings: Sources) -> None:
        self._git = git
        self._settings = settings
        self.files = 0
        self.size = 0
        self.submodules = 0
        self.time = 0
        self.folders: set[str] = set()

    def fetch(self, url: GitUrl, ref: str | None, commit: str, path: str, depth: int) -> None:
        """Fetch a commit into a folder below the top, then the submodules that its tree names."""
        here = path or "."
        self._git.network(url, _FETCH, here, url.text, commit, ref or "")
        time, entries, modules = self._inspect(here, commit, url, path)
        if not path:
            self.time = time
        declared = _declared(modules)
        for entry in entries:
            inner = f"{path}/{entry.path}" if path else entry.path
            check_path(inner)
            self.folders.update(_above(inner))
            if entry.kind != "commit":
                self._count(entry)
                continue
            self._enter(url, entry, inner, declared, depth)

    def _enter(self, url: GitUrl, entry: Entry, inner: str, declared: dict[str, str], depth: int) -> None:
        address = declared.get(entry.path)
        if address is None:
            raise SourceError(
                f"the submodule {inner} is not in .gitmodules", hint="Add it with `git submodule add`, or remove it."
            )
        self.submodules += 1
        if self.submodules > self._settings.submodules or depth + 1 > _DEPTH:
            raise SourceError(
                f"the repository has more than {self._settings.submodules} submodules, or they lie too deep",
                hint="The operator allows more: sources.submodules.",
            )
        try:
            target = git_url.resolve(url, address, self._settings)
        except BadRequestError as error:
            raise SourceError(f"the submodule {inner}: {error.message}", hint=error.hint) from None
        self.folders.add(inner)
        self.fetch(target, None, entry.object, inner, depth + 1)

    def _inspect(self, here: str, commit: str, url: GitUrl, path: str) -> tuple[int, Iterator[Entry], str]:
        limit = self._settings.clone_files - self.files
        said = self._git.read(_INSPECT, here, commit, output_bytes=(limit + 1) * _LISTING_BYTES)
        if said is None:
            raise _too_many(self._settings)
        head, _, rest = said.partition(b"\0")
        parts = _HEAD.fullmatch(head)
        if parts is None or parts[1].decode() != commit:
            what = f"the submodule {path}" if path else str(url)
            raise SourceError(f"{commit[:12]} of {what} is no commit", hint="Is the repository whole?")
        modules, _, listing = rest.partition(b"\0\0")
        return int(parts[2]), read_listing(listing), modules.decode(errors="replace")

    def _count(self, entry: Entry) -> None:
        self.files += 1
        self.size += entry.size
        if self.files > self._settings.clone_files:
            raise _too_many(self._settings)
        if self.size > self._settings.clone_bytes:
            raise SourceError(
                f"the files of the commit are more than {self._settings.clone_bytes} bytes",
                hint="The operator allows more: sources.clone_bytes.",
            )


def _too_many(settings: Sources) -> SourceError:
    return SourceError(
        f"the commit has more than {settings.clone_files} files", hint="The operator allows more: sources.clone_files."
    )


def _declared(modules: str) -> dict[str, str]:
    """Path to address, as .gitmodules has them; of the same setting twice, git takes the last."""
    found: dict[str, dict[str, str]] = {}
    for line in modules.split("\0"):
        parts = _MODULE.fullmatch(line)
        if parts is not None:
            found.setdefault(parts[1], {})[parts[2].lower()] = parts[3]
    return {each["path"]: each["url"] for each in found.values() if len(each) == 2}


def _above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


_FETCH = """
set -e
git init --quiet --template= -- "$1"
cd -- "$1"
git config remote.origin.url "$2"
if ! git fetch --quiet --depth=1 --no-tags --no-write-fetch-head --end-of-options origin "$3"; then
    test -n "$4" || exit 1
    echo 'the server gives no single commits: the ref is fetched'
    git fetch --quiet --depth=1 --no-tags --no-write-fetch-head --end-of-options origin "$4"
fi
test "$(git rev-parse --verify --quiet --end-of-options "$3^{commit}")" = "$3" || {
    echo 'flowctl: that is no commit of the repository' >&2
    exit 1
}
git update-ref --no-deref HEAD "$3"
"""
_INSPECT = """
exec 2>/dev/null
cd -- "$1" || exit 1
git log -1 --no-show-signature --format='%H %ct' --end-of-options "$2" -- || exit 1
printf '\\0'
case "$(git ls-tree --format='%(objectmode) %(objecttype)' --full-tree "$2" -- .gitmodules)" in
    100*blob) git config --no-includes --null --blob "$2:.gitmodules" --list ;;
esac
printf '\\0\\0'
git ls-tree -r -l -z --full-tree --end-of-options "$2"
"""
