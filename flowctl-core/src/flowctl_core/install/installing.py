"""Installs chosen versions: all are fetched and verified before the first is put in its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field

from flowctl_core.errors import CancelledError, NotFoundError, RemoteError, VerificationError
from flowctl_core.install.checking import Rules, Verified, check, refuse_other_origin, rules_for
from flowctl_core.install.contents import Contents
from flowctl_core.install.download import Patience
from flowctl_core.install.links import link_programs
from flowctl_core.install.lockfile import locked_version
from flowctl_core.install.places import Home
from flowctl_core.install.placing import place
from flowctl_core.install.plan import Choice
from flowctl_core.install.shelf import damaged, read_record
from flowctl_core.install.transfer import receive_all
from flowctl_core.models import Progress
from flowctl_core.models.installation import InstalledComponent
from flowctl_core.models.installed import InstalledVersion, Lock, LockedVersion
from flowctl_core.models.platform import Platform
from flowctl_core.models.published import PublishedFile, PublishedVersion
from flowctl_core.store.files import remove_any, system_refusals
from flowctl_core.store.lock import file_lock
from flowctl_core.verify.fetched_release import FetchedRelease, metadata_paths, read_info
from flowctl_core.verify.release import LARGEST_METADATA, read

LOCK_TIMEOUT_S = 600.0
"""For another process that changes what is installed; receiving and verifying is done without the lock."""
_AT_ONCE = 4


@dataclass
class Room:
    """Where versions are installed, and how patiently."""

    home: Home
    host: Platform = field(default_factory=Platform.host)
    patience: Patience = field(default_factory=Patience)
    jobs: int = 8
    """Files of a version that are received at once."""

    @property
    def contents(self) -> Contents:
        """The store of files."""
        return Contents(self.home.store)


@dataclass(frozen=True)
class Fetched:
    """A version that is whole and verified, and not yet in its place."""

    choice: Choice
    platforms: tuple[Platform, ...]
    verified: Verified
    files: dict[str, PublishedFile]
    received: int = 0
    before: InstalledVersion | None = None
    """What is in its place."""
    unchanged: bool = False
    """That is all of it."""


@dataclass(frozen=True)
class Installed:
    """A version that is in its place."""

    report: InstalledComponent
    locked: LockedVersion
    verified: Verified


def install(
    choices: Sequence[Choice],
    room: Room,
    progress: Callable[[Choice], Progress],
    *,
    platforms: Sequence[Platform] = (),
    replace_links: bool = False,
) -> list[Installed]:
    """Install the chosen versions for some platforms (default: this machine's). All of them or, where one cannot be had
    or verified, none.

    Raises RemoteError, VerificationError, TrustError, StoreError.
    """
    wanted = tuple(dict.fromkeys(platforms)) or (room.host,)
    rules: dict[str, Rules] = {}
    for choice in choices:
        if choice.registry.url not in rules:
            rules[choice.registry.url] = rules_for(choice.registry)

    home = room.home
    with system_refusals(home.store, "made"):
        home.store.mkdir(parents=True, exist_ok=True)
    with file_lock(home.store_lock, what=str(home.store), timeout_s=LOCK_TIMEOUT_S, shared=True):
        fetched = _fetch_all(choices, room, rules, progress, wanted)
        with file_lock(home.lock, what=str(home.path), timeout_s=LOCK_TIMEOUT_S):
            placed = _place_all(fetched, room)
            return [_linked(each, record, room, replace_links=replace_links) for each, record in placed]


def add_to(lock: Lock, installed: Sequence[Installed]) -> Lock:
    """The lock with these versions."""
    added = {f"{each.report.namespace}/{each.report.name}": each.locked for each in installed}
    return lock.model_copy(update={"components": {**lock.components, **added}})


def _fetch_all(
    choices: Sequence[Choice],
    room: Room,
    rules: Mapping[str, Rules],
    progress: Callable[[Choice], Progress],
    platforms: tuple[Platform, ...],
) -> list[Fetched]:
    """Several at once. When one fails or the user interrupts, the others stop where they are."""
    stopped = threading.Event()
    with ThreadPoolExecutor(max(1, min(_AT_ONCE, len(choices)))) as pool:
        try:  # from the first on: an interruption finds none of them unattended
            running = [
                pool.submit(fetch, each, room, rules[each.registry.url], progress(each), platforms, stopped.is_set)
                for each in choices
            ]
            for each in wait(running, return_when=FIRST_EXCEPTION).done:
                each.result()
        except BaseException as error:  # also Ctrl-C: nobody else stops the threads
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                raise CancelledError("interrupted; what was received is kept for the next time") from None
            raise
    return [each.result() for each in running]


def _place_all(fetched: Sequence[Fetched], room: Room) -> list[tuple[Fetched, InstalledVersion]]:
    """All of them; when the disk refuses one, those that were not there before go again."""
    placed: list[tuple[Fetched, InstalledVersion]] = []
    try:
        for each in fetched:
            placed.append((each, _place(each, room)))
    except BaseException:  # also Ctrl-C: all of them or none
        for each, record in placed:
            if each.before is None:
                with suppress(OSError):
                    remove_any(room.home.version(record.namespace, record.name, record.version))
        raise
    return placed


def fetch(
    choice: Choice,
    room: Room,
    rules: Rules,
    progress: Progress,
    platforms: tuple[Platform, ...],
    cancelled: Callable[[], bool] = lambda: False,
) -> Fetched:
    """Have a version whole and verified in the store. Raises RemoteError, VerificationError, StoreError."""
    progress.step(f"looking up {choice.what}")
    listed = choice.registry.version(choice.request, choice.version)
    try:
        there = _there(choice, room, rules, platforms, listed)
        if there is not None:
            return there
        return _fetch(choice, room, rules, progress, platforms, listed, cancelled)
    except (VerificationError, RemoteError):
        fresh = listed
        with suppress(RemoteError):
            fresh = choice.registry.version(choice.request, choice.version, fresh=True)
        if fresh == listed:
            raise
        return _fetch(choice, room, rules, progress, platforms, fresh, cancelled)  # what was kept here was damaged


def _fetch(
    choice: Choice,
    room: Room,
    rules: Rules,
    progress: Progress,
    platforms: tuple[Platform, ...],
    listed: PublishedVersion,
    cancelled: Callable[[], bool],
) -> Fetched:
    guessed = tuple(file.path for file in listed.binaries if file.platform in platforms)
    files = _wanted(listed, guessed)
    progress.step(f"receiving {sum(file.size for file in files.values()) / 1e6:.1f} MB")
    received = _receive(choice, room, files, progress, cancelled)
    release = _release(choice, room, listed, files, platforms)
    info = read_info(release)
    programs = tuple(each.path for each in info.artifacts if each.platform in platforms)
    for platform in platforms:
        if platform not in {each.platform for each in info.artifacts}:
            there = ", ".join(sorted({str(each.platform) for each in info.artifacts})) or "none"
            raise NotFoundError(
                f"{choice.what} has no program for {platform}", hint=f"It has them for: {there}. Choose by --target."
            )
    if set(programs) != set(guessed):  # the registry's list said something else than the signed record
        files = _wanted(listed, programs)
        received += _receive(choice, room, files, progress, cancelled)
        release = _release(choice, room, listed, files, platforms)
    progress.step("verifying")
    verified = check(release, choice.index, rules, allow_yanked=choice.locked is not None)
    choice.registry.keep(choice.request, listed)
    if choice.expected is not None:
        refuse_other_origin(choice.what, verified.origin, choice.expected, choice.expected_by)
    before = read_record(room.home.version(choice.request.namespace, choice.request.name, choice.version))
    return Fetched(choice, platforms, verified, files, received, before)


def _wanted(listed: PublishedVersion, programs: tuple[str, ...]) -> dict[str, PublishedFile]:
    there = listed.files
    documents = {path: there[path] for path in metadata_paths(listed, programs)}
    for path, file in documents.items():
        if file.size > LARGEST_METADATA:
            raise RemoteError(f"{path} is said to have {file.size} bytes; at most {LARGEST_METADATA} are read")
    return documents | {path: there[path] for path in programs if path in there}


def _receive(
    choice: Choice,
    room: Room,
    files: dict[str, PublishedFile],
    progress: Progress,
    cancelled: Callable[[], bool],
) -> int:
    return receive_all(
        room.contents,
        choice.registry,
        choice.request,
        choice.version,
        files.values(),
        progress,
        patience=room.patience,
        jobs=room.jobs,
        cancelled=cancelled,
    )


def _release(
    choice: Choice,
    room: Room,
    listed: PublishedVersion,
    files: dict[str, PublishedFile],
    platforms: tuple[Platform, ...],
) -> FetchedRelease:
    contents = room.contents
    return FetchedRelease(
        listed=listed,
        # Each was measured when it was received, or when it was found in the store.
        measured={path: file.digest for path, file in files.items()},
        read=lambda path: contents.read(files[path].digest),
        platforms=platforms,
    )


def _there(
    choice: Choice, room: Room, rules: Rules, platforms: tuple[Platform, ...], listed: PublishedVersion
) -> Fetched | None:
    """What is installed already, where that is whole. It is held to the checks of today: keys are revoked, policies
    change."""
    folder = room.home.version(choice.request.namespace, choice.request.name, choice.version)
    record = read_record(folder)
    if record is None or record.registry != choice.registry.url or not set(platforms) <= set(record.platforms):
        return None
    if damaged(folder, record):
        return None
    measured = {path: file.digest for path, file in record.files.items()}
    release = FetchedRelease(listed, measured, lambda path: read(folder / path), platforms)
    verified = check(release, choice.index, rules, allow_yanked=choice.locked is not None)
    if choice.expected is not None:
        refuse_other_origin(choice.what, verified.origin, choice.expected, choice.expected_by)
    return Fetched(choice, platforms, verified, {}, 0, record, unchanged=verified.origin == record.origin)


def _place(fetched: Fetched, room: Room) -> InstalledVersion:
    if fetched.unchanged and fetched.before is not None:
        return fetched.before
    choice = fetched.choice
    return place(
        room.home,
        room.contents,
        choice.request,
        choice.version,
        choice.registry.url,
        fetched.verified,
        fetched.files,
        fetched.platforms,
    )


def _linked(fetched: Fetched, record: InstalledVersion, room: Room, *, replace_links: bool) -> Installed:
    choice, same = fetched.choice, fetched.before is not None
    added = same and fetched.before is not None and not set(fetched.platforms) <= set(fetched.before.platforms)
    report = InstalledComponent(
        reference=record.reference,
        namespace=record.namespace,
        name=record.name,
        version=record.version,
        state="unchanged" if fetched.unchanged else "repaired" if same and not added else "installed",
        platforms=record.platforms,
        path=str(room.home.version(record.namespace, record.name, record.version)),
        registry=record.registry,
        origin=record.origin,
        checks=record.checks,
        programs=link_programs(room.home, record, room.host, replace=replace_links),
        received=fetched.received,
    )
    locked = choice.locked or locked_version(
        choice.request.wanted, choice.version, choice.registry.url, fetched.verified
    )
    if choice.locked is not None and choice.request.wanted != choice.locked.requested:
        locked = locked.model_copy(update={"requested": choice.request.wanted})
    return Installed(report, locked, fetched.verified)
