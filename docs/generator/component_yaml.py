"""Every field of component.yaml, in every spelling that is accepted."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from pydantic import BaseModel

from flowctl_core.models.component_document import ComponentDocument
from flowctl_core.models.metadata import MetadataSpec
from generator.models import field_words, meanings, models_in, step, table


def component_yaml() -> str:
    """One section for each mapping, with the places where it stands."""
    return _sections(ComponentDocument)


def metadata_json() -> str:
    """The same for metadata.json."""
    return _sections(MetadataSpec)


def _sections(root: type[BaseModel]) -> str:
    places: dict[type[BaseModel], list[str]] = {}
    for model, place in _places(root, "", ()):
        places.setdefault(model, [])
        if place not in places[model]:
            places[model].append(place)
    link = {model: model.__name__.lower() for model in places}
    sections = []
    for model, where in places.items():
        shown = [f"`{place}`" for place in where if place][:6]
        more = " and more" if len([place for place in where if place]) > 6 else ""
        lines = [f"### {model.__name__}", ""]
        lines.append(f"{_about(model)} At {', '.join(shown)}{more}." if shown else _about(model))
        lines += ["", _table(model, link)]
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _about(model: type[BaseModel]) -> str:
    text = " ".join((inspect.getdoc(model) or "").split())
    return text if text.endswith((".", "?")) else f"{text}."


def _places(model: type[BaseModel], prefix: str, above: tuple[type[BaseModel], ...]) -> Iterator[tuple[type, str]]:
    yield model, prefix
    if model in above:  # `items` of a config field is a config field
        return
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            path = f"{prefix}.{field.alias or name}".lstrip(".")
            yield from _places(inner, path + step(field.annotation, inner), (*above, model))


def _table(model: type[BaseModel], link: dict[type[BaseModel], str]) -> str:
    meaning = meanings(model)
    rows = []
    for name, field in model.model_fields.items():
        accepted = field_words(field, link)
        inner = [f"[{m.__name__}](#{link[m]})" for m in dict.fromkeys(models_in(field.annotation))]
        if inner and "](#" not in accepted:
            accepted += f" ({', '.join(inner)})"
        needed = " **Required.**" if field.is_required() else ""
        examples = [_example(example) for example in field.examples or ()]
        shown = f" For example {', '.join(examples)}." if examples else ""
        rows.append((f"`{field.alias or name}`", accepted, f"{meaning.get(name, '')}{shown}{needed}"))
    return table(("Field", "Accepted", "Meaning"), rows)


def _example(value: object) -> str:
    return f"`[{', '.join(map(str, value))}]`" if isinstance(value, list) else f"`{value}`"
