"""Builds of bundles wait for those of their members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "build_waits",
        sa.Column("build_id", sa.String(length=32), nullable=False),
        sa.Column("waits_for", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["build_id"], ["builds.id"], name=op.f("fk_build_waits_build_id_builds"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["waits_for"], ["builds.id"], name=op.f("fk_build_waits_waits_for_builds"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("build_id", "waits_for", name=op.f("pk_build_waits")),
    )
    op.create_index("ix_build_waits_waits_for", "build_waits", ["waits_for"], unique=False)
