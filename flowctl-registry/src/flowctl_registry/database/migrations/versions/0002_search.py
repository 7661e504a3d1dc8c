"""The index of the search: native full text of each database.

`component_search` is no table of `database.tables`: the two databases share its name and nothing else. What it holds is
derived (`catalog.search_index.rebuild`).
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE component_search USING fts5(terms, detail=none, prefix='3 4 5', tokenize=ascii)"
        )
        return
    op.execute(
        "CREATE TABLE component_search (component_id BIGINT PRIMARY KEY REFERENCES components(id) ON DELETE CASCADE,"
        " terms TSVECTOR NOT NULL)"
    )
    op.execute("CREATE INDEX ix_component_search_terms ON component_search USING gin (terms)")
