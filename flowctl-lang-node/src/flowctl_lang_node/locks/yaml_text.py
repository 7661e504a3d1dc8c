"""YAML as package managers write it."""

from __future__ import annotations

from typing import Any

from flowctl_lang_node.locks.graph import UnreadableLockError


def read_yaml(text: str) -> dict[str, Any]:
    """The mapping in a YAML text. Raises UnreadableLockError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe").load(text)
    except (YAMLError, RecursionError, ValueError) as error:
        raise UnreadableLockError(f"it is no YAML: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(data, dict):
        raise UnreadableLockError("it holds no mapping")
    return data
