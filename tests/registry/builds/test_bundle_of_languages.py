"""The example bundle of three languages: built by a registry, installed elsewhere, run as its template says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, unavailable

from flowctl_core.models import Platform
from git_server import GitServer, git
from registry_instance import run_registry
from source_forge import settings_for, toolchain_settings

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
MEMBERS = {"go-source": "go", "node-sink": "node", "python-processor": "uv"}
CONFIG = """\
build:
  images: {base: {go: scratch, node: scratch, python: scratch}}
"""
"""Bases of images come from registries, which are not what is tested here."""


def test_the_example_bundle_from_its_repository_to_another_machine(tmp_path: Path) -> None:
    for tool in MEMBERS.values():
        if shutil.which(tool) is None and not (Path(sys.prefix) / "bin" / tool).exists():
            unavailable(f"{tool} not found")
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "git").mkdir()
    with GitServer(tmp_path / "git") as server:
        settings = settings_for(server, **toolchain_settings(tmp_path / "config.yaml"))
        with run_registry(tmp_path / "registry", **settings) as registry:
            assert registry.client().request("PUT", "/v1/namespaces/examples", json={}).status_code in (200, 201)
            repository = server.create("examples")
            git(repository.path, "config", "http.receivepack", "true")
            repository.commit(example_files())
            git(tmp_path, "clone", "--quiet", repository.url, "clone")
            author = {"FLOWCTL_TOKEN": str(registry.token)}

            def flowctl(home: str, *words: str, **more: str) -> str:
                environment = {
                    "HOME": str(tmp_path / home), "PATH": os.environ["PATH"], "FLOWCTL_REGISTRY_URL": registry.urls[0],
                    "FLOWCTL_CACHE_DIR": str(tmp_path / home / "cache"), **more,
                }  # fmt: skip
                (tmp_path / home).mkdir(exist_ok=True)
                done = subprocess.run(
                    [FLOWCTL, *words], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True
                )
                assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
                return done.stdout

            for home in ("author", "user"):
                flowctl(home, "trust", "pin", f"{registry.urls[0]}/v1/trust", "--yes")
            published = json.loads(flowctl("author", "bundle", "publish", "--yes", "-o", "json", **author))
            assert [each["state"] for each in published["members"]] == ["built"] * 3
            flowctl("user", *published["install"].split()[1:], **author)
    bin_ = tmp_path / "user" / ".flowctl" / "bin"
    assert sorted(os.listdir(bin_)) == ["account-activity", "event-archive", "transfer-source"]
    piped = "./transfer-source --rate 0 --ledgers 20 | WINDOW=10 ./account-activity | ./event-archive"
    ran = subprocess.run(["sh", "-c", piped], cwd=bin_, capture_output=True, text=True)
    assert ran.returncode == 0 and "account_activity" in ran.stdout + ran.stderr, ran.stdout + ran.stderr


def example_files() -> dict[str, bytes | str]:
    """The bundle and its members, for this machine's platform alone."""
    found: dict[str, bytes | str] = {}
    for name in ("bundle.yaml", *MEMBERS):
        listed = subprocess.run(["git", "ls-files", "-z", name], cwd=ROOT / "examples", capture_output=True, check=True)
        for path in filter(None, listed.stdout.decode().split("\0")):
            found[path] = (ROOT / "examples" / path).read_bytes()
    for path in [each for each in found if each.endswith("component.yaml")]:
        text = found[path].decode()  # type: ignore[union-attr]
        found[path] = text.replace(
            "platforms: [linux/amd64, linux/arm64, darwin/amd64, darwin/arm64]", f"platforms: [{Platform.host()}]"
        )
    bundle = found["bundle.yaml"].decode()  # type: ignore[union-attr]
    found["bundle.yaml"] = bundle.partition("  platforms:")[0]
    return found
