"""The hooks of the plugin contract and the models that they take and give."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from pydantic import BaseModel

from flowctl_core import hookspecs, models
from flowctl_core.plugins.signatures import REQUIRED, hook_names, signature
from generator.models import meanings, models_in, python_type


def hooks() -> str:
    """The hooks of the contract, as hookspecs.py describes them."""
    rows = ["| Hook | Answers with | What it does |", "|---|---|---|"]
    for name in hook_names():
        function = getattr(hookspecs, name)
        needed = " **Required.**" if name in REQUIRED else ""
        text = " ".join((inspect.getdoc(function) or "").split())
        arguments = ", ".join(inspect.signature(function).parameters)
        rows.append(f"| `{name}({arguments})` | `{signature(name).expected}` or None | {text}{needed} |")
    return "\n".join(rows)


def hook_models() -> str:
    """Every model that a hook takes or gives, and the models in their fields, with what each field means."""
    sections = []
    for model in _reachable():
        lines = [f"### {model.__name__}", "", inspect.getdoc(model) or "", ""]
        meaning = meanings(model)
        for name, field in model.model_fields.items():
            kind = python_type(get_type_hints(model)[name])
            default = "required" if field.is_required() else f"default `{_default_text(field)}`"
            lines.append(f"- `{name}`: `{kind}`, {default}. {meaning.get(name, '')}".rstrip())
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _reachable() -> list[type[BaseModel]]:
    """Models in the order in which the hooks need them."""
    found: list[type[BaseModel]] = []

    def visit(kind: Any) -> None:
        for model in models_in(kind):
            if model not in found and model.__name__ in models.__all__:
                found.append(model)
                for field in get_type_hints(model).values():
                    visit(field)

    for name in hook_names():
        for kind in get_type_hints(getattr(hookspecs, name)).values():
            visit(kind)
    return found


def _default_text(field: Any) -> str:
    if field.default_factory is not None:
        return {"<lambda>": "the host's"}.get(field.default_factory.__name__, f"{field.default_factory.__name__}()")
    return f"{type(field.default).__name__}()" if isinstance(field.default, BaseModel) else repr(field.default)
