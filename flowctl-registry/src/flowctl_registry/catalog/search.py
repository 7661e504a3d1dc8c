"""Searching components: a few exact questions to the full-text index, from the best kind of match to the weakest.

The ranking is ours, since bm25 of FTS5 and ts_rank of PostgreSQL would give two orders: kind of match first, then
downloads, then the newest. Each question asks for the newest `limits.search_candidates` at most; what lies beyond
them is not ranked, and the answer says so.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnClause, Connection, Row, Select, column, func, select, table, text, type_coerce

from flowctl_registry.catalog import listing
from flowctl_registry.catalog.cursors import read_cursor, write_cursor
from flowctl_registry.catalog.search_index import facet, whole, words
from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import components
from flowctl_registry.models.component import SearchPage, SearchQuery
from flowctl_registry.models.names import Kind
from flowctl_registry.services import Services

_PLANNING = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_custom_plan",
}
"""Of PostgreSQL, which reads all components to join some hundreds, and plans a common word as it planned a rare one."""
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


@dataclass(frozen=True)
class _Question:
    """All lexemes must match, and not all of `without`, which a question before asked for."""

    wanted: tuple[_Lexeme, ...]
    without: tuple[_Lexeme, ...] = ()


_Key = tuple[Any, ...]


def search(services: Services, kind: Kind, query: SearchQuery, visible: listing.Names) -> SearchPage:
    """One page of what matches all that is asked. Raises NotFoundError for a cursor of another search."""
    scope = f"{kind}\0{query.model_dump_json(exclude={'limit', 'cursor'})}"
    scope = hashlib.sha256(scope.encode()).hexdigest()[:12]
    after = read_cursor(query.cursor, scope, _SHAPES[query.sort]) if query.cursor else None
    with reading(services.engine) as connection:
        found, capped = _candidates(connection, kind, query, visible, services.settings.limits.search_candidates)
        keys = (key for key in found if after is None or key > tuple(after))
        page = heapq.nsmallest(query.limit + 1, keys)
        items = listing.summaries(connection, [found[key] for key in page[: query.limit]])
    return SearchPage(
        items=items,
        next=write_cursor(scope, list(page[query.limit - 1])) if len(page) > query.limit else None,
        total=len(found),
        capped=capped,
    )


def _candidates(
    connection: Connection, kind: Kind, query: SearchQuery, visible: listing.Names, cap: int
) -> tuple[dict[_Key, int], bool]:
    """Sort key to component; whether there are more."""
    ask = _asker(connection, kind, query.sort, visible)
    found: dict[int, _Key] = {}
    for tier, question in enumerate(_questions(query)):
        for row in ask(question, cap + 1):
            if row[0] not in found:
                found[row[0]] = (tier, *row[1:]) if query.sort == "relevance" else tuple(row[1:])
        if len(found) > cap:
            break
    ordered = list(found.items())[:cap]
    return {key: component_id for component_id, key in ordered}, len(found) > cap


def _questions(query: SearchQuery) -> list[_Question]:
    fields = [("type", query.type), ("language", query.language), ("namespace", query.namespace)]
    fields += [(name, value) for name in ("tag", "input", "output") for value in getattr(query, name)]
    facets = tuple(_Lexeme(facet(name, value)) for name, value in fields if value is not None)
    terms = list(dict.fromkeys(words(query.q)))[:_TERMS_MAX]
    if not terms:
        return [_Question(facets)]

    def lexemes(letter: str, prefix: bool) -> tuple[_Lexeme, ...]:
        return tuple(_Lexeme(letter + term, prefix and len(term) >= _PREFIX_FROM) for term in terms)

    asked = [_Question((_Lexeme(whole(query.q.strip().casefold())), *facets))]
    for letter in "nt":
        exact = lexemes(letter, prefix=False)
        asked += [_Question(exact + facets), _Question(lexemes(letter, prefix=True) + facets, exact)]
    return asked


def _asker(
    connection: Connection, kind: Kind, sort: str, visible: listing.Names
) -> Callable[[_Question, int], Sequence[Row[Any]]]:
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.execute(select(*(func.set_config(name, value, True) for name, value in _PLANNING.items())))
    key: ColumnClause[int] = column("rowid" if sqlite else "component_id")
    index = table("component_search", key)
    moment = type_coerce(components.c.updated_at, BigInteger)
    sort_keys: dict[str, tuple[Any, ...]] = {
        "relevance": (-components.c.downloads, -components.c.id),
        "name": (components.c.namespace, components.c.name),
        "updated": (-moment, -components.c.id),
        "downloads": (-components.c.downloads, -components.c.id),
    }
    statement: Select[Any] = (
        select(components.c.id, *sort_keys[sort])
        .select_from(index.join(components, components.c.id == key))
        .where(components.c.kind == kind, listing.seen(visible))
        .order_by(key.desc())
    )
    spelled, asked = (
        (_fts5, "component_search MATCH :asked") if sqlite else (_tsquery, "terms @@ CAST(:asked AS tsquery)")
    )

    def ask(question: _Question, limit: int) -> Sequence[Row[Any]]:
        limited = statement.limit(limit)
        if question.wanted:
            limited = limited.where(text(asked).bindparams(asked=spelled(question)))
        return connection.execute(limited).all()

    return ask


def _fts5(question: _Question) -> str:
    def all_of(lexemes: tuple[_Lexeme, ...]) -> str:
        return " AND ".join(f'"{each.text}"{"*" if each.prefix else ""}' for each in lexemes)

    return f"({all_of(question.wanted)})" + (f" NOT ({all_of(question.without)})" if question.without else "")


def _tsquery(question: _Question) -> str:
    def all_of(lexemes: tuple[_Lexeme, ...]) -> str:
        return " & ".join(f"'{each.text}'{':*' if each.prefix else ''}" for each in lexemes)

    return all_of(question.wanted) + (f" & !({all_of(question.without)})" if question.without else "")
