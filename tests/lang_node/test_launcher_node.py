from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from flowctl_core.launcher import is_native_program
from flowctl_lang_node.launcher import Launch, script, shebang

SHOW = "console.log(JSON.stringify({argv: process.argv.slice(2), cwd: process.cwd()}));process.exitCode = 7;"


def place(root: Path, body: str = SHOW, entry: str = "dist/main.js", runtime: str | None = None) -> Path:
    (root / entry).parent.mkdir(parents=True, exist_ok=True)
    (root / entry).write_text(body)
    program = root / ".flowctl/bin/sink"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(script("sink", Launch(entry, runtime or "/nowhere/node")))
    program.chmod(0o755)
    return program


def run(argv: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.requires_tool("node")
@pytest.mark.parametrize("name", ["plain", "with space", "mein Gerät & 'naïve' $HOME `x` 数据", "-dash"])
def test_arguments_exit_code_and_folder_are_the_programs_own(tmp_path: Path, name: str) -> None:
    program = place(tmp_path / name, entry="d i'r/ma$in.js")
    arguments = ["a b", "", "*", "--flag=$x", "'"]
    done = run([str(program), *arguments], cwd="/")
    assert done.returncode == 7, done.stderr
    assert done.stdout == '{"argv":["a b","","*","--flag=$x","\'"],"cwd":"/"}\n'


@pytest.mark.requires_tool("node")
def test_through_symlinks_relative_absolute_and_path(tmp_path: Path) -> None:
    root = tmp_path / "ro ot"
    place(root)
    (root / "sink").symlink_to(".flowctl/bin/sink")
    (tmp_path / "absolute").symlink_to(root / "sink")
    (tmp_path / "folder").symlink_to(root)
    (tmp_path / "chain").symlink_to("absolute")
    for spelled, cwd in (
        ("./sink", root),
        ("'../ro ot/sink'", root),
        (f"'{tmp_path}/absolute'", tmp_path),
        (f"'{tmp_path}/chain'", root),
        (f"'{tmp_path}/folder/sink'", tmp_path),
    ):
        assert run(["/bin/sh", "-c", spelled], cwd=cwd).returncode == 7, spelled
    found = run(["/bin/sh", "-c", "chain"], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found.returncode == 7, found.stderr


@pytest.mark.requires_tool("node")
def test_a_signal_reaches_the_program_itself(tmp_path: Path) -> None:
    body = "process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000); console.log('ready');"
    with subprocess.Popen([place(tmp_path, body)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 9


def test_a_missing_entry_and_a_missing_runtime_are_told(tmp_path: Path) -> None:
    program = place(tmp_path)
    done = run(["/bin/sh", str(program)], env={"PATH": "/nowhere"})
    assert done.returncode == 127
    assert "node was not found" in done.stderr
    (tmp_path / "dist/main.js").unlink()
    done = run([str(program)])
    assert done.returncode == 127
    assert "dist/main.js is missing" in done.stderr


@pytest.mark.requires_tool("node")
def test_moved_to_another_folder_it_still_works(tmp_path: Path) -> None:
    place(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert run([str(tmp_path / "after/.flowctl/bin/sink")]).returncode == 7


def test_names_cannot_become_shell() -> None:
    text = script("x; rm -rf /", Launch("a'b.js", "/opt/my node/bin/node", options=("--x=$y",)))
    assert "rm -rf /;" not in text and "x; rm" not in text
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#!/usr/bin/env node", ["node"]),
        ("#!/usr/bin/env -S node --no-warnings", ["node", "--no-warnings"]),
        ("#!/usr/bin/node", ["/usr/bin/node"]),
        ("#!/bin/sh", ["/bin/sh"]),
        ("console.log(1)", []),
        ("", []),
    ],
)
def test_shebang(tmp_path: Path, line: str, words: list[str]) -> None:
    (tmp_path / "x").write_text(line + "\n")
    assert shebang(tmp_path / "x") == words


def test_native_programs_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    assert is_native_program(Path("/bin/sh"))
    (tmp_path / "x.js").write_text("1")
    assert not is_native_program(tmp_path / "x.js")
    assert not is_native_program(tmp_path / "none")
