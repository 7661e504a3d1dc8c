"""The tables. A change here needs a migration in `migrations/versions` (a test compares the two)."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from flowctl_registry.database.types import Moment
from flowctl_registry.models.names import precedence

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(length: int) -> TypeEngine[str]:
    """Text in byte order on both: a PostgreSQL database may have the order of a language, and compares no columns
    of different orders."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

# Access

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", _text(128), primary_key=True),
    Column("private", Boolean, nullable=False, default=False),
    Column("quota_bytes", BigInteger),  # NULL: the registry's default; 0: none
    Column("used_bytes", BigInteger, nullable=False, default=0),  # of published versions
    Column("created_at", Moment, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("namespace", ForeignKey("namespaces.name", ondelete="CASCADE"), primary_key=True),
    Column("user", _text(128), primary_key=True),
    Column("role", _text(16), nullable=False),  # owner | member
    Column("added_at", Moment, nullable=False),
    Index("ix_members_user", "user"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _text(32), primary_key=True),  # public part of the token
    Column("hash", _text(64), nullable=False),  # SHA-256 of the secret part, hex
    Column("name", _text(128), nullable=False),
    Column("user", _text(256), nullable=False),
    Column("namespace", _text(128)),  # NULL: all of the user's namespaces
    Column("component", _text(128)),  # NULL: all
    Column("actions", JSON, nullable=False),  # list of access.principal.Action
    Column("grants", JSON(none_as_null=True)),  # [[namespace, component]] of an OIDC token: may, whoever is a member
    Column("created_by", _text(256), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Index("ix_tokens_user", "user"),
    Index("ix_tokens_namespace", "namespace"),
    Index("ix_tokens_expires_at", "expires_at"),
)

publishers = Table(
    "publishers",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("namespace", ForeignKey("namespaces.name", ondelete="CASCADE"), nullable=False),
    Column("component", _text(128)),  # NULL: all of the namespace
    Column("issuer", _text(512), nullable=False),
    Column("claims", JSON, nullable=False),  # name to required value: repository, job_workflow_ref, environment, ...
    Column("created_at", Moment, nullable=False),
    Index("ix_publishers_issuer", "issuer"),
)

spent_tokens = Table(
    "spent_tokens",  # OIDC tokens that were exchanged, so that none is taken twice
    metadata,
    Column("issuer", _text(512), primary_key=True),
    Column("jti", _text(512), primary_key=True),
    Column("expires_at", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", _text(256), nullable=False),
    Column("action", _text(64), nullable=False),
    Column("target", _text(512), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("request_id", _text(64)),
    Column("previous", _text(64), nullable=False),  # hash of the entry before, hex
    Column("hash", _text(64), nullable=False),
)

audit_head = Table(
    "audit_head",  # one row: the last entry, and the lock that puts writers in a row
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", _text(64), nullable=False),
)

secrets = Table(
    "secrets",  # shared by all API processes: the key of image pull tokens
    metadata,
    Column("name", _text(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# Blobs

blobs = Table(
    "blobs",
    metadata,
    Column("digest", _text(71), primary_key=True),  # sha256:<hex>
    Column("size", BigInteger, nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("doomed_at", Moment),  # marked by gc: not to be reused before it is written anew
    Column("deleting_at", Moment),  # gc is removing the object right now: not even to be written
    Index("ix_blobs_doomed_at", "doomed_at"),
)

claims = Table(
    "claims",  # leases: what an upload needs stays until it is committed or runs out
    metadata,
    Column("holder", _text(64), primary_key=True),  # id of the upload, or of a build
    Column("digest", _text(71), primary_key=True),
    Column("sent", Boolean, nullable=False, default=False),  # its holder has had the bytes
    Column("expires_at", Moment, nullable=False),
    Index("ix_claims_digest", "digest"),
    Index("ix_claims_expires_at", "expires_at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", _text(64), primary_key=True),
    Column("kind", _text(16), nullable=False),
    Column("namespace", _text(128), nullable=False),
    Column("name", _text(128), nullable=False),
    Column("version", _text(128), nullable=False),
    Column("files", JSON, nullable=False),  # [{path, digest, size}]
    Column("size", BigInteger, nullable=False),  # of all blobs, each counted once
    Column("publisher", _text(256), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("ix_uploads_expires_at", "expires_at"),
)

# Catalog

components = Table(
    "components",  # bundles too
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("kind", _text(16), nullable=False),  # component | bundle
    Column("namespace", ForeignKey("namespaces.name"), nullable=False),
    Column("name", _text(128), nullable=False),
    Column("type", _text(16)),  # source | processor | sink; NULL for bundles
    Column("language", _text(64)),
    Column("description", Text, nullable=False, default=""),
    Column("homepage", Text),
    Column("repository", Text),
    Column("license", _text(256)),
    Column("latest", _text(128)),  # newest version that is not yanked; a release before any prerelease
    Column("downloads", BigInteger, nullable=False, default=0),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("kind", "namespace", "name"),
    Index("ix_components_updated_at", "kind", "updated_at", "id"),
    Index("ix_components_downloads", "kind", "downloads", "id"),
)

component_labels = Table(
    "component_labels",  # of the latest version: what search filters by
    metadata,
    Column("component_id", ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", _text(16), primary_key=True),  # tag | input | output
    Column("value", _text(256), primary_key=True),
    Index("ix_component_labels_value", "kind", "value"),
)

versions = Table(
    "versions",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("component_id", ForeignKey("components.id"), nullable=False),
    Column("version", _text(128), nullable=False),
    Column("precedence", _text(512), nullable=False, default=lambda row: precedence(row.current_parameters["version"])),
    Column("prerelease", Boolean, nullable=False),
    Column("state", _text(16), nullable=False),  # pending (being signed, invisible) | published | removed
    Column("release_digest", _text(71), nullable=False),  # of the sorted list of (path, digest): is it the same?
    Column("document", JSON, nullable=False),  # component.yaml's metadata and interface, as the listing shows it
    Column("source", JSON),  # repository, commit, tree digest
    Column("type", _text(16)),  # as in components: what that shows when this version is the latest
    Column("language", _text(64)),
    Column("description", Text, nullable=False, default=""),
    Column("labels", JSON, nullable=False),  # tag | input | output to values
    Column("image", _text(71)),  # digest of the image index that the version's tags name
    Column("size", BigInteger, nullable=False),
    Column("publisher", _text(256), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("published_at", Moment),
    Column("yanked_at", Moment),
    Column("yank_reason", Text),
    Column("indexed_at", Moment),  # when the signed index had it
    UniqueConstraint("component_id", "version"),
    Index("ix_versions_precedence", "component_id", "state", "precedence"),
    Index("ix_versions_published_at", "published_at"),
    Index("ix_versions_state", "state", "created_at"),
)

artifacts = Table(
    "artifacts",  # files of a version, as in dist/
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("path", _text(512), primary_key=True),  # binaries/NAME, containers/..., metadata/...
    Column(
        "kind", _text(16), nullable=False
    ),  # binary | library | image | sbom | scan | provenance | signature | metadata
    Column("platform", _text(64)),  # os/arch[/variant]
    Column("digest", ForeignKey("blobs.digest"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", _text(256), nullable=False),
    Index("ix_artifacts_digest", "digest"),
)

manifests = Table(
    "manifests",  # what the distribution API serves of ns/name, a row for each version that has it
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", ForeignKey("blobs.digest"), primary_key=True),
    Column("component_id", ForeignKey("components.id", ondelete="CASCADE"), nullable=False),
    Column("media_type", _text(256), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("subject", _text(71)),
    Column("artifact_type", _text(256)),
    Column("annotations", JSON, nullable=False),
    Column("references", JSON, nullable=False),  # digests of config, layers and child manifests
    Index("ix_manifests_component_id", "component_id", "digest"),
    Index("ix_manifests_subject", "component_id", "subject"),
    Index("ix_manifests_digest", "digest"),
)

image_blobs = Table(
    "image_blobs",  # which repository may hand out which blob, a row for each version that has it
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", ForeignKey("blobs.digest"), primary_key=True),
    Column("component_id", ForeignKey("components.id", ondelete="CASCADE"), nullable=False),
    Index("ix_image_blobs_component_id", "component_id", "digest"),
    Index("ix_image_blobs_digest", "digest"),
)

image_tags = Table(
    "image_tags",
    metadata,
    Column("component_id", ForeignKey("components.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", _text(128), primary_key=True),
    Column("digest", _text(71), nullable=False),
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), nullable=False),
)

# Signer

subjects = Table(
    "subjects",  # what a build made: the only things that the signer signs
    metadata,
    Column("version_id", ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True),
    Column("name", _text(512), primary_key=True),
    Column("digest", _text(71), nullable=False),
    Column("recorded_at", Moment, nullable=False),
)

index_changes = Table(
    "index_changes",  # outbox: what the signed index has to learn, in order
    metadata,
    Column("sequence", _KEY, primary_key=True),
    Column("change", _text(16), nullable=False),  # publish | yank | unyank
    Column("version_id", ForeignKey("versions.id"), nullable=False),
    Column("reason", Text),
    Column("recorded_at", Moment, nullable=False),
    Column("done_at", Moment),
    Index("ix_index_changes_done_at", "done_at"),
)

trust_files = Table(
    "trust_files",  # the TUF repository that clients read
    metadata,
    Column("path", _text(512), primary_key=True),  # metadata/1.root.json, targets/...
    Column("content", LargeBinary, nullable=False),
    Column("written_at", Moment, nullable=False),
)
