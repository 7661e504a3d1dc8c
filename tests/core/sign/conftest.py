"""A private Sigstore instance, and an environment that has no identity but what a test gives it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sigstore_instance import SigstoreInstance, running


@pytest.fixture(scope="module")
def instance() -> Iterator[SigstoreInstance]:
    with running() as one:
        yield one


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI systems give identities of their own; none of theirs may be used here."""
    for name in os.environ:
        if name.startswith(("SIGSTORE_", "ACTIONS_ID_TOKEN")):
            monkeypatch.delenv(name)
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "GOOGLE_SERVICE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(instance: SigstoreInstance, tmp_path: Path) -> Any:
    """Writes the instance's trust config, and says where."""

    def write(of: SigstoreInstance | None = None, **options: Any) -> str:
        path = tmp_path / "trust-config.json"
        path.write_text(json.dumps((of or instance).trust_config(**options)))
        return str(path)

    return write
