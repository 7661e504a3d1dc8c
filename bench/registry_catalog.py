"""A catalog of 100,000 versions, and files to download, written straight into a registry's database."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from flowctl_registry.catalog.search_index import rebuild
from flowctl_registry.database.engine import now, open_engine, writing
from flowctl_registry.database.tables import artifacts, blobs, component_labels, components, namespaces, versions

COMPONENTS, VERSIONS, NAMESPACES = 20_000, 5, 1_000
COMMON, WORDS = "stellar", [f"word{number:03}" for number in range(400)]
LANGUAGES, TYPES = ("go", "rust", "python", "node"), ("source", "processor", "sink")
_PATHS = ("binaries/program-linux-amd64", "metadata/sbom.cdx.json", "metadata/component.yaml")


def fill(database: str) -> None:
    """All in one transaction, and what the database wants to know of its tables."""
    engine = open_engine(database)
    writing(engine, _fill)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def name_of(number: int) -> tuple[str, str]:
    """Namespace and name of a component."""
    return f"space{number % NAMESPACES:04}", f"component-{number:05}"


def _fill(connection: Connection) -> None:
    moment, chance = now(connection), random.Random(1)
    connection.execute(
        insert(namespaces),
        [{"name": name_of(n)[0], "private": n % 50 == 7, "created_at": moment} for n in range(NAMESPACES)],
    )
    digest = "sha256:" + "a" * 64
    connection.execute(insert(blobs).values(digest=digest, size=1_000, stored_at=moment))
    rows: dict[Any, list[dict[str, Any]]] = {components: [], component_labels: [], versions: [], artifacts: []}
    for number in range(COMPONENTS):
        described = {"type": TYPES[number % 3], "language": LANGUAGES[number % 4]}
        text = f"Reads {COMMON} events: " + " ".join(chance.choices(WORDS, k=8))
        namespace, name = name_of(number)
        rows[components].append(
            {
                "id": number + 1, "kind": "component", "namespace": namespace, "name": name, "description": text,
                "latest": f"1.{VERSIONS - 1}.0", "downloads": chance.randrange(10_000), "created_at": moment,
                "updated_at": moment, **described,
            }
        )  # fmt: skip
        labels = [("tag", chance.choice(WORDS)), ("input", "ledger.closed"), ("output", f"event.{number % 100}")]
        rows[component_labels] += [{"component_id": number + 1, "kind": kind, "value": value} for kind, value in labels]
        for minor in range(VERSIONS):
            version_id = number * VERSIONS + minor + 1
            rows[versions].append(
                {
                    "id": version_id, "component_id": number + 1, "version": f"1.{minor}.0", "prerelease": False,
                    "state": "published", "release_digest": digest, "size": 3_000, "publisher": "bench",
                    "document": {"metadata": {"name": name, "description": text}, "spec": described}, "labels": {},
                    "description": text, "created_at": moment, "published_at": moment, "indexed_at": moment,
                    **described,
                }
            )  # fmt: skip
            rows[artifacts] += [
                {
                    "version_id": version_id, "path": path, "kind": kind, "platform": None, "digest": digest,
                    "size": 1_000, "media_type": "application/json",
                }
                for path, kind in zip(_PATHS, ("binary", "sbom", "metadata"), strict=True)
            ]  # fmt: skip
    for table, each in rows.items():
        connection.execute(insert(table), each)
    rebuild(connection)
    if connection.dialect.name == "postgresql":
        for table in ("components", "versions"):
            connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1000000)")


def add_file(database: str, data: Path, megabytes: int) -> tuple[str, Path]:
    """A version with one program of this size; its address, and where its bytes are."""
    content = os.urandom(1_000_000) * megabytes
    hexadecimal = hashlib.sha256(content).hexdigest()
    path = data / "blobs" / "sha256" / hexadecimal[:2] / hexadecimal
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    name, digest = f"file{megabytes}", f"sha256:{hexadecimal}"

    def change(connection: Connection) -> None:
        moment = now(connection)
        connection.execute(insert(namespaces).values(name=name, private=False, created_at=moment))
        connection.execute(insert(blobs).values(digest=digest, size=len(content), stored_at=moment))
        component = connection.execute(
            insert(components)
            .values(
                kind="component", namespace=name, name=name, latest="1.0.0", created_at=moment, updated_at=moment,
            )
            .returning(components.c.id)
        ).scalar_one()  # fmt: skip
        version = connection.execute(
            insert(versions)
            .values(
                component_id=component, version="1.0.0", prerelease=False, state="published", release_digest=digest,
                document={}, labels={}, size=len(content), publisher="bench", created_at=moment, published_at=moment,
            )
            .returning(versions.c.id)
        ).scalar_one()  # fmt: skip
        connection.execute(
            insert(artifacts).values(
                version_id=version, path="binaries/program", kind="binary", digest=digest, size=len(content),
                media_type="application/octet-stream",
            )
        )  # fmt: skip

    engine = open_engine(database)
    writing(engine, change)
    engine.dispose()
    return f"/v1/components/{name}/{name}/1.0.0/download", path
