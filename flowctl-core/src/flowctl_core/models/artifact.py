"""What a build makes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowctl_core.models.base import Frozen
from flowctl_core.models.platform import Platform

ArtifactKind = Literal["program", "library", "tree"]
ArtifactFormat = Literal["native", "script"]


class Artifact(Frozen):
    """A file (or, kind `tree`, a folder that the program needs beside it) that a build made.

    Builders fill in path, kind and platform; core measures digest and size. `path` is relative to the
    source tree, POSIX spelling.
    """

    path: str
    """Relative to the source tree, POSIX spelling."""
    kind: ArtifactKind = "program"
    """`program`, `library` (that other languages load), or `tree` (a folder that the program needs beside it)."""
    platform: Platform
    """What it runs on, `os/arch`."""
    digest: str = ""
    """`sha256:<hex>` of the bytes; for a tree, of its canonical listing (path, mode, digest)."""
    size: int = 0
    """Bytes; for a tree, the sum over its files."""
    relocatable: bool = True
    """False: only valid in the folder it was built in (a Python environment)."""
    static: bool = False
    """True: the program needs no loader and no shared library of the system, so it runs in an empty image. The
    builder says so in a release (for `flowctl_image`, which reads no files)."""
    format: ArtifactFormat = "native"
    """`script`: a file that begins with `#!` and that an interpreter executes (a Python zipapp), so it has no ELF or
    Mach-O header to check. What it carries for one platform, its builder has checked."""
    interpreter: str = ""
    """For a script: the program that has to be on PATH where it runs (`python3.11`)."""


class FetchReport(Frozen):
    """What fetch did."""

    fetched: int | None = None
    """Number of dependencies brought in, where the tool says so."""
    ran_code: tuple[str, ...] = ()
    """Packages whose own code ran while fetching (build scripts, postinstall), now or in an earlier fetch whose
    result was kept: a release records them, and has to be the same each time."""


class BuildResult(Frozen):
    """What build made for the host platform."""

    artifacts: tuple[Artifact, ...]
    warnings: tuple[str, ...] = ()


class Material(Frozen):
    """Something that went into an artifact and is neither source nor a resolved dependency: a node binary, an
    interpreter, a linker that a wheel brought."""

    name: str
    version: str = ""
    purl: str = ""
    """Package URL, where it came as a package."""
    digest: str = ""
    """`sha256:<hex>` of the file that was used."""


class PlatformOutcome(Frozen):
    """What a release build made for one platform, or why it could not."""

    platform: Platform
    artifacts: tuple[Artifact, ...] = ()
    failure: str | None = None
    """The problem in a sentence; None when it was built."""
    output: str | None = None
    """What the failed tool itself printed, whole."""
    hint: str | None = None
    """What to do about the failure."""
    materials: tuple[Material, ...] = ()
    duration_s: float = 0.0


class ReleaseResult(Frozen):
    """One outcome for each platform of the plan that the hook was called with.

    Core calls the hook once for each platform, with a plan that names just that one, several at once: each call has an
    `output_dir` of its own, all share `work_dir`.
    """

    outcomes: tuple[PlatformOutcome, ...]


class CleanReport(Frozen):
    """Paths that clean removed, relative to the source tree."""

    removed: tuple[str, ...] = ()
    """Paths, relative to the source tree."""


class Dependency(Frozen):
    """A resolved dependency (package URL, https://github.com/package-url/purl-spec)."""

    purl: str
    direct: bool = False
    scope: Literal["runtime", "build", "test"] = "runtime"
    parents: tuple[str, ...] = ()
    """purls of the packages that brought it in; empty for a direct one."""
    digest: str = ""
    """Of the package's archive as the lockfile or registry records it: `sha256:<hex>`, `sha512:<hex>`."""
    license: str = ""
    """SPDX expression, where the package itself says so."""


class DependencyReport(Frozen):
    """All resolved dependencies, sorted by package URL."""

    dependencies: tuple[Dependency, ...] = ()
    resolved_from: tuple[str, ...] = ()
    """What was read or asked: `go.sum`, `package-lock.json`, `cargo metadata`."""


class ImageFile(Frozen):
    """A file to put into an image."""

    source: str
    """Path of the artifact, relative to the source tree."""
    target: str
    """Absolute path in the image."""
    mode: int = 0o755


class ImagePlan(Frozen):
    """How an artifact becomes an image. component.yaml and the configuration can name another base."""

    base: str | None = None
    """Image reference; None is scratch."""
    needs_certificates: bool = False
    """True: the program speaks TLS and reads the system's certificates, which scratch lacks."""
    files: tuple[ImageFile, ...] = ()
    entrypoint: tuple[str, ...] = ("/app/component",)
    user: str = "65532:65532"
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}


class Subject(Frozen):
    """Something to sign: a name and its digest, never the bytes."""

    name: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    statement: str | None = None
    """An in-toto statement (JSON) to sign as DSSE; None signs the digest itself."""


class Attestation(Frozen):
    """A Sigstore bundle (JSON text) for one subject."""

    subject: Subject
    bundle: str
