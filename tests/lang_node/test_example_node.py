"""The example component in examples/node-sink."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from flowctl_core.testing import Driver, write_project

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/node-sink"


def test_the_lockfile_names_no_registry() -> None:
    assert "resolved" not in (EXAMPLE / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.requires_tool("node", "npm")
def test_it_builds_tests_and_runs(tmp_path: Path) -> None:
    root = write_project(tmp_path / "with space", {})
    for path in subprocess.run(
        ["git", "ls-files", "-z"], cwd=EXAMPLE, capture_output=True, text=True, check=True
    ).stdout.split("\0"):
        if path:
            write_project(root, {path: (EXAMPLE / path).read_bytes()})
    driver = Driver(root, "node")
    plan = driver.plan()
    driver.fetch(plan)
    driver.build(plan)
    report = driver.test(plan)
    assert report is not None
    assert (report.passed, report.failed, report.skipped, report.errors) == (17, 0, 0, 0), report.output
    program = driver.programs()["event-archive"]
    archive = tmp_path / "archive"
    done = subprocess.run(
        [program, "--output-dir", str(archive), "--sum-field", "amount"],
        input='{"type":"transfer","amount":"10.5"}\n{"type":"transfer","amount":"4.5"}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["types"] == {"transfer": {"events": 2, "sum": "15.0000000"}}
    assert [path.name for path in archive.iterdir()] == ["transfer-000001.ndjson"]
    described = subprocess.run([program, "--describe-json"], capture_output=True, check=True, timeout=60)
    assert json.loads(described.stdout) == json.loads((root / "metadata.json").read_text())
