"""What the fields of models mean, as their source says it below each; pydantic would read it at every import."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel


def describe_fields(definitions: dict[str, Any], models: Iterable[type[BaseModel]]) -> None:
    """Add the meanings to the JSON Schemas of the models and of the models within them, which stand by their names."""
    waiting, seen = list(models), set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        waiting += [inner for field in model.model_fields.values() for inner in _models_in(field.annotation)]
        schema = definitions.get(model.__name__)
        if schema is not None:
            for name, meaning in _meanings(model).items():
                if name in schema.get("properties", {}):
                    schema["properties"][name].setdefault("description", meaning)


def _models_in(kind: Any) -> list[type[BaseModel]]:
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models_in(part)]


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= _docstrings(kind)
    return found


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
