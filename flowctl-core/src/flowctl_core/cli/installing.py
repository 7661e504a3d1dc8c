"""`flowctl component install` and what shows, updates and removes what it installed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from flowctl_core.cli.console import emit, say, say_aside, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.session import absolute, load_configuration
from flowctl_core.cli.summary import duration_text
from flowctl_core.errors import UsageError
from flowctl_core.install.installing import Installed, Room, add_to, install
from flowctl_core.install.lockfile import NAME, read_lock, write_lock
from flowctl_core.install.places import Home
from flowctl_core.install.plan import Choice, choose_versions
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import Request, parse_request
from flowctl_core.models.installation import InstallReport
from flowctl_core.models.installed import Lock
from flowctl_core.models.platform import Platform


class Registries:
    """The registries that answer for namespaces; opened when one is needed. A context manager."""

    def __init__(self, *, offline: bool) -> None:
        self._loaded = load_configuration()
        self._offline = offline
        self._open: dict[str, RemoteRegistry] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Registries:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, namespace: str) -> RemoteRegistry:
        """The one that answers for a namespace. Raises UsageError where none does."""
        from flowctl_core.install.http import Http

        config = self._loaded.config.registry
        if config.url is None:
            raise UsageError(
                f"no registry is configured, so nobody can be asked for {namespace}",
                hint="`flowctl login URL`, or set FLOWCTL_REGISTRY_URL.",
            )
        url = config.url.rstrip("/")
        if url not in self._open:
            token = config.auth.token.get_secret_value() if config.auth.token else None
            remote = RemoteRegistry(url, Http(url, token), Home.of_user().store / "listings", offline=self._offline)
            self._open[url] = self._stack.enter_context(remote)
        return self._open[url]

    @property
    def opened(self) -> tuple[RemoteRegistry, ...]:
        """Those that were asked."""
        return tuple(self._open.values())


def install_components(
    references: Sequence[str],
    *,
    locked: bool,
    lockfile: Path | None,
    prereleases: bool,
    offline: bool,
    targets: Sequence[str],
    replace_links: bool,
) -> None:
    """Install and report. Raises what resolving, receiving, verifying and placing raise."""
    began = time.monotonic()
    path = absolute(lockfile) if lockfile is not None else absolute(Path(NAME))
    lock = read_lock(path)
    if lock is None and lockfile is not None and not locked:
        lock = Lock()
    if lock is None and locked:
        raise UsageError(f"there is no {path}", hint="Install with --lock to make one.")
    requests = [parse_request(text, GLOBAL.namespace) for text in references]
    if not requests:
        if lock is None or not lock.components:
            raise UsageError("say what to install", hint=f"NAMESPACE/NAME[@RANGE]; without it, {NAME} says what.")
        requests = [Request(*component.split("/", 1)) for component in lock.components]
    with Registries(offline=offline) as registries:
        choices = choose_versions(requests, registries.of, lock, locked=locked, prereleases=prereleases)
        done = run(choices, _platforms(targets), replace_links=replace_links)
        if lock is not None and not locked:
            changed = add_to(lock, done)
            if changed != lock:
                write_lock(path, changed)
        notes = [each.state().offline for each in registries.opened]
    report = InstallReport(
        components=tuple(each.report for each in done),
        lockfile=str(path) if lock is not None else None,
        offline=next(filter(None, notes), None),
        duration_s=round(time.monotonic() - began, 3),
    )
    show(report)


def run(choices: Sequence[Choice], platforms: tuple[Platform, ...], *, replace_links: bool) -> list[Installed]:
    """Install chosen versions, with progress."""
    room = Room(Home.of_user())
    labels = list(dict.fromkeys(choice.what for choice in choices))
    with make_board(labels) as board:
        return install(
            choices, room, lambda choice: board.row(choice.what), platforms=platforms, replace_links=replace_links
        )


def show(report: InstallReport) -> None:
    """Print what was installed."""
    if report.offline is not None:
        warn(f"the registry was not asked ({report.offline}); what was verified earlier counts")
    if emit(report.model_dump(mode="json")):
        return
    for each in report.components:
        what = {
            "installed": "installed",
            "unchanged": "is installed already",
            "repaired": "was damaged, and is repaired",
        }
        say(f"{each.namespace}/{each.name} {each.version} {what[each.state]}, verified")
        by = each.origin.publisher.told
        built = f", built by {each.origin.builder}" if each.origin.builder else ""
        say(f"  signed by {by}{built}")
        for program in each.programs:
            say(f"  run it:  {program.link or program.path}")
            if program.problem:
                say_aside(f"warning: {program.problem}")
        if not each.programs:
            say(f"  for {', '.join(each.platforms)}:  {each.path}")
    say(f"took {duration_text(report.duration_s)}")


def _platforms(targets: Sequence[str]) -> tuple[Platform, ...]:
    found = []
    for text in targets:
        for each in text.split(","):
            try:
                found.append(Platform(each.strip()))
            except ValueError as error:
                raise UsageError(str(error)) from None
    return tuple(found)
