"""What a registry lists of a published version. Nothing of it is believed before it is verified."""

from __future__ import annotations

import re
from hashlib import sha256

from pydantic import Field, field_validator

from flowctl_core.models.base import Frozen

RELEASE_PREDICATE = "https://in-toto.io/attestation/release/v0.1"
"""Predicate of a registry's own statement: these subjects are that release."""
REGISTRY_STATEMENT = "metadata/registry.sigstore.json"
"""Its path among the files of a version."""
REGISTRY_FOLDER = "metadata/registry/"
"""Further attestations that the registry's signer made: they are no part of what was uploaded."""
LARGEST_FILE = 64 * 2**30
"""Bytes of one file at most."""
_PATH = re.compile(r"(binaries|containers|metadata)(/[A-Za-z0-9_@+=~,-][A-Za-z0-9._@+=~,-]*)+")


class PublishedFile(Frozen):
    """A file of a version."""

    path: str = Field(max_length=400)
    """As in `dist/`: below binaries/, containers/ or metadata/, nothing hidden, no `..`."""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    """`sha256:<hex>`."""
    size: int = Field(ge=0, le=LARGEST_FILE)
    """Bytes."""
    platform: str | None = None
    """What it runs on, by the registry's word: good for beginning a download early, and for nothing else."""

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        if not _PATH.fullmatch(path):
            raise ValueError("it leads out of the release")
        return path


class PublishedVersion(Frozen):
    """A version with its files, as `GET /v1/components/{ns}/{name}/{version}` answers."""

    namespace: str
    """Where it belongs."""
    name: str
    """Its name there."""
    version: str
    """Without a leading v."""
    binaries: tuple[PublishedFile, ...] = ()
    """Programs and libraries."""
    containers: tuple[PublishedFile, ...] = ()
    """The OCI image layout."""
    metadata: tuple[PublishedFile, ...] = ()
    """SBOM, scan, provenance, signatures, component.yaml."""

    @property
    def files(self) -> dict[str, PublishedFile]:
        """All files by path."""
        return {file.path: file for file in (*self.binaries, *self.containers, *self.metadata)}

    @property
    def release_digest(self) -> str:
        """`sha256:` over the sorted lines `<digest>  <path>` of all that was uploaded: the registry signs it as the
        release's id, which binds every file to the version."""
        uploaded = sorted(
            (path, file.digest)
            for path, file in self.files.items()
            if path != REGISTRY_STATEMENT and not path.startswith(REGISTRY_FOLDER)
        )
        lines = "".join(f"{digest}  {path}\n" for path, digest in uploaded)
        return "sha256:" + sha256(lines.encode()).hexdigest()
