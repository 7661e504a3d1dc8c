"""What a pydantic model says about its fields: types in words, defaults, and what each field means."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator
from pydantic.fields import FieldInfo

WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    date: "date",
    Any: "anything",
}


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field name to its meaning: its description, else the docstring below it, in the class or its bases."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind is not BaseModel and inspect.isclass(kind) and issubclass(kind, BaseModel):
            found |= _docstrings(kind)
    for name, field in model.model_fields.items():
        if field.description:
            found[name] = field.description
    for name, computed in model.model_computed_fields.items():
        found[name] = " ".join((computed.description or "").split("\n\n")[0].split())
    return found


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - it is the source of a class
    found = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found[statement.target.id] = " ".join(str(following.value.value).split())
    return found


def python_type(kind: Any) -> str:
    """A type as a plugin author writes it: `tuple[str, ...]`."""
    text = kind.__name__ if inspect.isclass(kind) and not get_args(kind) else str(kind)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+([A-Za-z]\w*)", r"\1", text)
    return text.replace("NoneType", "None").replace("|", "or")


def words(kind: Any, link: dict[type[BaseModel], str] | None = None) -> str:
    """A type in words for people who write YAML or read JSON; models in `link` become links to their headings."""
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return f"[{kind.__name__}](#{link[kind]})" if link and kind in link else "object"
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _discriminated(parts) or words(parts[0], link)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(words(part, link) for part in parts if part is not NoneType))
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        inner = words(parts[0], link)
        return f"list of ({inner})" if " or " in inner else f"list of {inner}"
    if origin is dict:
        return f"map to {words(parts[1], link)}"
    return WORDS.get(kind, "text" if inspect.isclass(kind) and issubclass(kind, str) else "anything")


def field_words(field: FieldInfo, link: dict[type[BaseModel], str] | None = None) -> str:
    """The type of a field in words; the discriminator of a union may stand on the field itself."""
    return _discriminated(field.metadata) or words(field.annotation, link)


def _discriminated(metadata: Any) -> str | None:
    for item in metadata:
        if isinstance(item, Discriminator) and item.custom_error_message:
            return item.custom_error_message.removeprefix("must be ")
    return None


def models_in(kind: Any) -> list[type[BaseModel]]:
    """Models in a type, in the order in which they are named."""
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in models_in(part)]


def step(kind: Any, model: type[BaseModel]) -> str:
    """What stands between the name of a field and the names of a model in it: nothing, `[]` or `.<name>`."""
    if kind is model:
        return ""
    for part in get_args(kind):
        if model in models_in(part):
            return {tuple: "[]", dict: ".<name>"}.get(get_origin(kind), "") + step(part, model)
    return ""


def nullable(kind: Any) -> bool:
    """True when None is allowed."""
    return NoneType in get_args(kind)


def cell(text: str) -> str:
    """Text for a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *(f"| {' | '.join(cell(text) for text in row)} |" for row in rows)])
