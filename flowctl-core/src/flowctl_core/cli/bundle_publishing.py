"""`flowctl bundle publish`: shows what will be pushed, built and published, asks, does it, and tells how to install."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from flowctl_core.bundles.claims import claims_of
from flowctl_core.bundles.describe import namespace_of
from flowctl_core.bundles.folder import BundleFolder, read_folder
from flowctl_core.bundles.publishing import BundlePlan, build_members, plan_publication, publish_set, push_members
from flowctl_core.bundles.repository import read_repository
from flowctl_core.bundles.validate import require_valid
from flowctl_core.cli.bundle_documents import BundlePublishDocument, PublishedMember
from flowctl_core.cli.console import emit, inform, machine_readable, say, say_aside, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.installing import Remotes
from flowctl_core.cli.progress import make_board
from flowctl_core.errors import CancelledError, UsageError
from flowctl_core.install.request import Request
from flowctl_core.models.remote_build import RemoteBuild


class Flags(NamedTuple):
    """The command's options."""

    version: str | None
    registry: str | None
    remote: str | None
    repository: str | None
    move_source: bool
    dry_run: bool
    verbose: bool


def publish_bundle(root: Path, flags: Flags) -> None:
    """Publish a bundle from its repository. Raises what checking, pushing, building and publishing raise."""
    bundle = read_folder(root)
    for finding in require_valid(bundle):
        if not machine_readable():
            warn(str(finding))
    repository = read_repository(root, remote=flags.remote, address=flags.repository)
    with Remotes(_asked(bundle), registry=flags.registry) as remotes:
        plan = plan_publication(
            bundle,
            repository,
            remotes.of,
            namespace=GLOBAL.namespace,
            version=flags.version,
            move_source=flags.move_source,
        )
        url = remotes.of(plan.namespace).url
        _tell(plan, url)
        builds: dict[str, RemoteBuild] = {}
        if not flags.dry_run:
            _ask(plan)
            if plan.pushes:
                inform(f"pushing {', '.join(plan.pushes)} to {repository.checkout.remote}")
                push_members(plan)
            builds = _carry_out(plan, remotes, bundle, verbose=flags.verbose)
    document = BundlePublishDocument(
        bundle=f"{plan.namespace}/{bundle.name}",
        version=plan.version,
        published=not flags.dry_run,
        registry=url,
        repository=repository.url,
        commit=repository.checkout.commit.sha,
        pushed=plan.pushes,
        members=tuple(
            PublishedMember(
                component=f"{each.namespace}/{each.member.name}",
                version=each.version,
                state="built" if each.member.name in builds else each.do,
                build=builds[each.member.name].id if each.member.name in builds else None,
            )
            for each in plan.members
        ),
        install=f"flowctl bundle install {plan.namespace}/{bundle.name}@{plan.version}",
    )
    if emit(document.model_dump(mode="json")):
        return
    if flags.dry_run:
        say("nothing was done (--dry-run)")
        return
    say(f"{plan.what} published: {len(plan.members)} components, {len(builds)} of them built now")
    say(f"  install it:  {document.install}")


def _asked(bundle: BundleFolder) -> list[Request]:
    """The bundle and its members, as far as their namespaces are known."""
    own = GLOBAL.namespace or bundle.loaded.spec.metadata.namespace
    spaces = [own, *(namespace_of(bundle, claim) or own for claim in claims_of(bundle))]
    return [Request(namespace, bundle.name) for namespace in dict.fromkeys(spaces) if namespace is not None]


def _tell(plan: BundlePlan, url: str) -> None:
    if machine_readable():
        return
    say(f"{plan.what} → {url}")
    say(f"  commit  {plan.repository.checkout.commit.sha[:12]} of {plan.repository.url}")
    if plan.pushes:
        say(f"  push    {', '.join(plan.pushes)} to {plan.repository.checkout.remote}")
    for each in plan.members:
        tag = f", tag {each.prepared.publication.tag}" if each.prepared is not None else ""
        say(f"  {each.what}: {'to be built' + tag if each.do == 'build' else 'published already, of the same source'}")


def _ask(plan: BundlePlan) -> None:
    """A question to people; scripts say --yes."""
    if GLOBAL.yes:
        return
    if machine_readable() or not sys.stdin.isatty():
        raise UsageError("nobody is here to be asked whether to publish", hint="Add --yes, or --dry-run to only look.")
    say_aside("publish? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CancelledError("nothing was pushed, built or published")


def _carry_out(plan: BundlePlan, remotes: Remotes, bundle: BundleFolder, *, verbose: bool) -> dict[str, RemoteBuild]:
    labels = [each.member.name for each in plan.members if each.do == "build"]
    try:
        with make_board([*labels, bundle.name], verbose=verbose) as board:
            builds = build_members(plan, remotes.of, board.row)
            publish_set(plan, remotes.of, board.row(bundle.name))
        return builds
    except KeyboardInterrupt:
        raise CancelledError(
            "not waiting any longer; builds in the registry go on",
            hint="`flowctl bundle publish` again goes on from here; `flowctl build list` shows the builds.",
        ) from None
