"""Recognising Rust, and how loudly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowctl_core.models import ComponentSpec, SourceTree
from flowctl_lang_rust.detect import detect

MAIN = "fn main() {}\n"
APP = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
CDYLIB = APP + '[lib]\ncrate-type = ["cdylib"]\n'
WORKSPACE = '[workspace]\nresolver = "2"\nmembers = ["crates/*"]\n'

CASES: dict[str, tuple[dict[str, str], float, str]] = {
    "a package at the root": ({"Cargo.toml": APP, "src/main.rs": MAIN}, 0.9, "."),
    "several programs": ({"Cargo.toml": APP, "src/bin/a.rs": MAIN, "src/bin/b.rs": MAIN}, 0.9, "."),
    "a virtual workspace": (
        {"Cargo.toml": WORKSPACE, "crates/app/Cargo.toml": APP, "crates/app/src/main.rs": MAIN},
        0.9,
        ".",
    ),
    "a workspace without members": ({"Cargo.toml": WORKSPACE}, 0.3, "."),
    "a cdylib without a program": ({"Cargo.toml": CDYLIB, "src/lib.rs": ""}, 0.8, "."),
    "a library crate": ({"Cargo.toml": APP, "src/lib.rs": ""}, 0.5, "."),
    "programs outside the default members": (
        {
            "Cargo.toml": WORKSPACE + 'default-members = ["crates/lib"]\n',
            "crates/lib/Cargo.toml": APP.replace("app", "lib"),
            "crates/lib/src/lib.rs": "",
            "crates/app/Cargo.toml": APP,
            "crates/app/src/main.rs": MAIN,
        },
        0.7,
        ".",
    ),
    "a subfolder": ({"rust/Cargo.toml": APP, "rust/src/main.rs": MAIN, "README.md": ""}, 0.8, "rust"),
    "two folders down": ({"a/b/Cargo.toml": APP, "a/b/src/main.rs": MAIN}, 0.7, "a/b"),
    "in examples only": ({"examples/x/Cargo.toml": APP, "examples/x/src/main.rs": MAIN}, 0.2, "examples/x"),
    "examples beside the real one": (
        {
            "examples/x/Cargo.toml": APP,
            "examples/x/src/main.rs": MAIN,
            "src-rs/Cargo.toml": APP,
            "src-rs/src/main.rs": MAIN,
        },
        0.8,
        "src-rs",
    ),
    "named like the component's folder": (
        {
            "aaa/Cargo.toml": APP,
            "aaa/src/main.rs": MAIN,
            "component/Cargo.toml": APP,
            "component/src/main.rs": MAIN,
        },
        0.8,
        "component",
    ),
    "maturin": (
        {
            "Cargo.toml": CDYLIB,
            "src/lib.rs": "",
            "pyproject.toml": '[build-system]\nrequires = ["maturin>=1"]\nbuild-backend = "maturin"\n',
        },
        0.3,
        ".",
    ),
    "setuptools-rust above": (
        {
            "native/Cargo.toml": CDYLIB,
            "native/src/lib.rs": "",
            "pyproject.toml": '[build-system]\nrequires = ["setuptools", "setuptools-rust"]\n',
        },
        0.3,
        "native",
    ),
    "napi-rs": (
        {
            "Cargo.toml": CDYLIB,
            "src/lib.rs": "",
            "package.json": '{"name": "x", "devDependencies": {"@napi-rs/cli": "^2"}}',
        },
        0.3,
        ".",
    ),
    "a pyproject.toml that has nothing to do with it": (
        {"Cargo.toml": APP, "src/main.rs": MAIN, "pyproject.toml": "[tool.ruff]\nline-length = 100\n"},
        0.9,
        ".",
    ),
    "a package.json that only serves docs": (
        {"Cargo.toml": APP, "src/main.rs": MAIN, "package.json": '{"scripts": {"docs": "mdbook"}}'},
        0.9,
        ".",
    ),
    "broken neighbours": (
        {"Cargo.toml": APP, "src/main.rs": MAIN, "package.json": "{", "pyproject.toml": "= no"},
        0.9,
        ".",
    ),
    "not TOML": ({"Cargo.toml": "<<<<<<< HEAD\n"}, 0.5, "."),
}


@pytest.mark.parametrize("case", CASES)
def test_detection(case: str, tree: Callable[..., SourceTree]) -> None:
    files, confidence, root = CASES[case]
    detection = detect(tree(files))
    assert detection is not None
    assert (detection.confidence, detection.root) == (confidence, root)
    assert detection.basis == "manifest"
    assert any(evidence.path.endswith("Cargo.toml") for evidence in detection.evidence)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"main.go": "package main", "go.mod": "module x"},
        {"src/main.rs": MAIN},
        {"node_modules/x/Cargo.toml": APP, "target/package/Cargo.toml": APP, ".hidden/Cargo.toml": APP},
    ],
)
def test_nothing_of_rust(files: dict[str, str], tree: Callable[..., SourceTree]) -> None:
    assert detect(tree(files)) is None


def test_evidence_says_what_is_wrong_with_a_manifest(tree: Callable[..., SourceTree]) -> None:
    detection = detect(tree({"Cargo.toml": "<<<<<<< HEAD\n"}))
    assert detection is not None
    assert "Cargo.toml:1 is not valid TOML" in detection.evidence[0].reason


def test_the_python_package_is_the_evidence_against(tree: Callable[..., SourceTree]) -> None:
    detection = detect(tree(CASES["maturin"][0]))
    assert detection is not None
    assert detection.evidence[0].path == "pyproject.toml"


def test_asked_for_without_a_manifest(tree: Callable[..., SourceTree]) -> None:
    detection = detect(tree({"src/main.rs": MAIN}, language="rust"))
    assert detection is not None
    assert detection.basis == "files"


def test_component_yaml_points_into_a_folder(tree: Callable[..., SourceTree]) -> None:
    component = ComponentSpec.from_data(
        {
            "metadata": {"name": "sink"},
            "spec": {"languages": [{"name": "rust", "main": "./services/b/src/main.rs"}]},
        }
    )
    files = {f"services/{name}/Cargo.toml": APP for name in "abc"}
    files |= {f"services/{name}/src/main.rs": MAIN for name in "abc"}
    detection = detect(tree(files, component=component))
    assert detection is not None
    assert detection.root == "services/b"


def test_links_that_loop_or_lead_out_are_survived(tree: Callable[..., SourceTree]) -> None:
    source = tree({"app/Cargo.toml": APP, "app/src/main.rs": MAIN})
    (source.root / "app" / "loop").symlink_to(source.root)
    (source.root / "Cargo.toml").symlink_to("Cargo.toml")
    (source.root / "app" / "src" / "bin").symlink_to("/usr")
    detection = detect(source)
    assert detection is not None
    assert detection.root == "app"
