"""Installing bundles: all members verified or none, by the lockfile, and what a registry may not do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.models.bundle_set import BundleSet, PinnedMember
from flowctl_core.trust.release_digests import release_digests
from registry_instance import Registry

from .conftest import User

HEAD = "apiVersion: component.flowctl.io/v1\nkind: ComponentBundle\n"
MEMBERS = (("greeting", "1.2.0"), ("parting", "1.0.0"))


@dataclass
class Shop:
    """A namespace with components, where bundles of them are published as a test likes them."""

    registry: Registry
    make: Callable[..., Path]
    folder: Path
    namespace: str

    def component(self, name: str, version: str) -> None:
        done = self.registry.client().publish(self.make(name, version), self.namespace, name, version)
        assert done.status_code == 201, done.text

    def pin(self, name: str, version: str) -> PinnedMember:
        digests = release_digests(self.make(name, version))
        return PinnedMember(namespace=self.namespace, name=name, version=version, digests=digests)

    def bundle(self, version: str = "1.0.0", name: str = "pair", members: Any = MEMBERS, changed: Any = None) -> str:
        """Publish a set; `changed`: its fields that are other than they should be."""
        pins = tuple(self.pin(*member) for member in members)
        written = BundleSet(namespace=self.namespace, name=name, version=version, members=pins).model_copy(
            update=changed
        )
        root = self.folder / f"{name}-{version}"
        (root / "metadata").mkdir(parents=True)
        listed = ", ".join(f"{{name: {member}, version: {number}}}" for member, number in members)
        text = f"{HEAD}metadata: {{name: {name}, version: {version}}}\nspec: {{components: [{listed}]}}\n"
        (root / "metadata" / "bundle.yaml").write_text(text)
        (root / "metadata" / "members.json").write_bytes(written.text())
        done = self.registry.client().publish(root, self.namespace, name, version, "bundles")
        assert done.status_code == 201, done.text
        return f"{self.namespace}/{name}"


@pytest.fixture
def shop(registry: Registry, make_release: Callable[..., Path], tmp_path: Path) -> Shop:
    made = Shop(registry, make_release, tmp_path / "bundles", registry.namespace())
    for name, version in MEMBERS:
        made.component(name, version)
    return made


def failure(user: User, *words: object, code: int) -> dict[str, Any]:
    return dict(json.loads(user.run("bundle", "install", *words, "-o", "json", code=code).stdout)["error"])


def nothing_there(user: User) -> bool:
    home = user.home / ".flowctl"
    return not any((home / kind).exists() and os.listdir(home / kind) for kind in ("components", "bundles", "bin"))


def test_a_bundle_is_installed_with_its_members(shop: Shop, user: User) -> None:
    name = shop.bundle()
    described = user.json("bundle", "info", name)
    assert [each["version"] for each in described["members"]] == ["1.2.0", "1.0.0"]
    assert nothing_there(user)
    report = user.json("bundle", "install", name, "--lock", "flowctl.lock")
    assert [each["state"] for each in report["components"]] == ["installed", "installed"]
    assert report["bundles"][0]["reference"] == f"{name}@1.0.0" and report["bundles"][0]["state"] == "installed"
    assert sorted(os.listdir(user.bin)) == ["greeting", "parting"]
    (listed,) = user.json("bundle", "list")["bundles"]
    assert listed["members"] == [f"{shop.namespace}/greeting@1.2.0", f"{shop.namespace}/parting@1.0.0"]
    assert listed["missing"] == []
    again = user.json("bundle", "install", name)
    assert again["bundles"][0]["state"] == "unchanged" and again["components"][0]["received"] == 0
    lock = json.loads((user.work / "flowctl.lock").read_text())
    assert set(lock["bundles"]) == {name} and len(lock["components"]) == 2
    shop.bundle("1.1.0")
    locked = user.json("bundle", "install", "--locked", "--offline")
    assert locked["bundles"][0]["reference"] == f"{name}@1.0.0"
    user.run("component", "uninstall", f"{shop.namespace}/parting", "--yes")
    assert user.json("bundle", "list")["bundles"][0]["missing"] == [f"{shop.namespace}/parting@1.0.0"]


def test_nothing_is_installed_when_one_member_is_not_what_the_bundle_names(shop: Shop, user: User) -> None:
    name = shop.bundle()
    digest = shop.pin("parting", "1.0.0").digests["parting-linux-amd64"]
    (blob,) = shop.registry.data.rglob(digest.removeprefix("sha256:"))
    kept = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(bytes([kept[0] ^ 1]) + kept[1:])
    try:
        error = failure(user, name, code=60)
        assert "digest" in error["message"] and nothing_there(user)
    finally:
        blob.write_bytes(kept)
    user.run("bundle", "install", name)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"digests": {"parting-linux-amd64": "sha256:" + "0" * 64}}, "the signed index has other files of it"),
        ({"version": "9.0.0"}, "the signed index has nothing of that version"),
    ],
)
def test_a_member_that_the_signed_index_does_not_have_so(
    shop: Shop, user: User, changed: dict[str, Any], said: str
) -> None:
    members = (shop.pin(*MEMBERS[0]), shop.pin(*MEMBERS[1]).model_copy(update=changed))
    error = failure(user, shop.bundle(changed={"members": members}), code=60)
    assert said in error["message"] and nothing_there(user)


def test_two_bundles_that_want_different_versions(shop: Shop, user: User) -> None:
    shop.component("greeting", "1.3.0")
    one, other = shop.bundle(), shop.bundle("2.0.0", "alone", (("greeting", "1.3.0"),))
    error = failure(user, one, other, code=2)
    assert "1.2.0" in error["message"] and "1.3.0" in error["message"] and nothing_there(user)


def test_a_member_that_was_yanked_is_installed_by_the_lockfile_only(shop: Shop, user: User) -> None:
    name = shop.bundle()
    user.run("bundle", "install", name, "--lock", "flowctl.lock")
    client = shop.registry.client()
    yanked = client.request("PUT", f"/v1/components/{shop.namespace}/parting/1.0.0/yank", json={"reason": "it is rude"})
    if yanked.status_code >= 400:
        yanked = client.post(f"/v1/components/{shop.namespace}/parting/1.0.0/yank", json={"reason": "it is rude"})
    assert yanked.status_code < 300, yanked.text
    user.run("bundle", "install", "--locked")
    (user.work / "flowctl.lock").unlink()
    error = failure(user, name, code=93)
    assert "was yanked: it is rude" in error["message"]


def test_what_is_no_bundle(shop: Shop, user: User) -> None:
    shop.bundle()
    error = failure(user, f"{shop.namespace}/pare", code=93)
    assert error["hint"] == f"Did you mean {shop.namespace}/pair?"
    assert "has no version in ^7" in failure(user, f"{shop.namespace}/pair@^7", code=93)["message"]
    assert failure(user, code=2)["hint"].startswith("NAMESPACE/NAME")
    assert failure(user, f"{shop.namespace}/pair", "--locked", code=2)["code"] == "usage"
