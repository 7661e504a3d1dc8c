"""Builds a version that a registry published again, from its commit, and compares every published digest."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import ValidationError

from flowctl_core import reproduce
from flowctl_core.client.session import Session
from flowctl_core.client.versions import Reference, RegistryClient, Version
from flowctl_core.connection import Connection
from flowctl_core.errors import RemoteError, SourceError
from flowctl_core.job import Engine, Options
from flowctl_core.models import Progress
from flowctl_core.models.build_info import BuildInfo
from flowctl_core.models.reproduction import Difference, ReproductionReport
from flowctl_core.release_record import BUILD_INFO
from flowctl_core.release_steps import CONTAINERS
from flowctl_core.sign.unsigned import ATTESTATION_FOLDER, SUFFIX
from flowctl_core.store.files import remove_any
from flowctl_core.store.git_checkout import check_out

_SIGNED = f"{CONTAINERS}/: it carries signatures; {BUILD_INFO} has the digests of its images, and was compared"


def reproduce_published(
    reference: Reference,
    registry: Connection,
    engine: Engine,
    options: Options,
    progress: Progress,
    *,
    checkout: Path | None = None,
) -> ReproductionReport:
    """Fetch the version's record and source, build it again, and compare what comes out with what the registry lists.

    `checkout` is a repository here that has the commit, in place of the one that the record names. Raises RemoteError,
    and SourceError when the source cannot be had.
    """
    started = time.monotonic()
    progress.step(f"asking {registry.url} for {reference}")
    with Session(registry) as session:
        client = RegistryClient(session)
        version = client.version(reference)
        again = _record(client, reference, version)
    workspace = reproduce.new_workspace(engine)
    try:
        root = _source(again, reference, checkout, workspace, progress)
        new = reproduce.build_again(root, again, engine, options, progress, workspace)
        without, left_out = _left_out(version, again)
        expected = _listed(version, again, without_images=without)
        found = {
            path: digest
            for path, digest in reproduce.digests(new, images=not reproduce.is_by_dockerfile(again)).items()
            if not (without and path.startswith(f"{CONTAINERS}/"))
        }
        differences = tuple(
            Difference(path=path, expected=expected.get(path), found=found.get(path))
            for path in sorted({*expected, *found})
            if expected.get(path) != found.get(path)
        )
        return ReproductionReport(
            component=again.component,
            version=again.version,
            reproduced=not differences,
            compared=len({*expected, *found}),
            differences=differences,
            left_out=left_out,
            made_with=reproduce.made_with(again, reproduce.read_record(new), engine),
            duration_s=round(time.monotonic() - started, 4),
        )
    finally:
        remove_any(workspace)


def _record(client: RegistryClient, reference: Reference, version: Version) -> BuildInfo:
    listed = version.files.get(BUILD_INFO)
    if listed is None:
        raise RemoteError(f"{reference} has no {BUILD_INFO}", hint="Only what flowctl released can be built again.")
    try:
        return BuildInfo.model_validate_json(client.document(reference, listed))
    except ValidationError as error:
        raise RemoteError(
            f"{BUILD_INFO} of {reference} is no record that this flowctl knows", output=str(error)
        ) from error


def _source(again: BuildInfo, reference: Reference, checkout: Path | None, workspace: Path, progress: Progress) -> Path:
    source = again.source
    if source.commit is None or source.dirty:
        raise SourceError(f"{reference} was not built from a commit", hint="Only its publisher has the source.")
    if Path(source.subdirectory).is_absolute() or ".." in Path(source.subdirectory).parts:
        raise SourceError(f"{reference} names {source.subdirectory} as its folder, which is outside the repository")
    if checkout is not None:
        return checkout / source.subdirectory
    if source.repository is None:
        raise SourceError(
            f"{reference} does not say where its repository is",
            hint="Name a repository here that has the commit: --checkout DIR.",
        )
    folder = workspace / "repository"
    progress.step(f"fetching {source.repository} at {source.commit[:12]}")
    check_out(source.repository, source.commit, folder)
    root = folder / source.subdirectory
    root.mkdir(parents=True, exist_ok=True)
    return root


def _left_out(version: Version, again: BuildInfo) -> tuple[bool, tuple[str, ...]]:
    if reproduce.is_by_dockerfile(again):
        return True, (reproduce.LEFT_OUT,)
    signed = any(path.startswith(f"{ATTESTATION_FOLDER}/") for path in version.files)
    return signed, (_SIGNED,) if signed else ()


def _listed(version: Version, again: BuildInfo, *, without_images: bool) -> dict[str, str]:
    """What the registry lists of what a build makes: no signatures, and nothing that is not compared."""
    found = {
        path: file.digest
        for path, file in version.files.items()
        if path not in reproduce.NOT_COMPARED
        and not path.endswith(SUFFIX)
        and not path.startswith(f"{ATTESTATION_FOLDER}/")
        and not (without_images and path.startswith(f"{CONTAINERS}/"))
    }
    if reproduce.is_by_dockerfile(again):
        found[BUILD_INFO] = reproduce.digest_without_images(again)
    return found
