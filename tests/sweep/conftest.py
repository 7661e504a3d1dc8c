"""Registries for the sweeps."""

from __future__ import annotations

from registry_fixtures import (
    backend,
    make_release,
    open_registry,
    postgres_server,
    registry,
    release,
    s3_server,
)

__all__ = ["backend", "make_release", "open_registry", "postgres_server", "registry", "release", "s3_server"]
