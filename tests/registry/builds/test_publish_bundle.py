"""`flowctl bundle publish`: one remote build for each member that changed, then the set; and how it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from git_server import GitServer, Repository, git
from registry_instance import run_registry
from source_forge import Yard, busybox_source, settings_for

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"
NAMES = ("busybox-one", "busybox-two")
BUNDLE = """\
apiVersion: component.flowctl.io/v1
kind: ComponentBundle
metadata: {{name: pair, version: {version}, namespace: {namespace}}}
spec:
  components:
    - {{name: busybox-one, path: one}}
    - {{name: busybox-two, path: two, depends_on: [busybox-one]}}
"""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "git").mkdir()
    with GitServer(folder / "git") as server, run_registry(folder / "registry", **settings_for(server)) as registry:
        yield Yard(registry, server)


@dataclass
class Author:
    """Somebody who publishes a bundle from a clone."""

    yard: Yard
    home: Path
    namespace: str
    repository: Repository

    @property
    def clone(self) -> Path:
        return self.home / "clone"

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home), "PATH": os.environ["PATH"], "FLOWCTL_CACHE_DIR": str(self.home / "cache"),
            "FLOWCTL_REGISTRY_URL": self.yard.registry.urls[0], "FLOWCTL_TOKEN": self.yard.registry.token,
        }  # fmt: skip
        done = subprocess.run(
            [FLOWCTL, *words], cwd=self.clone, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "-o", "json", code=code).stdout)

    def change(self, path: str, old: str, new: str, *, push: bool = False) -> None:
        file = self.clone / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        git(self.clone, "commit", "--quiet", "--all", "--message", "change")
        if push:
            git(self.clone, "push", "--quiet", "origin", "HEAD")


@pytest.fixture
def author(yard: Yard, tmp_path: Path) -> Author:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    git(repository.path, "config", "http.receivepack", "true")
    files: dict[str, bytes | str] = {"bundle.yaml": BUNDLE.format(version="1.0.0", namespace=namespace)}
    for folder, name in zip(("one", "two"), NAMES, strict=True):
        files |= {f"{folder}/{path}": content for path, content in busybox_source(name).items()}
    repository.commit(files)
    git(tmp_path, "clone", "--quiet", repository.url, "clone")
    made = Author(yard, tmp_path, namespace, repository)
    made.run("trust", "pin", yard.registry.urls[0] + "/v1/trust", "--yes")
    return made


def test_only_what_changed_is_built_again(author: Author) -> None:
    planned = author.json("bundle", "publish", "--dry-run")
    assert not planned["published"] and [each["state"] for each in planned["members"]] == ["build", "build"]
    assert author.json("bundle", "publish", code=2)["error"]["code"] == "usage"  # nobody is there to be asked
    first = author.json("bundle", "publish", "--yes")
    assert first["published"] and [each["state"] for each in first["members"]] == ["built", "built"]
    again = author.json("bundle", "publish", "--yes")
    assert [each["state"] for each in again["members"]] == ["keep", "keep"]

    author.change("two/make.sh", "mkdir", "mkdir -v")
    error = author.json("bundle", "publish", "--yes", code=94)["error"]
    assert "busybox-two 1.0.0 is published, and its source has changed since" in error["message"]
    author.change("two/component.yaml", "version: 1.0.0", "version: 1.1.0")
    error = author.json("bundle", "publish", "--yes", code=94)["error"]
    assert "raise metadata.version in bundle.yaml" in error["hint"]
    author.change("bundle.yaml", "version: 1.0.0", "version: 1.1.0")
    second = author.json("bundle", "publish", "--yes")
    assert second["pushed"] and [each["state"] for each in second["members"]] == ["keep", "built"]

    report = author.json(*second["install"].split()[1:])
    assert report["bundles"][0]["members"] == [
        f"{author.namespace}/busybox-one@1.0.0", f"{author.namespace}/busybox-two@1.1.0",
    ]  # fmt: skip
    said = subprocess.run([author.home / ".flowctl/bin/busybox-two", "echo", "hi"], capture_output=True, text=True)
    assert said.stdout == "hi\n", said.stderr


def test_nothing_is_published_when_a_member_cannot_be_built(author: Author) -> None:
    author.change("two/make.sh", "mkdir", "echo this cannot be; exit 3; mkdir", push=True)
    error = author.json("bundle", "publish", "--yes", code=95)["error"]
    assert "build" in error["message"] and "this cannot be" in error["output"]
    client = author.yard.registry.client()
    assert client.get(f"/v1/components/{author.namespace}/busybox-one/1.0.0").status_code == 200
    assert client.get(f"/v1/bundles/{author.namespace}/pair/1.0.0").status_code == 404
    author.change("two/make.sh", "echo this cannot be; exit 3; ", "")
    author.change("two/component.yaml", "version: 1.0.0", "version: 1.0.1")  # the tag of 1.0.0 is where it failed
    done = author.json("bundle", "publish", "--yes")
    assert [each["state"] for each in done["members"]] == ["keep", "built"]


def test_what_is_in_no_commit_is_not_published(author: Author) -> None:
    (author.clone / "one" / "new.txt").write_text("new\n")
    error = author.json("bundle", "publish", "--yes", code=12)["error"]
    assert "are in no commit" in error["message"] and "one/new.txt" in error["output"]
    git(author.clone, "stash", "--include-untracked", "--quiet")
    git(author.clone, "remote", "remove", "origin")
    assert "the repository has no remote" in author.json("bundle", "publish", code=12)["error"]["message"]
