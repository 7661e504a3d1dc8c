"""The whole schema: everything that a migration makes and a backup holds."""

from __future__ import annotations

from flowctl_registry.database import build_tables, tables

metadata = tables.metadata
"""All tables; importing this module, and not `tables`, is what makes it all."""
BUILD_TABLES = tuple(each for each in metadata.sorted_tables if each.name in vars(build_tables))
