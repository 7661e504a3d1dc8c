"""Loads an image of a layout into a Docker engine, and makes sure that the engine has just that image then."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.docker_engine.images import EngineImage, find_image, load, name_image
from flowctl_core.errors import EngineError
from flowctl_core.models.image import LoadedImage
from flowctl_core.models.platform import Platform
from flowctl_core.package.docker_archive import docker_archive
from flowctl_core.package.layout_read import StoredImage, read_image

_SEPARATORS = (".", "_", "__")
_TAG_LIMIT = 128


def engine_names(component: str, version: str, namespace: str | None) -> tuple[str, ...]:
    """What the engine is to call the image: `name:version`, and `namespace/name:version` where there is a namespace.

    Docker knows fewer signs than a component: capitals become small, others a dash (`1.2.0+meta` is `1.2.0-meta`).
    """
    tag = re.sub(r"[^\w.-]", "-", version, flags=re.ASCII).lstrip(".-")[:_TAG_LIMIT] or "latest"
    name = _repository(component)
    return (f"{name}:{tag}", *((f"{_repository(namespace)}/{name}:{tag}",) if namespace else ()))


def scratch_name(component: str, platform: Platform) -> str:
    """What an image is called that the engine builds for a release: one for each component and platform, no more."""
    return f"flowctl-build/{_repository(component)}:{platform.replace('/', '-')}"


def _repository(name: str) -> str:
    """The name as repositories may be called (distribution/reference): words joined by `.`, `_`, `__` or dashes."""
    dashed = re.sub(r"[^a-z0-9._-]+", "-", name.lower())
    return re.sub(r"[._-]+", lambda run: run[0] if run[0] in _SEPARATORS else "-", dashed).strip("._-") or "component"


def load_image(engine: DockerEngine, layout: Path, platform: Platform, names: Sequence[str]) -> LoadedImage:
    """Load the image for a platform under these names.

    Raises ImageError when the layout has none, EngineError when the engine does not take it or has another one then.
    """
    image = read_image(layout, platform)
    there = find_image(engine, image.config_digest)
    if there is not None and not list(_differences(there, image)):  # loaded before, or built there
        for name in names:
            name_image(engine, there.id, name)
    else:
        load(engine, docker_archive(image, names))
    found = [_loaded(engine, image, name) for name in names]
    return LoadedImage(names=tuple(names), id=found[0].id, size=found[0].size, platform=platform)


def _loaded(engine: DockerEngine, image: StoredImage, name: str) -> EngineImage:
    found = find_image(engine, name)
    differences = list(_differences(found, image)) if found is not None else ["there is none of that name"]
    if found is None or differences:
        raise EngineError(
            f"the Docker engine has another image as {name} than the one that was loaded: {'; '.join(differences)}",
            hint="Does something else load or tag images of that name at this moment?",
        )
    return found


def _differences(found: EngineImage, image: StoredImage) -> Iterator[str]:
    if found.diff_ids != image.diff_ids:
        yield f"its layers are {', '.join(found.diff_ids) or 'none'}, not {', '.join(image.diff_ids) or 'none'}"
    if (found.os, found.architecture) != (image.platform.os, image.platform.arch):
        yield f"it is for {found.platform}, not for {image.platform}"
    # An engine that keeps its images with containerd has ids of its own making: what a container gets must agree.
    if found.id != image.config_digest and found.run is not None:
        given = image.config.get("config")
        for key, value in found.run.model_dump(by_alias=True, mode="json").items():
            wanted = given.get(key) if isinstance(given, dict) else None
            if (value or None) != (wanted or None):
                yield f"its {key} is {value}, not {wanted}"
