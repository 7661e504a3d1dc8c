"""Alembic's environment: the connection is handed over by `flowctl_registry.database.migrate`."""

from __future__ import annotations

from alembic import context

from flowctl_registry.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the transaction is the caller's
    render_as_batch=True,
)
context.run_migrations()
