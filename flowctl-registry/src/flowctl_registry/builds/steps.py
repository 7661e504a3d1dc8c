"""What each step of a build does: the pieces of `cloning`, `build_host` and `catalog.publishing`, one after the other.

What a step leaves is in blobs that the build claims: files in snapshots, the build host's states as documents. Its
answer names them. So a step needs nothing of the worker that did the one before, and is quick where that was this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from flowctl_core.build_host.phases import Phase
from flowctl_core.build_host.states import BuildState, DecideState, HostRequest
from flowctl_core.build_host.workspace import document_name
from flowctl_core.errors import BuildError, NoTestsError, SpecError
from flowctl_core.models import Platform
from flowctl_registry.builds.build_host import BuildHost, HostEvent, States
from flowctl_registry.builds.bundle_source import read_source_bundle
from flowctl_registry.builds.bundle_steps import pin_members, release_files
from flowctl_registry.builds.cloning import CloneRequest, clone
from flowctl_registry.builds.git_runs import SandboxedGit
from flowctl_registry.builds.jobs import Answer, StepCall, StepSet
from flowctl_registry.builds.publishing import publish
from flowctl_registry.builds.requests import version_there
from flowctl_registry.builds.run_folders import sweep_runs
from flowctl_registry.builds.snapshots import Snapshots, is_hidden
from flowctl_registry.builds.together import Together
from flowctl_registry.builds.workspace import Workspaces
from flowctl_registry.database.build_tables import builds, sources
from flowctl_registry.database.engine import reading
from flowctl_registry.errors import ConflictError
from flowctl_registry.sandbox.confinement import Sandbox
from flowctl_registry.services import Services

_REPOSITORY = "repository"
_SNAPSHOT = ""
"""Among states, whose names are never empty."""
_EXPORTED = "exported"
"""Among snapshots: the exported source, which is made again from the repository instead of being kept."""
_SIGNS = {"step": "==> ", "line": "", "note": "note: ", "warning": "warning: "}
_FETCHED = ("source", "tests", "cache")
"""Folders of a workspace that steps after `clone` fill."""
_MADE_ANEW = ("cache/go-build", "cache/go-mod/*.*", "cache/cargo/registry/src")
"""What tools make, without a network, from the archives that lie beside it: no other worker needs to be given it."""


def step_set(services: Services, sandbox: Sandbox) -> StepSet:
    """The functions of the steps; whatever is the source's runs in the sandbox."""
    steps = BuildSteps(services, sandbox)
    functions = {
        "clone": steps.clone,
        "decide": steps.decide,
        "fetch": steps.fetch,
        "test": steps.test,
        "build": steps.build,
        "assemble": steps.assemble,
        "publish": steps.publish,
    }
    return StepSet(functions, steps.tidy)


class BuildSteps:
    """The steps of one worker."""

    def __init__(self, services: Services, sandbox: Sandbox) -> None:
        """Raises SandboxError when the plugin environment is not there."""
        self._services = services
        self._settings = services.settings
        self._sandbox = sandbox
        self._host = BuildHost(sandbox, services.settings)
        self._snapshots = Snapshots(services, sandbox)
        self._workspaces = Workspaces(services.settings.data)
        self._together = Together()

    def clone(self, call: StepCall) -> Answer:
        """Fetch the commit, as a repository without working tree."""
        row = self._row(call.build_id)
        pattern = self._tag_pattern(row)
        asked = CloneRequest.of(row, pattern)
        self._workspaces.forget(call.worker, call.build_id)
        workspace = self._workspaces.of(call.worker, call.build_id)
        with workspace.at_work(call.step, (), lambda _tree, _digest: None) as tree:
            folder = tree / _REPOSITORY
            folder.mkdir()
            git = SandboxedGit(self._sandbox, self._settings.sources, folder, call.log, call.cancelled)
            cloned = clone(git, self._settings.sources, asked)
            digest = self._snapshots.take(call.build_id, tree, [_REPOSITORY], call.cancelled)
            workspace.settle(call.step, digest)
        return {**cloned.answer(), "snapshot": digest}

    def decide(self, call: StepCall) -> Answer:
        """Export the source; what is built, with what, for which platforms."""
        row = self._row(call.build_id)
        if row.kind == "bundle":
            return self._decide_bundle(call, row)
        states = self._phases(call, ("export", "decide"), {}, settled=_EXPORTED)
        decided = DecideState.model_validate(states["decide.json"])
        self._check(row, decided.component, decided.namespace, decided.version)
        return {
            **self._kept(call, states),
            "version": decided.version,
            "platforms": [str(platform) for platform in decided.buildable],
            "builder": decided.plan.language,
        }

    def _decide_bundle(self, call: StepCall, row: Row[Any]) -> Answer:
        with self._at_work(call, call.step) as tree:
            folder = tree / _REPOSITORY
            git = SandboxedGit(self._sandbox, self._settings.sources, folder, call.log, call.cancelled)
            bundle = read_source_bundle(git, row.subdirectory)
            self._workspaces.of(call.worker, call.build_id).settle(call.step)
        self._check(row, bundle.name, bundle.namespace, bundle.version)
        members = pin_members(self._services, call, row, bundle)
        made = release_files(self._snapshots, call.build_id, bundle.content, members)
        return {"bundle": made, "version": bundle.version, "platforms": []}

    def fetch(self, call: StepCall) -> Answer:
        """Dependencies."""
        states = self._phases(call, ("fetch",), self._states(call, "decide"), _FETCHED)
        return self._kept(call, states)

    def test(self, call: StepCall) -> Answer:
        """The project's own tests."""
        known = self._states(call, "decide", "fetch")
        try:
            found = self._phases(call, ("test",), known)["test.json"]
        except NoTestsError as error:  # a builder that knows of no tests: said, and no reason to publish nothing
            self._event_log(call)(HostEvent(kind="warning", text=error.message))
            self._workspaces.of(call.worker, call.build_id).settle(_work(call, ("test",)))
            return {"tests": {"state": "none"}}
        return {"tests": {name: found[name] for name in ("state", "tool", "passed", "skipped")}}

    def build(self, call: StepCall) -> Answer:
        """One platform, in one sandbox with the others that this worker builds."""
        answered = call.answers.get("build", {})
        here = [] if self._has_place(call.platform) else call.answers["decide"]["platforms"]
        expected = [each for each in here if each not in answered and not self._has_place(each)]
        return self._together.do(call, expected, self._build_all)

    def _build_all(self, calls: Mapping[str, StepCall], cancelled: threading.Event) -> Mapping[str, Answer]:
        first = replace(next(iter(calls.values())), cancelled=cancelled, platform=",".join(calls))

        def log(event: HostEvent) -> None:
            of_one = calls.get(event.platform)
            for call in calls.values() if of_one is None else (of_one,):
                self._event_log(call)(event)

        states = self._phases(
            first, ("build",), self._states(first, "decide", "fetch"), platforms=tuple(calls), log=log
        )
        snapshot = states.pop(_SNAPSHOT, None)
        return {
            platform: self._kept(call, {document_name("build", Platform(platform)): found, _SNAPSHOT: snapshot})
            for platform, call in calls.items()
            for found in (states[document_name("build", Platform(platform))],)
        }

    def _has_place(self, platform: str) -> bool:
        """Whether it is built by workers with a label, each platform wherever there is one."""
        return any(fnmatchcase(platform, pattern) for pattern in self._settings.builds.placements)

    def assemble(self, call: StepCall) -> Answer:
        """Images, SBOM, provenance: the files of the release, each a blob."""
        if "bundle" in call.answers["decide"]:
            return dict(call.answers["decide"]["bundle"])
        known = self._states(call, "decide", "fetch", "build")
        bases = any(state.get("bases") for name, state in known.items() if name.startswith("build-"))
        if bases:
            known |= self._phases(call, ("bases",), known)
        workspace = self._workspaces.of(call.worker, call.build_id)
        with self._at_work(call, call.step) as tree:
            found = self._host.run(
                ("assemble",), tree, self._request(call), known, self._event_log(call), call.cancelled
            )
            files = self._snapshots.keep_tree(call.build_id, tree / "release")
            workspace.settle(call.step)
        made = {path: digest for path, digest in found["assemble.json"]["files"].items() if not is_hidden(path)}
        if {each["path"]: each["digest"] for each in files} != made:
            raise BuildError("the release is not what was assembled", hint="Who else writes to the worker's data?")
        return {"files": self._snapshots.keep_json(call.build_id, {"files": files})}

    def publish(self, call: StepCall) -> Answer:
        """Record, sign and show the version."""
        row, version = self._row(call.build_id), call.answers["decide"]["version"]
        files = self._snapshots.read_json(call.answers["assemble"]["files"])["files"]
        call.log(f"==> signing and publishing {row.namespace}/{row.name} {version}\n".encode())
        version_id = publish(self._services, row, version, files)
        self._workspaces.forget(call.worker, call.build_id)
        return {"version_id": version_id, "version": version}

    def _phases(
        self,
        call: StepCall,
        phases: Sequence[Phase],
        known: Mapping[str, Any],
        leaves: Sequence[str] = (),
        platforms: Sequence[str] = (),
        *,
        settled: str | None = None,
        log: Callable[[HostEvent], None] | None = None,
    ) -> States:
        """Run phases in the build's workspace; what they found, with a snapshot of what they left under `""`.

        `settled`: what the workspace has then, where that is in no snapshot.
        """
        request, log = self._request(call), log or self._event_log(call)
        what = _work(call, phases)
        with self._at_work(call, what) as tree:
            found = self._host.run(phases, tree, request, known, log, call.cancelled, platforms=platforms)
            built = [BuildState.model_validate(found[name]) for name in found if name.startswith("build-")]
            names = [*leaves, *(file for state in built for file in state.files)]
            snapshot = self._snapshots.take(call.build_id, tree, names, call.cancelled, _MADE_ANEW) if names else None
            self._workspaces.of(call.worker, call.build_id).settle(what, snapshot or settled)
        return found if snapshot is None else {**found, _SNAPSHOT: snapshot}

    def _at_work(self, call: StepCall, what: str) -> AbstractContextManager[Path]:
        answers = call.answers
        needed = [answers["clone"]["snapshot"]]
        if "fetch" in answers:
            needed.append(answers["fetch"]["snapshot"])
        elif call.step == "fetch":
            needed.append(_EXPORTED)
        if call.step == "assemble":
            found = (answer["snapshot"] for _, answer in sorted(answers["build"].items()))
            needed += dict.fromkeys(found)  # platforms that were built together share one

        def restore(tree: Path, snapshot: str) -> None:
            if snapshot == _EXPORTED:
                self._host.run(("export",), tree, self._request(call), {}, self._event_log(call), call.cancelled)
            else:
                self._snapshots.restore(tree, snapshot, call.cancelled)

        return self._workspaces.of(call.worker, call.build_id).at_work(what, needed, restore)

    def _kept(self, call: StepCall, states: States) -> Answer:
        """The answer of a step that leaves states and perhaps files."""
        snapshot = states.pop(_SNAPSHOT, None)
        document = self._snapshots.keep_json(call.build_id, states)
        return {"states": document, **({"snapshot": snapshot} if snapshot is not None else {})}

    def _states(self, call: StepCall, *steps: str) -> States:
        found: States = {}
        for step in steps:
            answers = call.answers[step].values() if step == "build" else (call.answers[step],)
            for answer in answers:
                found |= self._snapshots.read_json(answer["states"])
        return found

    def _request(self, call: StepCall) -> HostRequest:
        row = self._row(call.build_id)
        return HostRequest(name=row.name, revision=call.answers["clone"]["commit"], subdirectory=row.subdirectory)

    def _row(self, build_id: str) -> Row[Any]:
        with reading(self._services.engine) as connection:
            return connection.execute(select(builds).where(builds.c.id == build_id)).one()

    def _tag_pattern(self, row: Row[Any]) -> str:
        query = select(sources.c.tag_pattern).where(
            sources.c.kind == row.kind, sources.c.namespace == row.namespace, sources.c.name == row.name,
            sources.c.repository == row.repository,
        )  # fmt: skip
        with reading(self._services.engine) as connection:
            return connection.execute(query).scalar_one_or_none() or "v*"

    def _check(self, row: Row[Any], name: str, namespace: str | None, version: str) -> None:
        """The source must be that of what was asked for. Raises SpecError, ConflictError."""
        file = f"{row.kind}.yaml"
        hint = f"Correct {file}, or what is registered as the {row.kind}'s source."
        if name != row.name:
            raise SpecError(f"{file} names {name}, not {row.name}", hint=hint)
        if namespace is not None and namespace != row.namespace:
            raise SpecError(f"{file} is of the namespace {namespace}, not {row.namespace}", hint=hint)
        if row.version is not None and version != row.version:
            raise SpecError(
                f"{file} has version {version}, {row.version} was asked for",
                hint=f"Correct the version in {file}, or the tag.",
            )
        with reading(self._services.engine) as connection:
            there = version_there(connection, row.kind, row.namespace, row.name, version)
        if there is not None and row.trigger not in ("rebuild", "recall"):
            raise ConflictError(
                f"{row.namespace}/{row.name} {version} exists",
                hint="A version means one thing for ever: tag a new one.",
            )

    def tidy(self, worker: str) -> None:
        """Remove what this worker keeps of builds that have ended, and of runs that were killed with another one."""
        sweep_runs(self._settings.data)
        kept = self._workspaces.kept(worker)
        if not kept:
            return
        with reading(self._services.engine) as connection:
            query = select(builds.c.id).where(builds.c.id.in_(kept), builds.c.state.in_(("queued", "running")))
            going_on = set(connection.execute(query).scalars())
        for build_id in set(kept) - going_on:
            self._workspaces.forget(worker, build_id)

    def _event_log(self, call: StepCall) -> Callable[[HostEvent], None]:
        return lambda event: call.log(f"{_SIGNS[event.kind]}{event.text}\n".encode())


def _work(call: StepCall, phases: Sequence[Phase]) -> str:
    return f"{call.step} {call.platform}: {' '.join(phases)}"
