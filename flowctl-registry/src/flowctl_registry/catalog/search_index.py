"""What the search knows of a component: lexemes that mean the same to SQLite's FTS5 and to PostgreSQL's tsvector.

Both are given words that this module made, of `a-z0-9` only, so that neither splits, stems or folds anything itself:

    e<hash>  the whole name          n<word>  a word of the name
    f<hash>  type, language, tag…    t<word>  a word of the name, namespace, description or tags
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

from sqlalchemy import Connection, select, text

from flowctl_registry.database.tables import component_labels, components

_WORD_MAX = 64
_WORDS_MAX = 2_000


def words(value: str) -> list[str]:
    """The words of a text: without case, accents and punctuation; what is not ASCII is spelled by its code point."""
    folded = unicodedata.normalize("NFKD", value.casefold())
    kept = "".join(
        (c if c.isascii() else f"zq{ord(c):05x}") if c.isalnum() else "" if unicodedata.combining(c) else " "
        for c in folded
    )
    return [word[:_WORD_MAX] for word in kept.split()]


def facet(field: str, value: str) -> str:
    """The lexeme that says that a field has a value."""
    return "f" + hashlib.sha256(f"{field}\0{value}".encode()).hexdigest()[:20]


def whole(name: str) -> str:
    """The lexeme of a whole name, or of `namespace/name`."""
    return "e" + hashlib.sha256(name.encode()).hexdigest()[:20]


def reindex(connection: Connection, component_id: int) -> None:
    """Make the index say what `components` and `component_labels` say now; without a latest version, nothing."""
    forget(connection, component_id)
    row = connection.execute(select(components).where(components.c.id == component_id)).one_or_none()
    if row is None or row.latest is None:
        return
    labels = connection.execute(
        select(component_labels.c.kind, component_labels.c.value).where(component_labels.c.component_id == component_id)
    ).all()
    named = words(row.name)
    told = [
        *named,
        *words(row.namespace),
        *words(row.description),
        *(word for label in labels if label.kind == "tag" for word in words(label.value)),
    ][:_WORDS_MAX]
    facets = [facet(label.kind, label.value) for label in labels]
    facets += [facet("namespace", row.namespace)]
    facets += [facet(name, value) for name, value in (("type", row.type), ("language", row.language)) if value]
    lexemes = [whole(row.name), whole(f"{row.namespace}/{row.name}"), *(f"n{word}" for word in named)]
    _write(connection, component_id, dict.fromkeys([*lexemes, *(f"t{word}" for word in told), *facets]))


def forget(connection: Connection, component_id: int) -> None:
    """Take a component out of the index."""
    key = "rowid" if connection.dialect.name == "sqlite" else "component_id"
    connection.execute(text(f"DELETE FROM component_search WHERE {key} = :id"), {"id": component_id})  # noqa: S608


def rebuild(connection: Connection) -> None:
    """Make the whole index anew, as after a restore."""
    connection.execute(text("DELETE FROM component_search"))
    for component_id in (
        connection.execute(select(components.c.id).where(components.c.latest.is_not(None))).scalars().all()
    ):
        reindex(connection, component_id)


def _write(connection: Connection, component_id: int, lexemes: Iterable[str]) -> None:
    if connection.dialect.name == "sqlite":
        statement = "INSERT INTO component_search(rowid, terms) VALUES (:id, :terms)"
    else:
        made = "array_to_tsvector(string_to_array(:terms, ' '))"  # parses nothing, unlike to_tsvector
        statement = f"INSERT INTO component_search(component_id, terms) VALUES (:id, {made})"  # noqa: S608 - no value of anybody
    connection.execute(text(statement), {"id": component_id, "terms": " ".join(lexemes)})
