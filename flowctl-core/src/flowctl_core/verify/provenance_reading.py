"""What a provenance says, for people. Whether it may be believed is somebody else's question."""

from __future__ import annotations

import base64
import json
from typing import Any

from flowctl_core.models.explanation import Ingredient


def claimed_provenance(bundle: bytes) -> dict[str, Any] | None:
    """The predicate in a bundle that nobody has verified; None when there is none."""
    try:
        payload = base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])
        predicate = json.loads(payload)["predicate"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return predicate if isinstance(predicate, dict) else None


def parameters(provenance: dict[str, Any]) -> dict[str, Any]:
    """What was asked for: component, version, repository, commit."""
    return _mapping(_mapping(provenance.get("buildDefinition")).get("externalParameters"))


def builder_id(provenance: dict[str, Any]) -> str | None:
    """Who built it."""
    found = _mapping(_mapping(provenance.get("runDetails")).get("builder")).get("id")
    return found if isinstance(found, str) else None


def is_dirty(provenance: dict[str, Any]) -> bool:
    """True when the files were not those of the commit."""
    return any(
        _mapping(each.get("annotations")).get("dirty") is True
        for each in _dependencies(provenance)
        if each.get("name") == "source"
    )


def ingredients(provenance: dict[str, Any]) -> tuple[Ingredient, ...]:
    """Source, base images, tools, plugins and materials, in their order."""
    return tuple(_ingredient(each) for each in _dependencies(provenance))


def _ingredient(entry: dict[str, Any]) -> Ingredient:
    notes, digests = _mapping(entry.get("annotations")), _mapping(entry.get("digest"))
    algorithm = next((name for name in ("gitCommit", "sha256") if name in digests), next(iter(digests), ""))
    name = str(entry.get("name", ""))
    return Ingredient(
        kind=str(notes.get("kind") or name),
        name=str(entry.get("uri") or name) if not notes.get("kind") else name,
        version=str(notes.get("version") or ""),
        digest=f"{algorithm}:{digests[algorithm]}" if algorithm else "",
    )


def _dependencies(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    found = _mapping(provenance.get("buildDefinition")).get("resolvedDependencies")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
