"""What a machine cannot build, told before anything is fetched: each reason is held against the machine itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import ToolchainError
from flowctl_core.models import Limitation, Platform
from flowctl_lang_rust.release.frameworks import links_frameworks, missing_library
from flowctl_lang_rust.release.install import how_to_get_std
from flowctl_lang_rust.release.outside import settings_outside
from flowctl_lang_rust.release.rustc import Rustc

from .conftest import ARM64, has_std

Make = Callable[..., Any]

PACKAGE = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
LOCK = 'version = 3\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n'
APP = {"Cargo.toml": PACKAGE, "Cargo.lock": LOCK, "src/main.rs": "fn main() {}\n"}

pytestmark = pytest.mark.requires_tool("cargo", "rustc", "cc")


def release(bench: Make, files: dict[str, str] = APP, **fields: object) -> Any:
    return bench(files, **{"profile": "release", **fields})


def refusals(project: Any) -> dict[str, Limitation]:
    return {str(found.platform): found for found in project.limitations() if found.platform is not None}


def rustc_of(project: Any) -> Rustc:
    plan = project.plan()
    return Rustc.ask(plan, project.release_context(plan))


@pytest.mark.requires_tool("cargo-zigbuild")
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "linux/s390x"])
def test_a_platform_is_refused_exactly_when_rustc_has_none_of_its_targets(bench: Make, platform: str) -> None:
    project = release(bench, platforms=(platform,))
    rustc = shutil.which("rustc")
    assert rustc is not None
    targets = project.plan().details["targets"][platform]
    there = [triple for triple in targets if has_std(Path(rustc), triple)]
    found = refusals(project)
    if there:
        assert found == {}
        return
    assert found[platform].reason == f"{rustc} has no standard library for {' or '.join(targets)}"
    remedy = found[platform].remedy
    assert f"rustup target add {targets[0]}" in remedy or "apt-get install" in remedy


def test_the_same_project_with_a_rust_that_has_the_target_is_not_refused(bench: Make, arm64_path: str) -> None:
    assert refusals(release(bench, platforms=("linux/arm64",), path=arm64_path)) == {}


def test_no_linker_for_a_target_that_is_there(bench: Make, arm64_path: str) -> None:
    hidden = ("zig", "cc", "aarch64-linux-gnu-gcc")
    found = refusals(release(bench, platforms=("linux/arm64",), path=arm64_path, hidden=hidden))
    assert found["linux/arm64"].reason == (
        f"nothing here links for {ARM64}: neither zig with cargo-zigbuild nor a cross compiler"
    )
    assert found["linux/arm64"].remedy == (
        'pip install "flowctl-lang-rust[cross]", or: apt-get install gcc-aarch64-linux-gnu'
    )


def test_another_glibc_without_zig_is_refused(bench: Make, arm64_path: str) -> None:
    from flowctl_core.models import LanguageSettings

    settings = LanguageSettings(build_args=("--target", f"{ARM64}.2.28"))
    project = release(bench, platforms=("linux/arm64",), path=arm64_path, settings=settings, hidden=("zig",))
    assert "nothing here links" in refusals(project)["linux/arm64"].reason


def test_the_sources_own_linker_will_do(bench: Make, arm64_path: str) -> None:
    files = APP | {".cargo/config.toml": f'[target.{ARM64}]\nlinker = "./link"\n', "link": "#!/bin/sh\n"}
    hidden = ("zig", "cc", "aarch64-linux-gnu-gcc")
    assert refusals(release(bench, files, platforms=("linux/arm64",), path=arm64_path, hidden=hidden)) == {}
    gone = files | {".cargo/config.toml": f'[target.{ARM64}]\nlinker = "no-such-linker"\n'}
    project = release(bench, gone, name="gone", platforms=("linux/arm64",), path=arm64_path, hidden=hidden)
    assert set(refusals(project)) == {"linux/arm64"}


def test_a_pinned_toolchain_that_is_missing(bench: Make) -> None:
    """rustup's cargo refuses; another one on PATH does not know the file, which is said."""
    project = release(bench, APP | {"rust-toolchain.toml": '[toolchain]\nchannel = "1.33.0"\n'})
    try:
        project.limitations()
    except ToolchainError as error:
        assert "1.33.0" in f"{error.message} {error.hint}"
    else:
        assert "pins 1.33.0, which only rustup honours" in project.progress.warnings[0]


def test_how_to_get_a_target_with_rustup(bench: Make) -> None:
    rustc = rustc_of(release(bench))
    mine = replace(rustc, sysroot=Path("/home/ada/.rustup/toolchains/stable-x86_64-unknown-linux-gnu"))
    wanted = ("x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu")
    assert how_to_get_std(mine, wanted, Platform("linux/amd64")) == "rustup target add x86_64-unknown-linux-musl"
    pinned = mine.plan.model_copy(update={"details": {**mine.plan.details, "channel": ["1.85", "rust-toolchain.toml"]}})
    mine = replace(mine, plan=pinned, sysroot=Path("/home/ada/.rustup/toolchains/1.85-x86_64-unknown-linux-gnu"))
    assert how_to_get_std(mine, wanted, Platform("linux/amd64")) == (
        "rustup target add --toolchain 1.85-x86_64-unknown-linux-gnu x86_64-unknown-linux-musl"
    )


def test_how_to_get_a_target_with_debians_rust(bench: Make) -> None:
    path = "/usr/local/bin:/usr/bin:/bin"
    if shutil.which("rustc", path=path) != "/usr/bin/rustc" or shutil.which("dpkg-query") is None:
        pytest.skip("Rust is not Debian's here")
    rustc = rustc_of(release(bench, path=path))
    package = how_to_get_std(
        rustc, ("armv7-unknown-linux-musleabihf", "armv7-unknown-linux-gnueabihf"), Platform("linux/arm/v7")
    )
    name = "libstd-rust-web-dev" if Path("/usr/share/doc/rustc-web").exists() else "libstd-rust-dev"
    assert package == f"dpkg --add-architecture armhf && apt-get update && apt-get install {name}:armhf"
    # Debian has no target of Apple's.
    darwin = how_to_get_std(rustc, ("x86_64-apple-darwin",), Platform("darwin/amd64"))
    assert darwin.endswith("rustup target add x86_64-apple-darwin; or use a macOS worker")


def test_how_to_get_a_target_with_a_rust_of_other_origin(bench: Make) -> None:
    rustc = rustc_of(release(bench))
    tool = rustc.context.tool("rustc").model_copy(update={"path": Path("/opt/rust/bin/rustc")})
    context = rustc.context.model_copy(update={"tools": {**rustc.context.tools, "rustc": tool}})
    other = replace(rustc, context=context, sysroot=Path("/opt/rust"))
    assert how_to_get_std(other, ("aarch64-unknown-linux-musl",), Platform("linux/arm64")) == (
        "install Rust with rustup (https://rustup.rs) and run: rustup target add aarch64-unknown-linux-musl; "
        "or use a linux/arm64 worker"
    )


def test_settings_above_the_source_are_told_once(tmp_path: Path) -> None:
    root = tmp_path / "work/source"
    (root / "service").mkdir(parents=True)
    for place, text in {
        tmp_path / ".cargo/config.toml": '[profile.release]\nopt-level = 1\nstrip = false\n[target.x]\nrunner = "y"\n',
        tmp_path / "work/.cargo/config": '[env]\nA = "1"\n[patch.crates-io]\nitoa = { path = "x" }\n',
        root / ".cargo/config.toml": '[env]\nOWN = "1"\n',
    }.items():
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    told = dict(settings_outside(root, "service", tmp_path / ".cargo"))
    ours = {file: keys for file, keys in told.items() if file.is_relative_to(tmp_path)}
    assert ours == {
        tmp_path / "work/.cargo/config": ("env.A", "patch.crates-io"),
        tmp_path / ".cargo/config.toml": ("profile.release.opt-level",),
    }


@pytest.mark.parametrize("text", ["not toml [", "profile = 3", "", "[profile]\nrelease = 1\n"])
def test_a_broken_configuration_above_the_source_is_left_to_cargo(tmp_path: Path, text: str) -> None:
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo/config.toml").write_text(text)
    root = tmp_path / "source"
    root.mkdir()
    assert [file for file, _ in settings_outside(root, ".", tmp_path / "x") if file.is_relative_to(tmp_path)] == []


def test_crates_and_words_that_tell_of_frameworks() -> None:
    assert links_frameworks("core-foundation-sys") and links_frameworks("objc2-foundation")
    assert not links_frameworks("objc2-encode") and not links_frameworks("serde")
    said = "error: unable to find framework 'CoreFoundation'. searched paths:\n"
    assert missing_library(said) == "CoreFoundation"
    assert missing_library("error: unable to find dynamic system library 'objc' using strategy") == "objc"
    assert missing_library("error[E0308]: mismatched types") is None


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="a Mac has the SDK")
def test_a_crate_that_links_a_framework_needs_apples_sdk(bench: Make) -> None:
    """The crates are here (the linux release fetched them), so cargo can say what darwin would need."""
    files = APP | {"Cargo.toml": PACKAGE + '[dependencies]\ncore-foundation-sys = "0.8"\n', "Cargo.lock": ""}
    del files["Cargo.lock"]
    project = release(bench, files, platforms=("darwin/amd64",))
    project.fetch()
    assert "core-foundation-sys links frameworks of Apple's SDK" in refusals(project)["darwin/amd64"].reason
    assert "SDKROOT" in refusals(project)["darwin/amd64"].remedy
    project.environment["SDKROOT"] = "/opt/MacOSX.sdk"
    told = refusals(project).get("darwin/amd64")
    assert told is None or "SDK" not in told.reason
