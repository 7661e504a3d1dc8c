"""From a component and its artifact to the input of an image: files, labels, ports, user, variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from flowctl_core.models.artifact import ImagePlan
from flowctl_core.models.component import ComponentSpec
from flowctl_core.models.component_document import ComponentBody, ComponentDocument, DocumentMetadata, Health
from flowctl_core.models.image import BaseImage, ImageInput, LayerEntry, LayerInput
from flowctl_core.models.platform import Platform
from flowctl_core.models.release import SourceIdentity
from flowctl_core.package.contents import CERTIFICATES, NONROOT, image_files, system_files, with_parents
from flowctl_core.package.documents import timestamp
from flowctl_core.package.metadata_json import encode, metadata_json

METADATA_FILE = "/metadata.json"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LABEL = "io.flowctl.component."
_OCI = "org.opencontainers.image."


def describe_image(
    plan: ImagePlan,
    platform: Platform,
    *,
    component: str,
    version: str,
    spec: ComponentSpec | None,
    source_root: Path,
    source: SourceIdentity,
    base: BaseImage | None = None,
    own_metadata: Mapping[str, JsonValue] | None = None,
    digests: Mapping[str, str] | None = None,
) -> ImageInput:
    """The image of one platform: the plan's files over `base` (None: scratch), with what the component says of itself.

    Paths in the plan are relative to `source_root`. `digests` are those of files as they were built, by that path: the
    layout refuses other bytes. Raises ImageError for files that are not there or no files.
    """
    document = ComponentDocument.model_validate(spec.data) if spec is not None and spec.data else None
    # Nothing to check where nothing is said; and checking begins with building all the models.
    body = document.spec if document is not None else ComponentBody.model_construct()
    about = document.metadata if document is not None else DocumentMetadata.model_construct(name=component)
    metadata = metadata_json(component, version, spec, own_metadata)
    user = _user(plan, body)
    entries = [entry for file in plan.files for entry in image_files(file, source_root, digests or {})]
    entries.append(LayerEntry(target=METADATA_FILE, text=encode(metadata)))
    layers = [LayerInput(created_by=f"flowctl: {component} {version}", entries=with_parents(entries, base))]
    environment = {**_defaults(body), **plan.environment}
    if base is None:
        layers.insert(
            0, LayerInput(created_by="flowctl: system files", entries=system_files(user, plan.needs_certificates))
        )
        environment = {"PATH": _PATH, **environment}
        if plan.needs_certificates:
            environment = {"SSL_CERT_FILE": CERTIFICATES, **environment}
    labels = {**image_labels(component, version, spec, source, own_metadata, base), **plan.labels}
    return ImageInput(
        platform=platform,
        base=base,
        layers=tuple(layers),
        entrypoint=plan.entrypoint,
        user=user,
        environment=environment,
        labels={key: labels[key] for key in sorted(labels)},
        exposed_ports=_ports(metadata, body),
        volumes=tuple(sorted(v.path for v in body.volumes if v.path and v.path.startswith("/"))),
        author=about.author or "",
    )


def image_labels(
    component: str,
    version: str,
    spec: ComponentSpec | None,
    source: SourceIdentity,
    own_metadata: Mapping[str, JsonValue] | None = None,
    base: BaseImage | None = None,
) -> dict[str, str]:
    """What an image says of the component in it, however it is built."""
    document = ComponentDocument.model_validate(spec.data) if spec is not None and spec.data else None
    body = document.spec if document is not None else ComponentBody()
    about = document.metadata if document is not None else DocumentMetadata(name=component)
    metadata = metadata_json(component, version, spec, own_metadata)
    return {
        **_text_labels(about),
        **_component_labels(component, version, spec, body, metadata),
        **_standard_labels(component, version, about, source, base),
    }


def _standard_labels(
    component: str, version: str, about: DocumentMetadata, source: SourceIdentity, base: BaseImage | None
) -> dict[str, str]:
    """The pre-defined keys of image-spec annotations.md."""
    found = {
        "title": component,
        "description": about.description,
        "version": version,
        "revision": source.commit,
        "source": about.repository or source.repository,
        "url": about.homepage,
        "licenses": about.license,
        "vendor": about.namespace,
        "authors": about.author,
        "created": timestamp(source.epoch),
        "base.name": base.name if base is not None else None,
        "base.digest": base.manifest_digest if base is not None else None,
    }
    return {_OCI + key: value for key, value in found.items() if value}


def _component_labels(
    component: str, version: str, spec: ComponentSpec | None, body: ComponentBody, metadata: Mapping[str, JsonValue]
) -> dict[str, str]:
    """What upstream's runtime looks for; health and security as JSON, since an image has no other place for them."""
    found: dict[str, str | None] = {
        "api-version": "v1",
        "name": component,
        "version": version,
        "type": (spec.type if spec is not None else None) or _text(metadata.get("type")),
        "description": _text(metadata.get("description")),
        "capabilities": ",".join(_capabilities(body, metadata)),
        "health": _json(body.health.model_dump(mode="json")) if body.health is not None else None,
        "security": _json(body.security.model_dump(mode="json")) if body.security is not None else None,
    }
    return {_LABEL + key: value for key, value in found.items() if value}


def _capabilities(body: ComponentBody, metadata: Mapping[str, JsonValue]) -> list[str]:
    """Those that the project states (`capabilities` in metadata.json or `spec`); else that it carries events."""
    for stated in (metadata.get("capabilities"), (body.model_extra or {}).get("capabilities")):
        if isinstance(stated, str):
            return [word.strip() for word in stated.split(",") if word.strip()]
        if isinstance(stated, list):
            return [word for word in stated if isinstance(word, str)]
    interface = body.interface
    communication = interface.communication if interface is not None else None
    carries = interface is not None and (
        interface.input_event_types
        or interface.output_event_types
        or (communication is not None and (communication.streams or communication.consumes))
    )
    events = ("input_types", "output_types", "consumes", "produces")
    return ["streaming"] if carries or any(metadata.get(key) for key in events) else []


def _text_labels(about: DocumentMetadata) -> dict[str, str]:
    return {**about.labels, **about.annotations}


def _ports(metadata: Mapping[str, JsonValue], body: ComponentBody) -> tuple[str, ...]:
    numbers = [metadata.get("port"), metadata.get("health_port"), *_probe_ports(body.health)]
    if body.interface is not None:
        for channel in (body.interface.input, body.interface.output):
            numbers.append(getattr(channel, "port", None))
    return tuple(f"{number}/tcp" for number in sorted({n for n in numbers if isinstance(n, int)}))


def _probe_ports(health: Health | None) -> Iterator[int | None]:
    for probe in (health.readiness, health.liveness, health.startup) if health is not None else ():
        if probe is not None:
            yield probe.port
            yield probe.http.port if probe.http is not None else None


def _defaults(body: ComponentBody) -> dict[str, str]:
    """Values that the spec gives to variables."""
    if isinstance(body.environment, dict):
        return dict(body.environment)
    found: dict[str, str] = {}
    for item in body.environment or ():
        if isinstance(item, str):
            name, _, value = item.partition("=")
            found[name.strip()] = value
        elif (given := item.default if item.value is None else item.value) is not None:
            found[item.name] = given
    return found


def _user(plan: ImagePlan, body: ComponentBody) -> str:
    security = body.security
    if security is None or (security.run_as_user is None and security.run_as_group is None):
        return plan.user
    user = security.run_as_user if security.run_as_user is not None else NONROOT
    group = security.run_as_group if security.run_as_group is not None else user
    return f"{user}:{group}"


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
