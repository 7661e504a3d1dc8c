"""`flowctl component publish`: shows what it will do, asks, does it, and follows the build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from flowctl_core.cli.console import emit, inform, is_terminal, machine_readable, say, say_aside, warn
from flowctl_core.cli.describing import validate_component
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.remote import registries
from flowctl_core.cli.watching import duration, watch
from flowctl_core.client.session import Session
from flowctl_core.errors import CancelledError, SpecError, UsageError
from flowctl_core.models.remote_build import PublishReport, RemoteBuild
from flowctl_core.publish.run import Prepared, Wanted, ask_for_build, prepare, push_source
from flowctl_core.specfile.finding import raise_errors
from flowctl_core.specfile.load import load_component
from flowctl_core.steps import COMPONENT_FILE


class Flags(NamedTuple):
    """The command's options."""

    namespace: str | None
    version: str | None
    registry: str | None
    remote: str | None
    repository: str | None
    move_source: bool
    wait: bool
    dry_run: bool
    quiet: bool


def publish_component(root: Path, flags: Flags) -> None:
    """Publish the component of a folder and report. Raises FlowctlError."""
    wanted = _wanted(root, flags)
    connection = registries(flags.registry).of(wanted.namespace, alone=True)
    with Session(connection) as session:
        inform(f"checking {wanted.namespace}/{wanted.name} {wanted.version} with {connection.url}")
        prepared = prepare(session, wanted)
        _show(prepared)
        if flags.dry_run:
            _report(prepared, None, flags)
            return
        _confirm(prepared)
        if prepared.missing.names:
            inform(f"pushing {' and '.join(prepared.missing.names)} to {prepared.checkout.remote}")
            push_source(prepared)
        build = ask_for_build(session, prepared)
        inform(f"build {build.id} {'goes on' if build.state == 'running' else f'is {build.state}'} in the registry")
        if flags.wait:
            build = watch(session, build, logs=not flags.quiet)
        _report(prepared, build, flags)


def _wanted(root: Path, flags: Flags) -> Wanted:
    findings = validate_component(root)
    for finding in findings:
        if finding.severity != "error":
            warn(str(finding))
    raise_errors(findings)
    spec = load_component(root / COMPONENT_FILE).spec
    version = spec.version
    if not version:
        raise SpecError(f"{COMPONENT_FILE} has no version", hint="Write metadata.version: 0.1.0")
    if flags.version is not None and flags.version.removeprefix("v") != version:
        raise SpecError(
            f"{COMPONENT_FILE} has version {version}, and --version says {flags.version}",
            hint=f"The registry builds what is committed: write metadata.version: {flags.version}, and commit.",
        )
    declared = spec.namespace
    asked = flags.namespace or GLOBAL.namespace
    if asked is not None and declared is not None and asked != declared:
        raise SpecError(f"{COMPONENT_FILE} is of the namespace {declared}, and --namespace says {asked}")
    namespace = asked or declared
    if namespace is None:
        raise UsageError(
            "it is not said into which namespace", hint="--namespace NS, or metadata.namespace in component.yaml."
        )
    return Wanted(
        root,
        namespace,
        spec.name,
        version,
        platforms=tuple(str(platform) for platform in spec.platforms),
        remote=flags.remote,
        repository=flags.repository,
        move_source=flags.move_source,
    )


def _show(prepared: Prepared) -> None:
    asked = prepared.publication
    say_aside(f"{asked.namespace}/{asked.name} {asked.version}, in {asked.registry}")
    branch = f", branch {prepared.checkout.branch}" if prepared.checkout.branch else ""
    say_aside(f"  commit     {asked.commit[:12]}{branch}")
    say_aside(f"  tag        {asked.tag}")
    folder = "" if asked.subdirectory == "." else f", folder {asked.subdirectory}"
    say_aside(f"  source     {asked.repository}{folder}")
    if asked.platforms:
        say_aside(f"  platforms  {', '.join(asked.platforms)}")
    if asked.push:
        say_aside(f"  push       {' and '.join(asked.push)} to {asked.remote} ({_without_password(prepared)})")
    else:
        say_aside(f"  push       nothing: {asked.remote} has commit and tag")
    if prepared.source == "new":
        say_aside("  register   this repository as the component's source, tags " + prepared.tag_pattern)
    elif prepared.source == "moved":
        say_aside(f"  register   this repository in place of {prepared.registered}")
    elif prepared.source == "left":
        say_aside("  register   nothing: that is for an owner of the namespace; new tags will start no builds")


def _without_password(prepared: Prepared) -> str:
    scheme, slashes, rest = prepared.checkout.address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if slashes else prepared.checkout.address


def _confirm(prepared: Prepared) -> None:
    if GLOBAL.yes or not (prepared.missing.names or prepared.source in ("new", "moved")):
        return
    if not (is_terminal() and sys.stdin.isatty()):
        raise UsageError(
            "this changes the repository or the registry, and nobody says yes",
            hint="Add --yes, or look first with --dry-run.",
        )
    say_aside("Go on? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CancelledError("nothing was pushed and nothing asked for")


def _report(prepared: Prepared, build: RemoteBuild | None, flags: Flags) -> None:
    asked = prepared.publication
    is_there = build is not None and build.state == "succeeded"
    version = (build.version if build is not None else None) or asked.version
    install = f"flowctl component install {asked.namespace}/{asked.name}@{version}" if is_there else None
    report = PublishReport(**dict(asked), dry_run=flags.dry_run, build=build, install=install)
    if emit(report.model_dump(mode="json")) or machine_readable():
        return
    if build is None:
        say("nothing was pushed and nothing asked for (--dry-run)")
        return
    if not is_there:
        say(f"build {build.id} of {build.what} is {build.state}")
        say(f"next: flowctl build logs -f {build.id}")
        return
    say(f"published {build.what} after {duration(build)}")
    say(f"next: {install}")
