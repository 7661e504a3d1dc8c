"""`flowctl bundle`: init, validate, info, build, test, publish, install, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    """Check bundle.yaml, its members, and what they are to each other; say what is wrong where."""
    from flowctl_core.cli.bundle_describing import show_findings
    from flowctl_core.cli.session import absolute

    raise typer.Exit(show_findings(absolute(path)))


@app.command()
def info(path: BundlePath = Path(), output: Output = None) -> None:
    """Tell what is in a bundle: members, who feeds whom, ports, ready-made pipelines."""
    from flowctl_core.cli.bundle_describing import show_bundle
    from flowctl_core.cli.session import absolute

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
    """Build every member for this machine, several at once, those first that others need."""
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
    """Build every member, run its tests, and check what they are to each other."""
    from flowctl_core.cli.bundling import test_bundle
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    engine = make_engine(cache=cache, flags={"build.local.parallel_jobs": jobs, "build.local.timeout": timeout})
    raise typer.Exit(test_bundle(engine, Options(offline=offline), absolute(path), verbose=verbose))
