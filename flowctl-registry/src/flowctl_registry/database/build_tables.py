"""The tables of remote builds; they belong to the same schema as `tables`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from flowctl_registry.database.tables import metadata
from flowctl_registry.database.types import Moment

_KEY = BigInteger().with_variant(Integer, "sqlite")

sources = Table(
    "sources",  # where a component's source is: what webhooks and the reconciler build
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("namespace", ForeignKey("namespaces.name", ondelete="CASCADE"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("repository", Text, nullable=False),  # URL to fetch from, without user and password
    Column("repository_key", String(512), nullable=False),  # host/path in lower case: what webhooks are compared with
    Column("subdirectory", String(512), nullable=False, default="."),
    Column("tag_pattern", String(256), nullable=False, default="v*"),  # glob over tag names
    Column("active", Boolean, nullable=False, default=True),
    Column("webhook_secret", String(256)),  # NULL: the registry's own
    Column("created_at", Moment, nullable=False),
    Column("reconciled_at", Moment),
    Column("due_at", Moment, nullable=False),  # when the reconciler looks next
    Column("tags", JSON),  # {tag: commit} as the reconciler saw them; NULL: it has not looked yet
    Column("problem", Text),  # why it could not look
    Index("uq_sources_component", "kind", "namespace", "name", unique=True),
    Index("ix_sources_repository_key", "repository_key"),
    Index("ix_sources_due_at", "due_at"),
)

builds = Table(
    "builds",
    metadata,
    Column("id", String(32), primary_key=True),  # sortable by time
    Column("kind", String(16), nullable=False),
    Column("namespace", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("repository", Text, nullable=False),
    Column("subdirectory", String(512), nullable=False),
    Column("ref", String(512)),  # as asked: tag, branch or commit
    Column("commit", String(64)),  # resolved by the first step
    Column("trigger", String(16), nullable=False),  # publish | webhook | manual | rebuild | recall
    Column("priority", Integer, nullable=False),  # lower is sooner: release 10, manual 20, rebuild 30
    Column("state", String(16), nullable=False),  # queued | running | succeeded | failed | cancelled
    Column("phase", String(64)),  # step that runs, for people
    Column("requested_by", String(256), nullable=False),
    Column("request_key", String(256), unique=True),  # makes a request idempotent: delivery, tag and source
    Column("attempt", Integer, nullable=False, default=1),
    Column("worker", String(128)),
    Column("claim", String(32)),  # of the one run that may write; whoever holds another one was replaced
    Column("takeovers", Integer, nullable=False, default=0),  # how many workers were lost on it
    Column("version", String(128)),
    Column("version_id", ForeignKey("versions.id")),
    Column("problem", JSON),  # {code, message, hint, step, platform, output}
    Column("cancelled_by", String(256)),  # who wants it cancelled; its worker looks
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Index("ix_builds_state", "state", "created_at"),
    Index("ix_builds_created_at", "created_at", "id"),
    Index("ix_builds_component", "kind", "namespace", "name", "created_at"),
)

build_steps = Table(
    "build_steps",  # the timeline, and what completed steps answered
    metadata,
    Column("build_id", ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    Column("step", String(32), primary_key=True),  # clone, decide, fetch, test, build, assemble, publish
    Column("platform", String(64), primary_key=True),  # "" where a step is not of one platform
    Column("state", String(16), nullable=False),  # running | succeeded | failed | cancelled | refused
    Column("attempt", Integer, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("claim", String(32), nullable=False),  # of the run that does it
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("answer", JSON),  # plain JSON; big things are blobs, claimed by the build
    Column("problem", JSON),
)

build_waits = Table(
    "build_waits",  # a bundle's build stays in the queue until the builds of its members have ended
    metadata,
    Column("build_id", ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    Column("waits_for", ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_build_waits_waits_for", "waits_for"),
)

build_logs = Table(
    "build_logs",  # pieces of whole lines, in the order in which they came
    metadata,
    Column("build_id", ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("step", String(32), nullable=False),
    Column("platform", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("total", BigInteger, nullable=False),  # bytes of the build's log up to its end
    Column("text", Text, nullable=False),
)

materials = Table(
    "materials",  # what published versions were made with and from: what a recall looks for
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),  # plugin | tool | base-image | dependency
    Column("name", String(512), primary_key=True),  # of a dependency: its package URL without a version
    Column("version", String(256), primary_key=True),  # "" where it has none
    Column("digest", String(128), primary_key=True),  # "" where none is known
    Index("ix_materials_name", "kind", "name", "version"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(128), primary_key=True),  # stable: the host's name unless given
    Column("labels", JSON, nullable=False),  # {"platform": "darwin"}
    Column("slots", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("incarnation", String(32), nullable=False),  # of this process
    Column("started_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("stopped_at", Moment),
)

deliveries = Table(
    "deliveries",  # incoming webhooks, by their own id
    metadata,
    Column("id", String(128), primary_key=True),
    Column("event", String(64), nullable=False),
    Column("digest", String(64), nullable=False),  # of the body: under its id nothing else is taken
    Column("outcome", JSON, nullable=False),
    Column("received_at", Moment, nullable=False),
)

hooks = Table(
    "hooks",  # outgoing webhooks
    metadata,
    Column("id", String(32), primary_key=True),
    Column("namespace", ForeignKey("namespaces.name", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", String(128), nullable=False),  # whsec_…: what is sent is signed with it, so it is no hash
    Column("events", JSON, nullable=False),  # build.failed, version.published
    Column("created_at", Moment, nullable=False),
)

hook_messages = Table(
    "hook_messages",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hook_id", ForeignKey("hooks.id", ondelete="CASCADE"), nullable=False),
    Column("body", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment),  # NULL: it was sent, or given up
    Column("sent_at", Moment),
    Column("problem", Text),  # why the last try failed
    Index("ix_hook_messages_due_at", "due_at"),
    Index("ix_hook_messages_hook", "hook_id", "created_at"),
)
