"""What one Cargo.toml declares and what cargo infers beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from flowctl_core.errors import PlanError
from flowctl_core.models import SourceTree
from flowctl_lang_rust.manifest import Package, read_package, read_toml
from flowctl_lang_rust.workspace import read_project

MAIN = "fn main() {}\n"
PACKAGE = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'

CASES = {
    "src/main.rs is named like the package": ({"src/main.rs": MAIN}, {"app": "src/main.rs"}),
    "files and folders of src/bin": (
        {"src/bin/one.rs": MAIN, "src/bin/two/main.rs": MAIN, "src/bin/two/inner.rs": "", "src/bin/notes.txt": ""},
        {"one": "src/bin/one.rs", "two": "src/bin/two/main.rs"},
    ),
    "main.rs beside src/bin": (
        {"src/main.rs": MAIN, "src/bin/tool.rs": MAIN},
        {"app": "src/main.rs", "tool": "src/bin/tool.rs"},
    ),
    "a declaration renames src/main.rs": (
        {"src/main.rs": MAIN, "Cargo.toml": PACKAGE + '[[bin]]\nname = "sink"\npath = "src/main.rs"\n'},
        {"sink": "src/main.rs"},
    ),
    "a declaration without a path, and an inferred one": (
        {
            "src/main.rs": MAIN,
            "src/bin/extra.rs": MAIN,
            "Cargo.toml": PACKAGE + '[[bin]]\nname = "extra"\n',
        },
        {"extra": "src/bin/extra.rs", "app": "src/main.rs"},
    ),
    "autobins = false": (
        {
            "src/main.rs": MAIN,
            "src/bin/extra.rs": MAIN,
            "Cargo.toml": PACKAGE + 'autobins = false\n[[bin]]\nname = "extra"\n',
        },
        {"extra": "src/bin/extra.rs"},
    ),
    "edition 2015 infers nothing beside a declaration": (
        {
            "src/main.rs": MAIN,
            "src/bin/extra.rs": MAIN,
            "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\n[[bin]]\nname = "extra"\n',
        },
        {"extra": "src/bin/extra.rs"},
    ),
    "a library only": ({"src/lib.rs": ""}, {}),
    "a file elsewhere": (
        {"cmd/run.rs": MAIN, "Cargo.toml": PACKAGE + '[[bin]]\nname = "run"\npath = "cmd/run.rs"\n'},
        {"run": "cmd/run.rs"},
    ),
}


def only_package(source: SourceTree) -> Package:
    (package,) = read_project(source, ".").members
    return package


@pytest.mark.parametrize("case", CASES)
def test_programs(case: str, tree: Callable[..., SourceTree]) -> None:
    files, expected = CASES[case]
    package = only_package(tree({"Cargo.toml": PACKAGE, **files}))
    assert {program.name: program.path for program in package.bins} == expected


@pytest.mark.requires_tool("cargo")
@pytest.mark.parametrize("case", CASES)
def test_cargo_sees_the_same_programs(case: str, tree: Callable[..., SourceTree]) -> None:
    files, expected = CASES[case]
    source = tree({"Cargo.toml": PACKAGE, **files})
    done = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"],
        cwd=source.root,
        capture_output=True,
        check=True,
    )
    targets = json.loads(done.stdout)["packages"][0]["targets"]
    root = f"{source.root.resolve()}/"
    seen = {t["name"]: t["src_path"].removeprefix(root) for t in targets if "bin" in t["kind"]}
    assert seen == expected


@pytest.mark.parametrize(
    ("lib", "expected"),
    [
        ("", ()),
        ('[lib]\ncrate-type = ["cdylib"]\n', ("cdylib",)),
        ('[lib]\ncrate_type = ["rlib", "staticlib", "cdylib"]\n', ("cdylib", "staticlib")),
        ('[lib]\ncrate-type = ["rlib"]\n', ()),
        ("[lib]\nproc-macro = true\n", ()),
    ],
)
def test_which_libraries_are_artifacts(lib: str, expected: tuple[str, ...], tree: Callable[..., SourceTree]) -> None:
    package = only_package(tree({"Cargo.toml": PACKAGE.replace("app", "my-app") + lib, "src/lib.rs": ""}))
    assert package.library is not None
    assert package.library.name == "my_app"
    assert package.library.linked == expected


def test_inherits_from_its_workspace(tree: Callable[..., SourceTree]) -> None:
    source = tree(
        {
            "Cargo.toml": '[workspace]\nmembers = ["app"]\n[workspace.package]\nrust-version = "1.74"\nedition = "2024"\n'
            '[workspace.dependencies]\nshared = { path = "libs/shared" }\n',
            "app/Cargo.toml": '[package]\nname = "app"\nrust-version.workspace = true\nedition = { workspace = true }\n'
            "[dependencies]\nshared.workspace = true\n",
            "app/src/main.rs": MAIN,
        }
    )
    package = only_package(source)
    assert (package.rust_version, package.edition) == ("1.74", "2024")
    assert package.path_dependencies == ("libs/shared",)


def test_features_that_a_program_requires(tree: Callable[..., SourceTree]) -> None:
    manifest = PACKAGE + (
        '[features]\ndefault = ["net"]\nnet = ["tls"]\ntls = []\ngui = []\n'
        '[[bin]]\nname = "app"\npath = "src/main.rs"\nrequired-features = ["tls"]\n'
        '[[bin]]\nname = "window"\npath = "src/window.rs"\nrequired-features = ["gui", "net"]\n'
    )
    package = only_package(tree({"Cargo.toml": manifest, "src/main.rs": MAIN, "src/window.rs": MAIN}))
    assert [package.missing_features(program) for program in package.bins] == [(), ("gui",)]


def test_path_dependencies_of_all_kinds(tree: Callable[..., SourceTree]) -> None:
    manifest = PACKAGE + (
        '[dependencies]\na = { path = "a" }\nserde = "1"\n[dev-dependencies]\nb = { path = "../b" }\n'
        '[build-dependencies.c]\npath = "c"\n[target."cfg(unix)".dependencies]\nd = { path = "./d" }\n'
    )
    package = only_package(tree({"Cargo.toml": manifest, "src/main.rs": MAIN}))
    assert package.path_dependencies == ("a", "../b", "c", "d")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[package\nname = 1", "Cargo.toml:1 is not valid TOML"),
        ('[package]\nversion = "1"\n', "Cargo.toml has no package.name"),
        ('[package]\nname = ["a"]\n', "Cargo.toml has no package.name"),
        ("a = " + "[" * 5000 + "]" * 5000, "Cargo.toml is not valid TOML"),
        ("", "Cargo.toml has no package.name"),
    ],
)
def test_a_broken_manifest_is_named(text: str, said: str, tree: Callable[..., SourceTree]) -> None:
    with pytest.raises(PlanError) as raised:
        read_project(tree({"Cargo.toml": text}), ".")
    assert said in raised.value.message


def test_wrong_types_do_not_crash(tree: Callable[..., SourceTree]) -> None:
    source = tree({"src/main.rs": MAIN})
    data = {
        "package": {"name": "app", "edition": 2021, "default-run": [], "autobins": "yes", "rust-version": 1.7},
        "bin": {"name": "x"},
        "lib": "no",
        "features": {"default": "a"},
        "dependencies": {"a": {"path": 3}, "b": 7},
        "target": {"cfg(unix)": 1},
    }
    package = read_package(source, ".", data, {"package": 5}, ".")
    assert [program.name for program in package.bins] == ["app"]
    assert package.path_dependencies == ()


def test_a_manifest_that_is_a_link_out_of_the_tree_is_refused(tree: Callable[..., SourceTree]) -> None:
    source = tree({"src/main.rs": MAIN})
    outside = source.root.parent / "elsewhere.toml"
    outside.write_text(PACKAGE)
    (source.root / "Cargo.toml").symlink_to(outside)
    with pytest.raises(PlanError, match="outside the source tree"):
        read_toml(source, "Cargo.toml")


def test_a_byte_order_mark_is_passed_over_as_by_cargo(tree: Callable[..., SourceTree]) -> None:
    assert read_toml(tree({"Cargo.toml": "\ufeff" + PACKAGE}), "Cargo.toml")["package"]["name"] == "app"
