"""What the operator's commands report."""

from __future__ import annotations

from datetime import datetime

from flowctl_core.models.base import Frozen


class GcReport(Frozen):
    """What gc removed, or would remove."""

    dry_run: bool
    """True: nothing was changed."""
    uploads: int
    """Uploads that had run out."""
    pending: int
    """Versions that were never published to the end."""
    prereleases: int
    """Versions that retention gave up."""
    marked: int
    """Blobs that nothing needs: they are removed after the grace period."""
    removed: int
    """Blobs that were removed."""
    removed_bytes: int
    """Their size."""
    failed: int
    """Blobs that the store did not remove; the next gc tries again."""
    build_logs: int
    """Builds whose logs were older than retention keeps them."""


class Finding(Frozen):
    """Something that is wrong."""

    kind: str
    """`missing`, `damaged`, `version`, `image`, `latest`, `search`, `used-bytes`, `index`."""
    target: str
    """A digest, or `kind ns/name version`."""
    detail: str
    """What is wrong with it."""
    repaired: bool = False
    """Whether `--repair` did what it can."""


class FsckReport(Frozen):
    """What fsck looked at and found."""

    blobs: int
    """Rows of blobs."""
    bytes: int
    """Bytes that were read and compared with their digests; 0 with `--quick`."""
    objects: int
    """Objects in the store."""
    unrecorded: int
    """Objects without a row: left by killed uploads, taken by gc in time. No fault."""
    versions: int
    """Versions."""
    findings: tuple[Finding, ...]
    """What is wrong."""


class BackupManifest(Frozen):
    """`backup.json`: what a backup's folder has."""

    format: int
    """Of the folder."""
    schema_revision: str
    """Of the database."""
    created_at: datetime
    """When the database was read: the backup shows that moment."""
    database: str
    """File with all rows."""
    database_sha256: str
    """Its digest, hex."""
    rows: int
    """How many it has."""
    blobs: int
    """Files under `blobs/`."""
    blob_bytes: int
    """Their size."""
    signer: str | None = None
    """Folder with the signer's keys and its side of the signed index; None: they were not there, or left out."""


class BackupReport(BackupManifest):
    """A backup that was made or restored."""

    copied: int
    """Blobs that were not there yet."""
