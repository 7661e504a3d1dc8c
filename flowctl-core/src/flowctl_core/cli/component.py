"""`flowctl component`: build, test, clean, detect, init, validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowctl_core.cli import install as store
from flowctl_core.cli.console import counted, emit, say, say_aside
from flowctl_core.cli.options import FailOn, Language, Main, Output, PathArgument, Verbose

app = typer.Typer(no_args_is_help=True, help="Build, test and describe components.")

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Folders of the components; several are built at once.", show_default="here")
]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Builds and toolchain jobs that run at once.")]
UseCache = Annotated[bool, typer.Option("--cache/--no-cache", help="Reuse and keep results in the build cache.")]
Offline = Annotated[bool, typer.Option("--offline", help="Fetch nothing from the network.")]


def _duration(text: str | None) -> str | None:
    """The text of --timeout, when it is a duration."""
    from pydantic import TypeAdapter, ValidationError

    from flowctl_core.models.config import Seconds

    try:
        TypeAdapter(Seconds).validate_python(text) if text is not None else None
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from error
    return text


Timeout = Annotated[
    str | None,
    typer.Option("--timeout", callback=_duration, help="Limit for each command of the toolchain (90s, 30m)."),
]


@app.callback()
def component() -> None:
    """Build, test and describe components."""


@app.command()
def build(
    paths: Paths = None,
    language: Language = None,
    main: Main = None,
    cache: UseCache = True,
    explain: Annotated[bool, typer.Option("--explain", help="Say which input caused a rebuild.")] = False,
    offline: Offline = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
    platforms: Annotated[
        str | None, typer.Option("--platforms", help="Build a release for these, into dist/: linux/amd64,linux/arm64.")
    ] = None,
    release: Annotated[
        bool,
        typer.Option("--release", help="Build a release for the platforms of component.yaml or the configuration."),
    ] = False,
    as_registry: Annotated[
        bool, typer.Option("--as-registry", help="Build a release of the commit, just as a registry would.")
    ] = False,
    commit: Annotated[
        str | None,
        typer.Option("--commit", help="With --as-registry: which commit, tag or branch.", show_default="HEAD"),
    ] = None,
    dist: Annotated[Path | None, typer.Option("--dist", help="Folder of the release.", show_default="dist")] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Make container images of a release.")] = True,
    push: Annotated[
        str | None, typer.Option("--push", help="Push the release's images to this reference (HOST/NAME:TAG).")
    ] = None,
    container: Annotated[
        bool, typer.Option("--container", help="Build the image for this machine and load it into the Docker engine.")
    ] = False,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Fail when a release's scan finds this severity or worse.")
    ] = None,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Build the component for this machine: .flowctl/bin/NAME, reachable as ./NAME. With --platforms: a release."""
    from flowctl_core.cli.building import build_components
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    settings = {"build.local.parallel_jobs": jobs, "build.local.timeout": timeout}
    engine = make_engine(cache=cache, flags={**settings, "build.scan.fail_on": fail_on and fail_on.value})
    options = Options(language=language, entry_point=main, offline=offline, explain=explain)
    shown = paths or [Path()]
    if platforms is not None or release or as_registry or push is not None or container:
        from flowctl_core.cli.releasing import ReleaseFlags, release_components

        flags = ReleaseFlags(platforms, as_registry, commit, dist, images, push, container)
        code = release_components(engine, options, flags, [(path, absolute(path)) for path in shown], verbose=verbose)
        raise typer.Exit(code)
    _refuse_release_flags(commit=commit, dist=dist, fail_on=fail_on)
    code = build_components(engine, options, [(path, absolute(path)) for path in shown], verbose=verbose)
    if code:
        raise typer.Exit(code)


def _refuse_release_flags(**given: object) -> None:
    from flowctl_core.errors import UsageError

    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} is for releases", hint="Add --release, --platforms LIST or --as-registry."
            )


@app.command()
def reproduce(
    path: Annotated[
        Path,
        typer.Argument(help="Folder of the component, or NAMESPACE/NAME@VERSION in a registry.", show_default="here"),
    ] = Path(),
    registry: Annotated[
        str | None, typer.Option("--registry", help="Address of the registry.", show_default="the configuration's")
    ] = None,
    checkout: Annotated[
        Path | None,
        typer.Option("--checkout", help="Repository here that has the commit.", show_default="the version's own"),
    ] = None,
    dist: Annotated[
        Path | None, typer.Option("--dist", help="Folder of the release.", show_default="the component's own")
    ] = None,
    offline: Offline = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Build a release again, in another folder, and compare every byte."""
    from flowctl_core.cli.releasing import Published, reproduce_release
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.errors import UsageError
    from flowctl_core.job import Options

    engine = make_engine(cache=False, flags={"build.local.parallel_jobs": jobs, "build.local.timeout": timeout})
    released: Path | Published | None = absolute(dist) if dist is not None else None
    if registry is not None or (_names_version(path) and not path.exists()):
        released = Published(str(path), registry, absolute(checkout) if checkout is not None else None)
    elif checkout is not None:
        raise UsageError("--checkout is for versions of a registry", hint="Name one: NAMESPACE/NAME@VERSION.")
    raise typer.Exit(
        reproduce_release(engine, Options(offline=offline, jobs=jobs), absolute(path), released, verbose=verbose)
    )


def _names_version(path: Path) -> bool:
    return len(path.parts) == 2 and "@" in path.name


@app.command()
def test(
    path: PathArgument = Path(),
    language: Language = None,
    main: Main = None,
    cache: UseCache = True,
    offline: Offline = False,
    jobs: Jobs = None,
    timeout: Timeout = None,
    container: Annotated[
        bool, typer.Option("--container", help="Run the tests in a container, in the Docker engine.")
    ] = False,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Build, run the project's own tests, then validate the interface."""
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.cli.testing import test_component
    from flowctl_core.job import Options

    engine = make_engine(cache=cache, flags={"build.local.parallel_jobs": jobs, "build.local.timeout": timeout})
    options = Options(language=language, entry_point=main, offline=offline)
    code = test_component(engine, options, absolute(path), verbose=verbose, container=container)
    if code:
        raise typer.Exit(code)


@app.command()
def scan(
    path: PathArgument = Path(),
    language: Language = None,
    main: Main = None,
    database: Annotated[
        Path | None,
        typer.Option(
            "--database",
            help="Directory of advisories in OSV's format, used instead of the network.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Fail when something of this severity or worse is found.")
    ] = None,
    offline: Offline = False,
    timeout: Timeout = None,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Look up known vulnerabilities of what the component depends on."""
    from flowctl_core.cli.scanning import scan_component
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    named = {"build.scan.database": database and absolute(database), "build.scan.fail_on": fail_on and fail_on.value}
    engine = make_engine(cache=False, flags={**named, "build.local.timeout": timeout})
    options = Options(language=language, entry_point=main, offline=offline)
    code = scan_component(engine, options, absolute(path), verbose=verbose)
    if code:
        raise typer.Exit(code)


@app.command()
def sbom(
    path: PathArgument = Path(),
    language: Language = None,
    main: Main = None,
    offline: Offline = False,
    timeout: Timeout = None,
    verbose: Verbose = False,
    output: Output = None,
) -> None:
    """Print what the component depends on, as CycloneDX JSON."""
    from flowctl_core.cli.scanning import print_sbom
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    engine = make_engine(cache=False, flags={"build.local.timeout": timeout})
    options = Options(language=language, entry_point=main, offline=offline)
    print_sbom(engine, options, absolute(path), verbose=verbose)


@app.command()
def sign(
    path: Annotated[
        Path, typer.Argument(help="Folder of the component, or of a release of it.", show_default="here")
    ] = Path(),
    key: Annotated[
        str | None, typer.Option("--key", help="Name of a key (`flowctl keys list`), path of a PEM file, or a URI.")
    ] = None,
    signer: Annotated[str, typer.Option("--signer", help="Signer plugin: embedded, keyless, or another.")] = "embedded",
    keyless: Annotated[bool, typer.Option("--keyless", help="Short for --signer keyless.")] = False,
    trust_config: Annotated[
        Path | None,
        typer.Option("--trust-config", help="keyless: Sigstore instance (JSON).", show_default="public"),
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push", help="Push the images' attestations to where the images are.", metavar="REF")
    ] = None,
    output: Output = None,
) -> None:
    """Sign a release: every artifact and image, with provenance, SBOM and scan."""
    from flowctl_core.cli.session import absolute
    from flowctl_core.cli.signing import sign as sign_component
    from flowctl_core.errors import UsageError
    from flowctl_core.models.signing import SigningRequest

    config = str(absolute(trust_config)) if trust_config is not None else None
    request = SigningRequest(signer="keyless" if keyless else signer, key=key, trust_config=config)
    if keyless and (key is not None or signer not in ("embedded", "keyless")):
        raise UsageError("--keyless and another way to sign", hint="Either an identity, or --key or --signer.")
    sign_component(absolute(path), request, push)


@app.command()
def publish(
    path: PathArgument = Path(),
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Where it belongs.", show_default="component.yaml's")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Version that it must be.", show_default="component.yaml's")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the build to its end.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show everything, and change nothing.")] = False,
    registry: Annotated[
        str | None,
        typer.Option("--registry", help="Address of the registry.", show_default="of the namespace", metavar="URL"),
    ] = None,
    remote: Annotated[
        str | None, typer.Option("--remote", help="Git remote to push to.", show_default="the branch's, or origin")
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option("--repository", help="Where the registry fetches.", show_default="the remote", metavar="URL"),
    ] = None,
    move_source: Annotated[
        bool, typer.Option("--move-source", help="Build it from this repository from now on, not from another.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show steps, not what they print.")] = False,
    output: Output = None,
) -> None:
    """Push commit and tag, let the registry build it for every platform, and follow that."""
    from flowctl_core.cli.publishing import Flags, publish_component
    from flowctl_core.cli.session import absolute

    flags = Flags(namespace, version, registry, remote, repository, move_source, wait, dry_run, quiet)
    publish_component(absolute(path), flags)


@app.command()
def clean(path: PathArgument = Path(), language: Language = None, output: Output = None) -> None:
    """Remove what build made, and nothing else."""
    from flowctl_core.cli.progress import PlainProgress
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Job, Options
    from flowctl_core.workflow import run_clean

    job = Job(absolute(path), make_engine(cache=False), Options(language=language), PlainProgress())
    report = run_clean(job)
    if emit(report.model_dump(mode="json")):
        return
    for removed in report.removed:
        say(f"removed {removed}")
    if not report.removed:
        say("nothing to remove")


@app.command()
def detect(path: PathArgument = Path(), language: Language = None, output: Output = None) -> None:
    """Say which language this is, how sure that is, which files say so, and what lost and why."""
    from flowctl_core.cli.documents import DetectDocument
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Job, Options
    from flowctl_core.workflow import run_detection

    report = run_detection(Job(absolute(path), make_engine(cache=False), Options(language=language)))
    winner = report.winner
    if emit(DetectDocument.of(report).model_dump(mode="json")):
        return
    where = "" if winner.detection.root == "." else f" in {winner.detection.root}/"
    say(f"{winner.detection.language}{where}, confidence {winner.detection.confidence:.2f} ({winner.distribution})")
    for evidence in winner.detection.evidence:
        say(f"  {evidence.path}: {evidence.reason}")
    for lost in report.lost:
        say(f"not {lost.detection.language} ({lost.builder}): {lost.lost_because}")
        for evidence in lost.detection.evidence:
            say(f"  {evidence.path}: {evidence.reason}")


@app.command()
def init(
    path: PathArgument = Path(),
    language: Language = None,
    main: Main = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The component's name.", show_default="the folder's")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", help="source, processor or sink.", show_default="metadata.json's, or processor"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing component.yaml.")] = False,
    output: Output = None,
) -> None:
    """Write a component.yaml from what was detected."""
    from flowctl_core.cli.describing import init_component
    from flowctl_core.cli.session import absolute, make_engine
    from flowctl_core.job import Options

    options = Options(language=language, entry_point=main)
    init_component(make_engine(cache=False), options, absolute(path), name=name, kind=kind, force=force)


@app.command()
def validate(path: PathArgument = Path(), output: Output = None) -> None:
    """Check component.yaml, the interface it declares, and metadata.json; say what is wrong where."""
    from flowctl_core.cli.describing import validate_component
    from flowctl_core.cli.documents import ValidateDocument
    from flowctl_core.cli.session import absolute

    findings = validate_component(absolute(path))
    errors = [finding for finding in findings if finding.severity == "error"]
    document = ValidateDocument(valid=not errors, findings=tuple(findings))
    if not emit(document.model_dump(mode="json")):
        for finding in findings:
            say_aside(f"{finding.severity}: {finding}")
        say("the component is valid" if not errors else counted(len(errors), "error"))
    if errors:
        from flowctl_core.errors import SpecError

        raise typer.Exit(SpecError.exit_code)


store.register(app)
