"""A software bill of materials: CycloneDX 1.6, JSON (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency as GraphNode
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from flowctl_core.models.artifact import Artifact, Dependency, Material
from flowctl_core.models.sbom import SbomInput, SbomTool
from flowctl_core.scan.packages import merged, parse_purl
from flowctl_core.scan.sbom_schema import check_sbom

if TYPE_CHECKING:
    from cyclonedx.model.license import License

_NAMESPACE = UUID("6c1cbf0d-5a7e-5d36-9a4e-0f0f3f4c7a11")
"""Of the serial numbers, which are name-based (RFC 9562, version 5): the same content, the same number."""
_ALGORITHMS = {"sha256": HashAlgorithm.SHA_256, "sha384": HashAlgorithm.SHA_384, "sha512": HashAlgorithm.SHA_512}
_DIGEST = re.compile(r"(?P<algorithm>sha256|sha384|sha512):(?P<hex>[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})")
_SCOPES = {
    "runtime": ComponentScope.REQUIRED,
    "build": ComponentScope.EXCLUDED,
    "test": ComponentScope.EXCLUDED,
}


def make_sbom(content: SbomInput) -> str:
    """The document as JSON text that ends with a newline; equal input gives equal text.

    Each artifact is a component of type `file` inside the described component, each dependency and material a component
    of its own; the graph says what depends on what. Checked against the official schema before it is given away.
    Raises PluginError for a dependency whose package URL is none.
    """
    document = _document(_bom(content))
    document["serialNumber"] = uuid5(_NAMESPACE, json.dumps(document)).urn
    check_sbom(document)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def component_purl(content: SbomInput) -> PackageURL:
    """Package URL of the component itself: the one given, else of type `generic`."""
    if content.purl:
        return parse_purl(content.purl)
    return PackageURL("generic", content.namespace, content.name, content.version)


def _document(bom: Bom) -> dict[str, Any]:
    with warnings.catch_warnings():
        # A builder may know dependencies and not who wants them; the library warns of what we cannot mend.
        warnings.simplefilter("ignore", UserWarning)
        document: dict[str, Any] = json.loads(
            make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
        )
    return document


def _bom(content: SbomInput) -> Bom:
    purl = component_purl(content)
    root = Component(
        bom_ref=str(purl),
        type=ComponentType(content.kind),
        group=content.namespace,
        name=content.name,
        version=content.version,
        description=content.description,
        licenses=_licenses(content.license or ""),
        purl=purl,
        components=[_artifact(artifact, str(purl)) for artifact in content.artifacts],
    )
    dependencies = merged(content.dependencies.dependencies)
    materials = {_material_ref(material): _material(material) for material in content.materials}
    components = {dependency.purl: _dependency(dependency) for dependency in dependencies}
    materials = {ref: component for ref, component in materials.items() if ref not in components}
    return Bom(
        serial_number=UUID(int=0),
        metadata=BomMetaData(
            timestamp=datetime.fromtimestamp(content.source_epoch, UTC),
            component=root,
            tools=ToolRepository(components=[_tool(tool) for tool in content.tools]),
            properties=[
                Property(name="flowctl:resolved-from", value=source) for source in content.dependencies.resolved_from
            ],
        ),
        components=[*components.values(), *materials.values()],
        dependencies=_graph(root, dependencies, components, materials.values()),
    )


def _graph(
    root: Component,
    dependencies: Iterable[Dependency],
    components: dict[str, Component],
    materials: Iterable[Component],
) -> list[GraphNode]:
    """Every component with what it needs, also where that is nothing, as the specification wants it."""
    needs: dict[str, set[str]] = {ref: set() for ref in components}
    direct = set()
    for dependency in dependencies:
        if dependency.direct or not any(parent in needs for parent in dependency.parents):
            direct.add(dependency.purl)  # whose way in is not known belongs to the component all the same
        for parent in dependency.parents:
            if parent in needs:
                needs[parent].add(dependency.purl)
    nodes = [GraphNode(ref=component.bom_ref) for component in materials]
    tops = [*nodes, *(GraphNode(ref=components[ref].bom_ref) for ref in direct)]
    nodes.append(GraphNode(ref=root.bom_ref, dependencies=tops))
    nodes += [GraphNode(ref=artifact.bom_ref) for artifact in root.components]
    nodes += [
        GraphNode(ref=components[ref].bom_ref, dependencies=[GraphNode(ref=components[n].bom_ref) for n in wanted])
        for ref, wanted in needs.items()
    ]
    return nodes


def _dependency(dependency: Dependency) -> Component:
    purl = PackageURL.from_string(dependency.purl)
    return Component(
        bom_ref=dependency.purl,
        type=ComponentType.LIBRARY,
        group=purl.namespace,
        name=purl.name,
        version=purl.version,
        scope=_SCOPES[dependency.scope],
        hashes=_hashes(dependency.digest),
        licenses=_licenses(dependency.license),
        purl=purl,
        properties=[
            Property(name="flowctl:scope", value=dependency.scope),
            *_other_digest(dependency.digest),
        ],
    )


def _artifact(artifact: Artifact, owner: str) -> Component:
    name = PurePosixPath(artifact.path).name
    return Component(
        bom_ref=f"{owner}#{artifact.platform}/{name}",
        type=ComponentType.FILE,
        name=name,
        hashes=_hashes(artifact.digest),
        properties=[
            Property(name="flowctl:kind", value=artifact.kind),
            Property(name="flowctl:platform", value=artifact.platform),
            Property(name="flowctl:size", value=str(artifact.size)),
        ],
    )


def _material_ref(material: Material) -> str:
    return str(parse_purl(material.purl)) if material.purl else f"material:{material.name}@{material.version}"


def _material(material: Material) -> Component:
    purl = parse_purl(material.purl) if material.purl else None
    return Component(
        bom_ref=_material_ref(material),
        type=ComponentType.APPLICATION,
        name=material.name,
        version=material.version or None,
        scope=ComponentScope.REQUIRED,
        hashes=_hashes(material.digest),
        purl=purl,
        properties=[Property(name="flowctl:scope", value="material"), *_other_digest(material.digest)],
    )


def _tool(tool: SbomTool) -> Component:
    return Component(
        bom_ref=f"tool:{tool.name}@{tool.version}",
        type=ComponentType.APPLICATION,
        name=tool.name,
        version=tool.version or None,
        purl=parse_purl(tool.purl) if tool.purl else None,
    )


def _hashes(digest: str) -> list[HashType]:
    match = _DIGEST.fullmatch(digest)
    return [HashType(alg=_ALGORITHMS[match["algorithm"]], content=match["hex"])] if match else []


def _other_digest(digest: str) -> list[Property]:
    """What CycloneDX has no name for (the `h1:` of go.sum) is kept beside."""
    return [Property(name="flowctl:digest", value=digest)] if digest and not _DIGEST.fullmatch(digest) else []


def _licenses(text: str) -> list[License]:
    return [LicenseFactory().make_from_string(text.strip())] if text.strip() else []
