"""Real advisories, small made ones, and dependencies to look up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.models import Dependency, DependencyReport
from flowctl_core.scan.osv import ScanSettings


@pytest.fixture(scope="session")
def real_advisories(shared_data: Path) -> Path:
    return shared_data / "osv"


def made_advisory(advisory_id: str, package: str, *events: dict[str, str], ecosystem: str = "npm", **more: Any) -> dict:
    """An advisory with one range; `more` overrides or adds fields of the top level."""
    kind = "SEMVER" if ecosystem in ("npm", "Go", "crates.io") else "ECOSYSTEM"
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": kind, "events": list(events)}],
    }
    return {"id": advisory_id, "modified": "2024-01-02T03:04:05Z", "affected": [affected], **more}


Writer = Callable[..., Path]


@pytest.fixture
def database(tmp_path: Path) -> Writer:
    """Writes advisories as OSV exports them; returns the directory."""
    root = tmp_path / "made-database"

    def write(*advisories: dict[str, Any]) -> Path:
        for advisory in advisories:
            folder = root / advisory["affected"][0]["package"]["ecosystem"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{advisory['id']}.json").write_text(json.dumps(advisory))
        return root

    return write


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., ScanSettings]:
    def make(database: Path | None, **more: Any) -> ScanSettings:
        return ScanSettings(database=database, cache_dir=tmp_path / "cache", **more)

    return make


def depends(*purls: str | Dependency) -> DependencyReport:
    """A report of direct dependencies, or of those that are given whole."""
    return DependencyReport(
        dependencies=tuple(p if isinstance(p, Dependency) else Dependency(purl=p, direct=True) for p in purls)
    )
