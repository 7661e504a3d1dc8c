"""The quick scan finds what importlib.metadata finds."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from flowctl_core.plugins.discovery import find_distribution, installed_plugins, normalise


def _by_metadata() -> set[tuple[str, str, str, str]]:
    return {
        (point.name, point.value, normalise(point.dist.metadata["Name"]), point.dist.version)
        for point in importlib.metadata.entry_points(group="flowctl")
        if point.dist is not None
    }


def _by_scan() -> set[tuple[str, str, str, str]]:
    return {(r.name, r.value, r.distribution, r.version) for r in installed_plugins()}


def test_same_as_importlib_metadata_in_this_environment():
    assert _by_scan() == _by_metadata()
    assert {"go", "node", "python", "rust"} <= {reference.name for reference in installed_plugins()}


def test_same_as_importlib_metadata_for_unusual_entry_points(site: Path, install):
    metadata = install("My.Odd-Name", {"odd.py": ""}, {"odd": "odd:plugin"})
    (metadata / "entry_points.txt").write_text(
        "# a comment\n[flowctl.other]\nno = other:plugin\n[flowctl]\n  odd=odd:plugin  \n\n# again\nsecond = odd:more [x]\n"
        "[another]\nalso = not:ours\n"
    )
    found = _by_scan()
    assert found == _by_metadata()
    assert ("odd", "odd:plugin", "my-odd-name", "1.0") in found
    assert ("second", "odd:more [x]", "my-odd-name", "1.0") in found


def test_the_first_distribution_on_the_path_hides_the_second(site: Path, install, tmp_path: Path):
    further = tmp_path / "further"
    install("twice", {"twice.py": ""}, {"new": "twice:plugin"}, version="2.0")
    install("twice", {"twice.py": ""}, {"old": "twice:plugin"}, version="1.0", folder=further)
    install("silent", {"silent.py": ""}, None)
    install("silent", {"silent.py": ""}, {"hidden": "silent:plugin"}, folder=further)
    found = installed_plugins([str(site), str(further)])
    assert [(r.name, r.version) for r in found] == [("new", "2.0")]


def test_egg_info_is_read_as_well(tmp_path: Path):
    with_version = tmp_path / "egg_a-0.4-py3.11.egg-info"
    without = tmp_path / "egg_b.egg-info"
    for folder in (with_version, without):
        folder.mkdir()
        (folder / "entry_points.txt").write_text(f"[flowctl]\n{folder.name[:5]} = m:p\n")
    (without / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: egg-b\nVersion: 7.1\n")
    found = {(r.name, r.distribution, r.version) for r in installed_plugins([str(tmp_path)])}
    assert found == {("egg_a", "egg-a", "0.4"), ("egg_b", "egg-b", "7.1")}


def test_missing_and_unreadable_path_entries_are_passed_over(tmp_path: Path):
    archive = tmp_path / "some.zip"
    archive.write_bytes(b"PK")
    (tmp_path / "half-1.0.dist-info").mkdir()
    assert installed_plugins([str(tmp_path / "missing"), str(archive), str(tmp_path)]) == ()


def test_find_distribution_compares_normalised_names(site: Path, install):
    metadata = install("Flow.Extra", {"extra.py": ""}, version="3.2")
    assert find_distribution("flow-extra") == ("3.2", metadata)
    assert find_distribution("no-such-distribution") is None
    assert find_distribution("flow-extra", sys.path[1:]) is None
