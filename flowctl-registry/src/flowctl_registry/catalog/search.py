"""Searching components: a few exact questions to the full-text index, from the best kind of match to the weakest.

The ranking is ours, since bm25 of FTS5 and ts_rank of PostgreSQL would give two orders: kind of match first, then
downloads, then the newest. Each question asks for the newest `limits.search_candidates` at most; what lies beyond
them is not ranked, and the answer says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnClause, Connection, Row, Select, column, select, table, text

from flowctl_registry.catalog import listing
from flowctl_registry.catalog.cursors import read_cursor, write_cursor
from flowctl_registry.catalog.search_index import facet, whole, words
from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import components
from flowctl_registry.models.component import SearchPage, SearchQuery
from flowctl_registry.models.names import Kind
from flowctl_registry.services import Services

_TERMS_MAX = 10
_PREFIX_FROM = 2
"""A shorter word is no beginning of another one: it would match nearly everything."""


@dataclass(frozen=True)
class _Lexeme:
    text: str
    prefix: bool = False


_SHAPES: dict[str, tuple[type, ...]] = {
    "relevance": (int, int, int), "name": (str, str), "updated": (int, int), "downloads": (int, int),
}  # fmt: skip
_Question = tuple[_Lexeme, ...]
"""All must match."""
_Key = tuple[Any, ...]


def search(services: Services, kind: Kind, query: SearchQuery, visible: listing.Names) -> SearchPage:
    """One page of what matches all that is asked. Raises NotFoundError for a cursor of another search."""
    scope = f"{kind}\0{query.model_dump_json(exclude={'limit', 'cursor'})}"
    scope = hashlib.sha256(scope.encode()).hexdigest()[:12]
    after = read_cursor(query.cursor, scope, _SHAPES[query.sort]) if query.cursor else None
    with reading(services.engine) as connection:
        found, capped = _candidates(connection, kind, query, visible, services.settings.limits.search_candidates)
        ordered = sorted(((_key(query.sort, tier, row), row.id) for row, tier in found), key=lambda each: each[0])
        rest = [each for each in ordered if after is None or each[0] > tuple(after)]
        page = rest[: query.limit]
        items = listing.summaries(connection, [component_id for _, component_id in page])
    more = len(rest) > len(page)
    return SearchPage(
        items=items,
        next=write_cursor(scope, list(page[-1][0])) if more else None,
        total=len(found),
        capped=capped,
    )


def _candidates(
    connection: Connection, kind: Kind, query: SearchQuery, visible: listing.Names, cap: int
) -> tuple[list[tuple[Row[Any], int]], bool]:
    ask = _asker(connection, kind, visible)
    found: dict[int, tuple[Row[Any], int]] = {}
    for tier, question in enumerate(_questions(query)):
        rows = ask(question, cap + 1)
        for row in rows:
            found.setdefault(row.id, (row, tier))
        if len(found) > cap:
            return list(found.values())[:cap], True
    return list(found.values()), False


def _questions(query: SearchQuery) -> list[_Question]:
    fields = [("type", query.type), ("language", query.language), ("namespace", query.namespace)]
    fields += [(name, value) for name in ("tag", "input", "output") for value in getattr(query, name)]
    facets = tuple(_Lexeme(facet(name, value)) for name, value in fields if value is not None)
    terms = list(dict.fromkeys(words(query.q)))[:_TERMS_MAX]
    if not terms:
        return [facets]

    def lexemes(letter: str, prefix: bool) -> _Question:
        return tuple(_Lexeme(letter + term, prefix and len(term) >= _PREFIX_FROM) for term in terms) + facets

    ways = [("n", False), ("n", True), ("t", False), ("t", True)]
    exact = (_Lexeme(whole(query.q.strip().casefold())), *facets)
    return [exact, *(lexemes(letter, prefix) for letter, prefix in ways)]


def _asker(
    connection: Connection, kind: Kind, visible: listing.Names
) -> Callable[[_Question, int], Sequence[Row[Any]]]:
    sqlite = connection.dialect.name == "sqlite"
    key: ColumnClause[int] = column("rowid" if sqlite else "component_id")
    index = table("component_search", key)
    columns = (
        components.c.id,
        components.c.downloads,
        components.c.updated_at,
        components.c.namespace,
        components.c.name,
    )
    statement: Select[Any] = (
        select(*columns)
        .select_from(index.join(components, components.c.id == key))
        .where(components.c.kind == kind, listing.seen(visible))
        .order_by(key.desc())
    )
    spelled, asked = (
        (_fts5, "component_search MATCH :asked") if sqlite else (_tsquery, "terms @@ CAST(:asked AS tsquery)")
    )

    def ask(question: _Question, limit: int) -> Sequence[Row[Any]]:
        limited = statement.limit(limit)
        if question:
            limited = limited.where(text(asked).bindparams(asked=spelled(question)))
        return connection.execute(limited).all()

    return ask


def _fts5(question: _Question) -> str:
    return " AND ".join(f'"{each.text}"{"*" if each.prefix else ""}' for each in question)


def _tsquery(question: _Question) -> str:
    return " & ".join(f"'{each.text}'{':*' if each.prefix else ''}" for each in question)


def _key(sort: str, tier: int, row: Row[Any]) -> _Key:
    moment: datetime = row.updated_at
    if sort == "name":
        return row.namespace, row.name
    if sort == "updated":
        return -int(moment.timestamp() * 1000), -row.id
    if sort == "downloads":
        return -row.downloads, -row.id
    return tier, -row.downloads, -row.id
