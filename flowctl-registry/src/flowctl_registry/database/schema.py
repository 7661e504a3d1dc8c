"""The whole schema: everything that a migration makes and a backup holds."""

from __future__ import annotations

import flowctl_registry.database.build_tables  # noqa: F401 - its tables join those of `tables`
from flowctl_registry.database import tables

metadata = tables.metadata
"""All tables, whatever else was imported before; that of `tables` has only its own until this module is there."""
