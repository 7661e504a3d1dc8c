"""`flowctl bundle`: init, validate, info, build, test, publish, install, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli import install as install_options
from flowctl_core.cli.component import Jobs, Offline, Timeout, UseCache
from flowctl_core.cli.options import Output, Verbose

app = typer.Typer(no_args_is_help=True, help="Check, build, test, publish and install sets of components.")

BundlePath = Annotated[Path, typer.Argument(help="Folder of the bundle.", show_default="here")]


@app.callback()
def bundle() -> None:
    """Check, build, test, publish and install sets of components."""


@app.command()
def init(
    path: BundlePath = Path(),
    name: Annotated[str | None, typer.Option("--name", help="The bundle's name.", show_default="the folder's")] = None,
    version: Annotated[str, typer.Option("--version", help="Its first version.")] = "0.1.0",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.yaml.")] = False,
    output: Output = None,
) -> None:
    """Write a bundle.yaml of the components below the folder."""
    from flowctl_core.cli.bundle_describing import init_bundle
    from flowctl_core.cli.session import absolute

    init_bundle(absolute(path), name=name, version=version, force=force)


@app.command()
def validate(path: BundlePath = Path(), output: Output = None) -> None:
    """Check bundle.yaml, its members, and how they fit together."""
    from flowctl_core.cli.bundle_describing import show_findings
    from flowctl_core.cli.session import absolute

    raise typer.Exit(show_findings(absolute(path)))


@app.command()
def info(
    bundle: Annotated[
        str, typer.Argument(help="Folder of the bundle, or NAMESPACE/NAME[@RANGE] in a registry.", show_default="here")
    ] = ".",
    prerelease: install_options.Prerelease = False,
    offline: install_options.Offline = False,
    registry: install_options.Registry = None,
    output: Output = None,
) -> None:
    """Tell who is in a bundle, who feeds whom, on which ports."""
    from flowctl_core.cli.session import absolute

    path = Path(bundle)
    if not path.is_dir() and ("@" in bundle or bundle.count("/") == 1):
        from flowctl_core.cli.bundle_installing import describe_published
        from flowctl_core.cli.installing import Wishes

        describe_published(bundle, Wishes(prereleases=prerelease, offline=offline, registry=registry))
        return
    from flowctl_core.cli.bundle_describing import show_bundle

    show_bundle(absolute(path))


@app.command()
def build(
    path: BundlePath = Path(),
    cache: UseCache = True,
    offline: Offline = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Build every member for this machine, several at once."""
    from flowctl_core.cli.bundling import build_bundle
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    engine = make_engine(cache=cache, flags={"build.local.parallel_jobs": jobs, "build.local.timeout": timeout})
    raise typer.Exit(build_bundle(engine, Options(offline=offline), absolute(path), verbose=verbose))


@app.command()
def test(
    path: BundlePath = Path(),
    cache: UseCache = True,
    offline: Offline = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Build every member and run its tests."""
    from flowctl_core.cli.bundling import test_bundle
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    engine = make_engine(cache=cache, flags={"build.local.parallel_jobs": jobs, "build.local.timeout": timeout})
    raise typer.Exit(test_bundle(engine, Options(offline=offline), absolute(path), verbose=verbose))


@app.command()
def publish(
    path: BundlePath = Path(),
    version: Annotated[
        str | None, typer.Option("--version", help="Version that bundle.yaml must have.", show_default="bundle.yaml's")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    registry: install_options.Registry = None,
    remote: Annotated[
        str | None, typer.Option("--remote", help="Git remote to push to.", show_default="the branch's, or origin")
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option("--repository", help="Address where the registry fetches.", show_default="the remote's"),
    ] = None,
    move_source: Annotated[
        bool, typer.Option("--move-source", help="Register members anew that were built from another repository.")
    ] = False,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Build in the registry what changed, then publish the set."""
    from flowctl_core.cli.bundle_publishing import Flags, publish_bundle
    from flowctl_core.cli.session import absolute

    flags = Flags(version, registry, remote, repository, move_source, dry_run, verbose)
    publish_bundle(absolute(path), flags)


@app.command()
def install(
    references: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMESPACE/NAME[@RANGE]", help="Bundles, each with a version or range.", show_default=False
        ),
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Exactly what flowctl.lock has, by the same publisher, or nothing.")
    ] = False,
    lock: install_options.Lockfile = None,
    prerelease: install_options.Prerelease = False,
    offline: install_options.Offline = False,
    target: install_options.Targets = None,
    container: install_options.Container = False,
    replace_links: install_options.ReplaceLinks = False,
    registry: install_options.Registry = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="SHA-256 of the registry's root, where none is pinned yet.")
    ] = None,
    output: Output = None,
) -> None:
    """Install verified bundles with all their members, or nothing."""
    from flowctl_core.cli.bundle_installing import install
    from flowctl_core.cli.installing import Wishes

    wishes = Wishes(
        locked=locked, lockfile=lock, prereleases=prerelease, offline=offline, targets=tuple(target or ()),
        replace_links=replace_links, container=container, registry=registry, fingerprint=fingerprint,
    )  # fmt: skip
    install(references or [], wishes)


@app.command("list")
def list_(output: Output = None) -> None:
    """Show installed bundles, and which members are missing."""
    from flowctl_core.cli.bundle_installing import list_bundles

    list_bundles()
