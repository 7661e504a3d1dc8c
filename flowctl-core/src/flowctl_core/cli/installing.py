"""`flowctl component install` and `update`: what is asked, what is done, what is told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from flowctl_core.cli.console import emit, say, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.session import absolute, load_configuration
from flowctl_core.client.registries import Registries
from flowctl_core.docker_engine.connect import connect
from flowctl_core.errors import NotFoundError, UsageError
from flowctl_core.install.installing import Installed, Room, add_to, install
from flowctl_core.install.lockfile import NAME, read_lock, write_lock
from flowctl_core.install.places import Home
from flowctl_core.install.plan import Choice, choose_versions
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import Request, parse_request
from flowctl_core.locked import summary
from flowctl_core.models.installation import InstallReport
from flowctl_core.models.installed import Lock
from flowctl_core.models.platform import Platform
from flowctl_core.models.trust import ComponentIndex


@dataclass(frozen=True)
class Wishes:
    """The options of the command line."""

    locked: bool = False
    lockfile: Path | None = None
    prereleases: bool = False
    offline: bool = False
    targets: tuple[str, ...] = ()
    replace_links: bool = False
    container: bool = False
    registry: str | None = None
    fingerprint: str | None = None


class Remotes:
    """The registries that answer for namespaces, each opened once. A context manager."""

    def __init__(
        self,
        requests: Iterable[Request],
        *,
        offline: bool = False,
        registry: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """`requests`: all that will be asked for. `registry`: in place of the configured one; `fingerprint`: of its
        root, to be pinned."""
        self._registries = Registries(load_configuration().config, named=registry)
        asked = {self._registries.of(namespace, alone=True).url for namespace in {each.namespace for each in requests}}
        self._alone = len(asked) < 2  # FLOWCTL_TOKEN is for one registry, and not for whoever else is asked
        self._offline, self._fingerprint = offline, fingerprint
        self._open: dict[str, RemoteRegistry] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Remotes:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, namespace: str) -> RemoteRegistry:
        """The one that answers for a namespace. Raises UsageError where none does, TrustError."""
        connection = self._registries.of(namespace, alone=self._alone)
        if connection.url not in self._open:
            listings = Home.of_user().store / "listings"
            remote = RemoteRegistry(connection, listings, offline=self._offline)
            self._open[connection.url] = self._stack.enter_context(remote)
            if self._fingerprint is not None:
                remote.pin(self._fingerprint)
        return self._open[connection.url]

    def offline(self) -> str | None:
        """Why what was verified earlier counts, for the first registry for which it does."""
        return next(filter(None, (each.state().offline for each in self._open.values())), None)


def install_components(references: Sequence[str], wishes: Wishes) -> None:
    """Install and report. Raises what choosing, receiving, verifying and placing raise."""
    began = time.monotonic()
    path, lock = find_lock(wishes)
    requests = [parse_request(text, GLOBAL.namespace) for text in references]
    if not requests:
        if lock is None or not lock.components:
            raise UsageError("say what to install", hint=f"NAMESPACE/NAME[@RANGE]; without it, {NAME} says what.")
        requests = [Request(*component.split("/", 1)) for component in lock.components]
    with Remotes(requests, offline=wishes.offline, registry=wishes.registry, fingerprint=wishes.fingerprint) as remotes:
        try:
            choices = choose_versions(requests, remotes.of, lock, locked=wishes.locked, prereleases=wishes.prereleases)
        except NotFoundError as error:
            raise with_near(error, requests, remotes) from error
        done = run(choices, wishes)
        if lock is not None and not wishes.locked:
            lock_them(path, lock, done)
        report(done, remotes, path if lock is not None else None, began)


def find_lock(wishes: Wishes) -> tuple[Path, Lock | None]:
    """The lockfile that counts, and what is in it. Raises UsageError where it has to be there and is not."""
    path = absolute(wishes.lockfile if wishes.lockfile is not None else Path(NAME))
    lock = read_lock(path)
    if lock is None and wishes.locked:
        raise UsageError(f"there is no {path}", hint=f"Make it once: flowctl component install … --lock {NAME}")
    if lock is None and wishes.lockfile is not None:
        lock = Lock()
    return path, lock


def lock_them(path: Path, lock: Lock, done: Sequence[Installed]) -> None:
    """Enter what was installed, where that changes anything."""
    changed = add_to(lock, done)
    if changed != lock:
        write_lock(path, changed)


def run(choices: Sequence[Choice], wishes: Wishes) -> list[Installed]:
    """Install chosen versions, with progress."""
    room, labels = Room(Home.of_user()), list(dict.fromkeys(choice.what for choice in choices))
    engine = connect(os.environ) if wishes.container else None  # before any time is spent
    with make_board(labels) as board:
        done = install(
            choices,
            room,
            lambda choice: board.row(choice.what),
            platforms=read_platforms(wishes.targets),
            replace_links=wishes.replace_links,
        )
        if engine is not None:
            from flowctl_core.install.container import load_images

            images = load_images(engine, choices, done, room, lambda choice: board.row(choice.what))
            done = [
                replace(each, report=each.report.model_copy(update={"image": image}))
                for each, image in zip(done, images, strict=True)
            ]
        return done


def report(done: Sequence[Installed], remotes: Remotes, lockfile: Path | None, began: float) -> None:
    """Tell what was installed."""
    problems = [program.problem for each in done for program in each.report.programs]
    document = InstallReport(
        components=tuple(each.report for each in done),
        lockfile=str(lockfile) if lockfile is not None else None,
        offline=remotes.offline(),
        warnings=tuple(dict.fromkeys(problem for problem in problems if problem is not None)),
        duration_s=round(time.monotonic() - began, 3),
    )
    if document.offline is not None:
        warn(f"the registry was not asked ({document.offline}): what was verified earlier counts")
    data = document.model_dump(mode="json")
    if emit(data):
        return
    for warning in document.warnings:
        warn(warning)
    say(summary(data).rstrip())
    folder = Home.of_user().bin
    changed = any(program.link for each in done if each.report.state == "installed" for program in each.report.programs)
    if changed and not is_on_path(folder):
        say(f'to call it by name: export PATH="{folder}:$PATH"')


def is_on_path(folder: Path) -> bool:
    """Whether programs in a folder are found by name."""
    return str(folder) in os.environ.get("PATH", "").split(os.pathsep)


def read_platforms(targets: Sequence[str]) -> tuple[Platform, ...]:
    """`--target`, which may be repeated and may name several. Raises UsageError."""
    try:
        return tuple(Platform(each.strip()) for text in targets for each in text.split(","))
    except ValueError as error:
        raise UsageError(str(error)) from None


def index_of(request: Request, remotes: Remotes) -> ComponentIndex:
    """The signed index of a component. Raises NotFoundError with names that may have been meant, TrustError."""
    try:
        return remotes.of(request.namespace).index(request)
    except NotFoundError as error:
        raise with_near(error, [request], remotes) from error


def with_near(error: NotFoundError, requests: Sequence[Request], remotes: Remotes) -> NotFoundError:
    """The same error, with names that may have been meant."""
    from flowctl_core.client.near import with_near_names
    from flowctl_core.errors import RemoteError

    for request in requests:
        if f"component {request.component}" in error.message:
            try:
                session = remotes.of(request.namespace).session
                near = with_near_names(session, error, request.namespace, request.name)
            except RemoteError:
                return error
            both = " ".join(dict.fromkeys(filter(None, (near.hint, error.hint))))
            return NotFoundError(error.message, hint=both)
    return error
