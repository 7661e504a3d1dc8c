"""What a registry built itself: it says how and of what, and nobody can hold that back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_server import GitServer
from hostile_proxy import Answer, hostile_proxy
from registry_instance import run_registry
from source_forge import Yard, busybox_source, settings_for

from .conftest import User

NAME = "busybox-greeting"
"""busybox is the program of every applet to who calls it by a name that begins so."""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with (
        GitServer(tmp_path_factory.mktemp("git")) as server,
        run_registry(tmp_path_factory.mktemp("registry"), **settings_for(server)) as registry,
    ):
        yield Yard(registry, server)


@pytest.fixture(scope="module")
def built(yard: Yard) -> tuple[str, str, str]:
    """Namespace, repository and commit of a version that the registry built."""
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    commit = repository.commit(busybox_source(NAME), tag="v1.0.0")
    yard.wait(yard.request(namespace, NAME, repository))
    return namespace, repository.url, commit


def test_its_builder_is_proved_locked_and_required(yard: Yard, built: tuple[str, str, str], tmp_path: Path) -> None:
    namespace, repository, commit = built
    user = User(tmp_path, yard.registry.urls[0])
    user.pin()
    (installed,) = user.json("component", "install", f"{namespace}/{NAME}", "--lock", "flowctl.lock")["components"]
    verdicts = {each["check"]: each["verdict"] for each in installed["checks"]}
    assert verdicts.pop("tlog") == "not required" and set(verdicts.values()) == {"passed"}
    assert installed["origin"]["builder"] == "https://flowctl.dev/builder/registry"
    assert installed["origin"]["repository"] == repository
    record = json.loads((Path(installed["path"]) / "installed.json").read_text())
    assert record["commit"] == commit
    said = subprocess.run([user.bin / NAME, "echo", "hi"], capture_output=True, text=True)
    assert said.stdout == "hi\n", said.stderr
    locked = json.loads((user.work / "flowctl.lock").read_text())["components"][f"{namespace}/{NAME}"]
    assert locked["origin"] == installed["origin"]
    (user.home / ".flowctl" / "policy.yaml").write_text(
        "schema: 1\n"
        f"keys: {{{yard_key(yard)}: {{registry: {yard.registry.urls[0]}/v1/trust}}}}\n"
        "namespaces:\n"
        f"  - {{pattern: '**', signers: [{{key: {yard_key(yard)}}}], builders: [https://flowctl.dev/builder/registry],"
        " require: [provenance, sbom, scan]}\n"
    )
    user.run("component", "install", "--locked", "--target", "linux/amd64")


def yard_key(yard: Yard) -> str:
    (key,) = yard.registry.client().get("/v1/keys").json()["keys"]
    return str(key["name"])


def test_the_provenance_cannot_be_held_back(yard: Yard, built: tuple[str, str, str], tmp_path: Path) -> None:
    namespace, _, _ = built
    with hostile_proxy(yard.registry.urls[0]) as proxy:

        def tamper(answer: Answer) -> Answer:
            if answer.path.endswith(f"/{NAME}/1.0.0"):
                found = json.loads(answer.body)
                found["metadata"] = [e for e in found["metadata"] if not e["path"].startswith("metadata/registry/")]
                answer.body = json.dumps(found).encode()
            return answer

        user = User(tmp_path, proxy.url)
        user.pin()
        with proxy.doing(tamper):
            failed = user.json("component", "install", f"{namespace}/{NAME}", code=60)["error"]
        assert "attestations" in failed["message"], failed
        assert not user.bin.exists() or not os.listdir(user.bin)
