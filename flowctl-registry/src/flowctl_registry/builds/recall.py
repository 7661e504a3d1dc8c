"""Recall: which versions something bad went into, and what is done about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from flowctl_registry import audit
from flowctl_registry.builds.requests import Wanted, request_build
from flowctl_registry.catalog import yanking
from flowctl_registry.catalog.materials import MaterialKind, plugin_name, split_purl
from flowctl_registry.database.build_tables import builds, materials
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.database.tables import components, versions
from flowctl_registry.errors import BadRequestError, RegistryError
from flowctl_registry.models.recall import RecalledMaterial, RecalledVersion
from flowctl_registry.services import Services

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Criterion:
    """What is looked for; whatever is given must match."""

    kind: MaterialKind
    name: str | None = None
    version: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, kind: MaterialKind, text: str) -> Criterion:
        """`NAME`, `NAME==VERSION` or a digest; for dependencies a package URL. Raises BadRequestError."""
        text = text.strip()
        if _DIGEST.fullmatch(text):
            return cls(kind, digest=text)
        if kind == "base-image":
            reference, _, digest = text.partition("@")
            return cls(kind, reference or None, digest=digest or None)
        if kind == "dependency":
            if not re.match(r"pkg:[A-Za-z0-9.+-]+/.", text):
                raise BadRequestError(f"{text} is no package URL", hint="Write pkg:TYPE/NAME@VERSION, as SBOMs do.")
            name, version = split_purl(text)
            return cls(kind, name, version or None)
        name, equal, version = text.partition("==")
        if not name.strip() or (equal and not version.strip()):
            raise BadRequestError(f"{text!r} does not say which {kind}", hint="Write NAME or NAME==VERSION.")
        name = name.strip()
        return cls(kind, plugin_name(name) if kind == "plugin" else name, version.strip() or None)

    @property
    def shown(self) -> str:
        """For the audit log and request keys."""
        return f"{self.kind} {self.name or ''}=={self.version or '*'} {self.digest or ''}".strip()

    def condition(self) -> ColumnElement[bool]:
        """On rows of `materials`."""
        parts: list[ColumnElement[bool]] = [materials.c.kind == self.kind]
        if self.name is not None and self.kind == "base-image":  # without a tag: all tags
            escaped = re.sub(r"([\\%_])", r"\\\1", self.name)
            tagged = [materials.c.name.like(f"{escaped}{mark}%", escape="\\") for mark in ":@"]
            parts.append(or_(materials.c.name == self.name, *tagged))
        elif self.name is not None:
            parts.append(materials.c.name == self.name)
        if self.version is not None:
            parts.append(materials.c.version == self.version)
        if self.digest is not None:
            parts.append(materials.c.digest == self.digest)
        return and_(*parts)


def find(connection: Connection, criteria: list[Criterion]) -> list[RecalledVersion]:
    """Published versions that any of these went into, yanked ones too."""
    query = (
        select(
            versions.c.id, components.c.kind, components.c.namespace, components.c.name, versions.c.version,
            versions.c.published_at, versions.c.yanked_at, components.c.downloads, materials.c.kind.label("what"),
            materials.c.name.label("material"), materials.c.version.label("of"), materials.c.digest,
        )
        .join(versions, versions.c.id == materials.c.version_id)
        .join(components, components.c.id == versions.c.component_id)
        .where(versions.c.state == "published", or_(*(each.condition() for each in criteria)))
        .order_by(components.c.namespace, components.c.name, versions.c.id, materials.c.kind, materials.c.name)
    )  # fmt: skip
    found: dict[int, tuple[Any, list[RecalledMaterial]]] = {}
    for row in connection.execute(query):
        material = RecalledMaterial(kind=row.what, name=row.material, version=row.of or None, digest=row.digest or None)
        found.setdefault(row.id, (row, []))[1].append(material)
    return [
        RecalledVersion(
            id=row.id,
            kind=row.kind,
            namespace=row.namespace,
            name=row.name,
            version=row.version,
            published_at=row.published_at,
            downloads=row.downloads,
            yanked=row.yanked_at is not None,
            materials=tuple(used),
        )
        for row, used in found.values()
    ]


def recall(
    services: Services, criteria: list[Criterion], actor: str, *, reason: str | None = None, rebuild: bool = False
) -> list[RecalledVersion]:
    """Find versions; with a `reason` yank those that are not, and on request have each built again.

    Again does only what is missing. Raises UnavailableError; what was done by then stays done.
    """
    with reading(services.engine) as connection:
        found = find(connection, criteria)
    why = "; ".join(each.shown for each in criteria)
    done = []
    for each in found:
        if reason is not None and not each.yanked:
            _yank(services, each, reason, actor, why)
            each = each.model_copy(update={"yanked": True})
        if rebuild:
            each = each.model_copy(update=_rebuild(services, each, actor, why))
        done.append(each)
    return done


def _yank(services: Services, each: RecalledVersion, reason: str, actor: str, why: str) -> None:
    target, detail = f"{each.namespace}/{each.name}@{each.version}", {"reason": reason, "recall": why}
    yanking.yank(
        services, each.id, reason, lambda connection: audit.record(connection, actor, "version.yank", target, detail)
    )


def _rebuild(services: Services, each: RecalledVersion, actor: str, why: str) -> dict[str, str]:
    def change(connection: Connection) -> str:
        made = connection.execute(
            select(builds.c.repository, builds.c.subdirectory, builds.c.ref, builds.c.commit)
            .where(builds.c.version_id == each.id)
            .order_by(builds.c.created_at)
            .limit(1)
        ).one_or_none()
        repository, subdirectory, ref = None, None, None
        if made is not None:
            repository, subdirectory, ref = made.repository, made.subdirectory, made.commit or made.ref
        else:  # it was uploaded: its record says where it came from
            told = connection.execute(select(versions.c.source).where(versions.c.id == each.id)).scalar_one() or {}
            repository, ref = told.get("repository"), told.get("commit")
        if not ref:
            raise BadRequestError("its source is not known: it was uploaded without a commit")
        wanted = Wanted(
            each.kind,
            each.namespace,
            each.name,
            "recall",
            actor,
            repository=repository,
            ref=ref,
            subdirectory=subdirectory,
            request_key=f"recall {each.id} {why}",
        )
        return request_build(connection, services.settings, wanted).build_id

    try:
        return {"build": writing(services.engine, change)}
    except RegistryError as error:
        if error.http_status >= 500:
            raise
        return {"problem": error.message}
