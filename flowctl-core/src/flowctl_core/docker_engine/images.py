"""Images that an engine has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO

from pydantic import Field, JsonValue

from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.errors import EngineError, StoreError
from flowctl_core.models.base import Frozen
from flowctl_core.models.platform import Platform


class _Run(Frozen):
    user: str = Field("", alias="User")
    environment: tuple[str, ...] | None = Field((), alias="Env")
    entrypoint: tuple[str, ...] | None = Field((), alias="Entrypoint")
    arguments: tuple[str, ...] | None = Field((), alias="Cmd")
    labels: dict[str, str] | None = Field({}, alias="Labels")


class _RootFs(Frozen):
    layers: tuple[str, ...] | None = Field((), alias="Layers")


class EngineImage(Frozen):
    """An image as the engine describes it (Docker Engine API, ImageInspect)."""

    id: str = Field(alias="Id")
    """`sha256:<hex>`: of the config, or of the manifest in an engine that keeps its images with containerd."""
    tags: tuple[str, ...] | None = Field((), alias="RepoTags")
    os: str = Field(alias="Os")
    architecture: str = Field(alias="Architecture")
    variant: str = Field("", alias="Variant")
    size: int = Field(0, alias="Size")
    """Bytes of its layers, unpacked."""
    run: _Run | None = Field(None, alias="Config")
    rootfs: _RootFs = Field(_RootFs(), alias="RootFS")

    @property
    def platform(self) -> Platform:
        """`os/arch`, with the variant where it has one."""
        return Platform("/".join(part for part in (self.os, self.architecture, self.variant) if part))

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Digests of its layers, uncompressed."""
        return self.rootfs.layers or ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its containers get."""
        pairs = (text.partition("=") for text in (self.run.environment or () if self.run is not None else ()))
        return {name: value for name, _, value in pairs}


def find_image(engine: DockerEngine, name: str) -> EngineImage | None:
    """The image of that tag or id; None when the engine has none. Raises EngineError."""
    with engine.work(f"look at the image {name}") as client:
        from docker.errors import ImageNotFound

        try:
            found = client.inspect_image(name)
        except ImageNotFound:
            return None
    return EngineImage.model_validate(found)


def load(engine: DockerEngine, archive: Iterable[bytes]) -> None:
    """Give the engine a docker-archive. Raises EngineError with its own words where it does not take it."""
    with engine.work("load the image") as client:
        for message in messages(client.load_image(archive)):
            if "error" in message:
                raise EngineError(f"the Docker engine cannot load the image: {message['error']}")


def save(engine: DockerEngine, image: str, target: IO[bytes]) -> None:
    """Write the image as a docker-archive, rewound. Raises EngineError, StoreError."""
    with engine.work(f"give the image {image}") as client:
        for data in client.get_image(image):
            try:
                target.write(data)
            except OSError as error:
                raise StoreError.of(error, doing="written") from error
    target.seek(0)


def drop_image(engine: DockerEngine, image: str) -> None:
    """Remove an image that nothing names or uses any more; any other stays."""
    with suppress(EngineError), engine.work("remove an image") as client:
        client.remove_image(image)


def name_image(engine: DockerEngine, image: str, name: str) -> None:
    """Give an image a further name. Raises EngineError."""
    repository, _, tag = name.rpartition(":")
    with engine.work(f"name an image {name}") as client:
        client.tag(image, repository, tag)


def messages(stream: Iterable[object]) -> Iterator[dict[str, JsonValue]]:
    """The JSON messages of a stream of the engine's; docker-py gives them as objects, or several in one text."""
    import json

    for part in stream:
        if isinstance(part, dict):
            yield part
            continue
        text = part.decode(errors="replace") if isinstance(part, bytes) else str(part)
        for line in text.splitlines():
            if line.strip():
                yield json.loads(line)
