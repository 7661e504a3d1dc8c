"""What the typed shapes of component.yaml, bundle.yaml, pipeline.yaml and metadata.json have in common.

These classes are built on first use (`defer_build`) and imported only by those who read spec files: a build
that does not change imports none of them.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
NAME_LIMIT = 128
"""Characters; a name becomes a file name, an image name and a part of URLs."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Document(BaseModel):
    """A part of a spec file: unknown fields are kept, empty ones (`tags:`) count as absent.

    Dumping gives back what was set and nothing else, under the file's own field names, so that
    `model_validate_json(model_dump_json())` and load → dump lose nothing.
    """

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped = handler(self)
        extra = self.model_extra or {}
        result: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            key = field.alias or name
            # An unknown field may be called as a field is called in Python (`input_event_types`).
            given = name in self.model_fields_set and (name not in extra or getattr(self, name) != field.default)
            if given and (key in dumped or name in dumped):
                result[key] = dumped[key if key in dumped else name]
        return result | {key: dumped[key] for key in extra if key in dumped}


def _scalar_text(value: Any) -> Any:
    """A number where text is wanted keeps its spelling: `version: 1.10` is the text 1.10."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return getattr(value, "text", None) or str(value)
    return value


def _variable_text(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _scalar_text(value)


def _check_name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text) or ".." in text or len(text) > NAME_LIMIT:
        better = re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9._-]+", "-", text.lower().replace("..", "."))).strip("-._")
        better = better[:NAME_LIMIT]
        raise ValueError(
            f"'{text[:80]}' is not a name; use lower-case letters, digits, '-', '.' and '_', starting with "
            f"a letter or digit, without '..', at most {NAME_LIMIT} characters"
            + (f", for example '{better}'" if better else "")
        )
    return text


def _check_version(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}", text) or ".." in text:
        raise ValueError(f"'{text[:80]}' is not a version; write one such as 1.2.3")
    return text


def _check_variable(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name.strip()):
        raise ValueError(f"'{text}' does not set a variable; write NAME=value")
    return text


def _shape(value: Any) -> str:
    if isinstance(value, dict | BaseModel):
        return "map"
    return "list" if isinstance(value, list | tuple) else "text"


def either(what: str) -> Discriminator:
    """Choose the branch of a union by shape, so that an error speaks of one branch only."""
    return Discriminator(_shape, custom_error_type="shape", custom_error_message=f"must be {what}")


def _check_day(value: Any) -> Any:
    """A date is text here (YAML 1.2); pydantic alone would also take a number, for seconds since 1970."""
    text = getattr(value, "text", None) or str(value)
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text[:80]}' is not a date; write one such as 2027-03-31") from None


def _check_reason(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


_LOOSE = WithJsonSchema({"type": ["string", "number"]})

Text = Annotated[str, BeforeValidator(_scalar_text), _LOOSE]
"""Text; a number keeps the spelling it has in the file."""
Name = Annotated[
    str,
    BeforeValidator(_scalar_text),
    AfterValidator(_check_name),
    WithJsonSchema({"type": ["string", "number"], "pattern": NAME_PATTERN, "maxLength": NAME_LIMIT}),
]
"""A name that is safe as file name, image name and part of a URL."""
Version = Annotated[str, BeforeValidator(_scalar_text), AfterValidator(_check_version), _LOOSE]
"""A version, with or without a leading v."""
VariableText = Annotated[
    str, BeforeValidator(_variable_text), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})
]
"""Value of an environment variable; `true` and numbers keep their spelling."""
Assignment = Annotated[
    str,
    BeforeValidator(_scalar_text),
    AfterValidator(_check_variable),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*="}),
]
"""`NAME=value`."""
Day = Annotated[
    date,
    BeforeValidator(_check_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
]
"""A date, `2027-03-31`."""
Reason = Annotated[
    str,
    BeforeValidator(_scalar_text),
    AfterValidator(_check_reason),
    WithJsonSchema({"type": ["string", "number"], "minLength": 1}),
]
"""Text for people that must say something."""
Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP or UDP port."""

T = TypeVar("T", bound=Document)

Texts = tuple[Text, ...]
Variables = Annotated[
    Annotated[tuple[Assignment, ...], Tag("list")] | Annotated[dict[str, VariableText], Tag("map")],
    either("a list of NAME=value or a mapping"),
]
"""Environment variables, as a list of `NAME=value` or as a map."""
CommandLine = Annotated[
    Annotated[Texts, Tag("list")] | Annotated[Text, Tag("text")],
    either("a list of arguments or a command line"),
]
"""A command: a list of arguments, or a line for the shell."""
