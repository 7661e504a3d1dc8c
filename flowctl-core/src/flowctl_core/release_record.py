"""The last steps of a release: what made it, in words that other programs read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from flowctl_core import __version__
from flowctl_core.build.key import digest_text
from flowctl_core.job import Job
from flowctl_core.models import Plan
from flowctl_core.models.build_info import (
    BaseImageInfo,
    BuildInfo,
    ImageInfo,
    ImagesInfo,
    PlatformInfo,
    PluginInfo,
    ToolInfo,
)
from flowctl_core.release_source import PLACES
from flowctl_core.release_steps import METADATA, file_digest
from flowctl_core.steps import COMPONENT_FILE

BUILD_INFO = f"{METADATA}/build-info.json"
SBOM = f"{METADATA}/sbom.cdx.json"
SCAN = f"{METADATA}/security-scan.json"
CHECKSUMS = f"{METADATA}/checksums"
OWN_METADATA = "metadata.json"
_SETTLED = ("SOURCE_DATE_EPOCH", "TZ", "LC_ALL")


def write_json(path: Path, data: object) -> None:
    """One document, indented, keys in the order of its model."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def make_build_info(job: Job) -> BuildInfo:
    """Everything that the release depends on; nothing of the machine, the user or the hour."""
    release = job.releasing
    identities = job.engine.plugins.identities(job.builder)
    plugins = tuple(
        PluginInfo(
            name=identity.name,
            distribution=identity.distribution,
            version=identity.version,
            digest=identity.digest,
            role="builder" if identity.name == job.builder else "wrapper",
        )
        for identity in identities
    )
    tools = tuple(
        ToolInfo(name=tool.name, version=tool.version, digest=tool.digest, origin=tool.origin)
        for _, tool in sorted((job.tools or {}).items())
    )
    given = [name for name in job.plan.passthrough if name in job.environment and name not in PLACES]
    passed = {name: digest_text(job.environment[name]) for name in given}
    settled = {name: job.environment[name] for name in _SETTLED if name in job.environment}
    return BuildInfo(
        component=job.plan.component,
        version=job.plan.version,
        language=job.plan.language,
        asked_language=job.options.language,
        asked_main=job.options.entry_point,
        source=release.source,
        fetch_ran_code=tuple(sorted(job.fetch_ran_code)),
        flowctl=__version__,
        plugins=plugins,
        plan=_recorded_plan(job.plan),
        tools=tools,
        environment={**dict(sorted(passed.items())), **settled},
        platforms=tuple(
            PlatformInfo(platform=r.platform, state=r.state, reason=r.reason, materials=r.materials)
            for r in release.platforms
        ),
        artifacts=tuple(artifact for report in release.platforms for artifact in report.artifacts),
        images=_images(job),
        sbom="sha256:" + file_digest(release.made / SBOM),
    )


def _recorded_plan(plan: Plan) -> Plan:
    """Without what people were told, in an order that no way of keeping JSON can change."""
    told = {"warnings": (), "limitations": ()}
    return plan.model_copy(update={**told, "environment": _sorted(plan.environment), "details": _sorted(plan.details)})


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _images(job: Job) -> ImagesInfo | None:
    layout = job.releasing.layout
    if layout is None:
        return None
    compressor = layout.compressor
    bases = {
        (image.base_name, image.base_digest): BaseImageInfo(reference=image.base_name, digest=image.base_digest)
        for image in layout.images
        if image.base_name and image.base_digest
    }
    return ImagesInfo(
        index=layout.index_digest,
        compressor=f"{compressor.name} {compressor.version}, level {compressor.level}, {compressor.block_size} bytes",
        dockerfile=job.releasing.built_by_dockerfile,
        bases=tuple(bases.values()),
        images=tuple(
            ImageInfo(
                platform=image.platform,
                digest=image.digest,
                config=image.config_digest,
                layers=tuple(layer.digest for layer in image.layers),
                diff_ids=tuple(layer.diff_id for layer in image.layers),
            )
            for image in layout.images
        ),
    )


def own_metadata(job: Job) -> dict[str, JsonValue] | None:
    """The project's own metadata.json, as it is in the source. Raises SpecError when it is none."""
    file = job.root / OWN_METADATA
    if not file.is_file():
        return None
    from flowctl_core.specfile.load import load_metadata

    load_metadata(file)
    document: dict[str, JsonValue] = json.loads(file.read_text(encoding="utf-8-sig"))
    return document


def write_metadata(job: Job) -> None:
    """component.yaml as it is in the source (without one, what `init` would write), metadata.json, build-info.json."""
    from flowctl_core.package.metadata_json import encode, metadata_json

    made, spec = job.releasing.made, job.spec.spec if job.spec is not None else None
    (made / METADATA / COMPONENT_FILE).write_bytes(_component_yaml(job))
    document = metadata_json(job.plan.component, job.plan.version, spec, own_metadata(job))
    (made / METADATA / OWN_METADATA).write_text(encode(document), encoding="utf-8")
    write_json(made / BUILD_INFO, make_build_info(job).model_dump(mode="json"))


def _component_yaml(job: Job) -> bytes:
    if job.spec is not None:
        return (job.root / COMPONENT_FILE).read_bytes()
    from flowctl_core.specfile.scaffold import component_yaml

    plan = job.plan
    return component_yaml(
        name=plan.component,
        version=plan.version,
        language=plan.language,
        platforms=plan.platforms,
        description=f"What {plan.component} does, in one sentence",
    ).encode()


def write_checksums(job: Job) -> None:
    """`metadata/checksums`, as `sha256sum --check` reads it in the release's folder."""
    made = job.releasing.made
    lines = []
    for folder, _, names in os.walk(made):
        for name in names:
            path = Path(folder) / name
            relative = path.relative_to(made).as_posix()
            if relative not in (".gitignore", CHECKSUMS):
                lines.append((relative, file_digest(path)))
    text = "".join(f"{digest}  {relative}\n" for relative, digest in sorted(lines))
    (made / CHECKSUMS).write_text(text, encoding="utf-8")
