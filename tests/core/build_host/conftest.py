"""A workspace as a registry's worker prepares it, around the component of the release tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.core.package.conftest import liar
from tests.core.release.conftest import Bench, bench, make_bench

from flowctl_core.build_host.phases import PHASES, Phase
from flowctl_core.build_host.run import Host, States, run_phase
from flowctl_core.build_host.workspace import Workspace
from flowctl_core.models import Platform

__all__ = ["bench", "liar", "make_bench"]


@dataclass
class Yard:
    """One remote build: each phase sees nothing of the others but the workspace."""

    bench: Bench
    workspace: Workspace
    states: States = field(default_factory=dict)

    def run(self, *phases: Phase, platforms: tuple[str, ...] = ()) -> States:
        for phase in phases:
            named = tuple(Platform(name) for name in platforms)
            host = Host(self.workspace, self.workspace.request(), self.bench.engine, self.bench, platforms=named)
            self.states |= run_phase(host, phase)
        return self.states

    def run_all(self) -> States:
        return self.run(*(phase for phase in PHASES if phase != "test"))

    def ask(self, **wanted: object) -> None:
        request = {"name": "words", "revision": self.bench.git("rev-parse", "HEAD"), "tests": False, **wanted}
        (self.workspace.folder / "request.json").write_text(json.dumps(request))

    def move(self, target: Path) -> None:
        """To another place, as on another machine."""
        self.workspace.folder.rename(target)
        self.workspace = Workspace(target)
        local = self.bench.engine.config.build.local.model_copy(update={"cache_dir": target / "cache"})
        build = self.bench.engine.config.build.model_copy(update={"local": local})
        config = self.bench.engine.config.model_copy(update={"build": build})
        self.bench.engine = replace(self.bench.engine, config=config)


MakeYard = Callable[[Bench], Yard]


@pytest.fixture
def make_yard(tmp_path: Path) -> MakeYard:
    def make(bench: Bench) -> Yard:
        yard = Yard(bench, Workspace(tmp_path / "workspace"))
        yard.workspace.folder.mkdir()
        shutil.copytree(bench.root, yard.workspace.repository, symlinks=True)
        yard.ask()
        return yard

    return make


@pytest.fixture
def yard(bench: Bench, make_yard: MakeYard) -> Yard:
    return make_yard(bench)
