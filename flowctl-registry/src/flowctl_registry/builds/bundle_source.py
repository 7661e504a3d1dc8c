"""A bundle as its repository has it at a commit: bundle.yaml, and what the members' component.yaml say.

Both are read as git objects, so that no link and no name of the source leads anywhere.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from flowctl_core.errors import SpecError
from flowctl_core.models.bundle import BundleComponent
from flowctl_core.specfile.load import parse_bundle, parse_component
from flowctl_registry.builds.git_runs import Git

_READ_BYTES = 32 * 2**20
_LIST = """
for path; do
    if size=$(git cat-file -s "HEAD:$path" 2>/dev/null); then
        printf '%s\\n' "$size"
        git cat-file blob "HEAD:$path" || exit 1
    else
        printf -- '-\\n'
    fi
done
"""


@dataclass(frozen=True)
class SourceMember:
    """A member of the bundle."""

    name: str
    """In bundle.yaml, and of the component."""
    namespace: str | None
    """None: the bundle's own."""
    version: str
    """Without a leading v."""
    folder: str | None
    """In the repository; None where the component has its source somewhere else."""


@dataclass(frozen=True)
class SourceBundle:
    """A bundle that can be understood."""

    content: bytes
    """bundle.yaml as it is."""
    name: str
    version: str
    namespace: str | None
    members: tuple[SourceMember, ...]


def read_source_bundle(git: Git, subdirectory: str) -> SourceBundle:
    """The bundle in a folder of the repository. Raises SpecError, SourceError."""
    file = posixpath.normpath(f"{subdirectory}/bundle.yaml")
    (content,) = _contents(git, [file])
    if content is None:
        raise SpecError(f"the repository has no {file}", hint="Correct the subdirectory of the source, or the tag.")
    bundle = parse_bundle(content, file).spec
    entries = bundle.spec.components
    folders = [None if entry.path is None else _folder(subdirectory, entry) for entry in entries]
    specs = _contents(git, [f"{folder}/component.yaml" for folder in folders if folder is not None])
    members = []
    for entry, folder in zip(entries, folders, strict=True):
        text = specs.pop(0) if folder is not None else None
        members.append(_member(entry, folder, text))
    names = [member.name for member in members]
    if len(set(names)) != len(names):
        raise SpecError(f"{file} has two components of one name", hint="Name each once.")
    version = (bundle.metadata.version or "0.0.0").removeprefix("v")
    return SourceBundle(content, bundle.metadata.name, version, bundle.metadata.namespace, tuple(members))


def _folder(subdirectory: str, entry: BundleComponent) -> str:
    found = posixpath.normpath(posixpath.join(subdirectory, entry.path or ""))
    top = posixpath.normpath(subdirectory)
    inside = not found.startswith(("/", "../")) and (top == "." or found.startswith(f"{top}/"))
    if not inside or found in (top, ".", ".."):
        raise SpecError(
            f"the component {entry.name} is not in a folder of the bundle's own: '{(entry.path or '')[:80]}'",
            hint="Give each component a folder below bundle.yaml.",
        )
    return found


def _member(entry: BundleComponent, folder: str | None, text: bytes | None) -> SourceMember:
    spec = parse_component(text, f"{folder}/component.yaml").spec if text is not None else None
    version = (spec.version if spec is not None else None) or (entry.version or "").removeprefix("v")
    if not version:
        where = "bundle.yaml" if folder is None else f"{folder}/component.yaml"
        raise SpecError(f"the component {entry.name} has no version", hint=f"Write one into {where}.")
    if spec is not None and spec.name != entry.name:
        raise SpecError(
            f"{folder}/component.yaml names {spec.name}, bundle.yaml {entry.name}", hint="Give it one name in both."
        )
    return SourceMember(entry.name, spec.namespace if spec is not None else None, version, folder)


def _contents(git: Git, paths: Sequence[str]) -> list[bytes | None]:
    if not paths:
        return []
    said = git.read(_LIST, *paths, output_bytes=_READ_BYTES)
    if said is None:
        raise SpecError(f"the bundle's documents have more than {_READ_BYTES} bytes", hint="Make them smaller.")
    found: list[bytes | None] = []
    for _ in paths:
        head, _, said = said.partition(b"\n")
        if head == b"-":
            found.append(None)
            continue
        size = int(head)
        found.append(said[:size])
        said = said[size:]
    return found
