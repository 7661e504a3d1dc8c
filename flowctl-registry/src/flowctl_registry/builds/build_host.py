"""Runs phases of a build in a sandbox: the command `flowctl build-host` of the plugin environment, and its answer.

What a phase may believe comes from this side: request and states are given read-only, from what the registry recorded;
the answer is written to a folder that only this run sees. The workspace is the source's own: whatever is in it may have
been changed by code of the source, and nothing here follows a link in it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowctl_core.build_host.phases import NETWORK, Phase
from flowctl_core.build_host.states import HostRequest
from flowctl_core.errors import BuildError, CancelledError, FlowctlError
from flowctl_registry.builds.host_answer import States, failure_of, read_states
from flowctl_registry.builds.host_environment import PluginEnvironment, variables
from flowctl_registry.builds.host_events import EventReader, HostEvent
from flowctl_registry.builds.run_folders import new_run
from flowctl_registry.errors import StorageFullError
from flowctl_registry.sandbox.choose import limits_of
from flowctl_registry.sandbox.confinement import Confinement, Outcome, Sandbox
from flowctl_registry.sandbox.proxy import Proxy, ProxyRules
from flowctl_registry.sandbox.run import run
from flowctl_registry.settings import Settings

_INSIDE = "/build"
"""Where a sandbox shows the workspace: the same on each worker, so that tools may note paths."""
_ANSWER_LIMIT = 64 * 2**20
_SEED_S = 600
_REFUSALS_SHOWN = 20


@dataclass(frozen=True)
class Paths:
    """Places of one run, as the command sees them."""

    workspace: str
    states: str
    answer: str
    home: str


class BuildHost:
    """Runs phases; one for all builds of a worker."""

    def __init__(self, sandbox: Sandbox, settings: Settings) -> None:
        """Raises SandboxError when the plugin environment is not there."""
        self._sandbox = sandbox
        self._settings = settings
        self._plugins = PluginEnvironment.find(settings.builds)

    def run(
        self,
        phases: Sequence[Phase],
        workspace: Path,
        request: HostRequest,
        states: Mapping[str, Any],
        on_event: Callable[[HostEvent], None],
        cancelled: threading.Event,
        *,
        platforms: Sequence[str] = (),
        jobs: int | None = None,
    ) -> States:
        """Run phases one after the other in one sandbox; what they found, by name, as JSON.

        `states` is what the phases before returned, all together. Call it in a thread that lives as long as the run.
        Raises CancelledError, TransientError for what may pass, SandboxError, else the error of the phase as
        `flowctl` itself tells it.
        """
        network = any(phase in NETWORK for phase in phases)
        if "fetch" in phases:
            self._seed(workspace)
        with self._private(request, states) as private:
            paths = self._paths(workspace, private)
            argv = [*self._plugins.command, *self._arguments(phases, paths, platforms, jobs)]
            reader = EventReader(on_event)
            with self._network(network) as proxy:
                confinement = self._confinement(workspace, private, paths, proxy.socket if proxy else None)
                outcome = run(self._sandbox, confinement, argv, reader.feed, cancelled)
            reader.close()
            for refusal in _refusals(proxy):
                reader.tell(refusal)
            return self._answered(outcome, private / "answer" / "answer.json", reader)

    def _paths(self, workspace: Path, private: Path) -> Paths:
        if self._sandbox.name == "none":  # nothing is mounted: places are what they are
            home = workspace / "home"
            return Paths(str(workspace), str(private / "states"), str(private / "answer"), str(home))
        return Paths(_INSIDE, "/build-states", "/build-answer", "/home/build")

    def _arguments(
        self, phases: Sequence[Phase], paths: Paths, platforms: Sequence[str], jobs: int | None
    ) -> Iterator[str]:
        if self._settings.builds.config is not None:
            yield from ("--config", str(self._settings.builds.config))
        yield from ("build-host", *phases, "--workspace", paths.workspace)
        yield from ("--states", paths.states, "--answer", f"{paths.answer}/answer.json")
        for platform in platforms:
            yield from ("--platform", platform)
        if jobs is not None:
            yield from ("--jobs", str(jobs))

    def _confinement(self, workspace: Path, private: Path, paths: Paths, proxy: Path | None) -> Confinement:
        builds = self._settings.builds
        readable = {str(path): path for path in (*self._plugins.readable, *builds.readable)}
        if builds.config is not None:
            readable[str(builds.config)] = builds.config
        scratch = private / "scratch"
        inside = "/build-scratch" if self._sandbox.name != "none" else str(scratch)
        return Confinement(
            read_only={**readable, paths.states: private / "states"},
            writable={paths.workspace: workspace, paths.answer: private / "answer", inside: scratch},
            environment={
                **variables(paths.workspace, paths.home, inside),
                **builds.environment,
                "PATH": self._plugins.path(builds),
            },
            folder=paths.workspace,
            proxy=proxy,
            limits=limits_of(self._settings.sandbox),
        )

    @contextmanager
    def _private(self, request: HostRequest, states: Mapping[str, Any]) -> Iterator[Path]:
        """A folder of this run alone: what it may believe, its answer, its temporary files."""
        private = new_run(self._settings.data)
        try:
            for name in ("states", "answer", "scratch"):
                (private / name).mkdir(mode=0o755)
            _write(private / "states" / "request.json", request.model_dump_json())
            for name, state in states.items():
                if os.path.basename(name) != name:  # noqa: PTH119 - a name, no path
                    raise BuildError(f"{name} is no name of a state")
                _write(private / "states" / name, json.dumps(state))
            yield private
        except OSError as error:
            raise StorageFullError(f"{private}: {error.strerror}", hint="Free some space on the worker.") from error
        finally:
            shutil.rmtree(private, ignore_errors=True)

    @contextmanager
    def _network(self, wanted: bool) -> Iterator[Proxy | None]:
        if not wanted:
            yield None
            return
        settings = self._settings.sandbox
        rules = ProxyRules(
            hosts=settings.hosts, ports=settings.ports, allow_private=settings.allow_private,
            bytes_total=settings.fetch_bytes, connections=settings.fetch_connections,
        )  # fmt: skip
        with Proxy(rules) as proxy:
            yield proxy

    def _seed(self, workspace: Path) -> None:
        """Give a build without caches a copy of the operator's, which no build can write."""
        seed, cache = self._settings.builds.seed, workspace / "cache"
        if seed is None or os.path.lexists(cache):
            return
        command = ["cp", "-a", "--reflink=auto", "--", str(seed), str(cache)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SEED_S, check=False)
        if done.returncode:
            raise StorageFullError(
                f"the seed of caches cannot be copied from {seed}",
                hint="Free some space, or correct builds.seed.", output=done.stderr,
            )  # fmt: skip

    def _answered(self, outcome: Outcome, file: Path, reader: EventReader) -> States:
        if outcome.reached == "cancelled":
            raise CancelledError("the build was cancelled")
        answer = _read_answer(file)
        if outcome.reached is None and outcome.exit_code == 0 and answer is not None and answer.get("ok") is True:
            return read_states(answer.get("states"))
        raise failure_of(outcome, answer, reader.tail, reader.told)


def _refusals(proxy: Proxy | None) -> list[str]:
    """Why tools could not reach what they asked for: most of them say no more than «Forbidden»."""
    visits = proxy.visits if proxy is not None else []
    told = dict.fromkeys(f"{visit.host}:{visit.port}: {visit.refused}" for visit in visits if visit.refused)
    return list(told)[:_REFUSALS_SHOWN]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _read_answer(file: Path) -> dict[str, Any] | None:
    """The answer; None when there is none, or what is there is no answer."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as opened:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_size > _ANSWER_LIMIT:
                return None
            answer = json.loads(opened.read(_ANSWER_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


__all__ = ["BuildHost", "FlowctlError", "HostEvent", "States"]
