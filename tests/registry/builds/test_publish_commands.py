"""`flowctl component publish` and `flowctl build`, as a person types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.models.remote_build import CallerReport, PublishReport, RemoteBuild, RemoteBuilds
from git_server import GitServer, Repository, git
from registry_instance import run_registry
from source_forge import Yard, busybox_source, settings_for

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
NAME = "greeting"


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with (
        GitServer(tmp_path_factory.mktemp("git")) as server,
        run_registry(tmp_path_factory.mktemp("registry"), **settings_for(server)) as registry,
    ):
        yield Yard(registry, server)


@dataclass
class Desk:
    """A developer with a repository, signed in."""

    yard: Yard
    home: Path
    namespace: str
    repository: Repository

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def environment(self) -> dict[str, str]:
        keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", **keyring}

    def commit(self, version: str, script: str | None = None, **changed: str) -> str:
        source = {**busybox_source(NAME, version, script=script), **changed}
        for name, content in source.items():
            (self.work / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        git(self.work, "add", "--all")
        git(self.work, "commit", "-q", "-m", version)
        return git(self.work, "rev-parse", "HEAD")

    def command(self, *words: object) -> list[str]:
        return [str(FLOWCTL), *map(str, words)]

    def publishing(self, *words: object) -> list[object]:
        return ["component", "publish", "-n", self.namespace, "--repository", self.repository.url, *words]

    def run(self, *words: object, code: int = 0, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words), cwd=self.work, env={**self.environment, **more}, input=stdin, capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: object, code: int = 0) -> Any:
        return json.loads(self.run(*words, "-o", "json", code=code).stdout)

    def refs(self) -> list[str]:
        return git(self.repository.path, "for-each-ref", "--format=%(refname:short)").split()


@pytest.fixture
def desk(yard: Yard, tmp_path: Path) -> Desk:
    namespace = yard.registry.namespace()
    made = Desk(yard, tmp_path, namespace, yard.server.create(namespace))
    made.work.mkdir()
    git(made.work, "init", "-q", "-b", "main")
    git(made.work, "remote", "add", "origin", str(made.repository.path))
    made.run("login", yard.registry.urls[0], "--token-stdin", "--yes", stdin=str(yard.registry.token))
    return made


def test_a_version_is_shown_pushed_built_and_told(desk: Desk) -> None:
    commit = desk.commit("1.0.0")
    shown = PublishReport.model_validate(desk.json(*desk.publishing("--dry-run")))
    assert (shown.dry_run, shown.push, shown.tag, shown.commit, shown.build) == (
        True, ("main", "v1.0.0"), "v1.0.0", commit, None,
    )  # fmt: skip
    desk.run(*desk.publishing(), code=2)  # nobody says yes
    assert desk.refs() == [] and git(desk.work, "tag") == ""
    said = desk.run(*desk.publishing("--yes"))
    assert f"published {desk.namespace}/{NAME} 1.0.0 after" in said.stdout
    assert f"next: flowctl component install {desk.namespace}/{NAME}@1.0.0" in said.stdout
    assert "==> build linux/amd64: succeeded after" in said.stderr and "build linux/amd64 | ==> " in said.stderr
    assert desk.refs() == ["main", "v1.0.0"]
    source = desk.yard.registry.client().get(f"/v1/components/{desk.namespace}/{NAME}/source").json()
    assert (source["repository"], source["tag_pattern"]) == (desk.repository.url, "v*")
    error = desk.json(*desk.publishing("--yes"), code=94)["error"]
    assert error["code"] == "conflict" and "is published already" in error["message"]
    (build,) = RemoteBuilds.model_validate(desk.json("build", "list", f"{desk.namespace}/{NAME}")).items
    detail = RemoteBuild.model_validate(desk.json("build", "show", build.id))
    assert (detail.state, detail.commit, detail.trigger) == ("succeeded", commit, "publish")
    assert "==> publish <==" in desk.run("build", "logs", build.id).stdout
    assert desk.json("build", "cancel", build.id, code=94)["error"]["code"] == "conflict"


def test_a_build_that_fails_says_why_and_is_tried_again(desk: Desk) -> None:
    desk.commit("1.0.0", "echo compiling; echo 'no such thing: x' >&2; exit 3\n")
    error = desk.json(*desk.publishing("--yes"), code=95)["error"]
    assert error["code"] == "build-failed" and "no such thing: x" in error["output"]
    build = re.search(r"build ([0-9a-f]{32}) of ", error["message"])
    assert build is not None
    why = desk.run("why", build[1]).stdout
    assert "failed in test" in why and "no such thing: x" in why and f"flowctl build retry {build[1]}" in why
    again = desk.json("build", "retry", build[1])
    assert (again["state"], again["attempt"]) == ("queued", 2)
    followed = desk.run("build", "logs", "--follow", build[1], code=95)
    assert followed.stdout.count("compiling") == 2


def test_ctrl_c_leaves_the_build_going_on(desk: Desk) -> None:
    desk.commit("1.0.0", "echo started; sleep 60; exit 1\n")
    process = subprocess.Popen(
        desk.command(*desk.publishing("--yes")), cwd=desk.work, env=desk.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if "| started" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130, "".join(seen) + rest
    told = re.search(r"no longer following build ([0-9a-f]{32}), which goes on", rest)
    assert told is not None and f"flowctl build cancel {told[1]}" in rest
    assert desk.json("build", "show", told[1])["state"] == "running"
    desk.run("build", "cancel", told[1])
    deadline = time.monotonic() + 60
    while (build := desk.json("build", "show", told[1]))["state"] == "running":
        assert time.monotonic() < deadline, build
    assert build["state"] == "cancelled"
    assert "was cancelled" in desk.run("build", "logs", "-f", told[1], code=95).stderr


def test_a_moved_source_has_to_be_said(desk: Desk) -> None:
    client = desk.yard.registry.client()
    path = f"/v1/components/{desk.namespace}/{NAME}/source"
    elsewhere = desk.yard.server.create(f"{desk.namespace}-old").url
    answer = client.request("PUT", path, json={"repository": elsewhere, "tag_pattern": "rel/*"})
    assert answer.status_code == 200, answer.text
    desk.commit("1.0.0")
    error = desk.json(*desk.publishing("--yes"), code=12)["error"]
    assert f"is registered as built from {elsewhere}" in error["message"] and "--move-source" in error["hint"]
    shown = desk.json(*desk.publishing("--dry-run", "--move-source"))
    assert shown["tag"] == "rel/1.0.0"
    assert client.get(path).json()["repository"] == elsewhere and desk.refs() == []


def test_what_stands_in_the_way_is_told_before_anything_is_pushed(desk: Desk) -> None:
    desk.commit("1.0.0")
    (desk.work / "new.txt").write_text("in no commit")
    assert "new.txt" in desk.json(*desk.publishing("--yes"), code=12)["error"]["output"]
    (desk.work / "new.txt").unlink()
    error = desk.json("component", "publish", "-n", "nowhere", "--repository", desk.repository.url, code=93)["error"]
    assert "has no namespace nowhere" in error["message"]
    assert desk.json(*desk.publishing("--version", "2.0.0"), code=10)["error"]["code"] == "spec"
    assert (
        "cannot fetch from there"
        in desk.json("component", "publish", "-n", desk.namespace, code=12)["error"]["message"]
    )
    member = desk.yard.registry.client().post("/v1/tokens", json={"name": "reader", "actions": ["read"], "user": "ann"})
    said = desk.run(*desk.publishing("--yes"), code=92, FLOWCTL_TOKEN=member.json()["token"])
    assert "does not allow to publish" in said.stderr and "It allows read" in said.stderr
    assert desk.refs() == []


def test_who_is_signed_in_is_told_and_forgotten(desk: Desk) -> None:
    caller = CallerReport.model_validate(desk.json("whoami"))
    assert (caller.user, caller.token) == ("admin", "file") and caller.fingerprint is not None
    kept = desk.home / ".flowctl" / "credentials.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and str(desk.yard.registry.token) in kept.read_text()
    url = desk.yard.registry.urls[0]
    said = desk.run("login", url, "--token-stdin", "--fingerprint", "sha256:" + "0" * 64, stdin="wrong", code=91)
    assert "does not accept the token" in said.stderr
    wrong = desk.run("login", url, "--token-stdin", "--fingerprint", "sha256:" + "0" * 64, code=62,
                     stdin=str(desk.yard.registry.token))  # fmt: skip
    assert "has no root with the fingerprint" in wrong.stderr
    desk.run("logout")
    assert str(desk.yard.registry.token) not in kept.read_text()
    assert CallerReport.model_validate(desk.json("whoami")).user is None
    desk.commit("1.0.0")
    assert "flowctl login" in desk.json(*desk.publishing("--yes"), code=91)["error"]["hint"]
    named = desk.run("whoami", FLOWCTL_TOKEN=str(desk.yard.registry.token))
    assert "admin at" in named.stdout and "environment" in named.stdout
    refused = desk.run("whoami", FLOWCTL_TOKEN="flowctl_0_0", code=91)
    assert "does not accept the token" in refused.stderr and "flowctl_0_0" not in refused.stderr
