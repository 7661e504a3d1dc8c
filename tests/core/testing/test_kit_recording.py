"""The recording runner records, passes on and answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowctl_core.errors import BuildError
from flowctl_core.models import Command, CompletedCommand, Runner
from flowctl_core.testing import RecordingRunner


def _command(root: Path, *argv: str) -> Command:
    return Command(argv=argv, cwd=root, environment={"PATH": os.environ["PATH"]})


def test_commands_run_for_real_and_are_recorded(tmp_path: Path):
    runner = RecordingRunner()
    lines: list[str] = []
    done = runner.run(_command(tmp_path, "sh", "-c", "echo hi; exit 3"), on_line=lines.append)
    assert (done.exit_code, done.stdout, lines) == (3, "hi\n", ["hi"])
    assert [command.argv[0] for command in runner.commands] == ["sh"]
    assert isinstance(runner, Runner)


def test_scripts_answer_in_the_tools_place(tmp_path: Path):
    runner = RecordingRunner(scripted_only=True)
    runner.script(exit_code=9).script("go", "build", stdout="built\n").script("go", "vet", error=BuildError("no"))
    lines: list[str] = []
    assert runner.run(_command(tmp_path, "/opt/go/bin/go", "build", "./x"), on_line=lines.append).ok
    assert lines == ["built"]
    assert runner.run(_command(tmp_path, "cargo", "build")).exit_code == 9
    with pytest.raises(BuildError, match="no"):
        runner.run(_command(tmp_path, "go", "vet"))
    assert len(runner.commands) == 3


def test_a_script_may_write_what_the_tool_would(tmp_path: Path):
    def build(command: Command) -> CompletedCommand:
        (command.cwd / "made").write_text("x")
        return CompletedCommand(argv=command.argv, exit_code=0, stdout="", stderr="", duration_s=0)

    RecordingRunner(scripted_only=True).script_call(("go",), build).run(_command(tmp_path, "go"))
    assert (tmp_path / "made").exists()


def test_an_unscripted_command_fails_the_test(tmp_path: Path):
    with pytest.raises(AssertionError, match="no script answers go build"):
        RecordingRunner(scripted_only=True).script("cargo").run(_command(tmp_path, "go", "build"))
