"""Which packages a workspace has, compared with what cargo itself says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping

import pytest

from flowctl_core.models import SourceTree
from flowctl_lang_rust.workspace import read_project


def crate(name: str, folder: str, more: str = "", main: bool = True) -> dict[str, str]:
    """Files of a small package."""
    return {
        f"{folder}/Cargo.toml": f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{more}',
        f"{folder}/src/main.rs" if main else f"{folder}/src/lib.rs": "fn main() {}\n" if main else "",
    }


CASES: dict[str, tuple[Mapping[str, str], list[str], list[str]]] = {
    "globs": (
        {"Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["crates/*", "tool"]\n'}
        | crate("a", "crates/a")
        | crate("b", "crates/b")
        | crate("deep", "crates/a/deep")
        | crate("tool", "tool")
        | crate("loose", "loose"),
        ["a", "b", "tool"],
        ["a", "b", "tool"],
    ),
    "exclude and default-members": (
        {
            "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["crates/*"]\nexclude = ["crates/old"]\n'
            'default-members = ["crates/a"]\n'
        }
        | crate("a", "crates/a")
        | crate("b", "crates/b")
        | crate("old", "crates/old"),
        ["a", "b"],
        ["a"],
    ),
    "a root package is the default member": (
        {
            "Cargo.toml": '[package]\nname = "root"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\nmembers = ["a"]\n',
            "src/main.rs": "fn main() {}\n",
        }
        | crate("a", "a"),
        ["a", "root"],
        ["root"],
    ),
    "path dependencies are members": (
        {
            "Cargo.toml": '[package]\nname = "root"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n'
            '[dependencies]\none = { path = "libs/one" }\n',
            "src/main.rs": "fn main() {}\n",
        }
        | crate("one", "libs/one", '[dependencies]\ntwo = { path = "../two" }\n', main=False)
        | crate("two", "libs/two", main=False)
        | crate("three", "libs/three", main=False),
        ["one", "root", "two"],
        ["root"],
    ),
    "letters in brackets": (
        {"Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["[ab]?"]\n'}
        | crate("a1", "a1")
        | crate("b2", "b2")
        | crate("c3", "c3"),
        ["a1", "b2"],
        ["a1", "b2"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_members(case: str, tree: Callable[..., SourceTree]) -> None:
    files, members, default = CASES[case]
    project = read_project(tree(files), ".")
    assert sorted(package.name for package in project.members) == members
    assert sorted(package.name for package in project.default_members) == default
    assert project.workspace == "."


@pytest.mark.requires_tool("cargo")
@pytest.mark.parametrize("case", CASES)
def test_cargo_sees_the_same_members(case: str, tree: Callable[..., SourceTree]) -> None:
    files, members, default = CASES[case]
    done = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"],
        cwd=tree(files).root,
        capture_output=True,
        check=True,
    )
    said = json.loads(done.stdout)
    names = {package["id"]: package["name"] for package in said["packages"]}
    assert sorted(names[one] for one in said["workspace_members"]) == members
    assert sorted(names[one] for one in said["workspace_default_members"]) == default


def test_a_member_finds_its_workspace_above(tree: Callable[..., SourceTree]) -> None:
    source = tree(
        {"Cargo.toml": '[workspace]\nmembers = ["services/*"]\n[workspace.package]\nrust-version = "1.80"\n'}
        | crate("sink", "services/sink", "rust-version.workspace = true\n")
    )
    project = read_project(source, "services/sink")
    assert project.workspace == "."
    assert project.folder == "services/sink"
    assert project.members[0].rust_version == "1.80"
    assert not project.inherits_from_outside


def test_an_excluded_package_stands_alone(tree: Callable[..., SourceTree]) -> None:
    source = tree({"Cargo.toml": '[workspace]\nmembers = ["a"]\nexclude = ["b"]\n'} | crate("b", "b"))
    assert read_project(source, "b").workspace == "b"


def test_a_workspace_outside_the_tree_is_noticed(tree: Callable[..., SourceTree]) -> None:
    source = tree(
        {"Cargo.toml": '[package]\nname = "sink"\nversion = "0.1.0"\nedition.workspace = true\n', "src/main.rs": ""}
    )
    project = read_project(source, ".")
    assert project.workspace is None
    assert project.inherits_from_outside


def test_members_outside_the_tree_are_left_out(tree: Callable[..., SourceTree]) -> None:
    source = tree({"Cargo.toml": '[workspace]\nmembers = ["../other", "/etc", "a"]\n'} | crate("a", "a"))
    assert [package.name for package in read_project(source, ".").members] == ["a"]


def test_packages_that_depend_on_each_other_end(tree: Callable[..., SourceTree]) -> None:
    source = tree(
        {"Cargo.toml": '[workspace]\nmembers = ["a", "b"]\n'}
        | crate("a", "a", '[dev-dependencies]\nb = { path = "../b" }\n', main=False)
        | crate("b", "b", '[dependencies]\na = { path = "../a" }\n', main=False)
    )
    assert [package.name for package in read_project(source, ".").members] == ["a", "b"]


def test_a_range_that_is_none_matches_nothing(tree: Callable[..., SourceTree]) -> None:
    source = tree({"Cargo.toml": '[workspace]\nmembers = ["[z-a]*", "a"]\n'} | crate("a", "a"))
    assert [package.name for package in read_project(source, ".").members] == ["a"]
