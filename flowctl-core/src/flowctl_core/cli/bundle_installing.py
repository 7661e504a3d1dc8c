"""`flowctl bundle install`, `list`, and `info` of a published bundle: what is asked, what is done, what is told."""

from __future__ import annotations

import time
from collections.abc import Sequence

from flowctl_core.bundles.installing import InstalledBundle, kept_bundles, place_bundles
from flowctl_core.bundles.received import ReceivedBundle, choose_bundle, member_choices, receive_bundle
from flowctl_core.cli.bundle_documents import (
    BundleInstallDocument,
    BundleListDocument,
    InstalledBundleDocument,
    ListedBundle,
    PinnedDocument,
    PublishedBundleDocument,
)
from flowctl_core.cli.console import counted, emit, say, table, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.installing import Remotes, Wishes, find_lock, is_on_path, run
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import duration_text
from flowctl_core.errors import NotFoundError, RemoteError, UsageError
from flowctl_core.install.checking import rules_for
from flowctl_core.install.installing import Installed, Room, add_to
from flowctl_core.install.lockfile import NAME, write_lock
from flowctl_core.install.places import Home
from flowctl_core.install.request import Request, parse_request
from flowctl_core.models.installed import Lock


def install(references: Sequence[str], wishes: Wishes) -> None:
    """Install bundles and report. Raises what choosing, receiving, verifying and placing raise."""
    began = time.monotonic()
    path, lock = find_lock(wishes)
    requests = [parse_request(text, GLOBAL.namespace) for text in references]
    if not requests:
        if lock is None or not lock.bundles:
            raise UsageError("say which bundle", hint=f"NAMESPACE/NAME[@RANGE]; without it, {NAME} says which.")
        requests = [Request(*bundle.split("/", 1)) for bundle in lock.bundles]
    if len({request.component for request in requests}) < len(requests):
        raise UsageError("the same bundle is named twice")
    room = Room(Home.of_user())
    with _remotes(requests, wishes) as remotes:
        bundles = _receive(requests, wishes, remotes, lock, room)
    asked = [*requests, *_members(bundles)]  # only now is it known who is asked, and so who gets a token
    with _remotes(asked, wishes) as remotes:
        choices = member_choices(bundles, remotes.of, lock)
        if wishes.locked and lock is not None:
            for choice in choices:
                if choice.locked is None:
                    raise UsageError(f"{NAME} has no {choice.what}", hint="Install without --locked to lock it.")
        members = run(choices, wishes)
        placed = place_bundles(bundles, room)
        if lock is not None and not wishes.locked:
            changed = add_to(lock, members)
            named = {bundle.choice.request.component: bundle.locked() for bundle in bundles}
            changed = changed.model_copy(update={"bundles": {**changed.bundles, **named}})
            if changed != lock:
                write_lock(path, changed)
        _report(placed, members, remotes, str(path) if lock is not None else None, began)


def describe_published(reference: str, wishes: Wishes) -> None:
    """Receive a bundle's own files, verify them, and tell what is in it; nothing is installed."""
    request = parse_request(reference, GLOBAL.namespace)
    with Remotes([request], offline=wishes.offline, registry=wishes.registry) as remotes:
        (bundle,) = _receive([request], wishes, remotes, None, Room(Home.of_user()))
    metadata = bundle.spec.metadata
    document = PublishedBundleDocument(
        bundle=request.component,
        version=bundle.choice.version,
        description=metadata.description,
        registry=bundle.choice.registry.url,
        origin=bundle.origin,
        checks=bundle.checks,
        members=tuple(
            PinnedDocument(component=each.component, version=each.version, digests=each.digests)
            for each in bundle.set.members
        ),
        templates={
            template.name: tuple(name for item in template.components for name in item)
            for template in bundle.spec.spec.templates
        },
    )
    if emit(document.model_dump(mode="json")):
        return
    say(f"{document.bundle} {document.version}, verified")
    if document.description:
        say(f"  {document.description}")
    say(f"  signed by {bundle.origin.publisher.told}")
    say()
    table(
        ("component", "version", "files and images"),
        [(m.component, m.version, len(m.digests)) for m in document.members],
    )
    if document.templates:
        say()
        table(("template", "components"), [(name, " | ".join(members)) for name, members in document.templates.items()])
    say(f"\nnext: flowctl bundle install {document.bundle}@{document.version}")


def list_bundles() -> None:
    """Print the installed bundles."""
    home = Home.of_user()
    bundles = tuple(
        ListedBundle(
            reference=kept.record.reference,
            registry=kept.record.registry,
            path=str(home.version(kept.record.namespace, kept.record.name, kept.record.version, "bundle")),
            members=tuple(f"{member.component}@{member.version}" for member in kept.set.members),
            missing=kept.missing,
            installed_at=kept.record.installed_at,
        )
        for kept in kept_bundles(home)
    )
    if emit(BundleListDocument(bundles=bundles).model_dump(mode="json")):
        return
    if not bundles:
        say("no bundle is installed; `flowctl bundle install NAMESPACE/NAME` installs one")
        return
    rows = [
        (
            each.reference.partition("@")[0],
            each.reference.partition("@")[2],
            len(each.members),
            f"{', '.join(each.missing)} missing: install it again" if each.missing else "whole",
        )
        for each in bundles
    ]
    table(("bundle", "version", "members", "state"), rows)


def _remotes(requests: Sequence[Request], wishes: Wishes) -> Remotes:
    return Remotes(requests, offline=wishes.offline, registry=wishes.registry, fingerprint=wishes.fingerprint)


def _members(bundles: Sequence[ReceivedBundle]) -> list[Request]:
    return [Request(member.namespace, member.name) for bundle in bundles for member in bundle.set.members]


def _receive(
    requests: Sequence[Request], wishes: Wishes, remotes: Remotes, lock: Lock | None, room: Room
) -> list[ReceivedBundle]:
    try:
        choices = [
            choose_bundle(
                request, remotes.of(request.namespace), lock, locked=wishes.locked, prereleases=wishes.prereleases
            )
            for request in requests
        ]
    except NotFoundError as error:
        raise _with_near(error, requests, remotes) from error
    with make_board([choice.what for choice in choices]) as board:
        return [receive_bundle(choice, room, rules_for(choice.registry), board.row(choice.what)) for choice in choices]


def _with_near(error: NotFoundError, requests: Sequence[Request], remotes: Remotes) -> NotFoundError:
    """The same error, with names that may have been meant."""
    from flowctl_core.client.near import near_names

    for request in requests:
        if error.message.endswith(f"bundle {request.component}"):
            near: tuple[str, ...] = ()
            try:
                near = near_names(remotes.of(request.namespace).session, request.namespace, request.name, "bundles")
            except RemoteError:
                return error
            hint = f"Did you mean {' or '.join(near)}?" if near else "Is it a component? `flowctl component install`."
            return NotFoundError(error.message, hint=hint)
    return error


def _report(
    placed: Sequence[InstalledBundle],
    members: Sequence[Installed],
    remotes: Remotes,
    lockfile: str | None,
    began: float,
) -> None:
    problems = [program.problem for each in members for program in each.report.programs]
    home = Home.of_user()
    document = BundleInstallDocument(
        bundles=tuple(
            InstalledBundleDocument(
                reference=each.record.reference,
                state="unchanged" if each.unchanged else "installed",
                path=str(home.version(each.record.namespace, each.record.name, each.record.version, "bundle")),
                registry=each.record.registry,
                origin=each.record.origin,
                members=tuple(f"{member.component}@{member.version}" for member in each.received.set.members),
            )
            for each in placed
        ),
        components=tuple(each.report for each in members),
        lockfile=lockfile,
        offline=remotes.offline(),
        warnings=tuple(dict.fromkeys(problem for problem in problems if problem is not None)),
        duration_s=round(time.monotonic() - began, 3),
    )
    if document.offline is not None:
        warn(f"the registry was not asked ({document.offline}): what was verified earlier counts")
    if emit(document.model_dump(mode="json")):
        return
    for warning in document.warnings:
        warn(warning)
    _show(document, home)


def _show(document: BundleInstallDocument, home: Home) -> None:
    for component in document.components:
        words = {"installed": "installed", "unchanged": "is installed", "repaired": "repaired"}[component.state]
        links = ", ".join(program.link or program.path for program in component.programs)
        say(f"  {component.namespace}/{component.name} {component.version} {words}{f': {links}' if links else ''}")
    for bundle in document.bundles:
        name, _, version = bundle.reference.partition("@")
        state = "is installed" if bundle.state == "unchanged" else "installed, verified"
        say(f"{name} {version} {state}: {counted(len(bundle.members), 'component')}")
        say(f"  signed by {bundle.origin.publisher.told}")
        say(f"  {bundle.path}/metadata/bundle.yaml")
    say(f"({duration_text(document.duration_s)})")
    linked = any(program.link for each in document.components for program in each.programs)
    if linked and not is_on_path(home.bin):
        say(f'to call programs by name: export PATH="{home.bin}:$PATH"')
