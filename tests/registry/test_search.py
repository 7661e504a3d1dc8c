"""Search: what is found, in which order, who sees it; the same words give the same answer on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from flowctl_registry.catalog.search_index import rebuild, reindex, words
from flowctl_registry.database.engine import now, open_engine, writing
from flowctl_registry.database.tables import component_labels, components, versions
from flowctl_registry.settings import load_settings

from .client import Client
from .conftest import Registry
from .test_reading import pages

CATALOG: dict[str, dict[str, Any]] = {
    "postgres-sink": {"type": "sink", "language": "go", "description": "Writes events to PostgreSQL", "tag": ["database"]},
    "postgres": {"type": "source", "language": "rust", "description": "Reads changes", "tag": ["database", "cdc"]},
    "kafka-source": {"type": "source", "language": "go", "description": "Reads topics; not Postgres", "output": ["kafka.message"]},
    "stellar-ledger": {"type": "source", "language": "rust", "description": "Émile's Ledger, naïve über-fast", "output": ["ledger.closed"]},
    "ledger-filter": {"type": "processor", "language": "python", "description": "Filters", "input": ["ledger.closed"], "output": ["ledger.kept"]},
    "日本": {"type": "sink", "language": "go", "description": "数据 sink", "input": ["ledger.closed"]},
}  # fmt: skip
DOWNLOADS = {"postgres-sink": 500, "kafka-source": 3, "ledger-filter": 9}


def add(connection: Connection, namespace: str, name: str, entry: dict[str, Any], downloads: int = 0) -> None:
    """A component with one published version, as publishing leaves it."""
    moment = now(connection)
    row = {key: entry[key] for key in ("type", "language", "description") if key in entry}
    stored = name if name.isascii() else "nihon"
    component_id = connection.execute(
        insert(components)
        .values(kind="component", namespace=namespace, name=stored, latest="1.0.0", downloads=downloads,
                created_at=moment, updated_at=moment, **row)
        .returning(components.c.id)
    ).scalar_one()  # fmt: skip
    connection.execute(
        insert(versions).values(
            component_id=component_id, version="1.0.0", prerelease=False, state="published", document={}, labels={},
            release_digest="sha256:" + "0" * 64, size=1, publisher="x", created_at=moment, published_at=moment,
        )
    )  # fmt: skip
    for kind in ("tag", "input", "output"):
        for value in entry.get(kind, ()):
            connection.execute(insert(component_labels).values(component_id=component_id, kind=kind, value=value))
    reindex(connection, component_id)


class Catalog:
    """A namespace with CATALOG."""

    def __init__(self, registry: Registry, *, private: bool = False) -> None:
        self.registry, self.client = registry, registry.client()
        self.namespace = registry.namespace(private=private)
        engine = open_engine(load_settings(None, registry.environment).database)

        def fill(connection: Connection) -> None:
            for name, entry in CATALOG.items():
                add(connection, self.namespace, name, entry, DOWNLOADS.get(name, 0))

        writing(engine, fill)
        engine.dispose()

    def names(self, client: Client | None = None, **query: Any) -> list[str]:
        query = {"namespace": self.namespace, **query}
        got = (client or self.client).get("/v1/components/search", params=query)
        assert got.status_code == 200, got.text
        return [each["name"] for each in got.json()["items"]]


@pytest.fixture(scope="module")
def catalog(registry: Registry) -> Iterator[Catalog]:
    yield Catalog(registry)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # The whole name, then words of the name, then the beginning of one, then words elsewhere.
        ({"q": "postgres"}, ["postgres", "postgres-sink", "kafka-source"]),
        ({"q": "POSTGRES sink"}, ["postgres-sink"]),
        ({"q": "postgresql"}, ["postgres-sink"]),
        ({"q": "pos"}, ["postgres-sink", "postgres", "kafka-source"]),
        ({"q": "ledger"}, ["ledger-filter", "stellar-ledger"]),
        ({"q": "emile naive uber"}, ["stellar-ledger"]),
        ({"q": "ÉMILE’S"}, ["stellar-ledger"]),
        ({"q": "数据"}, ["nihon"]),
        ({"q": "reads", "language": "go"}, ["kafka-source"]),
        ({"q": "nothing-has-this"}, []),
        ({"q": "postgres nothing"}, []),
        ({"type": "source"}, ["kafka-source", "stellar-ledger", "postgres"]),
        ({"type": "source", "sort": "name"}, ["kafka-source", "postgres", "stellar-ledger"]),
        ({"input": "ledger.closed"}, ["ledger-filter", "nihon"]),
        ({"input": "ledger.closed", "output": "ledger.kept"}, ["ledger-filter"]),
        ({"tag": ["database", "cdc"]}, ["postgres"]),
        ({"tag": "data"}, []),
        ({"language": "rust", "sort": "updated"}, ["stellar-ledger", "postgres"]),
        ({"sort": "downloads"}, ["postgres-sink", "ledger-filter", "kafka-source", "nihon", "stellar-ledger", "postgres"]),
        ({"q": '"; -- & | ! ( ) * : '}, ["postgres-sink", "ledger-filter", "kafka-source", "nihon", "stellar-ledger", "postgres"]),
        ({"q": "a OR b NOT c NEAR(x)"}, []),
    ],
)  # fmt: skip
def test_what_is_found(catalog: Catalog, query: dict[str, Any], found: list[str]) -> None:
    assert catalog.names(**query) == found


def test_a_whole_name_with_its_namespace(catalog: Catalog) -> None:
    got = catalog.client.get("/v1/components/search", params={"q": f"{catalog.namespace}/postgres"}).json()
    assert got["items"][0]["name"] == "postgres"


def test_pages_have_no_gaps(catalog: Catalog) -> None:
    for sort in ("relevance", "name", "updated", "downloads"):
        whole = catalog.names(sort=sort)
        paged = pages(catalog.client, "/v1/components/search", namespace=catalog.namespace, sort=sort)
        assert [each["name"] for each in paged] == whole
        assert len(whole) == len(CATALOG)


def test_private_components_are_found_by_members_only(registry: Registry) -> None:
    secret = Catalog(registry, private=True)
    assert len(secret.names()) == len(CATALOG)
    nobody = Client(registry.urls)
    assert secret.names(nobody) == []
    assert nobody.get("/v1/components", params={"namespace": secret.namespace}).json()["items"] == []
    assert secret.namespace not in nobody.get("/v1/components/search", params={"limit": 200}).text


def test_candidates_are_capped(open_registry: Any) -> None:
    with open_registry(limits__search_candidates=4) as registry:
        catalog = Catalog(registry)
        got = catalog.client.get("/v1/components/search", params={"namespace": catalog.namespace}).json()
        assert (len(got["items"]), got["total"], got["capped"]) == (4, 4, True)
        narrow = catalog.client.get("/v1/components/search", params={"type": "processor"}).json()
        assert (narrow["total"], narrow["capped"]) == (1, False)


def test_a_yanked_component_is_found_no_more(registry: Registry, release: Any) -> None:
    namespace, client = registry.namespace(), registry.client()
    assert client.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    query = {"namespace": namespace, "q": "greets"}
    assert client.get("/v1/components/search", params=query).json()["total"] == 1
    base = f"/v1/components/{namespace}/greeting"
    assert client.post(f"{base}/1.2.0/yank", json={"reason": "broken"}).status_code == 200
    assert client.get("/v1/components/search", params=query).json()["total"] == 0
    assert client.get(f"{base}/latest").status_code == 404
    assert client.get(f"{base}/1.2.0").json()["yanked"]["reason"] == "broken"
    assert client.request("DELETE", f"{base}/1.2.0/yank").status_code == 200
    assert client.get("/v1/components/search", params=query).json()["total"] == 1


def test_the_index_can_be_made_anew(catalog: Catalog) -> None:
    before = catalog.names(q="postgres")
    engine = open_engine(load_settings(None, catalog.registry.environment).database)
    writing(engine, rebuild)
    engine.dispose()
    assert catalog.names(q="postgres") == before


def test_words_are_plain_letters_and_digits() -> None:
    told = " ".join(["Straße ÅNGSTRÖM ﬁne ½ ٣ 日本 a_b c'd e\0f", uuid.uuid4().hex, "x" * 500])
    assert words("Straße ÅNGSTRÖM ﬁne") == ["strasse", "angstrom", "fine"]
    assert all(word.isascii() and word.isalnum() and len(word) <= 64 for word in words(told))
    assert words("a_b c'd") == ["a", "b", "c", "d"]
    assert words("日本語")[0].startswith(words("日本")[0])
