"""Uploading a release (`dist/`): announce its files, send those that are missing, commit."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from flowctl_core.models.base import Frozen
from flowctl_registry.models.names import Digest, Kind, Name, ReleasePath, Version


class UploadedFile(Frozen):
    """A file of the release."""

    path: ReleasePath
    """As in `dist/`."""
    digest: Digest
    """`sha256:<hex>`."""
    size: int = Field(ge=0, le=2**53)
    """Bytes."""


class UploadRequest(Frozen):
    """What will be uploaded."""

    version: Version
    """Without a leading v."""
    files: tuple[UploadedFile, ...] = Field(min_length=1)
    """All files of the release."""


class Upload(Frozen):
    """An upload that is not committed."""

    id: str
    """Names it in later requests."""
    kind: Kind
    """`component` or `bundle`."""
    namespace: Name
    """Of the component."""
    name: Name
    """Of the component."""
    version: Version
    """That is being uploaded."""
    missing: tuple[Digest, ...]
    """Blobs to send, each with PUT …/blobs/{digest}; the registry has the others already."""
    expires_at: datetime
    """Until when the blobs are kept for this upload."""
