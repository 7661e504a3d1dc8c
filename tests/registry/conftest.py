"""A registry that runs, on each back end, and releases to publish in it."""

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
from registry_instance import Registry

__all__ = [
    "Registry", "backend", "make_release", "open_registry", "postgres_server", "registry", "release", "s3_server",
]  # fmt: skip
