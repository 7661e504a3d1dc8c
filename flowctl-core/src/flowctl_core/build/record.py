"""What the last build of a component was: `.flowctl/state.json`, read to answer «is it up to date?»."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.build.key import CacheKey
from flowctl_core.models import Artifact, Frozen

FILE = "state.json"
MANIFEST = "inputs.json"
StatTuple = tuple[int, int, int]


class BuildRecord(Frozen):
    """The last successful build."""

    key: CacheKey
    artifacts: tuple[Artifact, ...]
    stats: dict[str, StatTuple]
    """Artifact path → (size, mtime_ns, inode), so that an artifact that was touched since is noticed."""
    fetch_digest: str = ""
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
    _replace(state / FILE, record.model_dump_json())


def read_manifest(state: Path) -> dict[str, str] | None:
    """Input path → digest of the last successful build, or None."""
    try:
        manifest = json.loads((state / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def write_manifest(state: Path, manifest: Mapping[str, str]) -> None:
    """Keep the inputs, so that `--explain` can name the files that changed."""
    _replace(state / MANIFEST, json.dumps(manifest, separators=(",", ":"), ensure_ascii=True))


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


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
