"""What the last build of a component was: `.flowctl/state.json`, read to answer «is it up to date?»."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from stat import S_ISDIR

from pydantic import ValidationError

from flowctl_core.models import Artifact, CacheKey, Frozen, Plan
from flowctl_core.store.files import atomic_write

FILE = "state.json"
MANIFEST = "inputs.json"
FETCHED = "fetched"
BEGUN = "begun.json"
StatTuple = tuple[int, int, int]


class BuildRecord(Frozen):
    """The last successful build."""

    key: CacheKey
    artifacts: tuple[Artifact, ...]
    stats: dict[str, StatTuple]
    """Artifact path → (size, mtime_ns, inode), so that an artifact that was touched since is noticed."""
    builder: str = ""
    """Name of the plugin that built it."""
    plan: Plan | None = None
    """What was built, so that clean removes just that, whatever the source has become since."""
    version: str = ""
    language: str = ""


class BegunBuild(Frozen):
    """A build that began and may never have ended; without one that succeeded, clean goes by it."""

    builder: str
    plan: Plan


def read_record(state: Path) -> BuildRecord | None:
    """The record, or None when there is none that can be read."""
    try:
        return BuildRecord.model_validate_json((state / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def forget_record(state: Path) -> None:
    """The next build knows of none before it."""
    (state / FILE).unlink(missing_ok=True)


def write_record(state: Path, record: BuildRecord) -> None:
    """Replace the record atomically."""
    atomic_write(state / FILE, record.model_dump_json().encode(), durable=False)


def read_begun(state: Path) -> BegunBuild | None:
    """The build that began last, or None when there is none that can be read."""
    try:
        return BegunBuild.model_validate_json((state / BEGUN).read_bytes())
    except (OSError, ValidationError):
        return None


def write_begun(state: Path, builder: str, plan: Plan) -> None:
    """Note what is about to be fetched and built."""
    begun = BegunBuild(builder=builder, plan=plan)
    atomic_write(state / BEGUN, begun.model_dump_json().encode(), durable=False)


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
        return (state / FETCHED).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return ""


def read_ran_code(state: Path) -> tuple[str, ...]:
    """Packages whose own code ran in the last complete fetch."""
    try:
        return tuple((state / FETCHED).read_text(encoding="utf-8").splitlines()[1:])
    except (OSError, UnicodeDecodeError):
        return ()


def write_fetched(state: Path, digest: str, ran_code: Iterable[str] = ()) -> None:
    """Note that a fetch came to its end, and whose code ran in it."""
    atomic_write(state / FETCHED, "\n".join((digest, *ran_code)).encode(), durable=False)


def forget_fetched(state: Path) -> None:
    """Note that a fetch begins: if it is interrupted, the next build fetches again."""
    (state / FETCHED).unlink(missing_ok=True)


def artifact_stat(path: Path) -> StatTuple:
    """Size, mtime in nanoseconds, inode; for a folder the number of entries in it, a hash over theirs, inode."""
    info = os.lstat(path)
    if not S_ISDIR(info.st_mode):
        return info.st_size, info.st_mtime_ns, info.st_ino
    hasher, count, folders = blake2b(digest_size=7), 0, [os.fspath(path)]
    for folder in folders:  # grows meanwhile
        with os.scandir(folder) as scan:
            for entry in sorted(scan, key=lambda entry: entry.name):
                seen = entry.stat(follow_symlinks=False)
                count += 1
                if S_ISDIR(seen.st_mode):
                    folders.append(entry.path)
                    hasher.update(entry.name.encode("utf-8", "surrogateescape") + b"/")
                else:
                    hasher.update(
                        f"{entry.name}\0{seen.st_size}\0{seen.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
                    )
    return count, int.from_bytes(hasher.digest(), "big"), info.st_ino


def outputs_intact(root: Path, record: BuildRecord) -> bool:
    """True when each artifact is where the build put it and was not written to since."""
    try:
        return all(
            artifact_stat(root / artifact.path) == record.stats.get(artifact.path) for artifact in record.artifacts
        )
    except OSError:
        return False
