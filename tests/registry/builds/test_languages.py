"""The examples in all four languages, built by a registry for three platforms from one repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import ROOT, unavailable

from git_server import GitServer
from registry_instance import run_registry
from source_forge import Yard, settings_for, toolchain_settings

TOOLS = {"go-source": "go", "node-sink": "node", "python-processor": "uv", "rust-processor": "cargo"}
NAMES = {
    "go-source": "transfer-source", "node-sink": "event-archive", "python-processor": "account-activity",
    "rust-processor": "transfer-window",
}  # fmt: skip
CONFIG = """\
build:
  images: {base: {go: scratch, node: scratch, python: scratch, rust: scratch}}
  remote: {platforms: [linux/amd64, linux/arm64, darwin/arm64]}
"""
"""Bases of images come from registries, which are not what is tested here."""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    (folder / "git").mkdir()
    with GitServer(folder / "git") as server:
        settings = settings_for(server, **toolchain_settings(config))
        with run_registry(folder / "registry", **settings) as registry:
            client = registry.client()
            assert client.request("PUT", "/v1/namespaces/examples", json={}).status_code in (200, 201)
            yield Yard(registry, server)


@pytest.mark.parametrize("example", sorted(TOOLS))
def test_an_example_is_built_for_three_platforms(yard: Yard, example: str, tmp_path: Path) -> None:
    if shutil.which(TOOLS[example]) is None and not (Path(sys.prefix) / "bin" / TOOLS[example]).exists():
        unavailable(f"{TOOLS[example]} not found")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT / "examples" / example, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    files = {f"parts/{example}/{name}": (ROOT / "examples" / example / name).read_bytes() for name in names}
    namespace = "examples"  # as their component.yaml says
    repository = yard.server.create(example)
    repository.commit(files, tag="v9.9.9")
    name = NAMES[example]
    build_id = yard.request(namespace, name, repository, "v9.9.9", subdirectory=f"parts/{example}")
    built = yard.wait(build_id)
    states = {(step.step, step.platform): step for step in yard.steps(build_id)}
    assert states["test", ""].answer["tests"]["state"] == "passed"
    platforms = {platform for step, platform in states if step == "build"}
    assert "linux/amd64" in platforms
    client = yard.registry.client()
    for platform in platforms:
        found = client.get(
            f"/v1/components/{namespace}/{name}/{built.version}/download?target=binary&platform={platform}",
            follow_redirects=True,
        )
        assert found.status_code == 200 and len(found.content) > 1000, (platform, found.text[:500])
