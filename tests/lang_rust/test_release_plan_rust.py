"""The plan of a release: targets, tools and refusals, from files alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowctl_core.models import LanguageSettings
from flowctl_lang_rust.release.cfg import matches
from flowctl_lang_rust.release.plan import without_target
from flowctl_lang_rust.targets import candidates
from flowctl_lang_rust.toolchain import cross_compiler, cross_package

Make = Callable[..., Any]

PACKAGE = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
APP = {"Cargo.toml": PACKAGE, "src/main.rs": "fn main() {}\n"}
LIBRARY = {"src/lib.rs": "", "Cargo.toml": PACKAGE + '[lib]\ncrate-type = ["cdylib", "staticlib"]\n'}
THREE = ("linux/amd64", "linux/arm64", "darwin/amd64")


def release(bench: Make, files: dict[str, str], **fields: object) -> Any:
    return bench(files, **{"profile": "release", "platforms": THREE, **fields})


def test_targets_of_a_program_prefer_musl(bench: Make) -> None:
    plan = release(bench, APP).plan()
    assert plan.details["targets"] == {
        "linux/amd64": ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"],
        "linux/arm64": ["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"],
        "darwin/amd64": ["x86_64-apple-darwin"],
    }
    assert plan.limitations == ()
    assert [(entry.name, entry.kind) for entry in plan.entry_points] == [("component", "program")]


def test_a_library_is_for_glibc_and_is_the_shared_one(bench: Make) -> None:
    plan = release(bench, LIBRARY).plan()
    assert plan.details["targets"]["linux/amd64"] == ["x86_64-unknown-linux-gnu"]
    assert plan.details["library"] == ["cdylib"]
    assert [(entry.name, entry.kind) for entry in plan.entry_points] == [("libapp.so", "library")]


def test_a_static_library_alone_is_refused(bench: Make) -> None:
    plan = release(bench, LIBRARY | {"Cargo.toml": PACKAGE + '[lib]\ncrate-type = ["staticlib"]\n'}).plan()
    assert [limitation.platform for limitation in plan.limitations] == [*THREE]
    assert "static library" in plan.limitations[0].reason
    assert plan.limitations[0].remedy == 'add "cdylib" to crate-type in Cargo.toml'


def test_tools_of_a_release_are_optional_and_not_part_of_a_local_plan(bench: Make) -> None:
    local = bench(APP).plan()
    assert [tool.name for tool in local.toolchain] == ["cargo", "rustc", "cc"]
    assert "targets" not in local.details
    assert "RUSTFLAGS" in local.passthrough
    plan = release(bench, APP).plan()
    optional = [tool.name for tool in plan.toolchain if tool.optional]
    assert optional == ["cc", "zig", "cargo-zigbuild", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"]
    assert "RUSTFLAGS" not in plan.passthrough
    assert plan.environment["CARGO_INCREMENTAL"] == "0"


def test_platforms_that_have_no_target(bench: Make) -> None:
    project = release(bench, APP, platforms=("windows/amd64", "linux/loong64", "linux/amd64"))
    refused = {limitation.platform: limitation for limitation in project.plan().limitations}
    assert set(refused) == {"windows/amd64", "linux/loong64"}
    assert "windows/amd64" in refused["windows/amd64"].reason
    assert "no Rust target" in refused["linux/loong64"].reason


@pytest.mark.parametrize(
    "arguments",
    [("--target", "x86_64-unknown-linux-gnu.2.28"), ("--target=x86_64-unknown-linux-gnu.2.28", "--locked")],
)
def test_a_target_that_the_user_names_is_the_only_one_for_its_platform(bench: Make, arguments: tuple[str, ...]) -> None:
    plan = release(bench, APP, settings=LanguageSettings(build_args=arguments)).plan()
    targets = plan.details["targets"]
    assert targets["linux/amd64"] == ["x86_64-unknown-linux-gnu.2.28"]
    assert targets["linux/arm64"][0] == "aarch64-unknown-linux-musl"
    assert without_target(arguments) == [argument for argument in arguments[1:] if argument == "--locked"]


def test_targets_flags_and_linkers_of_the_sources_configuration(bench: Make) -> None:
    config = """
        [build]
        target = "aarch64-unknown-linux-gnu"
        rustflags = "-C target-cpu=neoverse-n1"
        [target.aarch64-unknown-linux-gnu]
        linker = "aarch64-linux-gnu-gcc"
        rustflags = ["-C", "link-arg=-s"]
        [target.'cfg(unix)']
        rustflags = ["--cfg", "posix"]
    """
    files = APP | {".cargo/config.toml": config, "service/Cargo.toml": PACKAGE, "service/src/main.rs": "fn main() {}\n"}
    plan = release(bench, files).plan()
    assert plan.details["targets"]["linux/arm64"] == ["aarch64-unknown-linux-gnu"]
    assert len(plan.details["targets"]["linux/amd64"]) == 2
    assert plan.details["linkers"] == {"aarch64-unknown-linux-gnu": "aarch64-linux-gnu-gcc"}
    assert plan.details["rustflags"] == {
        "build": ["-C", "target-cpu=neoverse-n1"],
        "target": [["aarch64-unknown-linux-gnu", ["-C", "link-arg=-s"]], ["cfg(unix)", ["--cfg", "posix"]]],
    }
    # cargo knows the target by itself in a local build; a release names the file for its own platform.
    assert [entry.name for entry in plan.entry_points] == ["component"]


@pytest.mark.parametrize(
    ("lock", "reads"),
    [
        (None, True),
        ('version = 3\n[[package]]\nname = "app"\nversion = "0.1.0"\n', False),
        ('version = 3\n[[package]]\nname = "rustls-native-certs"\nversion = "0.8.0"\n', True),
        ("not toml [", True),
    ],
)
def test_whether_the_image_needs_certificates(bench: Make, lock: str | None, reads: bool) -> None:
    plan = release(bench, APP | ({"Cargo.lock": lock} if lock else {})).plan()
    assert plan.details["certificates"] is reads


def test_two_versions_are_told(bench: Make) -> None:
    project = release(bench, APP, version="1.2.0")
    assert any("0.1.0" in warning and "1.2.0" in warning for warning in project.plan().warnings)
    assert release(bench, APP, name="same", version="0.1.0").plan().warnings == ()


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("x86_64-unknown-linux-gnu", True),
        ("aarch64-unknown-linux-gnu", False),
        ("cfg(unix)", True),
        ("cfg(windows)", False),
        ('cfg(target_os = "linux")', True),
        ('cfg(target_os="macos")', False),
        ('cfg(all(unix, target_arch = "x86_64"))', True),
        ('cfg(any(windows, all(unix, not(target_env = "musl"),),))', True),
        ("cfg(not(unix))", False),
        ("cfg(all())", True),
        ("cfg(any())", False),
        ("cfg(true)", True),
        ("cfg(not(false))", True),
        ("cfg(", False),
        ("cfg()", False),
        ("cfg(unix", False),
        ("cfg(unix windows)", False),
        ("cfg(target_os = linux)", False),
        ("cfg(some(unix))", False),
        ("cfg(not(unix, windows))", False),
        ("cfg(" + "not(" * 100_000 + ")", False),
    ],
)
def test_which_sections_of_a_configuration_speak_about_a_target(key: str, answer: bool) -> None:
    cfg = {"unix", 'target_os="linux"', 'target_arch="x86_64"', 'target_env="gnu"'}
    assert matches(key, "x86_64-unknown-linux-gnu", cfg) is answer


def test_names_of_debians_cross_compilers() -> None:
    assert cross_compiler("aarch64-unknown-linux-gnu") == "aarch64-linux-gnu-gcc"
    assert cross_compiler("armv7-unknown-linux-gnueabihf") == "arm-linux-gnueabihf-gcc"
    assert cross_compiler("x86_64-unknown-linux-musl") is None
    assert cross_compiler("x86_64-apple-darwin") is None
    assert cross_package("x86_64-linux-gnu-gcc") == "gcc-x86-64-linux-gnu"


def test_targets_of_rare_platforms() -> None:
    from flowctl_core.models import Platform

    assert candidates(Platform("linux/arm/v7"), library=False) == (
        "armv7-unknown-linux-musleabihf",
        "armv7-unknown-linux-gnueabihf",
    )
    assert candidates(Platform("freebsd/amd64"), library=False) == ()
