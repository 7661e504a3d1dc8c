"""What people do with installed components: choose versions, lock, update, remove, look, work offline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_instance import Registry

from .conftest import User

Publish = Callable[..., str]


def yank(registry: Registry, component: str, version: str) -> None:
    done = registry.client().post(f"/v1/components/{component}/{version}/yank", json={"reason": "it eats socks"})
    assert done.status_code == 200, done.text


@pytest.fixture(scope="module")
def component(registry: Registry, make_release: Callable[..., Path]) -> str:
    """1.2.0, 1.3.0, 1.4.0 (yanked) and 2.0.0-rc.1; tests only read it."""
    namespace = registry.namespace()
    for version in ("1.2.0", "1.3.0", "1.4.0", "2.0.0-rc.1"):
        done = registry.client().publish(make_release("greeting", version), namespace, "greeting", version)
        assert done.status_code == 201, done.text
    yank(registry, f"{namespace}/greeting", "1.4.0")
    return f"{namespace}/greeting"


def test_what_cannot_be_chosen_is_told_with_what_there_is(user: User, component: str) -> None:
    for reference, told, hint in (
        ("{}@1.4.0", "was yanked: it eats socks", "--locked"),
        ("{}@^7", "has no version in ^7", "There is 2.0.0-rc.1, 1.3.0, 1.2.0"),
        ("{}x", "has no component", "Did you mean"),
    ):
        failed = user.json("component", "install", reference.format(component), code=93)["error"]
        assert told in failed["message"] and hint in failed["hint"], failed
    assert not (user.home / ".flowctl" / "components").exists()


def test_who_has_pinned_nothing_installs_nothing(new_user: Callable[..., User], component: str) -> None:
    user = new_user(pinned=False)
    failed = user.json("component", "install", component, code=62)["error"]
    assert "no root" in failed["message"] and "pin" in failed["hint"]
    wrong = user.json("component", "install", component, "--fingerprint", "0" * 64, code=62)["error"]
    assert "has no root with the fingerprint" in wrong["message"]
    shown = user.json("trust", "pin", user.registry + "/v1/trust", "--yes")
    shutil.rmtree(user.home / ".flowctl" / "trust")
    user.run("component", "install", component, "--fingerprint", shown["fingerprint"])


def test_a_second_version_beside_the_first(user: User, component: str) -> None:
    user.run("component", "install", f"{component}@1.2.0")
    user.run("component", "install", f"{component}@1.3.0")
    listed = user.json("component", "list")
    assert [(each["version"], each["linked"]) for each in listed["components"]] == [
        ("1.3.0", ["greeting"]),
        ("1.2.0", []),
    ]
    removed = user.json("component", "uninstall", f"{component}@1.3.0")
    assert removed["removed"] == [f"{component}@1.3.0"] and removed["links"] == []
    assert (user.bin / "greeting").resolve().parts[-3] == "1.2.0", "the name goes to the version that is left"
    removed = user.json("component", "uninstall", component, "--purge")
    assert removed["links"] == ["greeting"] and removed["freed"] > 1_000_000
    assert os.listdir(user.bin) == [] and user.json("component", "list")["components"] == []
    assert "is not installed" in user.json("component", "uninstall", component, code=93)["error"]["message"]


def test_files_that_versions_share_come_once(user: User, published: Publish) -> None:
    """The fixture's program is the same in each version; its image, which names the version, is not installed."""
    component = published("1.2.0", "1.3.0")
    first, second = (
        user.json("component", "install", f"{component}@{version}")["components"][0] for version in ("1.2.0", "1.3.0")
    )
    assert first["received"] > 1_000_000 > 200_000 > second["received"] > 0
    one, other = (Path(each["path"]) / "binaries" / "greeting-linux-amd64" for each in (first, second))
    assert one.stat().st_ino == other.stat().st_ino and one.stat().st_mode & 0o777 == 0o555


def test_damage_is_found_and_repaired(user: User, component: str) -> None:
    installed = user.json("component", "install", f"{component}@1.2.0")["components"][0]
    program = Path(installed["path"]) / "binaries" / "greeting-linux-amd64"
    good = program.read_bytes()
    program.chmod(0o755)
    program.write_bytes(b"#!/bin/sh\necho gotcha\n")
    assert user.json("component", "list")["components"][0]["damaged"] == ["binaries/greeting-linux-amd64"]
    again = user.json("component", "install", f"{component}@1.2.0")["components"][0]
    assert again["state"] == "repaired" and program.read_bytes() == good
    (Path(installed["path"]) / "metadata" / "sbom.cdx.json").unlink()
    assert user.json("component", "install", f"{component}@1.2.0")["components"][0]["state"] == "repaired"
    (Path(installed["path"]) / "installed.json").write_text("{")
    assert user.json("component", "install", f"{component}@1.2.0")["components"][0]["state"] == "installed"
    assert user.json("component", "list", "--check")["components"][0]["damaged"] == []


def test_names_in_bin_collide(user: User, component: str, published: Publish) -> None:
    other = published("1.2.0")
    user.run("component", "install", component)
    second = user.json("component", "install", other)["components"][0]
    assert second["programs"][0]["link"] is None and component in second["programs"][0]["problem"]
    assert f"/{component}/" in str((user.bin / "greeting").resolve())
    user.run("component", "install", other, "--replace-links")
    assert f"/{other}/" in str((user.bin / "greeting").resolve())
    (user.bin / "greeting").unlink()
    (user.bin / "greeting").write_text("mine")
    third = user.json("component", "install", component, "--replace-links")["components"][0]
    assert "something else" in third["programs"][0]["problem"] and (user.bin / "greeting").read_text() == "mine"


def test_a_lock_holds_what_it_says(user: User, published: Publish, registry: Registry) -> None:
    component = published("1.2.0", "1.3.0")
    lock = user.work / "flowctl.lock"
    user.run("component", "install", f"{component}@^1.2", "--lock", "flowctl.lock")
    locked = json.loads(lock.read_text())["components"][component]
    assert (locked["version"], locked["requested"], locked["registry"]) == ("1.3.0", "^1.2", user.registry)
    assert locked["origin"]["publisher"]["kind"] == "registry"
    assert locked["platforms"]["linux/amd64"]["greeting-linux-amd64"].startswith("sha256:")
    published("1.4.0", namespace=component.partition("/")[0])
    assert user.json("component", "install", component)["components"][0]["version"] == "1.3.0", "the lock holds it"
    yank(registry, component, "1.3.0")
    shutil.rmtree(user.home / ".flowctl" / "components")
    full = user.json("component", "install", "--locked")
    assert full["components"][0]["version"] == "1.3.0", "yanked, and locked"
    before = lock.read_bytes()
    updated = user.json("component", "update")
    assert updated["components"][0]["version"] == "1.4.0" and lock.read_bytes() != before
    assert user.json("component", "outdated")["components"] == []
    other = published("1.2.0")
    assert "has no" in user.json("component", "install", other, "--locked", code=2)["error"]["message"]
    assert (
        "not in ^1.2.0 <1.3"
        in (user.json("component", "install", f"{component}@^1.2.0 <1.3", "--locked", code=2)["error"]["message"])
    )


def test_a_lock_refuses_another_publisher_and_other_digests(user: User, component: str) -> None:
    lock = user.work / "flowctl.lock"
    user.run("component", "install", component, "--lock", lock)
    good = json.loads(lock.read_text())

    def change(**values: object) -> None:
        bad = json.loads(json.dumps(good))
        bad["components"][component].update(values)
        lock.write_text(json.dumps(bad))

    origin = good["components"][component]["origin"]
    change(origin={**origin, "publisher": {"kind": "key", "key_hint": "AAAA"}})
    for _ in range(2):  # installed already, and from nothing
        failed = user.json("component", "install", "--locked", code=60)["error"]
        assert "publisher" in failed["message"] and "AAAA" in failed["message"], failed
        shutil.rmtree(user.home / ".flowctl" / "components")
    change(origin={**origin, "builder": "https://elsewhere.example/builder"})
    assert "the builder of" in user.json("component", "install", "--locked", code=60)["error"]["message"]
    change(platforms={"linux/amd64": {"greeting-linux-amd64": "sha256:" + "0" * 64}})
    assert "the signed index has" in user.json("component", "install", "--locked", code=60)["error"]["message"]
    change(registry="https://elsewhere.example")
    assert (
        "from https://elsewhere.example" in user.json("component", "install", "--locked", code=60)["error"]["message"]
    )
    assert not (user.home / ".flowctl" / "components").exists()
    lock.write_text("{")
    assert "is damaged" in user.json("component", "install", "--locked", code=10)["error"]["message"]
    lock.unlink()
    assert "there is no" in user.json("component", "install", "--locked", code=2)["error"]["message"]


def test_the_quick_answer_is_the_long_one(user: User, component: str, published: Publish) -> None:
    other = published("1.2.0", name="second")
    user.run("component", "install", f"{component}@1.2.0", other, "--lock", "flowctl.lock")
    command = ["component", "install", "--locked"]
    quick = user.json(*command)
    # An option that changes nothing: the quick way does not know it.
    full = user.json(*command, "--target", "linux/amd64")
    for report in (quick, full):
        del report["duration_s"]
    assert quick == full
    strace = shutil.which("strace")
    if strace is not None:
        run = [strace, "-f", "-e", "trace=openat", *(str(word) for word in user_command(command))]
        seen = subprocess.run(run, env=user.environment, cwd=user.work, capture_output=True, text=True)
        assert seen.returncode == 0 and "pydantic" not in seen.stderr and "typer" not in seen.stderr
    installed = Path(quick["components"][0]["path"])
    for damage in (
        lambda: (installed / "metadata" / "sbom.cdx.json").unlink(),
        lambda: (user.bin / "second").unlink(),
        lambda: shutil.rmtree(installed),
    ):
        damage()
        states = [each["state"] for each in user.json(*command)["components"]]
        assert set(states) <= {"installed", "repaired", "unchanged"}
        again = user.json(*command)
        assert [each["state"] for each in again["components"]] == ["unchanged", "unchanged"]
        assert (user.bin / "second").exists()


def user_command(words: list[str]) -> list[object]:
    from .conftest import FLOWCTL

    return [FLOWCTL, *words]


def test_offline(new_user: Callable[..., User], component: str) -> None:
    user = new_user()
    failed = user.json("component", "install", component, "--offline", code=62)["error"]
    assert "never verified" in failed["message"] and "network" in failed["hint"]
    user.run("component", "install", f"{component}@1.2.0")
    shutil.rmtree(user.home / ".flowctl" / "components")
    user.more["FLOWCTL_REGISTRY_URL"] = user.registry
    report = user.json("component", "install", f"{component}@1.2.0", "--offline")
    assert report["components"][0]["state"] == "installed" and report["offline"]
    failed = user.json("component", "install", f"{component}@1.3.0", "--offline", code=90)["error"]
    assert "--offline" in failed["hint"]
    assert user.json("component", "versions", component, "--offline")["offline"]


def test_another_platform(user: User, component: str) -> None:
    failed = user.json("component", "install", component, "--target", "darwin/arm64", code=93)["error"]
    assert "has no program for darwin/arm64" in failed["message"] and "linux/amd64" in failed["hint"]
    assert (
        "is not a platform" in user.json("component", "install", component, "--target", "x", code=2)["error"]["message"]
    )


def test_what_a_registry_has(user: User, component: str) -> None:
    namespace = component.partition("/")[0]
    found = user.json("component", "search", "greet", "-n", namespace)
    assert [(each["name"], each["latest"]) for each in found["items"]] == [("greeting", "1.3.0")]
    info = user.json("component", "info", component)
    assert info["signed"] is True and info["versions"] == ["2.0.0-rc.1", "1.3.0", "1.2.0"] and info["installed"] == []
    assert info["version"]["document"]["metadata"]["name"] == "greeting"
    assert user.json("component", "info", f"{component}@1.4.0")["yanked"] == "it eats socks"
    versions = {each["version"]: each for each in user.json("component", "versions", component)["versions"]}
    assert list(versions) == ["2.0.0-rc.1", "1.4.0", "1.3.0", "1.2.0"]
    assert versions["1.4.0"]["yanked"] == "it eats socks" and versions["2.0.0-rc.1"]["prerelease"]
    for words in (("info",), ("versions",)):
        assert "Did you mean" in user.json("component", *words, component + "x", code=93)["error"]["hint"]
    for words in (("search", "greet"), ("info", component), ("versions", component), ("list",), ("outdated",)):
        shown = user.run("component", *words, "-n", namespace)
        assert shown.stdout.strip() and not shown.stderr.strip(), words


def test_a_policy_says_who_may_sign(user: User, component: str, registry: Registry) -> None:
    policy = user.home / ".flowctl" / "policy.yaml"
    (key,) = registry.client().get("/v1/keys").json()["keys"]
    (user.home / ".flowctl" / "registry.pub").write_text(key["public_key"])
    text = "schema: 1\nkeys: {it: {file: registry.pub}}\nnamespaces:\n  - {pattern: '%s', signers: [{key: it}], require: []}\n"
    policy.write_text(text % "other/*")
    failed = user.json("component", "install", component, code=60)["error"]
    assert "the policy says nothing about" in failed["message"]
    policy.write_text(text % f"{component.partition('/')[0]}/*")
    user.run("component", "install", component)
    policy.write_text((text % "**").replace("[]", "[provenance]"))
    failed = user.json("component", "install", component, code=60)["error"]
    assert "there is no provenance" in failed["message"], "what is installed is held to the policy of today"


def test_a_publishers_own_signature_counts_where_the_policy_names_it(
    user: User, registry: Registry, make_release: Callable[..., Path], tmp_path: Path
) -> None:
    release, namespace = tmp_path / "dist", registry.namespace()
    shutil.copytree(make_release(), release)
    user.run("keys", "generate", "--no-passphrase")
    user.run("component", "sign", release)
    (user.home / ".flowctl" / "publisher.pub").write_text(user.run("keys", "export").stdout)
    assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
    (user.home / ".flowctl" / "policy.yaml").write_text(
        "schema: 1\nkeys: {publisher: {file: publisher.pub}}\nnamespaces: [{pattern: '**', signers: [{key: publisher}]}]\n"
    )
    report = user.json("component", "install", f"{namespace}/greeting", "--lock", "flowctl.lock")
    (installed,) = report["components"]
    assert installed["origin"]["publisher"]["kind"] == "key"
    assert installed["origin"]["builder"] == "https://flowctl.dev/builder/local"
    assert {each["check"]: each["verdict"] for each in installed["checks"]}["builder"] == "passed"
    verified = user.json("verify", installed["programs"][0]["path"], "--name", f"{namespace}/greeting")
    assert verified["verified"], "what is installed can be verified where it is"
    # Without the policy the registry vouches for it: another publisher than was locked.
    (user.home / ".flowctl" / "policy.yaml").unlink()
    shutil.rmtree(user.home / ".flowctl" / "components")
    failed = user.json("component", "install", "--locked", code=60)["error"]
    assert "the publisher of" in failed["message"] and "flowctl.lock has the key" in failed["message"]
    user.run("component", "update", "--accept-identity")
    user.run("component", "install", "--locked")


def test_a_private_namespace_takes_a_token(new_user: Callable[..., User], registry: Registry, make_release) -> None:
    namespace = registry.namespace(private=True)
    assert registry.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
    stranger = new_user("stranger")
    failed = stranger.json("component", "install", f"{namespace}/greeting", code=None)["error"]
    assert (
        failed["exit_code"] == 93
        and "flowctl login" in failed["hint"]
        and not (stranger.home / ".flowctl" / "components").exists()
    )
    member = new_user("member", FLOWCTL_TOKEN=str(registry.token))
    assert member.json("component", "install", f"{namespace}/greeting")["components"][0]["state"] == "installed"


def test_a_read_only_home_and_a_full_disk_are_told(user: User, component: str) -> None:
    (user.home / ".flowctl" / "store").write_text("in the way")
    failed = user.json("component", "install", component, code=40)["error"]
    assert "store" in failed["message"]
