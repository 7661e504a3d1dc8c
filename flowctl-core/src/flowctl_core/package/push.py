"""Sends an image layout to a registry: blobs, then manifests, then the index under its tag (distribution-spec)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flowctl_core.errors import ImageError
from flowctl_core.models.event import Progress, Silent
from flowctl_core.models.image import PushReport
from flowctl_core.package.blobs import refusals
from flowctl_core.package.foreign_documents import Descriptor, Manifest, only_image, read_index, read_manifest
from flowctl_core.package.reference import Reference, parse_reference
from flowctl_core.package.refusal import refusal
from flowctl_core.package.registry import Registry
from flowctl_core.package.upload import How, require_digest, upload_blob

_AT_ONCE = 3
_BASE_NAME = "org.opencontainers.image.base.name"


@dataclass
class _Contents:
    """What a layout holds, in the order in which a registry takes it."""

    root: Descriptor
    manifests: list[tuple[Descriptor, bytes]] = field(default_factory=list)
    """The images' own first, then the index."""
    blobs: dict[Descriptor, str | None] = field(default_factory=dict)
    """Configs and layers, with the reference of the base that they may come from."""


def push_layout(
    layout: Path,
    reference: str,
    *,
    tags: Sequence[str] = (),
    plain_http: bool = False,
    progress: Progress | None = None,
) -> PushReport:
    """Push the one image or index of a layout, with all that it needs, and tag it.

    `reference` names registry, repository and tag; `tags` are further ones. What the registry has already is not sent
    again, and layers of a base in the same registry are taken from there. `plain_http` allows a registry elsewhere
    than on this machine without TLS.

    Raises ImageError when the registry refuses or stores something else, or the layout is no layout.
    """
    target = parse_reference(reference)
    if target.digest is not None:
        raise ImageError(f"{reference} names a digest", hint="Push to a tag: registry/name:tag")
    contents = _read(layout)
    mounts = {base: _mountable(base, target) for base in contents.blobs.values() if base is not None}
    sources = tuple(sorted({repository for repository in mounts.values() if repository is not None}))
    folder = layout / "blobs" / "sha256"
    with Registry(target, plain_http=plain_http, push=True, mount_from=sources) as registry:
        (progress or Silent()).step(f"pushing {target.name}")

        def bring(descriptor: Descriptor, base: str | None) -> How:
            file = folder / descriptor.digest.removeprefix("sha256:")
            return upload_blob(registry, file, descriptor.digest, mount_from=mounts.get(base) if base else None)

        with ThreadPoolExecutor(_AT_ONCE, "push") as pool:
            how = Counter(pool.map(bring, contents.blobs.keys(), contents.blobs.values()))
        for descriptor, data in contents.manifests:
            _put_manifest(registry, descriptor, data, descriptor.digest)
        root = contents.manifests[-1][1]
        names = tuple(dict.fromkeys((target.version, *tags)))
        for tag in names:
            _put_manifest(registry, contents.root, root, tag)
    with Registry(target, plain_http=plain_http) as registry:
        if (stored := registry.resolve()) != contents.root.digest:
            raise ImageError(
                f"{target.name} is {stored} after the push of {contents.root.digest}",
                hint="Somebody else pushes to the same tag, or the registry changes what is pushed.",
            )
    return PushReport(
        reference=target.name,
        digest=contents.root.digest,
        tags=names,
        uploaded=how["uploaded"],
        mounted=how["mounted"],
        already_there=how["there"],
    )


def _put_manifest(registry: Registry, descriptor: Descriptor, data: bytes, name: str) -> None:
    what = f"manifest {name} of {registry.reference.name}"
    headers = {"Content-Type": descriptor.media_type}
    answer = registry.ask("PUT", f"manifests/{name}", content=data, headers=headers)
    if not answer.ok:
        raise refusal(answer, registry.reference, what)
    require_digest(answer, descriptor.digest, registry, what)


def _mountable(base: str, target: Reference) -> str | None:
    """The base's repository, where it is another one of the same registry."""
    try:
        source = parse_reference(base)
    except ImageError:
        return None
    return source.repository if source.registry == target.registry and source.repository != target.repository else None


def _read(layout: Path) -> _Contents:
    name = str(layout)
    contents = _Contents(only_image(read_index(_bytes(layout / "index.json"), name), name))
    entries = read_index(_blob(layout, contents.root), name)
    for entry in entries if entries is not None else [contents.root]:
        data = _blob(layout, entry)
        manifest = read_manifest(data, name)
        contents.manifests.append((entry, data))
        for descriptor in _blobs_of(manifest):
            contents.blobs.setdefault(descriptor, (manifest.annotations or {}).get(_BASE_NAME))
    if entries is not None:
        contents.manifests.append((contents.root, _blob(layout, contents.root)))
    return contents


def _blobs_of(manifest: Manifest) -> Iterator[Descriptor]:
    yield manifest.config
    yield from manifest.layers


def _blob(layout: Path, descriptor: Descriptor) -> bytes:
    return _bytes(layout / "blobs" / "sha256" / descriptor.digest.removeprefix("sha256:"))


def _bytes(path: Path) -> bytes:
    with refusals(path):
        if not path.is_file():
            raise ImageError(f"the image layout is not complete: {path} is missing")
        return path.read_bytes()
