"""Installed bundles: each is put in its place when all its members are installed.

~/.flowctl/bundles/<namespace>/<name>/<version>/   bundle.yaml, members.json, the registry's statement, installed.json
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.bundles.received import ReceivedBundle
from flowctl_core.errors import NotFoundError
from flowctl_core.install.contents import DOCUMENT
from flowctl_core.install.installing import LOCK_TIMEOUT_S, Room
from flowctl_core.install.places import RECORD, Home
from flowctl_core.install.ranges import in_range
from flowctl_core.install.request import Request
from flowctl_core.install.shelf import damaged, installed, read_record, state_of
from flowctl_core.models.bundle_set import MEMBERS_PATH, BundleSet
from flowctl_core.models.installed import InstalledFile, InstalledVersion
from flowctl_core.store.files import atomic_replace, atomic_write, remove_any, system_refusals, temporary_name
from flowctl_core.store.lock import file_lock


@dataclass(frozen=True)
class InstalledBundle:
    """A bundle that is in its place, as its members are."""

    received: ReceivedBundle
    record: InstalledVersion
    unchanged: bool
    """True: it was there, whole."""


@dataclass(frozen=True)
class KeptBundle:
    """An installed bundle, and which of its members are not there."""

    record: InstalledVersion
    set: BundleSet
    missing: tuple[str, ...]
    """`namespace/name@version`, each."""


@contextmanager
def keeping_contents(room: Room) -> Iterator[None]:
    """While a bundle is received and not yet in its place, nobody sweeps its files away. Raises LockedError."""
    with system_refusals(room.home.store, "made"):
        room.home.store.mkdir(parents=True, exist_ok=True)
    with file_lock(room.home.store_lock, what=str(room.home.store), timeout_s=LOCK_TIMEOUT_S, shared=True):
        yield


def place_bundles(bundles: Sequence[ReceivedBundle], room: Room) -> list[InstalledBundle]:
    """Put verified bundles in their places, after all their members are in theirs. Raises StoreError, LockedError."""
    with file_lock(room.home.lock, what=str(room.home.path), timeout_s=LOCK_TIMEOUT_S):
        return [_placed(bundle, room) for bundle in bundles]


def remove_bundles(requests: Sequence[Request], room: Room) -> list[KeptBundle]:
    """Take away the bundles in the ranges that are named; their members stay. What was removed.

    Raises NotFoundError for what is not installed, StoreError, LockedError.
    """
    home, gone = room.home, list[KeptBundle]()
    with system_refusals(home.path, "made"):
        home.path.mkdir(parents=True, exist_ok=True)
    with file_lock(home.lock, what=str(home.path), timeout_s=LOCK_TIMEOUT_S):
        there = list(kept_bundles(home))
        for request in requests:
            found = [
                each
                for each in there
                if (each.record.namespace, each.record.name) == (request.namespace, request.name)
                and in_range(each.record.version, request.wanted, prereleases=True)
            ]
            if not found:
                raise NotFoundError(
                    f"the bundle {request} is not installed", hint="`flowctl bundle list` shows those that are."
                )
            gone += [each for each in found if each not in gone]
        for each in gone:
            folder = home.version(each.record.namespace, each.record.name, each.record.version, "bundle")
            aside = temporary_name(folder)
            with system_refusals(folder, "removed"):
                folder.rename(aside)
                remove_any(aside)
    return gone


def kept_bundles(home: Home) -> Iterator[KeptBundle]:
    """All installed bundles, by namespace and name, the newest first. One whose files are damaged is left out."""
    for record in installed(home, "bundle"):
        folder = home.version(record.namespace, record.name, record.version, "bundle")
        try:
            bundle_set = BundleSet.model_validate_json((folder / MEMBERS_PATH).read_bytes())
        except (OSError, ValidationError):
            continue
        missing = tuple(
            f"{member.component}@{member.version}"
            for member in bundle_set.members
            if read_record(home.version(member.namespace, member.name, member.version)) is None
        )
        yield KeptBundle(record, bundle_set, missing)


def _placed(bundle: ReceivedBundle, room: Room) -> InstalledBundle:
    choice = bundle.choice
    folder = room.home.version(choice.request.namespace, choice.request.name, choice.version, "bundle")
    before = read_record(folder)
    digests = {path: file.digest for path, file in bundle.files.items()}
    if (
        before is not None
        and before.registry == choice.registry.url
        and before.origin == bundle.origin
        and {path: file.digest for path, file in before.files.items()} == digests
        and not damaged(folder, before)
    ):
        return InstalledBundle(bundle, before, unchanged=True)
    record = InstalledVersion(
        kind="bundle",
        namespace=choice.request.namespace,
        name=choice.request.name,
        version=choice.version,
        registry=choice.registry.url,
        origin=bundle.origin,
        checks=bundle.checks,
        installed_at=datetime.now(UTC).replace(microsecond=0),
    )
    with system_refusals(folder.parent, "made"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(".*.tmp"):  # of processes that were killed: nobody else is here now
            remove_any(left)
    staged = temporary_name(folder)
    with system_refusals(staged, "made"):
        staged.mkdir()
    try:
        record = _fill(staged, bundle, room, record)
        atomic_write(staged / RECORD, record.model_dump_json(indent=1).encode() + b"\n")
        atomic_replace(staged, folder)
    except BaseException:  # also Ctrl-C: half a folder must not stay
        with suppress(OSError):
            remove_any(staged)
        raise
    return InstalledBundle(bundle, record, unchanged=False)


def _fill(folder: Path, bundle: ReceivedBundle, room: Room, record: InstalledVersion) -> InstalledVersion:
    placed = {}
    for path, file in bundle.files.items():
        room.contents.link(file.digest, folder / path, DOCUMENT)
        with system_refusals(folder / path, "read"):
            placed[path] = InstalledFile(digest=file.digest, size=file.size, state=state_of(folder / path))
    return record.model_copy(update={"files": placed})
