"""`flowctl bundle` on a machine: init, validate, info, build, test; what one failing member means for the others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundle_project import BUNDLE, TYPES, bundle, member, write_tree

BROKEN = {**member("ticker"), "make.sh": "echo this cannot be >&2; exit 3\n"}
NEEDS = BUNDLE.replace("path: doubler", "path: doubler\n      depends_on: [ticker]")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    return lambda files: write_tree(tmp_path, files)


def runs(root: Path) -> list[str]:
    return (root / "runs").read_text().split() if (root / "runs").exists() else []


def states(document: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in document["members"]}


def test_a_bundle_is_built_and_then_does_nothing(flowctl: Any, folder: Callable[..., Path]) -> None:
    root = folder(bundle())
    document = flowctl.json("bundle", "build", str(root))
    assert document["ok"] and set(states(document).values()) == {"built"}
    piped = "./ticker/ticker 4 | ./doubler/doubler | ./keeper/keeper"
    assert subprocess.run(piped, shell=True, cwd=root, capture_output=True, text=True).stdout == "kept 4\n"
    assert set(states(flowctl.json("bundle", "build", cwd=root)).values()) == {"fresh"}
    (root / "doubler" / "make.sh").write_text(member("doubler")["make.sh"] + "# changed\n")
    said = flowctl.ok("bundle", "build", cwd=root)
    assert [line.split()[1] for line in said.splitlines()[:3]] == ["up", "built", "up"]
    assert sorted(runs(root)) == ["doubler", "doubler", "keeper", "ticker"]


def test_those_that_need_the_one_that_failed_are_left_out(flowctl: Any, folder: Callable[..., Path]) -> None:
    root = folder(bundle(NEEDS, ticker=BROKEN))
    done = flowctl.run("bundle", "build", "-o", "json", cwd=root)
    document = json.loads(done.stdout)
    assert done.returncode == document["error"]["exit_code"] == 32
    assert states(document) == {"ticker": "failed", "doubler": "left-out", "keeper": "built"}
    assert document["members"][1]["needs"] == ["ticker"]
    assert "this cannot be" in document["members"][0]["error"]["output"]
    told = flowctl.run("bundle", "build", cwd=root)
    assert "this cannot be" in told.stderr and "2 of 3 components not built" in told.stderr
    assert "doubler  left out, needs ticker" in told.stdout and "keeper   up to date" in told.stdout


def test_members_in_a_declared_order(flowctl: Any, folder: Callable[..., Path]) -> None:
    root = folder(bundle(BUNDLE.replace("  templates:", "  build: {order: [keeper, doubler, ticker]}\n  templates:")))
    flowctl.ok("bundle", "build", "--no-cache", "--jobs", "3", str(root))
    assert runs(root) == ["keeper", "doubler", "ticker"]


def test_nothing_is_built_of_a_bundle_that_contradicts_itself(flowctl: Any, folder: Callable[..., Path]) -> None:
    root = folder(bundle(BUNDLE.replace("- doubler: {}", "- keeper: {}")))
    error = flowctl.failure("bundle", "build", str(root))
    assert error["code"] == "spec" and "is in this template already" in error["message"]
    assert runs(root) == []
    assert flowctl.run("bundle", "validate", str(root)).returncode == 10


def test_a_bundle_of_components_without_tests_does_not_pass(flowctl: Any, folder: Callable[..., Path]) -> None:
    root = folder(bundle())
    done = flowctl.run("bundle", "test", "-o", "json", cwd=root)
    document = json.loads(done.stdout)
    assert done.returncode == 34 and document["error"]["code"] == "no-tests"
    assert set(states(document).values()) == {"failed"}


def test_the_tests_of_every_member_count(flowctl: Any, folder: Callable[..., Path]) -> None:
    settings = "build: {local: {languages: {command: {test_command: [sh, test.sh]}}}}\n"
    passing = {name: member(name) | {"test.sh": "exit 0\n"} for name in TYPES}
    root = folder(bundle(**passing) | {"settings.yaml": settings})
    config = ("--config", str(root / "settings.yaml"))
    assert set(states(flowctl.json(*config, "bundle", "test", str(root))).values()) == {"passed"}
    (root / "keeper" / "test.sh").write_text("echo it kept nothing; exit 1\n")
    done = flowctl.run(*config, "bundle", "test", str(root))
    assert done.returncode == 33 and "it kept nothing" in done.stderr and "1 of 3 components failed" in done.stderr


def test_a_bundle_yaml_for_what_is_there(flowctl: Any, folder: Callable[..., Path]) -> None:
    root = folder({name: member(name) for name in TYPES} | {".hidden": member("ticker")})
    document = flowctl.json("bundle", "init", "--name", "suite", str(root))
    assert document["members"] == ["ticker", "doubler", "keeper"]
    assert "the bundle is valid: suite 0.1.0, 3 components" in flowctl.ok("bundle", "validate", cwd=root)
    information = flowctl.json("bundle", "info", cwd=root)
    assert information["templates"] == {"default": ["ticker", "doubler", "keeper"]}
    assert [each["takes_from"] for each in information["members"]] == [[], ["ticker"], ["doubler"]]
    assert flowctl.failure("bundle", "init", str(root))["code"] == "usage"
    assert ["ticker", "1.0.0", "source", "ticker"] in [
        line.split() for line in flowctl.ok("bundle", "info", str(root)).splitlines()
    ]


@pytest.mark.parametrize("command", ["validate", "build", "test", "info"])
def test_folders_without_a_bundle(flowctl: Any, tmp_path: Path, command: str) -> None:
    assert "has no bundle.yaml" in flowctl.failure("bundle", command, str(tmp_path))["message"]


def test_there_is_nothing_to_make_a_bundle_of(flowctl: Any, tmp_path: Path) -> None:
    assert "no component was found" in flowctl.failure("bundle", "init", str(tmp_path))["message"]
