"""What a hook may use while it works: folders, resolved tools, runner, progress. Never part of a cache key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ConfigDict, Field

from flowctl_core.errors import ToolchainError
from flowctl_core.models.base import Frozen
from flowctl_core.models.event import Progress, Silent
from flowctl_core.models.process import Command, CompletedCommand, OnLine, Runner


class Tool(Frozen):
    """A tool that core found for a ToolRequirement."""

    name: str
    version: str
    path: Path
    """Absolute path of the executable."""
    digest: str = ""
    """`sha256:<hex>` of the executable."""
    origin: str = "PATH"
    """`PATH`, or the distribution whose wheel carries it."""


class BuildContext(Frozen):
    """Where and with what a hook works. `runner` and `progress` do not cross a process boundary: the other
    side puts in its own and forwards events."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    source_root: Path
    """Absolute path of the source tree."""
    output_dir: Path
    """Where programs and libraries go; absolute, exists, empty: core moves what it finds there into
    `.flowctl/bin` by atomic rename."""
    work_dir: Path
    """Scratch that survives between builds of this component (incremental state); absolute, exists."""
    tools: dict[str, Tool] = {}
    """One for each ToolRequirement of the plan that is not optional (optional ones when found)."""
    environment: dict[str, str] = {}
    """The complete environment for tools: a cleaned copy of the caller's plus `Plan.environment`."""
    parallel_jobs: int = 2
    timeout_s: float | None = None
    """Limit for each command."""
    offline: bool = False
    """True: fetch must use only what is on this machine."""
    runner: Runner = Field(exclude=True)
    progress: Progress = Field(default_factory=Silent, exclude=True)

    def tool(self, name: str) -> Tool:
        """The resolved tool of that name; ToolchainError when the plan did not ask for it or it is missing."""
        try:
            return self.tools[name]
        except KeyError:
            raise ToolchainError(f"{name} is needed and was not found") from None

    def run(
        self,
        argv: list[str],
        *,
        cwd: str = ".",
        environment: Mapping[str, str] | None = None,
        network: bool = False,
        early: bool = False,
        on_line: OnLine | None = None,
    ) -> CompletedCommand:
        """Run a command in a folder of the source tree and return its result, whatever its exit code.

        `environment` is added to the context's. `network` is only true in fetch; `early`: see
        Command. Each line of output goes to progress as it comes and, where given, to `on_line`.
        """
        command = Command(
            argv=tuple(argv),
            cwd=self.source_root / cwd,
            environment={**self.environment, **(environment or {})},
            timeout_s=self.timeout_s,
            network=network,
            early=early,
        )
        return self.runner.run(command, on_line=on_line or self.progress.line)
