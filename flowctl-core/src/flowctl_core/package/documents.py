"""The JSON documents of an image: config, manifest, index (image-spec config.md, manifest.md, image-index.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from flowctl_core.models.image import ImageInput, WrittenImage, WrittenLayer
from flowctl_core.models.platform import Platform
from flowctl_core.package.layer import MEDIA_TYPE

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCUMENT_LIMIT = 4 * 2**20
"""Bytes of a manifest, index or config; registries take manifests of at least that size (distribution-spec)."""
REF_NAME = "org.opencontainers.image.ref.name"
_ANNOTATION_PREFIX = "org.opencontainers.image."
_NANOSECONDS = 10**9

Json = dict[str, JsonValue]


def encode(document: Mapping[str, JsonValue]) -> bytes:
    """The same bytes for the same content."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def timestamp(epoch: int) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def platform_fields(platform: Platform) -> Json:
    """`os`, `architecture` and, where there is one, `variant`."""
    fields: Json = {"os": platform.os, "architecture": platform.arch}
    return fields | ({"variant": platform.variant} if platform.variant else {})


def image_config(image: ImageInput, layers: Sequence[WrittenLayer], epoch: int) -> Json:
    """The config: how the image runs, laid over what its base says, and the layers it has."""
    base: Json = image.base.config if image.base is not None else {}
    config: Json = {
        **platform_fields(image.platform),
        "created": timestamp(epoch),
        "config": _run_config(image, _mapping(base.get("config"))),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*_list(base.get("history")), *_history(image, epoch)],
    }
    if image.author:
        config["author"] = image.author
    for key in ("os.version", "os.features"):
        if key in base:
            config[key] = base[key]
    return config


def manifest(
    image: ImageInput, config: bytes, config_digest: str, layers: Sequence[WrittenLayer], annotations: Mapping[str, str]
) -> Json:
    """The manifest; layers of the base keep the media type they came with."""
    of_base = [layer.media_type for layer in image.base.layers] if image.base is not None else []
    media_types = [*of_base, *[MEDIA_TYPE] * (len(layers) - len(of_base))]
    found = {**annotations, **_annotations(image)}
    document: Json = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config_digest, "size": len(config)},
        "layers": [
            {"mediaType": media_type, "digest": layer.digest, "size": layer.size}
            for media_type, layer in zip(media_types, layers, strict=True)
        ],
    }
    return document | ({"annotations": dict(found)} if found else {})


def index(images: Sequence[WrittenImage], annotations: Mapping[str, str]) -> Json:
    """The multi-arch index."""
    document: Json = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {
                "mediaType": MANIFEST,
                "digest": image.digest,
                "size": image.manifest_size,
                "platform": platform_fields(image.platform),
            }
            for image in images
        ],
    }
    return document | ({"annotations": dict(annotations)} if annotations else {})


def layout_index(digest: str, size: int, ref_name: str | None) -> Json:
    """index.json: one descriptor, so that tools need no name to find the image."""
    descriptor: Json = {"mediaType": INDEX, "digest": digest, "size": size}
    if ref_name:
        descriptor["annotations"] = {REF_NAME: ref_name}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}


def _run_config(image: ImageInput, base: Json) -> Json:
    given: Json = {
        "User": image.user,
        "Env": [f"{key}={value}" for key, value in _environment(base, image.environment).items()],
        "Entrypoint": list(image.entrypoint),
        # The base's own command belongs to the base's own entry point.
        "Cmd": list(image.arguments),
        "WorkingDir": image.working_dir or base.get("WorkingDir") or "",
        "Labels": {**_inherited_labels(base), **image.labels},
        "ExposedPorts": _set(base.get("ExposedPorts"), image.exposed_ports),
        "Volumes": _set(base.get("Volumes"), image.volumes),
        "StopSignal": base.get("StopSignal"),
        "Healthcheck": _healthcheck(image),
    }
    return {key: value for key, value in given.items() if value}


def _inherited_labels(base: Json) -> Json:
    """Without the standard ones, which describe the base and not this image."""
    labels = _mapping(base.get("Labels"))
    return {key: value for key, value in labels.items() if not key.startswith(_ANNOTATION_PREFIX)}


def _environment(base: Json, over: Mapping[str, str]) -> dict[str, str]:
    pairs = (text.partition("=") for text in _list(base.get("Env")) if isinstance(text, str))
    found = {key: value for key, _, value in pairs}
    return found | {key: over[key] for key in sorted(over)}


def _healthcheck(image: ImageInput) -> Json:
    if image.healthcheck is None:
        return {}
    check = image.healthcheck
    times = {"Interval": check.interval_s, "Timeout": check.timeout_s, "StartPeriod": check.start_period_s}
    found: Json = {"Test": ["CMD", *check.command]}
    found |= {key: round(seconds * _NANOSECONDS) for key, seconds in times.items() if seconds is not None}
    return found | ({"Retries": check.retries} if check.retries is not None else {})


def _history(image: ImageInput, epoch: int) -> list[JsonValue]:
    return [{"created": timestamp(epoch), "created_by": layer.created_by} for layer in image.layers]


def _annotations(image: ImageInput) -> dict[str, str]:
    return {key: value for key, value in image.labels.items() if key.startswith(_ANNOTATION_PREFIX)}


def _set(base: JsonValue, more: Sequence[str]) -> Json:
    return {name: {} for name in sorted({*_mapping(base), *more})}


def _mapping(value: JsonValue) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
