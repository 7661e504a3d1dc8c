"""Every setting of a registry."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

from flowctl_registry.settings import Settings
from generator.models import field_words, meanings, models_in, table


def registry_settings() -> str:
    """Key, type, default, meaning."""
    return table(("Key", "Type", "Default", "Meaning"), _rows(Settings, ""))


def _rows(model: type[BaseModel], prefix: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    told = meanings(model)
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        if inner:
            listed = "[]" if field.default == () else ""
            found.extend(_rows(inner[0], f"{prefix}{name}{listed}."))
        else:
            secret = SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
            kind = field_words(field).replace("anything", "text") + (", secret" if secret else "")
            found.append((f"`{prefix}{name}`", kind, _default(field.default), told.get(name, "")))
    return found


def _default(value: Any) -> str:
    if value is None or value == () or value == {} or repr(value) == "PydanticUndefined":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
