"""Rules for `flowctl_clean`."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import os

from flowctl_core.store.files import STATE_DIR
from flowctl_core.testing.conformance.building import _without
from flowctl_core.testing.conformance.subject import Subject
from flowctl_core.testing.conformance.workshop import Workshop
from flowctl_core.testing.projects import Snapshot


class CleaningRules(Subject):
    """Clean removes what build made, and nothing else."""

    def test_clean_removes_what_was_made_and_nothing_else(self, workshop: Workshop) -> None:
        """Generated paths are gone, the source and files of the user's own are as before."""
        root = workshop.tree(changes={"my notes.txt": "mine\n"})
        original = Snapshot.take(root)
        driver = workshop.driver(root)
        plan = driver.plan()
        driver.fetch(plan)
        driver.build(plan)
        driver.test(plan)
        there_before = {path for path in plan.fetched if os.path.lexists(root / path)}
        report = driver.clean(plan)
        removed = set(report.removed) if report is not None else set()
        for path in plan.generated:
            if path not in original.entries:
                assert not os.path.lexists(root / path), f"clean leaves {path}, which Plan.generated names"
        kept_out = (STATE_DIR, *plan.fetched)
        changes = _without(original, kept_out).changes_to(Snapshot.take(root, without=kept_out))
        assert not changes, f"after clean the source tree is not what it was: {changes}"
        for path in there_before:
            if not os.path.lexists(root / path):
                assert path in removed, f"clean removed {path} without saying so in CleanReport.removed"
        for path in removed:
            assert not os.path.lexists(root / path), f"CleanReport.removed names {path}, which is still there"

    def test_clean_again_removes_nothing(self, workshop: Workshop) -> None:
        """Clean works on a tree where nothing was built."""
        root = workshop.tree()
        original = Snapshot.take(root)
        driver = workshop.driver(root)
        plan = driver.plan()
        driver.clean(plan)
        report = driver.clean(plan)
        assert report is None or not report.removed, f"clean says it removed {report.removed} where nothing was"
        assert not original.changes_to(Snapshot.take(root, without=[STATE_DIR]))
