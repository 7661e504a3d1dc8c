"""A cleaned component comes back from the cache on the short path exactly as on the long one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: copier, version: v1.0.0}
spec:
  type: source
  build: {native: {command: [sh, make.sh], binary: copier}}
"""
FILES = {"component.yaml": COMPONENT, "make.sh": "cp program copier; echo ran >> ../runs", "notes/a.txt": "a"}


@pytest.fixture
def cleaned(flowctl, tree) -> Path:
    """Built twice (so that its stamp is trusted), then cleaned."""
    root = tree(FILES)
    shutil.copy(shutil.which("true") or "/bin/true", root / "program")
    for _ in range(2):
        flowctl.ok("component", "build", cwd=root)
    flowctl.ok("component", "clean", cwd=root)
    return root


def runs(root: Path) -> int:
    return len((root.parent / "runs").read_text().splitlines())


def state_of(root: Path) -> dict[str, object]:
    """Everything in the folder: mode, link target or content; what only saves the next build's time left out."""
    seen: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            seen[name] = str(path.readlink())
        elif path.is_file() and name not in (".flowctl/lock", ".flowctl/index", ".flowctl/fetched"):
            text = path.read_bytes()
            if name == ".flowctl/state.json":
                record = json.loads(text)
                record["stats"] = {path: stat[0] for path, stat in record["stats"].items()}
                text = json.dumps(record, sort_keys=True).encode()
            seen[name] = (path.stat().st_mode, text)
    return seen


def quick(flowctl, root: Path) -> subprocess.CompletedProcess[str]:
    return flowctl.run("component", "build", "-o", "json", cwd=root)


def test_both_ways_restore_the_same(flowctl, cleaned: Path) -> None:
    short = json.loads(quick(flowctl, cleaned).stdout)
    after_short = state_of(cleaned)
    flowctl.ok("component", "clean", cwd=cleaned)
    long = flowctl.json("component", "build", "--cache", cwd=cleaned)
    after_long = state_of(cleaned)
    assert short.pop("duration_s") < long.pop("duration_s")
    assert short == long
    assert short["cache"] == "hit"
    assert {k: v for k, v in after_long.items() if not k.startswith(".flowctl/work")} == after_short
    assert runs(cleaned) == 1


def test_after_it_nothing_has_to_be_done(flowctl, cleaned: Path) -> None:
    quick(flowctl, cleaned)
    assert flowctl.json("component", "build", cwd=cleaned)["cache"] == "fresh"
    assert flowctl.json("component", "build", "--cache", cwd=cleaned)["cache"] == "fresh"


def test_a_stored_program_that_was_tampered_with_is_never_restored(flowctl, cleaned: Path) -> None:
    for blob in (flowctl.home / "cache" / "content").rglob("*"):
        if blob.is_file():
            blob.chmod(0o644)
            blob.write_bytes(b"#!/bin/sh\necho evil\n")
    assert flowctl.json("component", "build", cwd=cleaned)["cache"] == "miss"
    assert runs(cleaned) == 2
    assert b"evil" not in (cleaned / ".flowctl/bin/copier").read_bytes()


def test_a_stored_program_that_is_gone_is_built_again(flowctl, cleaned: Path) -> None:
    flowctl.ok("cache", "prune", "--all")
    assert flowctl.json("component", "build", cwd=cleaned)["cache"] == "miss"


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "notes/a.txt").write_text("changed"),
        lambda root: (root / "new.txt").write_text("new"),
        lambda root: (root / "make.sh").chmod(0o755),
    ],
)
def test_a_changed_source_is_built(flowctl, cleaned: Path, change) -> None:
    change(cleaned)
    assert flowctl.json("component", "build", cwd=cleaned)["cache"] == "miss"


def test_a_name_that_was_taken_meanwhile_is_left_alone(flowctl, cleaned: Path) -> None:
    (cleaned / "copier").write_text("mine")
    flowctl.run("component", "build", cwd=cleaned)
    assert (cleaned / "copier").exists()


def test_a_half_made_state_folder_is_no_obstacle(flowctl, cleaned: Path) -> None:
    (cleaned / ".flowctl" / "bin").mkdir(parents=True)
    (cleaned / ".flowctl" / "bin" / "copier.99.tmp").write_text("half")
    assert flowctl.json("component", "build", cwd=cleaned)["cache"] == "hit"
    assert subprocess.run([cleaned / "copier"], check=False).returncode == 0


def test_pruning_everything_removes_stamps(flowctl, cleaned: Path) -> None:
    stamps = flowctl.home / "cache" / "stamps"
    assert list(stamps.iterdir())
    flowctl.ok("cache", "prune", "--all")
    assert not list(stamps.iterdir())


def test_pruning_removes_stamps_of_folders_that_are_gone(flowctl, cleaned: Path) -> None:
    shutil.rmtree(cleaned)
    flowctl.ok("cache", "prune")
    assert not list((flowctl.home / "cache" / "stamps").iterdir())
