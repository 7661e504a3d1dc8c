"""A registry with published releases, and users who install from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flowctl_core.models import installation as i
from flowctl_core.models.catalog import ComponentInfo, SearchResult
from flowctl_core.trust import pinning
from registry_fixtures import make_release, postgres_server, release, s3_server
from registry_instance import Registry, run_registry

DOCUMENTS: dict[tuple[object, ...], type[BaseModel]] = {
    ("component", "install"): i.InstallReport,
    ("component", "update"): i.InstallReport,
    ("component", "list"): i.ComponentList,
    ("component", "outdated"): i.OutdatedReport,
    ("component", "uninstall"): i.RemovedReport,
    ("component", "versions"): i.VersionsReport,
    ("component", "info"): ComponentInfo,
    ("component", "search"): SearchResult,
}
FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
__all__ = ["make_release", "postgres_server", "release", "s3_server"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Embedded: what differs on other back ends is nothing that a client sees."""
    with run_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@dataclass
class User:
    """Somebody with a home folder, a working folder, and a registry in the configuration."""

    home: Path
    registry: str
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "FLOWCTL_REGISTRY_URL": self.registry,
            "FLOWCTL_CACHE_DIR": str(self.home / "cache"),
            **self.more,
        }

    @property
    def bin(self) -> Path:
        return self.home / ".flowctl" / "bin"

    @property
    def work(self) -> Path:
        folder = self.home / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, *words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [FLOWCTL, *map(str, words)], env=self.environment, cwd=self.work, capture_output=True, text=True
        )
        assert code is None or done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [FLOWCTL, *map(str, words)],
            env=self.environment, cwd=self.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def json(self, *words: object, code: int = 0) -> Any:
        found = json.loads(self.run(*words, "-o", "json", code=code).stdout)
        model = DOCUMENTS.get(words[:2])
        if model is not None and code == 0:
            assert model.model_validate(found).model_dump(mode="json") == found, "as documented"
        return found

    def pin(self) -> None:
        """As `flowctl trust pin --yes`, without starting Python for it."""
        address = f"{self.registry}/v1/trust"
        pinning.pin(address, pinning.offered_root(address, None), home=self.home / ".flowctl" / "trust")


@pytest.fixture
def new_user(tmp_path: Path, registry: Registry) -> Callable[..., User]:
    """`new_user("ann")`: one who has pinned the registry's root."""

    def make(name: str = "ann", url: str | None = None, *, pinned: bool = True, **more: str) -> User:
        home = tmp_path / name
        home.mkdir()
        user = User(home, url or registry.urls[0], more)
        if pinned:
            user.pin()
        return user

    return make


@pytest.fixture
def user(new_user: Callable[..., User]) -> User:
    return new_user()


@pytest.fixture
def published(registry: Registry, make_release: Callable[..., Path]) -> Callable[..., str]:
    """`published("1.2.0", "1.3.0")`: the name (`namespace/greeting`) of a component with these versions."""

    def publish(*versions: str, namespace: str | None = None, name: str = "greeting", **more: Any) -> str:
        namespace = namespace or registry.namespace()
        for version in versions:
            done = registry.client().publish(make_release(name, version, **more), namespace, name, version)
            assert done.status_code == 201, done.text
        return f"{namespace}/{name}"

    return publish
