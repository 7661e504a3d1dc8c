"""The official JSON schema of CycloneDX 1.6, which cyclonedx-python-lib carries.

That library's own validator compares every component with every other (`uniqueItems`): five seconds of one processor
for a thousand of them, where jsonschema-rs needs seven milliseconds with the same schema. Tests hold the two together.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema_rs

from flowctl_core.errors import InternalError

_IDS = "http://cyclonedx.org/schema/"
_REFERENCED = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json", "cryptography-defs.SNAPSHOT.schema.json")
_SHOWN = 20


def check_sbom(document: dict[str, Any]) -> None:
    """Raise InternalError, with every place that breaks the schema, when a document is no CycloneDX 1.6."""
    registry = jsonschema_rs.Registry([(_IDS + name, _schema(name)) for name in _REFERENCED])
    validator = jsonschema_rs.Draft7Validator(
        _schema("bom-1.6.SNAPSHOT.schema.json"), registry=registry, validate_formats=True
    )
    problems = [
        f"{'/'.join(str(part) for part in error.instance_path)}: {error.message[:500]}"
        for error in validator.iter_errors(document)
    ]
    if problems:
        raise InternalError(
            "the SBOM does not keep to the schema of CycloneDX 1.6; nothing was written",
            output="\n".join(problems[:_SHOWN]),
        )


def _schema(name: str) -> Any:
    return json.loads((files("cyclonedx.schema") / "_res" / name).read_text(encoding="utf-8"))
