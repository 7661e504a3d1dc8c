"""A stamp is only written for what stands in the component's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowctl_core import noop
from flowctl_core.cli.session import make_engine
from flowctl_core.job import Job, Options
from flowctl_core.stamp import write_stamp
from flowctl_core.workflow import run_build

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeter, version: 1.0.0}
spec:
  type: source
  build: {native: {command: [cp, word.sh, greeter], binary: greeter}}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "component"
    folder.mkdir()
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "word.sh").write_text("#!/bin/sh\necho first\n")
    (folder / "word.sh").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLOWCTL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)
    return folder


def test_a_stamp_is_written_for_the_last_build(root: Path) -> None:
    job = Job(root, make_engine(), Options())
    write_stamp(job, run_build(job))
    stamp = noop.stamp_path(str(root))
    assert stamp is not None
    assert Path(stamp).is_file()


def test_no_stamp_is_written_when_another_build_came_in_between(root: Path) -> None:
    first = Job(root, make_engine(), Options())
    report = run_build(first)
    (root / "word.sh").write_text("#!/bin/sh\necho second\n")
    run_build(Job(root, make_engine(), Options()))
    write_stamp(first, report)
    stamp = noop.stamp_path(str(root))
    assert stamp is not None
    assert not Path(stamp).exists()
