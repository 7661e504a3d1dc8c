"""A whole build in each sandbox that is not the default one: Docker's, and none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from debian_image import make_image
from git_server import GitServer
from registry_instance import run_registry
from source_forge import Yard, busybox_source, settings_for


def build(tmp_path: Path, word: str, **settings: object) -> tuple[str, str]:
    """Build a component whose program says where it was made; the build's log, and the registry's."""
    (tmp_path / "git").mkdir()
    files = busybox_source()
    files["make.sh"] = f"echo '{word}' $(id -u)\n" + str(files["make.sh"])
    with GitServer(tmp_path / "git") as server:
        given = settings_for(server, builds__embedded_slots=1, builds__tries=1, **settings)
        with run_registry(tmp_path / "registry", **given) as registry:
            yard = Yard(registry, server)
            namespace = registry.namespace()
            repository = server.create(namespace)
            repository.commit(files, tag="v1.0.0")
            build_id = yard.request(namespace, "greeting", repository)
            yard.wait(build_id)
            client = registry.client()
            found = client.get(
                f"/v1/components/{namespace}/greeting/1.0.0/download?target=binary&platform=linux/amd64",
                follow_redirects=True,
            )
            assert found.content == Path(str(shutil.which("busybox"))).read_bytes()
            return client.get(f"/v1/builds/{build_id}/logs").text, registry.api[0].text()


def test_a_build_in_containers(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = request.getfixturevalue("docker")
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    busybox_source()  # ends the test where there is none
    readable = json.dumps([str(shutil.which("busybox"))])
    said, told = build(
        tmp_path, "made in", sandbox__kind="docker", sandbox__image=make_image(engine), builds__readable=readable
    )
    assert "made in 65534" in said
    assert "sandbox of builds:" in told, "what it cannot enforce is said at start"


def test_a_build_without_a_sandbox(tmp_path: Path) -> None:
    said, told = build(tmp_path, "made in", sandbox__kind="none", sandbox__unsandboxed=True)
    assert "made in" in said
    assert "sandbox of builds:" in told
