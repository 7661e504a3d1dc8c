"""What a remote build published comes out again, byte for byte, when its user builds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from git_server import GitServer
from registry_fixtures import backend, open_registry, postgres_server, s3_server
from source_forge import Yard, busybox_source, settings_for

__all__ = ["backend", "open_registry", "postgres_server", "s3_server"]
FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"


@pytest.fixture(scope="module")
def yard(open_registry: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with GitServer(tmp_path_factory.mktemp("git")) as server, open_registry(**settings_for(server)) as registry:
        yield Yard(registry, server)


def test_a_published_version_is_reproduced_from_its_repository(yard: Yard, tmp_path: Path) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(busybox_source(), tag="v1.0.0")
    yard.wait(yard.request(namespace, "greeting", repository))

    def reproduce(reference: str) -> tuple[int, dict[str, Any]]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        done = subprocess.run(
            [FLOWCTL, "component", "reproduce", reference, "--registry", yard.registry.urls[0], "-o", "json"],
            capture_output=True, text=True, env=environment, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)

    code, report = reproduce(f"{namespace}/greeting@1.0.0")
    assert report["differences"] == [] and report["reproduced"] is True and code == 0, report
    assert report["compared"] > 8 and report["made_with"] == []
    code, report = reproduce(f"{namespace}/greeting@9.9.9")
    assert code == 93 and report["error"]["code"] == "not-found"
