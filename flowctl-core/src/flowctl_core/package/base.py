"""Brings base images in: from any OCI or Docker registry, by digest, into a cache that the next build finds.

<cache>/blobs/sha256/<hex>     manifests, configs and layers, compared with their digest when they came
<cache>/references/<hex>       what a reference meant last time, for builds without network
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from pydantic import JsonValue

from flowctl_core.errors import ImageError
from flowctl_core.models.event import Progress, Silent
from flowctl_core.models.image import BaseImage, BaseLayer
from flowctl_core.models.platform import Platform
from flowctl_core.package.blobs import Blobs, refusals
from flowctl_core.package.documents import DOCUMENT_LIMIT
from flowctl_core.package.foreign_documents import (
    Descriptor,
    choose_manifest,
    read_index,
    read_manifest,
    read_rootfs,
)
from flowctl_core.package.layer_contents import can_read, look_into
from flowctl_core.package.reference import Reference, parse_reference
from flowctl_core.package.registry import Registry, UnreachableError

SIZE_LIMIT = 8 * 2**30
"""Bytes of all layers of one base image."""
_AT_ONCE = 3
_SHOWN = 5


def fetch_base(
    reference: str,
    platforms: Iterable[Platform],
    cache: Path,
    *,
    offline: bool = False,
    plain_http: bool = False,
    size_limit: int = SIZE_LIMIT,
    progress: Progress | None = None,
) -> dict[Platform, BaseImage]:
    """The base image for each platform, complete in `cache`.

    A reference without digest is resolved to one; without network (or `offline`) to the one it had last time. With the
    digest of a single image, that image must be for the one platform asked for. `plain_http` allows a registry
    elsewhere than on this machine to be asked without TLS.

    Raises ImageError when the image cannot be had, lacks a platform or is not what it claims; StoreError when the disk
    refuses.
    """
    wanted = parse_reference(reference)
    fetcher = _Fetcher(wanted, cache, plain_http, offline, progress or Silent())
    with fetcher:
        return fetcher.fetch(tuple(platforms), size_limit)


class _Fetcher:
    """One fetch: what is in the cache is not asked for."""

    def __init__(self, reference: Reference, cache: Path, plain_http: bool, offline: bool, progress: Progress) -> None:
        self._reference = reference
        self._blobs = Blobs(cache)
        self._note = cache / "references" / sha256(str(reference).encode()).hexdigest()
        self._examined = cache / "examined"
        self._plain_http = plain_http
        self._offline = offline
        self._progress = progress
        self._opened: Registry | None = None

    def __enter__(self) -> _Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._opened.__exit__(None, None, None)

    def fetch(self, platforms: tuple[Platform, ...], size_limit: int) -> dict[Platform, BaseImage]:
        digest = self._resolve()
        data = self._document(digest)
        found = {}
        for platform in platforms:
            entries = read_index(data, str(self._reference))
            own = digest if entries is None else choose_manifest(entries, platform, str(self._reference)).digest
            found[platform] = self._image(digest, own, platform, size_limit)
        return found

    def _image(self, digest: str, own: str, platform: Platform, size_limit: int) -> BaseImage:
        name = str(self._reference)
        manifest = read_manifest(self._document(own), name)
        config, config_platform, diff_ids = read_rootfs(self._config(manifest.config), name)
        if (config_platform.os, config_platform.arch) != (platform.os, platform.arch):
            raise ImageError(
                f"the base image {name} is for {config_platform}, not for {platform}",
                hint="Name a base image (or its multi-platform index) that has the platform.",
            )
        if len(diff_ids) != len(manifest.layers):
            raise ImageError(f"the base image {name} has {len(manifest.layers)} layers and names {len(diff_ids)}")
        if (total := sum(layer.size for layer in manifest.layers)) > size_limit:
            raise ImageError(f"the base image {name} has {total} bytes; the limit is {size_limit}")
        self._layers(manifest.layers, platform)
        self._look_into(manifest.layers, diff_ids)
        layers = [
            BaseLayer(
                digest=layer.digest,
                size=layer.size,
                media_type=layer.media_type,
                diff_id=diff_id,
                path=self._blobs.path(layer.digest).absolute(),
            )
            for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
        ]
        return BaseImage(
            name=self._reference.name,
            digest=digest,
            manifest_digest=own,
            platform=platform,
            config=config,
            layers=tuple(layers),
        )

    def _resolve(self) -> str:
        if self._reference.digest is not None:
            return self._reference.digest
        if not self._offline:
            try:
                digest = self._registry().resolve()
            except UnreachableError as error:
                known = self._remembered()
                if known is None:
                    raise
                self._progress.warning(f"{error.message}; the base image {self._reference} is the one of last time")
                return known
            self._remember(digest)
            return digest
        known = self._remembered()
        if known is None:
            raise self._not_here("it was never fetched")
        return known

    def _document(self, digest: str) -> bytes:
        """A manifest or index, from the cache when it is there and sound."""
        path = self._blobs.path(digest)
        with refusals(path):
            data = path.read_bytes() if path.exists() else b""
            if "sha256:" + sha256(data).hexdigest() == digest:
                os.utime(path)
                return data
        data = self._registry().manifest(digest)
        self._blobs.put(data)
        return data

    def _config(self, config: Descriptor) -> bytes:
        if config.size > DOCUMENT_LIMIT:
            raise ImageError(f"the config of the base image {self._reference} is larger than {DOCUMENT_LIMIT} bytes")
        if not self._blobs.is_sound(config.digest, config.size):
            self._registry().blob(config.digest, config.size, self._blobs.new)
        path = self._blobs.path(config.digest)
        with refusals(path):
            return path.read_bytes()

    def _layers(self, layers: tuple[Descriptor, ...], platform: Platform) -> None:
        missing = list(dict.fromkeys(layer for layer in layers if not self._blobs.is_sound(layer.digest, layer.size)))
        if not missing:
            return
        size = sum(layer.size for layer in missing)
        self._progress.step(f"fetching the base image {self._reference} for {platform} ({size / 1e6:.0f} MB)")
        registry = self._registry()
        with ThreadPoolExecutor(_AT_ONCE, "fetch-base") as pool:
            jobs = [pool.submit(registry.blob, layer.digest, layer.size, self._blobs.new) for layer in missing]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                for job in jobs:
                    job.cancel()
                raise

    def _look_into(self, layers: tuple[Descriptor, ...], diff_ids: tuple[str, ...]) -> None:
        """Once for each layer: it unpacks to what the config says, within limits, and stays inside the image."""
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            note = self._examined / layer.digest.removeprefix("sha256:")
            with refusals(note):
                if note.is_file() and note.read_text(encoding="utf-8") == diff_id:
                    os.utime(note)
                    continue
            if can_read(layer.media_type):
                contents = look_into(self._blobs.path(layer.digest), layer.media_type)
                if contents.faults:
                    raise self._unsound(layer, "; ".join(contents.faults[:_SHOWN]))
                if contents.diff_id != diff_id:
                    raise self._unsound(layer, f"it unpacks to {contents.diff_id}, its config says {diff_id}")
            _write_whole(note, diff_id)

    def _unsound(self, layer: Descriptor, problem: str) -> ImageError:
        return ImageError(
            f"layer {layer.digest} of the base image {self._reference} is refused: {problem}",
            hint="Use another base image: this one is damaged, or made to do harm.",
        )

    def _registry(self) -> Registry:
        if self._offline:
            raise self._not_here("not all of it is in the cache")
        if self._opened is None:
            self._opened = Registry(self._reference, plain_http=self._plain_http)
        return self._opened

    def _not_here(self, why: str) -> ImageError:
        return ImageError(
            f"the base image {self._reference} is not on this machine: {why}",
            hint="Build once with network; then it is there.",
        )

    def _remembered(self) -> str | None:
        try:
            note: JsonValue = json.loads(self._note.read_text(encoding="utf-8"))
            os.utime(self._note)  # a sweep goes by it
        except (OSError, ValueError):
            return None
        digest = note.get("digest") if isinstance(note, dict) else None
        return digest if isinstance(digest, str) else None

    def _remember(self, digest: str) -> None:
        _write_whole(self._note, json.dumps({"reference": str(self._reference), "digest": digest}))


def _write_whole(path: Path, text: str) -> None:
    """A small file that appears complete."""
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
