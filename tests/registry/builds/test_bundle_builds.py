"""A bundle from its repository: its members are built, each once, and then it is published as the set of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from flowctl_core.models.bundle_set import BundleSet
from flowctl_registry.database.build_tables import builds
from git_server import GitServer, Repository
from registry_fixtures import backend, open_registry, postgres_server, s3_server
from source_forge import Yard, busybox_source, settings_for

__all__ = ["backend", "open_registry", "postgres_server", "s3_server"]
BUNDLE = """\
apiVersion: component.flowctl.io/v1
kind: ComponentBundle
metadata: {{name: suite, version: {version}, description: Two that belong together}}
spec:
  components:
    - {{name: first, path: parts/first}}
    - {{name: second, path: parts/second}}
"""


@pytest.fixture(scope="module")
def yard(open_registry: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with (
        GitServer(tmp_path_factory.mktemp("git")) as server,
        open_registry(**settings_for(server, builds__embedded_slots=1)) as registry,
    ):
        yield Yard(registry, server)


def sources(version: str = "1.0.0", second: str = "1.0.0", script: str | None = None) -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {"sets/bundle.yaml": BUNDLE.format(version=version)}
    for name, of in (("first", "1.0.0"), ("second", second)):
        made = busybox_source(name, of, script=script if name == "second" else None)
        files |= {f"sets/parts/{name}/{file}": content for file, content in made.items()}
    return files


def ask(yard: Yard, namespace: str, repository: Repository, ref: str = "v1.0.0") -> str:
    asked = {"repository": repository.url, "ref": ref, "subdirectory": "sets"}
    answer = yard.registry.client().post(f"/v1/bundles/{namespace}/suite/builds", json=asked)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def built(yard: Yard, namespace: str) -> list[tuple[str, str, str]]:
    query = select(builds.c.kind, builds.c.name, builds.c.state).where(builds.c.namespace == namespace)
    return sorted(tuple(row) for row in yard.registry.change(lambda c: c.execute(query).all()))


def members(yard: Yard, namespace: str, version: str) -> BundleSet:
    client = yard.registry.client()
    path = f"/v1/bundles/{namespace}/suite/{version}/files/metadata/members.json"
    found = client.get(path, follow_redirects=True)
    assert found.status_code == 200, found.text
    shown = client.get(f"/v1/bundles/{namespace}/suite/{version}").json()
    listed = {file["path"]: file["digest"] for file in shown["metadata"]}
    assert listed["metadata/members.json"] == f"sha256:{hashlib.sha256(found.content).hexdigest()}"
    assert "metadata/bundle.yaml" in listed and any(path.endswith(".sigstore.json") for path in listed), listed
    return BundleSet.model_validate_json(found.content)


def test_members_are_built_once_and_pinned(yard: Yard) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(sources(), tag="v1.0.0")
    build_id = ask(yard, namespace, repository)
    yard.wait(build_id)
    assert [step.step for step in yard.steps(build_id)] == ["clone", "decide", "assemble", "publish"]
    all_succeeded = [("bundle", "suite", "succeeded"), ("component", "first", "succeeded")]
    assert built(yard, namespace) == [*all_succeeded, ("component", "second", "succeeded")]
    pinned = members(yard, namespace, "1.0.0").members
    assert [(each.name, each.namespace, each.version) for each in pinned] == [
        ("first", namespace, "1.0.0"),
        ("second", namespace, "1.0.0"),
    ]
    client = yard.registry.client()
    for each in pinned:
        shown = client.get(f"/v1/components/{namespace}/{each.name}/{each.version}").json()
        listed = {file["digest"] for file in shown["binaries"]} | {image["digest"] for image in shown["images"]}
        assert set(each.digests.values()) == listed and each.digests["index"] in listed
    repository.commit(sources("1.1.0", second="1.1.0"), tag="v1.1.0")
    yard.wait(ask(yard, namespace, repository, "v1.1.0"))
    again = members(yard, namespace, "1.1.0").members
    assert again[0] == pinned[0] and (again[1].version, len(built(yard, namespace))) == ("1.1.0", 5)


def test_a_member_that_fails_fails_the_bundle(yard: Yard) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(sources(script="echo no luck >&2; exit 3\n"), tag="v1.0.0")
    problem = yard.wait(ask(yard, namespace, repository), "failed").problem
    assert f"the member {namespace}/second 1.0.0 could not be built" in problem["message"], problem
    (failed,) = [name for _, name, state in built(yard, namespace) if state == "failed" and name != "suite"]
    assert failed == "second" and "/v1/builds/" in problem["hint"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"sets/parts/first/component.yaml": "name: ["}, "component.yaml"),
        ({"sets/bundle.yaml": BUNDLE.format(version="1.0.0").replace("parts/second", "../../x")}, "outside the bundle"),
        ({"sets/bundle.yaml": BUNDLE.format(version="1.0.0").replace(", path: parts/second", "")}, "has no version"),
        (
            {"sets/bundle.yaml": BUNDLE.format(version="1.0.0").replace("path: parts/second", "version: 9.0.0")},
            "second 9.0.0 is not published",
        ),
        ({"sets/bundle.yaml": BUNDLE.format(version="1.0.0").replace("name: suite", "name: sweets")}, "names sweets"),
        ({"sets/bundle.yaml": "link:../secret"}, "bundle.yaml"),
    ],
)  # fmt: skip
def test_a_bundle_that_is_wrong_is_told(yard: Yard, files: dict[str, str], told: str) -> None:
    if yard.registry.backend != "sqlite":
        pytest.skip("what is read of a source is the same for each database")
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit({**sources(), **files}, tag="v1.0.0")
    row = yard.wait(ask(yard, namespace, repository), "failed")
    assert told in json.dumps(row.problem), row.problem
    assert [each for each in built(yard, namespace) if each[0] == "component"] == []
