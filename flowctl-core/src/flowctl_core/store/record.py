"""What the last build of a component was: `.flowctl/state.json`, read to answer «is it up to date?»."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.models import Artifact, CacheKey, Frozen
from flowctl_core.store.files import atomic_write

FILE = "state.json"
MANIFEST = "inputs.json"
FETCHED = "fetched"
StatTuple = tuple[int, int, int]


class BuildRecord(Frozen):
    """The last successful build."""

    key: CacheKey
    artifacts: tuple[Artifact, ...]
    stats: dict[str, StatTuple]
    """Artifact path → (size, mtime_ns, inode), so that an artifact that was touched since is noticed."""
    version: str = ""
    language: str = ""


def read_record(state: Path) -> BuildRecord | None:
    """The record, or None when there is none that can be read."""
    try:
        return BuildRecord.model_validate_json((state / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(state: Path, record: BuildRecord) -> None:
    """Replace the record atomically."""
    atomic_write(state / FILE, record.model_dump_json().encode(), durable=False)


def read_manifest(state: Path) -> dict[str, str] | None:
    """Input path → digest of the last successful build, or None."""
    try:
        manifest = json.loads((state / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) else None


def write_manifest(state: Path, manifest: Mapping[str, str]) -> None:
    """Keep the inputs, so that `--explain` can name the files that changed."""
    text = json.dumps(manifest, separators=(",", ":"), ensure_ascii=True)
    atomic_write(state / MANIFEST, text.encode(), durable=False)


def read_fetched(state: Path) -> str:
    """What the last complete fetch was for (see `build.fetch`); empty when it did not end or never ran."""
    try:
        return (state / FETCHED).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def write_fetched(state: Path, digest: str) -> None:
    """Note that a fetch came to its end."""
    atomic_write(state / FETCHED, digest.encode(), durable=False)


def forget_fetched(state: Path) -> None:
    """Note that a fetch begins: if it is interrupted, the next build fetches again."""
    (state / FETCHED).unlink(missing_ok=True)


def artifact_stat(path: Path) -> StatTuple:
    """Size, mtime in nanoseconds, inode; a folder counts by its own entry only."""
    info = os.lstat(path)
    return info.st_size, info.st_mtime_ns, info.st_ino


def outputs_intact(root: Path, record: BuildRecord) -> bool:
    """True when each artifact is where the build put it and was not written to since."""
    try:
        return all(
            artifact_stat(root / artifact.path) == record.stats.get(artifact.path)
            if artifact.kind != "tree"
            else (root / artifact.path).is_dir()
            for artifact in record.artifacts
        )
    except OSError:
        return False
