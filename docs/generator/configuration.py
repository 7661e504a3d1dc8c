"""Every key of the configuration file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

from flowctl_core.config.load import ENVIRONMENT
from flowctl_core.models.config import Config, Folder, Seconds, Size, default_cache_dir
from generator.models import field_words, meanings, models_in, table

_FACTORIES = {default_cache_dir: "`$XDG_CACHE_HOME/flowctl`, else `~/.cache/flowctl`", tuple: "", dict: ""}


def configuration() -> str:
    """Key, type, default, environment variable, meaning."""
    variables = {key: name for name, key in ENVIRONMENT.items()}
    rows = []
    for key, field, meaning in _keys(Config, ""):
        variable = variables.get(key)
        rows.append((f"`{key}`", _type(field), _default(key, field), f"`{variable}`" if variable else "", meaning))
    return table(("Key", "Type", "Default", "Variable", "Meaning"), rows)


def keys() -> list[str]:
    """Every key, dotted."""
    return [key for key, _, _ in _keys(Config, "")]


def _keys(model: type[BaseModel], prefix: str) -> list[tuple[str, Any, str]]:
    found = []
    meaning = meanings(model)
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        if not inner:
            found.append((f"{prefix}{name}", field, meaning.get(name, "")))
            continue
        named = getattr(field.annotation, "__origin__", None) is dict
        listed = getattr(field.annotation, "__origin__", None) is tuple
        found.extend(_keys(inner[0], f"{prefix}{name}{'[]' if listed else ''}.{'<language>.' if named else ''}"))
    return found


def _type(field: Any) -> str:
    for kind, words in ((Seconds, "duration"), (Size, "size"), (Folder, "path")):
        if field.metadata and field.metadata[0] == kind.__metadata__[0]:
            return words
    if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ())):
        return "text, secret"
    return field_words(field)


def _default(key: str, field: Any) -> str:
    if field.default_factory is not None:
        # What a lambda gives differs between machines; the key says more than the value here.
        return _FACTORIES.get(field.default_factory) or {"build.local.parallel_jobs": "number of processors"}[key]
    default = field.default
    if default is None or default == () or field.is_required():
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default)
    spelled = {"build.local.cache_size": "10G", "build.local.timeout": "30m"}.get(key)
    if spelled is not None:
        # Shown as people write it, and held to the number.
        model: Any = Config.model_validate({"build": {"local": {key.rpartition(".")[2]: spelled}}})
        if getattr(model.build.local, key.rpartition(".")[2]) == default:
            return f"`{spelled}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
