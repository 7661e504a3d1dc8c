"""The folder that holds all of one build, as the build host sees it.

request.json             what is to be built, by the caller
repository/              the git repository at the commit, by the caller
state/<phase>.json       what each phase found, for the ones after it (`build-linux-amd64.json`)
source/<name>/           the exported source, with what fetch and build put into it
tests/<name>/            the same for the tests, which may write where they like
cache/                   caches of tools, where the caller's environment puts them
release/                 the finished release
answer.json              how the last command ended

Code of the source may have changed what it could reach. A caller who does not believe it keeps `request.json`, the
states and the answer elsewhere: then those are read and written there, and states are kept by the caller alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from flowctl_core.build_host.states import BuildState, HostRequest, State
from flowctl_core.errors import FlowctlError, SourceError, UsageError
from flowctl_core.models import Platform
from flowctl_core.models.base import Frozen
from flowctl_core.store.files import atomic_write, system_refusals

_LIMIT = 64 * 2**20
"""Bytes of one document."""
S = TypeVar("S", bound=Frozen)


def document_name(phase: str, platform: Platform | None = None) -> str:
    """Name of a state's file."""
    return f"{phase}-{platform.replace('/', '-')}.json" if platform is not None else f"{phase}.json"


class Workspace:
    """Paths and documents of one workspace."""

    def __init__(self, folder: Path, *, states: Path | None = None, answer: Path | None = None) -> None:
        """`states`: where request and states are, and nothing is written; `answer`: the file to write."""
        self.folder = folder
        self.repository = folder / "repository"
        self.release = folder / "release"
        self.answer = answer or folder / "answer.json"
        self._states = states or folder / "state"
        self._request = (states or folder) / "request.json"
        self._keeps = states is None
        self._found: dict[str, State] = {}

    def request(self) -> HostRequest:
        """What is to be built. Raises UsageError."""
        return self._read(self._request, HostRequest, "write it before the first phase")

    def source(self, name: str) -> Path:
        """Where the source is built."""
        return self.folder / "source" / name

    def tests(self, name: str) -> Path:
        """Where the tests run."""
        return self.folder / "tests" / name

    def read(self, phase: str, model: type[S]) -> S:
        """What a phase left. Raises UsageError when it did not run, or left something else."""
        return self._state(document_name(phase), model, f"run the phase {phase} before this one")

    def built(self, platform: Platform) -> BuildState:
        """What was built for a platform. Raises UsageError when nothing was."""
        hint = f"run the phase build for {platform} before this one"
        return self._state(document_name("build", platform), BuildState, hint)

    def has(self, phase: str) -> bool:
        """True when a phase left something."""
        name = document_name(phase)
        return name in self._found or (self._states / name).is_file()

    def write(self, name: str, state: State) -> None:
        """Keep what a phase found. Raises StoreError."""
        self._found[name] = state
        if self._keeps:
            with system_refusals(self._states, "made"):
                self._states.mkdir(exist_ok=True)
            atomic_write(self._states / name, state.model_dump_json().encode())

    def _state(self, name: str, model: type[S], hint: str) -> S:
        found = self._found.get(name)
        return found if isinstance(found, model) else self._read(self._states / name, model, hint)

    def _read(self, file: Path, model: type[S], hint: str) -> S:
        try:
            if file.stat().st_size > _LIMIT:
                raise SourceError(f"{file.name} has more than {_LIMIT} bytes")
            return model.model_validate_json(file.read_bytes())
        except OSError as error:
            raise UsageError(f"{file.name} of the workspace cannot be read: {error.strerror}", hint=hint) from error
        except ValidationError as error:
            raise UsageError(
                f"{file.name} of the workspace is not what it should be", hint=hint, output=str(error)
            ) from error

    def write_answer(self, phase: str, states: Mapping[str, State], failure: FlowctlError | None) -> None:
        """How a command ended: its last phase, what was found, and the error that ended it. Raises StoreError."""
        error = None
        if failure is not None:
            error = {name: getattr(failure, name) for name in ("code", "message", "hint", "output", "exit_code")}
        states_json = {name: state.model_dump(mode="json") for name, state in states.items()}
        document = {"ok": failure is None, "phase": phase, "states": states_json, "error": error}
        atomic_write(self.answer, json.dumps(document).encode(), durable=False)
