"""A runner that records commands and, where a test says so, answers in a tool's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from flowctl_core.models import Command, CompletedCommand, OnLine, Runner

Answer = Callable[[Command], CompletedCommand]


class RecordingRunner:
    """Records every command, then passes it on to `inner` (a LocalRunner when not given).

    A command that a script matches never starts. With `scripted_only` any other command is an AssertionError,
    so that a test needs no toolchain.
    """

    def __init__(self, inner: Runner | None = None, *, scripted_only: bool = False) -> None:
        if inner is None and not scripted_only:
            from flowctl_core.runners.local import LocalRunner

            inner = LocalRunner()
        self._inner = inner
        self._scripts: list[tuple[tuple[str, ...], Answer]] = []
        self.commands: list[Command] = []
        """Every command in the order in which it was asked for."""

    def script(
        self, *argv: str, exit_code: int = 0, stdout: str = "", stderr: str = "", error: Exception | None = None
    ) -> RecordingRunner:
        """Answer commands that begin with `argv`: with this result, or by raising `error`.

        The program is compared by its file name, so that `go` matches wherever it is installed. No argument
        matches every command. The script that was added last wins.
        """

        def answer(command: Command) -> CompletedCommand:
            if error is not None:
                raise error
            return CompletedCommand(
                argv=command.argv, exit_code=exit_code, stdout=stdout, stderr=stderr, duration_s=0.0
            )

        return self.script_call(argv, answer)

    def script_call(self, argv: tuple[str, ...], answer: Answer) -> RecordingRunner:
        """Answer commands that begin with `argv` by calling `answer`, which may write files as the tool
        would."""
        self._scripts.insert(0, (argv, answer))
        return self

    def run(self, command: Command, *, on_line: OnLine | None = None) -> CompletedCommand:
        """See Runner."""
        self.commands.append(command)
        spelled = (PurePath(command.argv[0]).name, *command.argv[1:])
        for prefix, answer in self._scripts:
            if spelled[: len(prefix)] == prefix:
                done = answer(command)
                if on_line is not None:
                    for line in done.output.splitlines():
                        on_line(line)
                return done
        if self._inner is None:
            raise AssertionError(f"no script answers {' '.join(spelled)}")
        return self._inner.run(command, on_line=on_line)
