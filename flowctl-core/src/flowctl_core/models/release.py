"""A release: all artifacts of one version, and what made them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowctl_core.models.artifact import ArtifactKind, Material
from flowctl_core.models.base import Frozen
from flowctl_core.models.image import LoadedImage
from flowctl_core.models.platform import Platform
from flowctl_core.models.scan import SeverityCounts


class SourceIdentity(Frozen):
    """Which source a release was built from."""

    tree_digest: str
    """`sha256:<hex>` over the sorted (path, kind, content) of every file of the source."""
    commit: str | None = None
    """The git commit; None outside git."""
    dirty: bool = False
    """True: the files are not those of the commit."""
    repository: str | None = None
    """Address of the git remote `origin`, without user and password."""
    subdirectory: str = "."
    """The component's folder in the repository."""
    epoch: int
    """Seconds since 1970: the commit's time, else SOURCE_DATE_EPOCH, else 1980-01-01. All time stamps are this one."""


class BinaryFacts(Frozen):
    """What a file says of itself (ELF and Mach-O headers; `script` for a file that begins with `#!`)."""

    format: Literal["elf", "macho", "script"]
    """By its first bytes."""
    arch: str | None = None
    """Architecture as in Platform; None for a script."""
    static: bool = False
    """True: needs no library and no dynamic loader."""
    libraries: tuple[str, ...] = ()
    """Shared libraries that it needs, sorted."""
    glibc: str | None = None
    """Oldest glibc that has all the symbols it needs: `2.17`."""
    minimum_os: str | None = None
    """Mach-O: oldest macOS that it declares."""
    interpreter: str | None = None
    """A script's `#!` line; an ELF program's dynamic loader."""


class ReleaseArtifact(Frozen):
    """One file below `binaries/`."""

    path: str
    """Relative to the release's folder."""
    name: str
    """Of the program or library, without platform."""
    kind: ArtifactKind
    """`program` or `library`."""
    platform: Platform
    """What it runs on, `os/arch`."""
    digest: str
    """`sha256:<hex>`."""
    size: int
    """Bytes."""
    facts: BinaryFacts | None = None
    """What its own header says."""
    interpreter: str = ""
    """For a script: the program that has to be on PATH where it runs (`python3.11`)."""


class PlatformReport(Frozen):
    """How the build for one platform ended."""

    platform: Platform
    """`os/arch`."""
    state: Literal["built", "failed", "refused"]
    """`refused`: the plan said that this machine cannot build it, and nothing was tried."""
    reason: str | None = None
    """Why not, where it was not built."""
    hint: str | None = None
    """What would make it possible."""
    output: str | None = None
    """What the failed tool itself printed, whole."""
    artifacts: tuple[ReleaseArtifact, ...] = ()
    """What was made."""
    materials: tuple[Material, ...] = Field((), exclude=True)
    duration_s: float = 0.0
    """Seconds."""


class ReleaseImage(Frozen):
    """One container image."""

    platform: Platform
    """`os/arch`."""
    digest: str
    """Of its manifest."""
    size: int
    """Bytes of all its blobs."""


class ImageFailure(Frozen):
    """A container image that the Docker engine could not build."""

    platform: Platform
    """`os/arch`."""
    reason: str
    """Why not."""
    hint: str | None = None
    """What would make it possible."""
    output: str | None = None
    """What the engine itself printed, whole."""


class ReleaseReport(Frozen):
    """The answer of a release build (`-o json` prints exactly these fields)."""

    component: str
    """Name of the component."""
    version: str
    """From component.yaml, without a leading v; `0.0.0` where nothing declares one."""
    language: str
    """The builder's, or what component.yaml names."""
    profile: Literal["release"] = "release"
    """Always `release`."""
    directory: str
    """Where the release is, relative to the component's folder where it is inside."""
    source: SourceIdentity
    """What it was built from."""
    platforms: tuple[PlatformReport, ...]
    """In the order in which they were asked for."""
    image_index: str | None = None
    """Digest of the multi-platform image index; None without images."""
    images: tuple[ReleaseImage, ...] = ()
    """One for each linux platform."""
    image_failures: tuple[ImageFailure, ...] = ()
    """Images of a Dockerfile that are missing, and why."""
    vulnerabilities: SeverityCounts | None = None
    """Findings by severity, without those that component.yaml ignores; None when nothing was scanned."""
    not_scanned: str | None = None
    """Why not, or what was left out; None when everything was scanned."""
    pushed: str | None = None
    """Reference that the images were pushed to."""
    loaded: LoadedImage | None = None
    """What `--container` loaded into the Docker engine."""
    duration_s: float
    """Seconds."""
    warnings: tuple[str, ...] = ()
    """Texts for people."""
