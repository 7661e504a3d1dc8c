"""Which program, which inputs, which tools."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowctl_core.errors import PlanError
from flowctl_core.models import ComponentSpec, Plan, PlanRequest, SourceTree
from flowctl_lang_rust.detect import detect
from flowctl_lang_rust.plan import make_plan

MAIN = "fn main() {}\n"
APP = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'


def crate(name: str, folder: str, more: str = "", *, main: bool = True) -> dict[str, str]:
    """Files of a small package."""
    manifest = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{more}'
    return {f"{folder}/Cargo.toml": manifest, f"{folder}/src/main.rs" if main else f"{folder}/src/lib.rs": ""}


ONE = {"Cargo.toml": APP, "src/main.rs": MAIN}
BINS = {"Cargo.toml": APP, "src/bin/source.rs": MAIN, "src/bin/sink.rs": MAIN}
SEVERAL = (
    {"Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["crates/*"]\n'}
    | crate("source", "crates/source", '[dependencies]\nshared = { path = "../shared" }\n')
    | crate("sink", "crates/sink")
    | crate("shared", "crates/shared", main=False)
)
SAME = (
    {"Cargo.toml": '[workspace]\nmembers = ["a", "b"]\n'}
    | crate("a", "a", '[[bin]]\nname = "run"\npath = "src/main.rs"\n')
    | crate("b", "b", '[[bin]]\nname = "run"\npath = "src/main.rs"\n')
)
LIBRARY = {
    "Cargo.toml": APP.replace("app", "my-lib") + '[lib]\ncrate-type = ["cdylib", "staticlib"]\n',
    "src/lib.rs": "",
}

CHOICES: dict[str, tuple[dict[str, str], str, str | None, tuple[str, str | None]]] = {
    "the only program": (ONE, "other", None, ("app", "app")),
    "by name": (BINS, "other", "sink", ("app", "sink")),
    "by file": (BINS, "other", "src/bin/source.rs", ("app", "source")),
    "by file with a dot": (BINS, "other", "./src/bin/source.rs", ("app", "source")),
    "named like the component": (BINS, "Source", None, ("app", "source")),
    "named like the package": (BINS | {"src/main.rs": MAIN}, "other", None, ("app", "app")),
    "default-run": (
        BINS | {"Cargo.toml": APP + 'default-run = "sink"\n'},
        "source",
        None,
        ("app", "sink"),
    ),
    "a folder as main": (ONE, "other", ".", ("app", "app")),
    "the source folder as main": (ONE, "other", "./src", ("app", "app")),
    "a member by name": (SEVERAL, "other", "sink", ("sink", "sink")),
    "a member by folder": (SEVERAL, "other", "crates/source", ("source", "source")),
    "a member by file": (SEVERAL, "other", "crates/source/src/main.rs", ("source", "source")),
    "a member named like the component": (SEVERAL, "sink", None, ("sink", "sink")),
    "the same name twice, by file": (SAME, "other", "b/src/main.rs", ("b", "run")),
    "the same name twice, by package": (SAME, "other", "b", ("b", "run")),
    "the same name twice, by the component": (SAME, "a", None, ("a", "run")),
    "a library": (LIBRARY, "other", None, ("my-lib", None)),
    "a library by file": (LIBRARY, "other", "src/lib.rs", ("my-lib", None)),
    "xtask and examples are not serious": (
        {"Cargo.toml": '[workspace]\nmembers = ["app", "xtask", "examples/demo"]\n'}
        | crate("app", "app")
        | crate("xtask", "xtask")
        | crate("demo", "examples/demo"),
        "other",
        None,
        ("app", "app"),
    ),
    "a program whose features are off does not count": (
        {
            "Cargo.toml": APP + '[features]\ngui = []\n[[bin]]\nname = "window"\nrequired-features = ["gui"]\n'
            '[[bin]]\nname = "run"\n',
            "src/bin/window.rs": MAIN,
            "src/bin/run.rs": MAIN,
        },
        "other",
        None,
        ("app", "run"),
    ),
}


def plan_of(source: SourceTree, name: str, main: str | None = None) -> Plan:
    detection = detect(source)
    assert detection is not None
    return make_plan(
        source,
        PlanRequest(name=name, version="1.0.0", detection_root=detection.root, language="rust", entry_point=main),
    )


@pytest.mark.parametrize("case", CHOICES)
def test_the_program(case: str, tree: Callable[..., SourceTree]) -> None:
    files, name, main, (package, program) = CHOICES[case]
    plan = plan_of(tree(files), name, main)
    assert (plan.details["package"], plan.details["bin"]) == (package, program)
    if program is not None:
        assert [(entry.name, entry.path, entry.kind) for entry in plan.entry_points] == [(name, program, "program")]


REFUSED: dict[str, tuple[dict[str, str], str | None, list[str]]] = {
    "several programs": (BINS, None, ["several programs", "sink (src/bin/sink.rs)", "choose with --main"]),
    "several members": (SEVERAL, None, ["several programs", "crates/sink/src/main.rs", "choose with --main"]),
    "no such program": (BINS, "sunk", ["no program sunk", "source (src/bin/source.rs)", "choose with --main"]),
    "the same name twice": (SAME, "run", ["several packages", "--main a/src/main.rs or --main b/src/main.rs"]),
    "a library crate": (
        {"Cargo.toml": APP, "src/lib.rs": ""},
        None,
        ["app is a library crate without a program or a cdylib", "src/main.rs"],
    ),
    "a library crate as main": (SEVERAL, "shared", ["shared is a library crate", "choose with --main"]),
    "programs outside the default members": (
        SEVERAL | {"Cargo.toml": SEVERAL["Cargo.toml"] + 'default-members = ["crates/shared"]\n'},
        None,
        ["shared is a library crate", "sink (crates/sink/src/main.rs)", "choose with --main"],
    ),
    "an empty workspace": ({"Cargo.toml": '[workspace]\nmembers = ["nothing/*"]\n'}, None, ["without members"]),
    "not TOML": ({"Cargo.toml": "[package\n"}, None, ["Cargo.toml:1 is not valid TOML"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tree: Callable[..., SourceTree]) -> None:
    files, main, words = REFUSED[case]
    with pytest.raises(PlanError) as raised:
        plan_of(tree(files), "other", main)
    said = f"{raised.value.message}\n{raised.value.hint}"
    for word in words:
        assert word in said


def test_rust_was_asked_for_and_there_is_none(tree: Callable[..., SourceTree]) -> None:
    with pytest.raises(PlanError, match=r"no Cargo\.toml"):
        plan_of(tree({"src/main.rs": MAIN}, language="rust"), "app")


def test_libraries_have_the_names_that_rustc_gives(tree: Callable[..., SourceTree]) -> None:
    plan = make_plan(
        tree(LIBRARY),
        PlanRequest.model_validate({"name": "x", "version": "1", "platforms": ["darwin/arm64"]}),
    )
    assert [(e.name, e.kind) for e in plan.entry_points] == [
        ("libmy_lib.dylib", "library"),
        ("libmy_lib.a", "library"),
    ]


def test_a_configured_target_names_the_file(tree: Callable[..., SourceTree]) -> None:
    config = {".cargo/config.toml": '[build]\ntarget = "wasm32-unknown-unknown"\n'}
    plan = plan_of(tree(LIBRARY | config), "x")
    assert plan.entry_points[0].name == "my_lib.wasm"
    assert plan_of(tree(BINS | config), "x", "sink").entry_points[0].name == "x.wasm"
    assert ".cargo/config.toml" in plan.inputs.fetch


def test_another_manifest_of_the_tree_has_the_program(tree: Callable[..., SourceTree]) -> None:
    plan = plan_of(tree(crate("one", "one") | crate("two", "two")), "other", "two/src/main.rs")
    assert (plan.root, plan.details["bin"]) == ("two", "two")


def test_inputs(tree: Callable[..., SourceTree]) -> None:
    files = SEVERAL | {"Cargo.lock": "version = 4\n", ".cargo/config.toml": "[net]\nretry = 1\n"}
    plan = plan_of(tree(files), "sink")
    assert set(plan.inputs.fetch) == {
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "crates/shared/Cargo.toml",
        "crates/sink/Cargo.toml",
        "crates/source/Cargo.toml",
    }
    assert plan.inputs.exclude == ("/target/",)
    assert "RUSTFLAGS" in plan.passthrough
    assert plan.environment["RUSTUP_AUTO_INSTALL"] == "0"


def test_the_lock_is_an_input_before_it_exists(tree: Callable[..., SourceTree]) -> None:
    source = tree(ONE)
    before = plan_of(source, "app")
    (source.root / "Cargo.lock").write_text("version = 3\n")
    assert before.inputs.fetch == plan_of(source, "app").inputs.fetch


@pytest.mark.parametrize(
    ("more", "lock", "version", "declared_in"),
    [
        ('rust-version = "1.74"\n', "", ">=1.74", "Cargo.toml rust-version"),
        ("", "", ">=1.56", "Cargo.toml edition 2021"),
        ('rust-version = "1.60.2"\n', "version = 4\n", ">=1.78", "Cargo.lock version 4"),
        ('rust-version = "1.100"\n', "version = 4\n", ">=1.100", "Cargo.toml rust-version"),
        ('rust-version = "nonsense"\n', "not = = toml", ">=1.56", "Cargo.toml edition 2021"),
    ],
)
def test_versions(more: str, lock: str, version: str, declared_in: str, tree: Callable[..., SourceTree]) -> None:
    files = {"Cargo.toml": APP + more, "src/main.rs": MAIN} | ({"Cargo.lock": lock} if lock else {})
    tools = {tool.name: tool for tool in plan_of(tree(files), "app").toolchain}
    assert set(tools) == {"cargo", "rustc", "cc"}
    for name in ("cargo", "rustc"):
        assert (tools[name].version, tools[name].declared_in) == (version, declared_in)
        assert "rustup" in tools[name].install_hint
    assert not tools["cc"].optional


def test_a_configured_linker_makes_cc_optional(tree: Callable[..., SourceTree]) -> None:
    config = {".cargo/config.toml": '[target.x86_64-unknown-linux-gnu]\nlinker = "clang"\n'}
    tools = {tool.name: tool for tool in plan_of(tree(ONE | config), "app").toolchain}
    assert tools["cc"].optional


@pytest.mark.parametrize(
    ("path", "text", "channel"),
    [
        ("rust-toolchain.toml", '[toolchain]\nchannel = "1.74.1"\n', ["1.74.1", "rust-toolchain.toml"]),
        ("rust-toolchain", "nightly-2025-01-01\n", ["nightly-2025-01-01", "rust-toolchain"]),
        ("rust-toolchain", '[toolchain]\nchannel = "stable"\n', ["stable", "rust-toolchain"]),
        ("rust-toolchain.toml", '[toolchain]\npath = "/opt/rust"\n', None),
    ],
)
def test_a_pinned_channel_is_noted(
    path: str, text: str, channel: list[str] | None, tree: Callable[..., SourceTree]
) -> None:
    plan = plan_of(tree(ONE | {path: text}), "app")
    assert plan.details["channel"] == channel
    expected = f"rustup toolchain install {channel[0]}" if channel else "https://rustup.rs"
    assert expected in plan.toolchain[0].install_hint


def test_dependencies_outside_the_tree_are_warned_of(tree: Callable[..., SourceTree]) -> None:
    files = {"Cargo.toml": APP + '[dependencies]\nshared = { path = "../shared" }\n', "src/main.rs": MAIN}
    (warning,) = plan_of(tree(files), "app").warnings
    assert "../shared" in warning


def test_a_workspace_outside_the_tree_is_warned_of(tree: Callable[..., SourceTree]) -> None:
    files = {"Cargo.toml": APP.replace('edition = "2021"', "edition.workspace = true"), "src/main.rs": MAIN}
    plan = plan_of(tree(files), "app")
    assert plan.details["workspace"] is None
    assert "outside the source tree" in plan.warnings[0]


@pytest.mark.parametrize(
    ("files", "main", "packages"),
    [
        (ONE, None, []),
        (SEVERAL, "source", ["source"]),
        (SEVERAL, "sink", ["sink"]),
        (
            {"Cargo.toml": '[workspace]\nmembers = ["app", "lib"]\n'}
            | crate("app", "app")
            | crate("lib", "lib", main=False),
            None,
            [],
        ),
    ],
)
def test_what_is_tested(
    files: dict[str, str], main: str | None, packages: list[str], tree: Callable[..., SourceTree]
) -> None:
    assert plan_of(tree(files), "other", main).details["test_packages"] == packages


def test_component_yaml_sets_the_environment(tree: Callable[..., SourceTree]) -> None:
    component = ComponentSpec.from_data(
        {
            "metadata": {"name": "app"},
            "spec": {
                "languages": [{"name": "rust", "build": {"native": {"environment": ["RUSTFLAGS=-C debuginfo=0"]}}}]
            },
        }
    )
    plan = plan_of(tree(ONE, component=component), "app")
    assert plan.environment["RUSTFLAGS"] == "-C debuginfo=0"


def test_two_plans_of_one_tree_are_equal(tree: Callable[..., SourceTree]) -> None:
    source = tree(SEVERAL)
    assert plan_of(source, "sink").model_dump_json() == plan_of(source, "sink").model_dump_json()
