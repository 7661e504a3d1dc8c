"""Which error cargo's words become, and what a pinned toolchain does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_core.errors import (
    BuildError,
    DependenciesMissingError,
    FetchError,
    FlowctlError,
    StoreError,
    ToolchainError,
)
from flowctl_core.models import BuildContext, CompletedCommand, Tool
from flowctl_core.testing import RecordingRunner
from flowctl_lang_rust.cargo import cargo_environment, failure, target_dir
from flowctl_lang_rust.toolchain import check_channel

SAID: dict[str, tuple[str, type[FlowctlError], str]] = {
    "a compile error": (
        "error[E0425]: cannot find value `x` in this scope\n --> src/main.rs:1:13\n\n"
        'error: could not compile `app` (bin "app") due to 1 previous error\n',
        BuildError,
        "could not compile `app`",
    ),
    "a crate is not there": (
        "error: failed to get `itoa` as a dependency of package `app v0.1.0 (/x)`\n\nCaused by:\n  failed to load "
        "source\n\nAs a reminder, you're using offline mode (--offline) which can sometimes cause surprising "
        "resolution failures, if this error is too confusing you may wish to retry without `--offline`.\n",
        DependenciesMissingError,
        "not on this machine",
    ),
    "a locked crate is not there": (
        "error: failed to download `itoa v1.0.15`\n\nCaused by:\n  attempting to make an HTTP request, but "
        "--offline was specified\n",
        DependenciesMissingError,
        "not on this machine",
    ),
    "the lock is behind": (
        "error: cannot update the lock file /x/Cargo.lock because --locked was passed to prevent this\n",
        BuildError,
        "Cargo.lock does not match",
    ),
    "no linker": (
        "error: linker `cc` not found\n  |\n  = note: No such file or directory (os error 2)\n\n"
        'error: could not compile `app` (bin "app") due to 1 previous error\n',
        ToolchainError,
        "linker `cc` not found",
    ),
    "too old for a dependency": (
        "error: rustc 1.70.0 is not supported by the following packages:\n  clap@4.5.0 requires rustc 1.74\n",
        ToolchainError,
        "not supported",
    ),
    "too old for the package": (
        "error: package `app v0.1.0 (/x)` cannot be built because it requires rustc 1.99 or newer, while the "
        "currently active rustc version is 1.95.0\n",
        ToolchainError,
        "requires rustc 1.99",
    ),
    "rustup has no such toolchain": (
        "error: toolchain '1.60.0-x86_64-unknown-linux-gnu' is not installed\nhelp: run `rustup toolchain install`\n",
        ToolchainError,
        "1.60.0",
    ),
    "the disk is full": (
        "error: failed to write `/x/target/debug/.fingerprint/a`\n\nCaused by:\n  No space left on device "
        "(os error 28)\n",
        StoreError,
        "No space left",
    ),
    "a source that talks about a full disk": (
        'error: mismatched types: "No space left on device (os error 28)"\n'
        "error: could not compile `app` (lib) due to 1 previous error\n",
        BuildError,
        "could not compile",
    ),
    "silence": ("", BuildError, "exit code 101"),
}


def ended(stderr: str) -> CompletedCommand:
    return CompletedCommand(argv=("cargo",), exit_code=101, stdout="", stderr=stderr, duration_s=0)


@pytest.mark.parametrize("case", SAID)
def test_what_cargo_says(case: str) -> None:
    stderr, kind, word = SAID[case]
    error = failure(ended(stderr), "cargo build")
    assert type(error) is kind
    assert word in error.message
    assert (error.output or "") == stderr.rstrip("\n") or (error.output or "") == stderr


def test_fetch_gives_fetch_errors() -> None:
    for case in ("a crate is not there", "the lock is behind", "silence"):
        assert type(failure(ended(SAID[case][0]), "cargo fetch", FetchError)) is FetchError


@pytest.fixture
def rustup(tmp_path: Path) -> Callable[..., BuildContext]:
    """A context whose cargo is a shim of a rustup with the given toolchains; nothing is ever run."""

    def make(*toolchains: str, shim: bool = True, settings: str = "", **environment: str) -> BuildContext:
        home, binaries, source = tmp_path / "rustup", tmp_path / "bin", tmp_path / "source"
        for folder in (home / "toolchains", binaries, source):
            folder.mkdir(parents=True)
        for name in toolchains:
            (home / "toolchains" / name).mkdir()
        (home / "settings.toml").write_text(settings.format(source=source))
        (binaries / "cargo").touch()
        if shim:
            (binaries / "rustup").touch()
        return BuildContext(
            source_root=source,
            output_dir=tmp_path,
            work_dir=tmp_path,
            tools={"cargo": Tool(name="cargo", version="1", path=binaries / "cargo")},
            environment={"RUSTUP_HOME": str(home), **environment},
            runner=RecordingRunner(scripted_only=True),
            progress=Warnings(),
        )

    return make


class Warnings:
    """Progress that keeps warnings."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, text: str) -> None: ...

    def line(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def warning(self, text: str) -> None:
        self.said.append(text)


def test_a_pinned_toolchain_that_is_missing(rustup: Callable[..., BuildContext]) -> None:
    context = rustup("stable-x86_64-unknown-linux-gnu", "1.60.10-x86_64-unknown-linux-gnu")
    with pytest.raises(ToolchainError) as raised:
        check_channel(context, "1.60.1", "rust-toolchain.toml", ".")
    assert raised.value.message == "rust-toolchain.toml pins Rust 1.60.1, which is not installed"
    assert raised.value.hint == "rustup toolchain install 1.60.1"
    assert "1.60.10" in (raised.value.output or "")


@pytest.mark.parametrize("channel", ["1.74.1", "1.74.1-x86_64-unknown-linux-gnu"])
def test_a_pinned_toolchain_that_is_there(channel: str, rustup: Callable[..., BuildContext]) -> None:
    context = rustup("1.74.1-x86_64-unknown-linux-gnu")
    check_channel(context, channel, "rust-toolchain", ".")
    assert isinstance(context.progress, Warnings)
    assert context.progress.said == []


def test_what_outranks_the_file(rustup: Callable[..., BuildContext]) -> None:
    check_channel(rustup(RUSTUP_TOOLCHAIN="nightly"), "1.60.1", "rust-toolchain", ".")


def test_a_directory_override_outranks_the_file(rustup: Callable[..., BuildContext]) -> None:
    context = rustup(settings='[overrides]\n"{source}" = "stable"\n')
    check_channel(context, "1.60.1", "rust-toolchain", ".")


def test_a_cargo_that_is_not_rustups_ignores_the_file_and_we_say_so(rustup: Callable[..., BuildContext]) -> None:
    context = rustup(shim=False)
    check_channel(context, "1.60.1", "rust-toolchain.toml", ".")
    assert isinstance(context.progress, Warnings)
    (said,) = context.progress.said
    assert "only rustup honours" in said


def test_tools_found_elsewhere_are_appended_to_path(rustup: Callable[..., BuildContext]) -> None:
    context = rustup(PATH="/usr/bin")
    path = cargo_environment(context)["PATH"].split(os.pathsep)
    assert path == ["/usr/bin", str(context.tool("cargo").path.parent)]


def test_the_callers_target_folder_is_respected(rustup: Callable[..., BuildContext]) -> None:
    context = rustup(CARGO_TARGET_DIR="build/out")
    assert target_dir(context) == context.source_root / "build/out"
