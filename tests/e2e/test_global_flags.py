"""What stands before or after a command's name holds for every command; usage mistakes are answered for people."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeter, version: 1.0.0}
spec:
  surprise: 1
  type: processor
  build: {language: sh, native: {command: [sh, make.sh], binary: greeter}}
"""
FILES = {"component.yaml": COMPONENT, "make.sh": "printf '#!/bin/sh\\necho hello\\n' >greeter; chmod +x greeter\n"}
MAIN = 'package main\n\nvar word = "none"\n\nfunc main() { println(word) }\n'
SETTINGS = 'build: {local: {languages: {go: {build_args: ["-ldflags=-X main.word=settings"]}}}}'
Tree = Callable[..., Path]


@pytest.mark.parametrize("arguments", [(), ("component",), ("plugin",), ("cache",), ("config",)])
def test_a_command_that_is_missing_is_answered_with_help(flowctl: Any, arguments: tuple[str, ...]) -> None:
    done = flowctl.run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: flowctl")
    assert "error:" not in done.stderr
    assert done.stdout == ""


def test_a_command_that_is_missing_is_an_error_for_programs(flowctl: Any) -> None:
    assert flowctl.failure("plugin")["code"] == "usage"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_global_options_hold_wherever_they_stand(flowctl: Any, tmp_path: Path, place: int) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("build: {local: {parallel_jobs: 7}}\n")
    words = ["config", "show"]
    words[place:place] = ["--config", str(settings), "--output", "json", "--log-level", "error"]
    done = flowctl.run(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["values"]["build.local.parallel_jobs"]["value"] == 7


def test_the_last_of_two_global_options_counts(flowctl: Any) -> None:
    assert flowctl.ok("-o", "json", "cache", "info", "-o", "yaml").startswith("path: ")


def test_the_log_level_says_how_much_is_told(flowctl: Any, tree: Tree) -> None:
    told = {}
    for level in ("debug", "info", "warn", "error"):
        root = tree(FILES, level)
        done = flowctl.run("component", "build", str(root), "--no-cache", "--log-level", level)
        assert done.returncode == 0, done.stderr
        told[level] = done.stderr
    assert told["error"] == ""
    assert "surprise" in told["warn"]
    assert "sh make.sh" not in told["warn"]
    assert "sh make.sh" in told["info"]
    assert "debug:" not in told["info"]
    assert "debug: " in told["debug"]
    for decision in ("builder command", "runs", "exit code 0", "cache"):
        assert any(decision in line for line in told["debug"].splitlines() if line.startswith("debug: ")), decision


def test_an_unknown_log_level_is_a_usage_error(flowctl: Any) -> None:
    error = flowctl.failure("--log-level", "loud", "cache", "info")
    assert error["code"] == "usage"
    assert error["message"].endswith("'loud' is not one of 'debug', 'info', 'warn', 'error'.")
    assert "Value error" not in error["message"]


def test_init_writes_the_namespace(flowctl: Any, tree: Tree) -> None:
    root = tree({"package.json": '{"name": "a", "version": "1.0.0", "bin": "a.js"}', "a.js": "console.log(1)\n"})
    flowctl.ok("-n", "my-team", "component", "init", str(root))
    assert "\n  namespace: my-team\n" in (root / "component.yaml").read_text()


def test_counts_are_in_the_singular_where_there_is_one(flowctl: Any, tree: Tree) -> None:
    flowctl.ok("component", "build", str(tree(FILES)))
    assert "  1 build, " in flowctl.ok("cache", "info")
    assert flowctl.ok("cache", "prune", "--all").startswith("removed 1 build and 3 files")


def test_yaml_keeps_the_order_of_json_and_one_line_for_a_value(flowctl: Any, tree: Tree) -> None:
    root = str(tree(FILES))
    text = flowctl.ok("component", "build", root, "-o", "yaml")
    assert text.startswith("component: greeter\n")
    assert "\n  digest: sha256:" in text


def test_a_plain_build_does_not_answer_for_the_file_that_config_named(flowctl: Any, tree: Tree) -> None:
    root = tree(
        {"go.mod": "module example.com/greeter\ngo 1.20\n", "main.go": MAIN, "settings.yaml": SETTINGS}, "greeter"
    )
    plain = Path(flowctl.home, ".flowctl", "config.yaml")
    plain.parent.mkdir()
    plain.write_text(SETTINGS.replace("settings", "plain"))
    flowctl.ok("--config", "settings.yaml", "component", "build", cwd=root)
    assert subprocess.run([root / "greeter"], capture_output=True, text=True, check=True).stderr == "settings\n"
    flowctl.ok("component", "build", cwd=root)
    assert subprocess.run([root / "greeter"], capture_output=True, text=True, check=True).stderr == "plain\n"


@pytest.mark.parametrize("text", ["soon", "0", "-1s", "1ms"])
def test_a_timeout_that_is_no_duration_is_a_usage_error(flowctl: Any, text: str) -> None:
    error = flowctl.failure("component", "build", f"--timeout={text}")
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    assert "--timeout" in error["message"]


def test_a_renamed_component_leaves_no_link_behind(flowctl: Any, tree: Tree) -> None:
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    assert (root / "greeter").is_symlink() or (root / "greeter").is_file()
    (root / "mine").symlink_to(".flowctl/bin/other")  # the user's: another name
    for name in ("welcomer", "host"):
        (root / "component.yaml").write_text(COMPONENT.replace("name: greeter", f"name: {name}"))
        flowctl.ok("component", "build", cwd=root)
    assert not (root / "welcomer").is_symlink()
    assert (root / "host").exists()
    (root / "component.yaml").write_text(COMPONENT.replace("name: greeter", "name: porter"))
    assert "removed host" in flowctl.ok("component", "clean", cwd=root)
    assert not (root / "host").is_symlink()
    assert (root / "mine").is_symlink()
