"""Rules for `flowctl_detect`."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

from pathlib import Path

from flowctl_core.models import Detection
from flowctl_core.testing.conformance.subject import Subject
from flowctl_core.testing.conformance.workshop import Workshop, read_only
from flowctl_core.testing.observation import observe
from flowctl_core.testing.projects import Snapshot


class DetectionRules(Subject):
    """A builder recognises what it can build, by files that are there, without doing anything."""

    def test_plugin_is_active(self, workshop: Workshop) -> None:
        """The plugin is installed and passes the checks at load."""
        record = workshop.manager.builder(self.builder)
        assert record.kind == "builder", f"{record.label} is a {record.kind}"

    def test_detects_its_project(self, workshop: Workshop) -> None:
        """The good project is recognised, and for a reason."""
        detection = workshop.driver(workshop.tree()).detect()
        assert detection is not None, "flowctl_detect answered None for the good project"
        assert detection.language, "Detection.language is empty"
        assert detection.confidence > 0, "a confidence of 0 is spelled None"
        assert detection.basis != "component", "the basis `component` is reserved for core's `command` builder"

    def test_detection_evidence_exists(self, workshop: Workshop) -> None:
        """Evidence and root name what is in the tree, relative to it."""
        root = workshop.tree()
        detection = workshop.driver(root).detect()
        assert detection is not None
        assert detection.evidence, "Detection.evidence is empty: name the files that decided, and why"
        for evidence in detection.evidence:
            assert not Path(evidence.path).is_absolute(), f"evidence {evidence.path} must be relative to the source"
            assert (root / evidence.path).is_file(), f"evidence {evidence.path} is not a file of the source"
            assert evidence.reason, f"evidence {evidence.path} gives no reason"
        assert not Path(detection.root).is_absolute(), f"Detection.root {detection.root} must be relative"
        assert (root / detection.root).is_dir(), f"Detection.root {detection.root} is not a folder of the source"

    def test_detects_nothing_in_an_empty_tree(self, workshop: Workshop) -> None:
        """An empty folder belongs to nobody."""
        detection = workshop.driver(workshop.folder()).detect()
        assert detection is None, f"flowctl_detect answered {detection} for an empty folder; answer None"

    def test_detects_nothing_in_a_foreign_tree(self, workshop: Workshop) -> None:
        """Another language's tree is not claimed."""
        detection = workshop.driver(workshop.tree(self.foreign)).detect()
        assert detection is None, f"flowctl_detect claims the foreign tree: {detection}; answer None"

    def test_detection_runs_and_writes_nothing(self, workshop: Workshop) -> None:
        """Detection reads files; it starts no process, opens no connection and writes nothing."""
        root = workshop.tree()
        driver = workshop.driver(root)
        before = Snapshot.take(root)
        with observe(root) as seen:
            driver.detect()
        assert not seen.started, f"flowctl_detect must not run anything; it did: {seen.started}"
        assert not seen.connected, f"flowctl_detect must not use the network; it did: {seen.connected}"
        assert not seen.written, f"flowctl_detect must not write; it did: {seen.written}"
        assert before.changes_to(Snapshot.take(root)) == []

    def test_detection_is_the_same_in_a_read_only_tree(self, workshop: Workshop) -> None:
        """The source may be a read-only folder."""
        root = workshop.tree()
        expected = _detected(workshop, root)
        with read_only(root):
            found = workshop.driver(root).detect()
        assert found == expected, "flowctl_detect answers differently in a read-only tree"

    def test_detection_does_not_depend_on_the_folder(self, workshop: Workshop) -> None:
        """Nothing of the folder's own path is in the answer."""
        first, second = workshop.tree(), workshop.tree()
        assert _detected(workshop, first) == _detected(workshop, second), (
            "flowctl_detect answers differently for the same files in another folder"
        )


def _detected(workshop: Workshop, root: Path) -> Detection | None:
    return workshop.driver(root).detect()
