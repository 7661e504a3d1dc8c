"""`flowctl.lock`: exact versions, digests for each platform, and who must stand behind them; JSON, to be committed.

Read without pydantic by `flowctl_core.locked`, which answers when all is installed already.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from flowctl_core.errors import SpecError, StoreError, UsageError, VerificationError
from flowctl_core.install.checking import Verified
from flowctl_core.install.ranges import in_range
from flowctl_core.install.request import Request
from flowctl_core.models.installed import Lock, LockedVersion
from flowctl_core.models.trust import IndexedVersion
from flowctl_core.store.files import atomic_write

NAME = "flowctl.lock"
_LARGEST = 64 * 2**20


def read_lock(path: Path) -> Lock | None:
    """The lockfile; None when there is none. Raises SpecError for a damaged one, StoreError."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError.of(error, path, "read") from error
    hint = "It is made by flowctl: take the version that your repository has, or remove it and lock anew."
    if len(data) > _LARGEST:
        raise SpecError(f"{path} is larger than {_LARGEST // 2**20} MB", hint=hint)
    try:
        return Lock.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"{path} is damaged: {where}: {first['msg']}", hint=hint) from None


def write_lock(path: Path, lock: Lock) -> None:
    """Write it, sorted: the same content is the same text. Raises StoreError."""
    ordered = Lock(components=dict(sorted(lock.components.items())), bundles=dict(sorted(lock.bundles.items())))
    atomic_write(path, ordered.model_dump_json(indent=2).encode() + b"\n")


def locked_version(requested: str, version: str, registry: str, verified: Verified) -> LockedVersion:
    """What a lockfile keeps of a version that was verified."""
    platforms: dict[str, dict[str, str]] = {}
    for each in verified.info.artifacts:
        platforms.setdefault(str(each.platform), {})[PurePosixPath(each.path).name] = each.digest
    images = verified.info.images
    return LockedVersion(
        requested=requested,
        version=version,
        registry=registry,
        origin=verified.origin,
        platforms=platforms,
        images={"index": images.index} | {str(each.platform): each.digest for each in images.images} if images else {},
    )


def locked_for(lines: Mapping[str, LockedVersion], asked: Request, what: str, *, locked: bool) -> LockedVersion | None:
    """The line of a lockfile that holds for a request; `what` is that in words.

    None where there is none, or it is outside the range. Raises UsageError for these when it must be the lockfile's
    (`locked`).
    """
    kept = lines.get(asked.component)
    if kept is None:
        if locked:
            raise UsageError(f"{NAME} has no {what}", hint="Install it without --locked to lock it.")
        return None
    if in_range(kept.version, asked.wanted, prereleases=True):
        return kept
    if locked:
        raise UsageError(
            f"{NAME} has {what} {kept.version}, which is not in {asked.wanted}",
            hint="Leave the range out, or --locked.",
        )
    return None


def check_locked_registry(what: str, locked: LockedVersion, url: str, namespace: str) -> None:
    """Raises VerificationError (`identity`) where another registry answers than the lockfile has."""
    if locked.registry.rstrip("/") != url.rstrip("/"):
        raise VerificationError(
            f"check identity failed: {NAME} has {what} from {locked.registry}; {url} answers for {namespace} here",
            check="identity",
            hint="Correct `registries` in your configuration, or lock it anew.",
        )


def check_locked_digests(what: str, locked: LockedVersion, entry: IndexedVersion | None) -> None:
    """Raises VerificationError (`identity`) where the signed index has other digests than the lockfile."""
    for platform, files in locked.platforms.items():
        for name, digest in files.items():
            found = entry.digests.get(name) if entry is not None else None
            if found != digest:
                raise VerificationError(
                    f"check identity failed: {name} of {what} for {platform} is {digest} in {NAME}, "
                    f"the signed index has {found or 'no such file'}",
                    check="identity",
                    hint="A version means one thing for ever: ask the registry's operator. Nothing was installed.",
                )
