"""SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance) of a release, from its build-info.json.

Build type `https://flowctl.dev/build/v1`: docs/development/signing.md names its parameters.
"""

from __future__ import annotations

from typing import Any

from flowctl_core.models.build_info import BuildInfo
from flowctl_core.sign.released import Released

PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://flowctl.dev/build/v1"
LOCAL_BUILDER = "https://flowctl.dev/builder/local"
"""Somebody's own machine: nobody vouches for it but the key's owner."""
REGISTRY_BUILDER = "https://flowctl.dev/builder/registry"
"""A registry's build service: sandboxed, without keys. Which registry, the key says that signed."""


def provenance(released: Released, builder_id: str) -> dict[str, Any]:
    """The predicate, held to in-toto-attestation's model of it."""
    info = released.info
    predicate: dict[str, Any] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _external(info),
            "internalParameters": {
                "plan": info.plan.model_dump(mode="json", exclude_none=True),
                "environment": info.environment,
                "flowctl": info.flowctl,
                "fetchRanCode": list(info.fetch_ran_code),
            },
            "resolvedDependencies": _dependencies(info),
        },
        "runDetails": {
            "builder": {"id": builder_id, "version": {"flowctl": info.flowctl}},
            "byproducts": [
                {"name": "metadata/build-info.json", "digest": _digest(released.info_digest)},
                {"name": "metadata/sbom.cdx.json", "digest": _digest(info.sbom)},
            ],
        },
    }
    _validate(predicate)
    return predicate


def _external(info: BuildInfo) -> dict[str, Any]:
    said = {
        "component": info.component,
        "version": info.version,
        "language": info.asked_language,
        "main": info.asked_main,
        "repository": info.source.repository,
        "commit": info.source.commit,
        "subdirectory": info.source.subdirectory,
        "platforms": [str(each.platform) for each in info.platforms],
        "profile": "release",
    }
    return {name: value for name, value in said.items() if value is not None}


def _dependencies(info: BuildInfo) -> list[dict[str, Any]]:
    source: dict[str, Any] = {
        "name": "source",
        "digest": _digest(info.source.tree_digest),
        "annotations": {"dirty": info.source.dirty},
    }
    if info.source.repository:
        source["uri"] = f"git+{info.source.repository}"
    if info.source.commit:
        source["digest"] |= {"gitCommit": info.source.commit}
    bases = info.images.bases if info.images else ()
    materials = {(each.name, each.digest): each for one in info.platforms for each in one.materials}
    return [
        source,
        *({"name": "base image", "uri": f"oci://{each.reference}", "digest": _digest(each.digest)} for each in bases),
        *(
            {
                "name": each.name,
                "digest": _digest(each.digest),
                "annotations": {"kind": "tool", "version": each.version, "origin": each.origin},
            }
            for each in info.tools
        ),
        *(
            {
                "name": each.name,
                "digest": _digest(each.digest),
                "annotations": {
                    "kind": each.role,
                    "distribution": each.distribution,
                    "version": each.version,
                },
            }
            for each in info.plugins
        ),
        *(
            {
                "name": each.name,
                "uri": each.purl,
                "digest": _digest(each.digest),
                "annotations": {"kind": "material", "version": each.version},
            }
            for each in materials.values()
            if each.digest
        ),
    ]


def _digest(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}


def _validate(predicate: dict[str, Any]) -> None:
    from google.protobuf.json_format import ParseDict
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance

    ParseDict(predicate, Provenance())
