"""The cache key: everything that a build's result depends on, by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from flowctl_core import __version__
from flowctl_core.models import CacheKey, Plan, Tool


def digest_text(text: str) -> str:
    """`sha256:<hex>` of a text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def tool_text(version: str, digest: str) -> str:
    """How a tool stands in a key."""
    return f"{version} {digest}"


def plan_digest(plan: Plan) -> str:
    """Digest of a plan's canonical JSON."""
    told = {"warnings", "limitations"}  # what people are told changes no result
    return digest_text(json.dumps(plan.model_dump(mode="json", exclude=told), sort_keys=True))


def make_key(
    plan: Plan,
    *,
    source_digest: str,
    plugins: Iterable[tuple[str, str, str]],
    environment: Mapping[str, str],
    tools: Mapping[str, Tool],
) -> CacheKey:
    """Combine all inputs; `plugins` are (name, version, digest) of the builder and every wrapper.

    Variables that the plan passes through are hashed, never stored as text: a value may be a secret.
    """
    # The engine has its part in what is built too: launchers, what is kept of the environment, where things are put.
    parts = {"source": source_digest, "plan": plan_digest(plan), "flowctl": __version__}
    for name, version, digest in plugins:
        parts[f"plugin {name}"] = f"{version} {digest}"
    for name in plan.passthrough:
        if name in environment:
            parts[f"variable {name}"] = digest_text(environment[name])
    primary = digest_text(json.dumps(parts, sort_keys=True))
    return CacheKey(
        primary=primary,
        parts=parts,
        tools={name: tool_text(tool.version, tool.digest) for name, tool in sorted(tools.items())},
    )


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What differs between the named parts of two keys, for people."""
    lines = []
    for name in sorted({*old, *new}):
        if name not in old:
            lines.append(f"{name} is new")
        elif name not in new:
            lines.append(f"{name} is gone")
        elif old[name] != new[name]:
            lines.append(f"{name} changed")
    return lines
