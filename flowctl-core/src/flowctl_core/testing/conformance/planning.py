"""Rules for `flowctl_plan`: pure, portable, quick."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import json
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import JsonValue

from flowctl_core.models import Plan
from flowctl_core.store.source_digest import digest_source
from flowctl_core.testing.conformance.subject import Subject
from flowctl_core.testing.conformance.workshop import NAME, Workshop, read_only
from flowctl_core.testing.observation import observe
from flowctl_core.testing.projects import Snapshot

_MACHINE_PATHS = re.compile(r"(?:^|[\s=:'\"]|-[A-Za-z])(/(?:home|Users|root|tmp|private|var|opt|mnt)/[^\s'\"]*)")


class PlanningRules(Subject):
    """A plan is a value: the same source gives the same plan, on every machine that has the same tools."""

    def test_plan_is_the_same_on_two_calls(self, workshop: Workshop) -> None:
        """No counter, clock or random number is in a plan."""
        driver = workshop.driver(workshop.tree())
        assert driver.plan() == driver.plan(), "flowctl_plan answers differently on the second call"

    def test_plan_does_not_depend_on_the_folder(self, workshop: Workshop) -> None:
        """A plan made in another checkout of the same source is equal: the cache and the registry rely on
        it."""
        first, second = workshop.driver(workshop.tree()).plan(), workshop.driver(workshop.tree()).plan()
        assert first == second, (
            "flowctl_plan answers differently for the same files in another folder:\n"
            f"{first.model_dump_json(indent=1)}\n{second.model_dump_json(indent=1)}"
        )

    def test_plan_holds_nothing_of_this_machine(self, workshop: Workshop) -> None:
        """No absolute path, host name or home folder is in a plan's JSON; tools and folders are in the
        context."""
        root = workshop.tree()
        plan = workshop.driver(root).plan()
        machine = {str(root), str(Path.home()), tempfile.gettempdir(), sys.prefix, str(Path.cwd())} - {"/"}
        host = socket.gethostname()
        for where, text in _strings(json.loads(plan.model_dump_json()), "plan"):
            for path in machine:
                assert path not in text, f"{where} holds the absolute path {path}: {text!r}; make it relative"
            found = _MACHINE_PATHS.search(text)
            assert found is None, f"{where} holds the absolute path {found and found[1]}; make it relative"
            assert len(host) < 4 or host not in text, f"{where} holds this host's name: {text!r}"

    def test_plan_survives_json(self, workshop: Workshop) -> None:
        """The plan that the other side of a process boundary reads is the same."""
        plan = workshop.driver(workshop.tree()).plan()
        assert Plan.model_validate_json(plan.model_dump_json()) == plan, "the plan changes on its way through JSON"

    def test_plan_paths_stay_inside_the_source(self, workshop: Workshop) -> None:
        """All paths of a plan are relative and lead nowhere outside."""
        plan = workshop.driver(workshop.tree()).plan()
        paths = {
            "root": (plan.root,),
            "inputs.fetch": plan.inputs.fetch,
            "fetched": plan.fetched,
            "generated": plan.generated,
        }
        for field, values in paths.items():
            for value in values:
                path = PurePosixPath(value)
                assert not path.is_absolute(), f"Plan.{field} has the absolute path {value}"
                assert ".." not in path.parts, f"Plan.{field} leads outside the source: {value}"
        assert not {"."} & {*plan.fetched, *plan.generated}, "the source itself is neither fetched nor generated"

    def test_plan_names_what_it_makes(self, workshop: Workshop) -> None:
        """There is at least one entry point, and each name is a plain file name."""
        plan = workshop.driver(workshop.tree()).plan()
        assert plan.entry_points, "Plan.entry_points is empty: raise PlanError when there is nothing to build"
        names = [entry.name for entry in plan.entry_points]
        assert len(set(names)) == len(names), f"Plan.entry_points has a name twice: {names}"
        for name in names:
            assert name and "/" not in name and not name.startswith("."), f"{name!r} is not a plain file name"

    def test_plan_answers_the_request(self, workshop: Workshop) -> None:
        """Component, language, profile and platforms are the ones that were asked for."""
        built = workshop.built
        component = built.driver.source.component
        assert built.plan.component == (component.name if component is not None else NAME)
        assert built.plan.language == built.detection.language
        assert built.plan.profile == "dev"
        assert built.plan.platforms, "Plan.platforms is empty: name the platforms of the request"

    def test_plan_inputs_cover_the_evidence(self, workshop: Workshop) -> None:
        """A change in a file that decided what to build is a change of the inputs."""
        root = workshop.tree()
        driver = workshop.driver(root)
        detection = driver.detect()
        plan = driver.plan(detection)
        inputs = digest_source(root, plan.inputs, generated=(*plan.generated, *plan.fetched)).manifest()
        assert detection is not None
        for evidence in detection.evidence:
            covered = evidence.path in inputs or any(path.startswith(f"{evidence.path}/") for path in inputs)
            assert covered, f"Plan.inputs leaves out {evidence.path}, so a change of it would not build again"

    def test_plan_is_quick(self, workshop: Workshop) -> None:
        """A plan is made on every call of the command, also when nothing is to be done."""
        driver = workshop.driver(workshop.tree())
        detection = driver.detect()
        spent = []
        for _ in range(3):
            started = time.process_time()
            driver.plan(detection)
            spent.append(time.process_time() - started)
        assert min(spent) < self.plan_seconds, f"flowctl_plan took {min(spent):.2f} s of processor time"

    def test_plan_runs_and_writes_nothing(self, workshop: Workshop) -> None:
        """Planning reads files; it starts no process, opens no connection and writes nothing."""
        root = workshop.tree()
        driver = workshop.driver(root)
        detection = driver.detect()
        before = Snapshot.take(root)
        with observe(root) as seen:
            driver.plan(detection)
        assert not seen.started, f"flowctl_plan must not run anything; it did: {seen.started}"
        assert not seen.connected, f"flowctl_plan must not use the network; it did: {seen.connected}"
        assert not seen.written, f"flowctl_plan must not write; it did: {seen.written}"
        assert before.changes_to(Snapshot.take(root)) == []

    def test_plan_is_the_same_in_a_read_only_tree(self, workshop: Workshop) -> None:
        """The source may be a read-only folder."""
        root = workshop.tree()
        expected = workshop.driver(root).plan()
        with read_only(root):
            found = workshop.driver(root).plan()
        assert found == expected, "flowctl_plan answers differently in a read-only tree"

    def test_plan_is_the_same_after_a_build(self, workshop: Workshop) -> None:
        """What fetch and build leave in the tree does not change the plan, or nothing would ever be up to
        date."""
        built = workshop.built
        again = built.driver.plan(built.driver.detect())
        assert again == built.plan, (
            "flowctl_plan answers differently once the project is built:\n"
            f"{built.plan.model_dump_json(indent=1)}\n{again.model_dump_json(indent=1)}"
        )


def _strings(value: JsonValue, where: str) -> Iterator[tuple[str, str]]:
    """Every string in a JSON value, keys too, with the place where it is."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for position, element in enumerate(value):
            yield from _strings(element, f"{where}[{position}]")
    elif isinstance(value, dict):
        for key, element in value.items():
            yield f"a key of {where}", key
            yield from _strings(element, f"{where}.{key}")
