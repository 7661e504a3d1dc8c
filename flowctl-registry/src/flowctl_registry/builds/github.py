"""GitHub's webhooks: which builds a delivery stands for.

A delivery says that there may be a new tag, and no more: what is built is what the repository itself has. Whoever
captures one and sends it again, under another id too, starts nothing, since a build is known by its tag and commit.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from sqlalchemy import Connection, Row, select

from flowctl_registry.builds import git_url
from flowctl_registry.builds.requests import Wanted, request_build
from flowctl_registry.database.build_tables import deliveries, sources
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.upsert import insert_new
from flowctl_registry.errors import BadRequestError, ConflictError, TooManyRequestsError, UnauthorizedError
from flowctl_registry.models.source import DeliveryDocument
from flowctl_registry.services import Services
from flowctl_registry.settings import Settings

_DELIVERY = re.compile(r"[A-Za-z0-9-]{8,100}")
_EVENT = re.compile(r"[a-z_]{1,64}")
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
_TAG = "refs/tags/"


@dataclass(frozen=True)
class Delivery:
    """A webhook as it came in."""

    id: str
    event: str
    signature: str
    body: bytes

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Read the headers. Raises BadRequestError, UnauthorizedError without a signature."""
        id_, event = headers.get("x-github-delivery", ""), headers.get("x-github-event", "")
        signature = headers.get("x-hub-signature-256", "")
        if not _DELIVERY.fullmatch(id_) or not _EVENT.fullmatch(event):
            raise BadRequestError("that is no delivery of GitHub", hint="Its id and event come in X-GitHub-* headers.")
        if not _SIGNATURE.fullmatch(signature):
            raise UnauthorizedError(
                "the delivery has no X-Hub-Signature-256", hint="Set a secret where the webhook is configured."
            )
        return cls(id_, event, signature, body)

    @property
    def digest(self) -> str:
        """Of the body."""
        return hashlib.sha256(self.body).hexdigest()

    def is_signed_by(self, secret: str) -> bool:
        """Compared in constant time."""
        expected = "sha256=" + hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.signature)

    def payload(self) -> dict[str, Any]:
        """The JSON, also where it comes as a form. Raises BadRequestError."""
        try:
            text = self.body.decode()
            if text.startswith("payload="):
                text = parse_qs(text, strict_parsing=True, max_num_fields=2)["payload"][0]
            read = json.loads(text)
        except (ValueError, KeyError, RecursionError):
            raise BadRequestError("the delivery is no JSON") from None
        if not isinstance(read, dict):
            raise BadRequestError("the delivery is no JSON object")
        return read


@dataclass(frozen=True)
class Tag:
    """A tag that may be a release."""

    name: str
    commit: str | None
    """None where the event does not say."""


def receive(services: Services, delivery: Delivery, request_id: str | None = None) -> DeliveryDocument:
    """Start what a delivery stands for; the same id again gives the same answer and starts nothing.

    Raises BadRequestError, UnauthorizedError, ConflictError for another delivery of that id.
    """
    payload = delivery.payload()
    rows = _trusted(services, delivery, _sources_of(services, payload))

    def change(connection: Connection) -> DeliveryDocument:
        known = _known(connection, delivery)
        if known is not None:
            return known
        outcome = _outcome(connection, services.settings, delivery, payload, rows, request_id)
        row = {
            "id": delivery.id,
            "event": delivery.event,
            "digest": delivery.digest,
            "outcome": outcome.model_dump(mode="json"),
            "received_at": now(connection),
        }
        if insert_new(connection, deliveries, row):
            return outcome
        return _known(connection, delivery) or outcome  # it came twice at once; the builds are the same

    return writing(services.engine, change)


def _sources_of(services: Services, payload: Mapping[str, Any]) -> list[Row[Any]]:
    repository = payload.get("repository")
    keys = set()
    if isinstance(repository, dict):
        for name in ("clone_url", "html_url"):
            try:
                keys.add(git_url.parse(str(repository.get(name)), services.settings.sources).key)
            except BadRequestError:
                continue
    if not keys:
        return []
    with reading(services.engine) as connection:
        query = select(sources).where(sources.c.repository_key.in_(keys)).order_by(sources.c.id)
        return list(connection.execute(query))


def _trusted(services: Services, delivery: Delivery, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Those whose secret it was signed with. Raises UnauthorizedError when it was signed with none."""
    own = services.settings.sources.github_secret
    by_registry = own is not None and delivery.is_signed_by(own.get_secret_value())
    found = [
        row
        for row in rows
        if (by_registry if row.webhook_secret is None else delivery.is_signed_by(row.webhook_secret))
    ]
    if not found and not by_registry:
        raise UnauthorizedError(
            "the delivery was not signed with a secret of this registry",
            hint="The webhook's secret is the one that the source was registered with, or sources.github_secret.",
        )
    return found


def _known(connection: Connection, delivery: Delivery) -> DeliveryDocument | None:
    query = select(deliveries.c.digest, deliveries.c.outcome).where(deliveries.c.id == delivery.id)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if not hmac.compare_digest(row.digest, delivery.digest):
        raise ConflictError("another delivery had that id", hint="Every delivery has an id of its own.")
    return DeliveryDocument.model_validate({**row.outcome, "replayed": True})


def _outcome(
    connection: Connection,
    settings: Settings,
    delivery: Delivery,
    payload: Mapping[str, Any],
    rows: Sequence[Row[Any]],
    request_id: str | None,
) -> DeliveryDocument:
    tag = find_tag(delivery.event, payload)
    if isinstance(tag, str):
        return DeliveryDocument(delivery=delivery.id, event=delivery.event, ignored=(tag,))
    if not rows:
        nobody = "no component is registered for this repository"
        return DeliveryDocument(delivery=delivery.id, event=delivery.event, ignored=(nobody,))
    started: list[str] = []
    ignored: list[str] = []
    for row in rows:
        built = build_tag(connection, settings, row, tag, f"github:{_sender(payload)}", request_id)
        if built.build_id is not None:
            started.append(built.build_id)
        else:
            ignored.append(f"{row.namespace}/{row.name}: {built.reason}")
    return DeliveryDocument(delivery=delivery.id, event=delivery.event, builds=tuple(started), ignored=tuple(ignored))


def find_tag(event: str, payload: Mapping[str, Any]) -> Tag | str:
    """The tag that an event tells of, or why it tells of none."""
    if event == "push":
        ref, after = payload.get("ref"), payload.get("after")
        if not isinstance(ref, str) or not isinstance(after, str):
            return "the push names no ref"
        if not ref.startswith(_TAG):
            return "it is no tag"
        if payload.get("deleted") is True or not after.strip("0"):
            return "the tag was deleted"
        head = payload.get("head_commit")
        commit = head.get("id") if isinstance(head, dict) else None  # `after` is the tag itself where it is annotated
        return Tag(ref.removeprefix(_TAG), commit if isinstance(commit, str) and git_url.is_commit(commit) else None)
    if event == "release":
        release = payload.get("release")
        if payload.get("action") != "published" or not isinstance(release, dict) or release.get("draft") is not False:
            return "no release was published"
        name = release.get("tag_name")
        return Tag(name, None) if isinstance(name, str) else "the release names no tag"
    return "a ping" if event == "ping" else "nothing is built for this event"


@dataclass(frozen=True)
class BuiltTag:
    """What came of a tag for one source."""

    build_id: str | None
    reason: str = ""
    """Why there is no build."""
    later: bool = False
    """True: it would be built another time."""


def build_tag(
    connection: Connection, settings: Settings, source: Row[Any], tag: Tag, actor: str, request_id: str | None = None
) -> BuiltTag:
    """Queue the build of a source's tag, or find it; in a transaction of `writing`."""
    if not source.active:
        return BuiltTag(None, "its source is not active")
    version = git_url.version_of(tag.name, source.tag_pattern)
    if version is None:
        return BuiltTag(None, f"the tag names no version ({source.tag_pattern})")
    try:
        ref = git_url.check_ref(_TAG + tag.name)
        wanted = Wanted(
            kind=source.kind,
            namespace=source.namespace,
            name=source.name,
            trigger="webhook",
            requested_by=actor,
            ref=ref,
            version=version,
            commit=tag.commit,
            request_key=f"{source.repository}\0{source.subdirectory}\0{ref}\0{tag.commit}" if tag.commit else None,
        )
        return BuiltTag(request_build(connection, settings, wanted, request_id).build_id)
    except ConflictError:
        return BuiltTag(None, f"{version} is published")
    except TooManyRequestsError as error:
        return BuiltTag(None, f"{error.message}; it is built later", later=True)
    except BadRequestError as error:
        return BuiltTag(None, error.message)


def _sender(payload: Mapping[str, Any]) -> str:
    sender = payload.get("sender")
    login = sender.get("login") if isinstance(sender, dict) else None
    return login if isinstance(login, str) and re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,64}", login) else "unknown"
