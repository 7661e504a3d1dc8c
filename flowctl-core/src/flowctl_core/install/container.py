"""`--container`: the image of an installed version, by its verified digest, into the Docker engine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.errors import ImageError
from flowctl_core.install.installing import Installed, Room
from flowctl_core.install.plan import Choice
from flowctl_core.install.transfer import receive_all
from flowctl_core.models import Progress
from flowctl_core.models.published import PublishedFile, PublishedVersion
from flowctl_core.package.documents import INDEX
from flowctl_core.package.foreign_documents import read_manifest
from flowctl_core.package.layout import LAYOUT
from flowctl_core.package.load import engine_names, load_image
from flowctl_core.store.files import system_refusals


def load_images(
    engine: DockerEngine,
    choices: Sequence[Choice],
    installed: Sequence[Installed],
    room: Room,
    progress: Callable[[Choice], Progress],
) -> list[str]:
    """Load each version's image for the engine's platform; what the engine calls them.

    Only blobs whose digests the verified version leads to are used. Raises ImageError where a version has no image for
    the engine, EngineError, and what receiving raises.
    """
    return [
        _load(engine, choice, each, room, progress(choice)) for choice, each in zip(choices, installed, strict=True)
    ]


def _load(engine: DockerEngine, choice: Choice, installed: Installed, room: Room, progress: Progress) -> str:
    images = installed.verified.info.images
    digests = {each.platform: each.digest for each in images.images} if images is not None else {}
    if images is None or engine.platform not in digests:
        there = ", ".join(digests) or "none"
        raise ImageError(
            f"{choice.what} has no container image for {engine.platform}", hint=f"It has images for: {there}."
        )
    listed = choice.registry.version(choice.request, choice.version)
    manifest_digest = digests[engine.platform]
    top = _received(choice, listed, room, progress, (images.index, manifest_digest))
    manifest = read_manifest(room.contents.read(manifest_digest), choice.what)
    blobs = tuple(dict.fromkeys(each.digest for each in (manifest.config, *manifest.layers)))
    progress.step("receiving the container image")
    top += _received(choice, listed, room, progress, blobs)
    partial = room.contents.partial  # what is left there when we are killed is swept
    with system_refusals(partial, "made"), tempfile.TemporaryDirectory(dir=partial) as made:
        layout = Path(made)
        for file in top:
            room.contents.link(file.digest, layout / "blobs" / file.digest.replace(":", "/"), 0o444)
        index = next(file for file in top if file.digest == images.index)
        entry = {"mediaType": INDEX, "digest": index.digest, "size": index.size}
        (layout / "oci-layout").write_text(json.dumps(LAYOUT))
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        name = engine_names(choice.request.name, choice.version, choice.request.namespace)[-1]
        progress.step(f"loading {name} into the Docker engine")
        load_image(engine, layout, engine.platform, [name])
    return name


def _received(
    choice: Choice, listed: PublishedVersion, room: Room, progress: Progress, digests: Sequence[str]
) -> list[PublishedFile]:
    by_digest = {file.digest: file for file in listed.containers}
    if missing := [digest for digest in digests if digest not in by_digest]:
        raise ImageError(f"{choice.registry.url} lists no {missing[0]}, which is a part of the image of {choice.what}")
    files = [by_digest[digest] for digest in digests]
    receive_all(room.contents, choice.registry, choice.request, choice.version, files, progress, patience=room.patience)
    return files
