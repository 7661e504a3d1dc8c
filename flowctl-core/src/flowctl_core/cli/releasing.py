"""Builds releases and shows what came of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flowctl_core.cli.building import cancel
from flowctl_core.cli.console import emit, machine_readable, say, say_aside, warn
from flowctl_core.cli.documents import FailureDocument, ReleaseDocument
from flowctl_core.cli.failure import show_failure
from flowctl_core.cli.progress import make_board
from flowctl_core.cli.summary import duration_text, size_text
from flowctl_core.errors import FlowctlError, ImageError, NotReproducibleError, UsageError
from flowctl_core.job import Engine, Options, ReleaseOptions
from flowctl_core.models import Platform
from flowctl_core.models.release import PlatformReport, ReleaseReport
from flowctl_core.release_images import LAYOUT
from flowctl_core.release_record import SCAN
from flowctl_core.release_steps import image_missing, nothing_built
from flowctl_core.workflow import run_release

if TYPE_CHECKING:
    from flowctl_core.models import Progress
    from flowctl_core.models.reproduction import ReproductionReport

Target = tuple[Path, Path]
"""The path as the user wrote it, and absolute."""


def parse_platforms(text: str) -> tuple[Platform, ...]:
    """`linux/amd64,linux/arm64`. Raises UsageError."""
    try:
        platforms = tuple(Platform(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not platforms:
        raise UsageError("--platforms names no platform", hint="For example: --platforms linux/amd64,linux/arm64")
    return tuple(dict.fromkeys(platforms))


@dataclass(frozen=True)
class ReleaseFlags:
    """The options of `flowctl component build` that concern releases, as they were given."""

    platforms: str | None
    as_registry: bool
    commit: str | None
    dist: Path | None
    images: bool
    push: str | None
    container: bool

    def wanted(self) -> ReleaseOptions:
        """As the workflow takes them. Raises UsageError where they contradict each other."""
        if self.commit is not None and not self.as_registry:
            raise UsageError("--commit names what --as-registry builds", hint="Add --as-registry.")
        if self.push is not None and not self.images:
            raise UsageError("--push needs images, and --no-images makes none")
        if self.container and not self.images:
            raise UsageError("--container needs an image, and --no-images makes none")
        return ReleaseOptions(
            platforms=parse_platforms(self.platforms) if self.platforms is not None else (),
            as_registry=self.as_registry,
            revision=self.commit or "HEAD",
            dist=Path(os.path.abspath(self.dist)) if self.dist is not None else None,  # noqa: PTH100
            images=self.images,
        )


def release_components(
    engine: Engine, options: Options, flags: ReleaseFlags, targets: list[Target], *, verbose: bool
) -> int:
    """Build a release of each component, one after the other: each uses all jobs for its platforms.

    Returns 0, or the exit code of the first that is not whole.
    """
    wanted = flags.wanted()
    if len({root for _, root in targets}) < len(targets):
        raise UsageError("the same folder is named twice")
    if len(targets) > 1 and (wanted.dist is not None or flags.push is not None):
        raise UsageError("--dist and --push are for one component at a time")
    docker = None
    if flags.container:
        from flowctl_core.cli.loading import reach_engine

        docker, wanted = reach_engine(engine, wanted)
    codes = []
    documents = []
    for target in targets:
        report = _build_release(engine, options, wanted, target, verbose=verbose)
        error = _verdict(engine, report, target[1])
        if error is None and flags.push is not None:
            report = _push(report, target[1], flags.push, verbose=verbose)
        if error is None and docker is not None:
            from flowctl_core.cli.loading import load_release

            report = load_release(docker, report, target[1], verbose=verbose)
        document = ReleaseDocument(**dict(report), error=FailureDocument.of(error).error if error else None)
        documents.append(document.model_dump(mode="json"))
        if not machine_readable():
            show_release(report, str(target[0]))
            if error is not None:
                show_failure(error)
        codes.append(error.exit_code if error is not None else 0)
    emit(documents[0] if len(targets) == 1 else documents)
    return next((code for code in codes if code), 0)


def _push(report: ReleaseReport, root: Path, reference: str, *, verbose: bool) -> ReleaseReport:
    """Push the images of a whole release. Raises ImageError."""
    from flowctl_core.package.push import push_layout

    if report.image_index is None:
        raise ImageError(
            f"{report.component} has no image to push",
            hint="Images are made of programs for linux: name such a platform.",
        )
    with make_board([root.name], verbose=verbose) as board:
        progress = board.row(root.name)
        progress.step(f"pushing to {reference}")
        pushed = push_layout(root / report.directory / LAYOUT, reference, progress=progress)
    return report.model_copy(update={"pushed": str(pushed.reference)})


def _verdict(engine: Engine, report: ReleaseReport, root: Path) -> FlowctlError | None:
    """What makes the command fail although there is a release."""
    if any(platform.state != "built" for platform in report.platforms):
        return nothing_built(list(report.platforms))
    if report.image_failures:
        return image_missing(report.image_failures)
    threshold = engine.config.build.scan.fail_on
    if threshold is None:
        return None
    from flowctl_core.models.scan import ScanReport
    from flowctl_core.scan.verdict import require_safe

    scan = ScanReport.model_validate_json((root / report.directory / SCAN).read_bytes())
    try:
        require_safe(scan, threshold)
    except FlowctlError as error:
        return error
    return None


def _build_release(
    engine: Engine, options: Options, wanted: ReleaseOptions, target: Target, *, verbose: bool
) -> ReleaseReport:
    _, root = target
    with same_modes(), make_board([root.name], verbose=verbose) as board:
        try:
            report = run_release(root, engine, options, wanted, board.row(root.name))
        except KeyboardInterrupt:
            cancel(engine)
            raise
    for warning in report.warnings:
        warn(warning)
    return report


@contextmanager
def same_modes() -> Iterator[None]:
    """What tools write gets the same modes whoever runs them: some of it ends up in archives."""
    mask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(mask)


class Published(NamedTuple):
    """A version in a registry that is to be made again."""

    reference: str
    registry: str | None
    """None: the configuration's."""
    checkout: Path | None
    """A repository here that has the commit."""


def _reproduce_published(wanted: Published, engine: Engine, options: Options, progress: Progress) -> ReproductionReport:
    from flowctl_core.client.registries import Registries
    from flowctl_core.client.versions import parse_reference
    from flowctl_core.reproduce_published import reproduce_published

    reference = parse_reference(wanted.reference)
    registry = Registries(engine.config, named=wanted.registry).of(reference.namespace, alone=True)
    return reproduce_published(reference, registry, engine, options, progress, checkout=wanted.checkout)


def reproduce_release(
    engine: Engine, options: Options, root: Path, released: Path | Published | None, *, verbose: bool
) -> int:
    """Build a release again and say what differs; returns 0, or the exit code of NotReproducibleError."""
    from flowctl_core.reproduce import reproduce

    with same_modes(), make_board([root.name], verbose=verbose) as board:
        try:
            if isinstance(released, Published):
                report = _reproduce_published(released, engine, options, board.row(root.name))
            else:
                report = reproduce(root, released, engine, options, board.row(root.name))
        except KeyboardInterrupt:
            cancel(engine)
            raise
    code = 0 if report.reproduced else NotReproducibleError.exit_code
    if emit(report.model_dump(mode="json")):
        return code
    took = duration_text(report.duration_s)
    name = f"{report.component} {report.version}"
    for text in report.left_out:
        say_aside(f"not compared: {text}")
    if report.reproduced:
        say(f"{name} was reproduced: {report.compared} files have the same bytes ({took})")
        return code
    for difference in report.differences:
        what = "is new" if difference.expected is None else "is missing" if difference.found is None else "differs"
        say(f"  {difference.path} {what}: {difference.expected or 'nothing'} then, {difference.found or 'nothing'} now")
        if difference.detail:
            say("\n".join(f"    {line}" for line in difference.detail.splitlines()))
    for line in report.made_with:
        say(f"  made with {line}")
    say_aside(f"error: {name} was not reproduced: {len(report.differences)} of {report.compared} files differ ({took})")
    return code


def show_release(report: ReleaseReport, folder: str) -> None:
    """What was made, how long it took, what to do next."""
    built = [platform for platform in report.platforms if platform.state == "built"]
    where = report.directory if folder in ("", ".") else f"{folder.rstrip('/')}/{report.directory}"
    for_platforms = ", ".join(platform.platform for platform in built)
    took = duration_text(report.duration_s)
    say(f"{report.component} {report.version} built for {for_platforms} in {took} ({report.language}, release)")
    for platform in built:
        _show_platform(platform, where)
    for image in report.images:
        say(f"  image    {where}/containers/oci  {image.platform}  {size_text(image.size)}  {image.digest[:19]}…")
    _show_scan(report)
    source = f"commit {report.source.commit[:12]}" if report.source.commit else "a source outside git"
    say(f"  source   {source}{' with changes that are in no commit' if report.source.dirty else ''}")
    if report.pushed:
        say(f"  pushed   {report.pushed}")
    if report.loaded is not None:
        say(f"  loaded   {', '.join(report.loaded.names)}  {size_text(report.loaded.size)}  {report.loaded.id[:19]}…")
    say(f"  check it:  (cd {where} && sha256sum --check --quiet metadata/checksums)")
    if report.loaded is not None:
        say(f"  run it:    docker run --rm {report.loaded.names[0]}")


def _show_platform(platform: PlatformReport, where: str) -> None:
    for artifact in platform.artifacts:
        facts = artifact.facts
        needs = ""
        if facts is not None and facts.format == "script":
            needs = f"  needs {facts.interpreter}"
        elif facts is not None and facts.static:
            needs = "  static"
        elif facts is not None and facts.glibc:
            needs = f"  glibc ≥ {facts.glibc}"
        elif facts is not None and facts.minimum_os:
            needs = f"  macOS ≥ {facts.minimum_os}"
        say(f"  {artifact.kind:<8} {where}/{artifact.path}  {size_text(artifact.size)}  {artifact.digest[:19]}…{needs}")


def _show_scan(report: ReleaseReport) -> None:
    if report.vulnerabilities is not None:
        found = ", ".join(f"{count} {severity}" for severity, count in report.vulnerabilities if count)
        say(f"  scan     {found or 'no known vulnerability'}")
    if report.not_scanned:
        say(f"  scan     not scanned: {report.not_scanned}")
