"""What a release was made with and from, as a recall looks for it: plugins, tools, base images, dependencies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import unquote

from flowctl_core.models.build_info import BuildInfo

MaterialKind = Literal["plugin", "tool", "base-image", "dependency"]
KINDS: tuple[MaterialKind, ...] = get_args(MaterialKind)
_NAME, _VERSION, _DIGEST = 512, 256, 128
"""Longest texts that are kept, as in the table."""


@dataclass(frozen=True)
class UsedMaterial:
    """One of them."""

    kind: MaterialKind
    name: str
    """Of a plugin its distribution; of a dependency its package URL without version, qualifiers and subpath."""
    version: str = ""
    digest: str = ""


def materials_of(info: BuildInfo, sbom: bytes) -> tuple[UsedMaterial, ...]:
    """All of a release, each once, sorted."""
    found = {_fitting(each) for each in (*_recorded(info), *listed(sbom))}
    return tuple(sorted(found, key=lambda each: (each.kind, each.name, each.version, each.digest)))


def split_purl(purl: str) -> tuple[str, str]:
    """`pkg:type/namespace/name` in its usual spelling, and the version, "" where it has none."""
    bare = purl.split("?")[0].split("#")[0]
    start = bare.rfind("/")
    name, at, version = bare[start + 1 :].partition("@")
    scheme, _, rest = (bare[: start + 1] + name).partition(":")
    kind, _, path = rest.lstrip("/").partition("/")
    path = unquote(path)
    if kind.lower() == "pypi":
        path = path.lower().replace("_", "-")
    return f"{scheme.lower()}:{kind.lower()}/{path}", unquote(version) if at else ""


def plugin_name(distribution: str) -> str:
    """A distribution's name in its usual spelling."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _recorded(info: BuildInfo) -> Iterator[UsedMaterial]:
    for plugin in info.plugins:
        yield UsedMaterial("plugin", plugin_name(plugin.distribution), plugin.version, plugin.digest)
    if all(plugin.distribution != "flowctl-core" for plugin in info.plugins):
        yield UsedMaterial("plugin", "flowctl-core", info.flowctl)
    for tool in info.tools:
        yield UsedMaterial("tool", tool.name, tool.version, tool.digest)
    for platform in info.platforms:
        for material in platform.materials:
            yield UsedMaterial("tool", material.name, material.version, material.digest)
            if material.purl:
                yield UsedMaterial("dependency", *split_purl(material.purl), material.digest)
    for base in info.images.bases if info.images is not None else ():
        yield UsedMaterial("base-image", base.reference, "", base.digest)


def listed(sbom: bytes) -> Iterator[UsedMaterial]:
    """Dependencies that an SBOM names by package URL."""
    try:
        document: Any = json.loads(sbom)
    except (ValueError, RecursionError):
        return  # its digest is the record's; what it says is its maker's business
    components = document.get("components") if isinstance(document, dict) else None
    for each in components if isinstance(components, list) else ():
        purl = each.get("purl") if isinstance(each, dict) else None
        if isinstance(purl, str) and purl.lower().startswith("pkg:"):
            yield UsedMaterial("dependency", *split_purl(purl))


def _fitting(material: UsedMaterial) -> UsedMaterial:
    name, version, digest = (text.replace("\0", "") for text in (material.name, material.version, material.digest))
    return UsedMaterial(material.kind, name[:_NAME], version[:_VERSION], digest[:_DIGEST])
