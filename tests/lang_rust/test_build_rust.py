"""Fetch, build and clean with the real cargo. Packages without dependencies, so that compiling stays quick."""

from __future__ import annotations

import ctypes
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import (
    BuildError,
    DependenciesMissingError,
    FetchError,
    FlowctlError,
    StoreError,
    ToolchainError,
)
from flowctl_core.models import LanguageSettings, Platform
from flowctl_core.testing import commit_all, write_project
from flowctl_lang_rust.plugin import plugin

Make = Callable[..., Any]

pytestmark = pytest.mark.requires_tool("cargo", "rustc", "cc")

PACKAGE = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'
LOCK = 'version = 3\n\n[[package]]\nname = "{}"\nversion = "0.1.0"\n'
SAY = 'fn main() {{ println!("{}"); }}\n'


def app(name: str = "app", says: str = "hello") -> dict[str, str]:
    return {
        "Cargo.toml": PACKAGE.format(name),
        "Cargo.lock": LOCK.format(name),
        "src/main.rs": SAY.format(says),
    }


def run(path: Path) -> str:
    return subprocess.run([path], capture_output=True, text=True, check=True).stdout.strip()


def files_of(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and ".flowctl" not in path.parts
    }


def test_a_program(bench: Make) -> None:
    project = bench(app())
    before = files_of(project.root)
    project.fetch()
    result = project.build()
    (program,) = project.made(result)
    (artifact,) = result.artifacts
    assert (artifact.path, artifact.kind, artifact.platform) == (
        ".flowctl/staging/component",  # named like the component, whatever cargo calls it
        "program",
        Platform.host(),
    )
    assert program.stat().st_mode & stat.S_IXUSR
    assert run(program) == "hello"
    assert files_of(project.root) == before
    assert plugin.flowctl_clean(project.plan(), project.context(project.plan())).removed == ()


def test_a_changed_source_is_built_again_and_the_old_artifact_is_untouched(bench: Make) -> None:
    project = bench(app())
    (program,) = project.made(project.build())
    kept = program.rename(project.root / ".flowctl" / "kept")
    (project.root / "src/main.rs").write_text(SAY.format("changed"))
    (program,) = project.made(project.build())
    assert (run(program), run(kept)) == ("changed", "hello")


def test_in_a_folder_with_spaces_and_other_letters(bench: Make) -> None:
    project = bench(app(), name="ein Ordner für Übung 数据")
    (program,) = project.made(project.build(project.plan("app")))
    assert run(program) == "hello"


def test_one_of_several_programs(bench: Make) -> None:
    files = app() | {"src/bin/other.rs": SAY.format("other")}
    project = bench(files, main="other")
    result = project.build()
    assert [path.name for path in project.made(result)] == ["component"]
    assert run(project.made(result)[0]) == "other"


def test_a_member_of_a_virtual_workspace(bench: Make) -> None:
    files = {
        "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["services/*"]\n',
        "Cargo.lock": 'version = 3\n\n[[package]]\nname = "sink"\nversion = "0.1.0"\n\n'
        '[[package]]\nname = "source"\nversion = "0.1.0"\n',
    }
    for name in ("source", "sink"):
        files |= {
            f"services/{name}/Cargo.toml": PACKAGE.format(name) + '[[bin]]\nname = "run"\npath = "src/main.rs"\n',
            f"services/{name}/src/main.rs": SAY.format(name),
        }
    project = bench(files, main="services/sink")
    (program,) = project.made(project.build())
    assert (program.name, run(program)) == ("component", "sink")


def test_a_member_below_its_workspace_uses_the_lock_above(bench: Make) -> None:
    project = bench(
        {
            "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["sink"]\n[workspace.package]\nedition = "2021"\n',
            "Cargo.lock": LOCK.format("sink"),
            "sink/Cargo.toml": PACKAGE.format("sink").replace('edition = "2021"', "edition.workspace = true"),
            "sink/src/main.rs": SAY.format("sink"),
        }
    )
    project.root /= "sink"
    before = files_of(project.root.parent)
    plan = project.plan()
    assert "outside the source tree" in plan.warnings[0]
    project.fetch(plan)
    assert project.progress.warnings == []
    (program,) = project.made(project.build(plan))
    assert run(program) == "sink"
    assert files_of(project.root.parent) == before


def test_a_cdylib_is_a_library_that_can_be_loaded(bench: Make) -> None:
    project = bench(
        {
            "Cargo.toml": PACKAGE.format("my-lib") + '[lib]\ncrate-type = ["cdylib", "staticlib", "rlib"]\n',
            "Cargo.lock": LOCK.format("my-lib"),
            "src/lib.rs": '#[no_mangle]\npub extern "C" fn answer() -> i32 { 42 }\n',
        }
    )
    result = project.build()
    suffix = "dylib" if sys.platform == "darwin" else "so"
    assert {
        (path.name, artifact.kind) for path, artifact in zip(project.made(result), result.artifacts, strict=True)
    } == {
        (f"libmy_lib.{suffix}", "library"),
        ("libmy_lib.a", "library"),
    }
    assert [path.name for path in project.made(result)] == [e.name for e in project.plan().entry_points]
    (shared,) = (path for path in project.made(result) if path.suffix == f".{suffix}")
    assert ctypes.CDLL(str(shared)).answer() == 42


def test_release_profile_and_build_args(bench: Make) -> None:
    main = 'fn main() { println!("{} {}", cfg!(debug_assertions), cfg!(feature = "extra")); }\n'
    manifest = PACKAGE.format("app") + "[features]\nextra = []\n"
    files = app() | {"Cargo.toml": manifest, "src/main.rs": main}
    project = bench(files, profile="release", settings=LanguageSettings(build_args=("--features", "extra")))
    (program,) = project.made(project.build())
    assert run(program) == "false true"


def test_a_program_that_requires_a_feature_gets_it(bench: Make) -> None:
    manifest = PACKAGE.format("app") + '[features]\ngui = []\n[[bin]]\nname = "window"\nrequired-features = ["gui"]\n'
    files = app() | {"Cargo.toml": manifest, "src/bin/window.rs": SAY.format("window")}
    project = bench(files, main="window")
    assert run(project.made(project.build())[0]) == "window"


def test_a_build_script_runs_and_its_variables_arrive(bench: Make) -> None:
    files = app() | {
        "build.rs": 'fn main() { println!("cargo::rustc-env=BUILT=yes"); }\n',
        "src/main.rs": 'fn main() { println!("{}", env!("BUILT")); }\n',
    }
    project = bench(files)
    assert run(project.made(project.build())[0]) == "yes"


def test_the_callers_target_folder_is_used(bench: Make, tmp_path: Path) -> None:
    project = bench(app(), environment={"CARGO_TARGET_DIR": str(tmp_path / "shared target")})
    assert run(project.made(project.build())[0]) == "hello"
    assert (tmp_path / "shared target" / "debug" / "app").exists()
    assert not (project.root / ".flowctl/work/target").exists()


def test_a_compile_error_is_shown_whole(bench: Make) -> None:
    project = bench(app() | {"src/main.rs": 'fn main() {\n    let größe: u8 = "nein";\n}\n'})
    with pytest.raises(BuildError) as raised:
        project.build()
    assert type(raised.value) is BuildError
    assert "could not compile `app`" in raised.value.message
    output = raised.value.output or ""
    assert "error[E0308]" in output
    assert "src/main.rs:2:21" in output
    assert 'let größe: u8 = "nein";' in output
    assert '{"reason"' not in output
    assert "\x1b" not in output
    assert not any('{"reason"' in line for line in project.progress.lines)
    assert any("error[E0308]" in line for line in project.progress.lines)
    assert list((project.root / ".flowctl/staging").iterdir()) == []


def test_a_broken_build_script(bench: Make) -> None:
    project = bench(app() | {"build.rs": 'fn main() { panic!("protoc is missing"); }\n'})
    with pytest.raises(BuildError) as raised:
        project.build()
    assert "failed to run custom build command for `app" in raised.value.message
    assert "protoc is missing" in (raised.value.output or "")


def test_build_args_that_make_something_else(bench: Make) -> None:
    project = bench(app(), settings=LanguageSettings(build_args=("--config", "nonsense")))
    with pytest.raises(BuildError, match="cargo build failed"):
        project.build()


def test_a_manifest_that_wants_a_newer_rust(bench: Make) -> None:
    files = app() | {"Cargo.toml": PACKAGE.format("app") + 'rust-version = "1.999"\n'}
    project = bench(files)
    assert project.plan().toolchain[0].version == ">=1.999"
    with pytest.raises(ToolchainError, match=r"1\.999"):
        project.build()


def test_a_pinned_toolchain_that_is_not_installed(bench: Make) -> None:
    project = bench(app() | {"rust-toolchain.toml": '[toolchain]\nchannel = "1.33.0"\n'})
    plan = project.plan()
    context = project.context(plan)
    if not (context.tool("cargo").path.parent / "rustup").exists():
        plugin.flowctl_build(plan, context)  # a cargo that is not rustup's ignores the file
        assert "only rustup honours" in project.progress.warnings[0]
        return
    with pytest.raises(ToolchainError) as raised:
        plugin.flowctl_build(plan, context)
    assert raised.value.hint == "rustup toolchain install 1.33.0"


# Dependencies: a git repository on this machine stands for the network, an empty CARGO_HOME for a fresh machine.


@pytest.fixture
def dependency(tmp_path: Path) -> str:
    root = write_project(
        tmp_path / "greeting",
        {
            "Cargo.toml": PACKAGE.format("greeting"),
            "src/lib.rs": 'pub fn greeting() -> &\'static str { "from afar" }\n',
        },
    )
    commit_all(root)
    return root.as_uri()


def uses(dependency: str) -> dict[str, str]:
    return {
        "Cargo.toml": PACKAGE.format("app") + f'[dependencies]\ngreeting = {{ git = "{dependency}" }}\n',
        "src/main.rs": 'fn main() { println!("{}", greeting::greeting()); }\n',
    }


def fresh_home(tmp_path: Path) -> dict[str, str]:
    """An empty CARGO_HOME, with rustup's own home where it was."""
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    return {"CARGO_HOME": str(tmp_path / "cargo home"), "RUSTUP_HOME": rustup}


def test_fetch_then_build_without_network(bench: Make, tmp_path: Path, dependency: str) -> None:
    project = bench(uses(dependency), environment=fresh_home(tmp_path))
    project.fetch()
    assert "there is no Cargo.lock" in project.progress.warnings[0]
    assert (project.root / "Cargo.lock").is_file()
    lock = (project.root / "Cargo.lock").read_bytes()
    project.fetch()
    assert len(project.progress.warnings) == 1
    assert run(project.made(project.build())[0]) == "from afar"
    assert (project.root / "Cargo.lock").read_bytes() == lock


def without_lock() -> dict[str, str]:
    return {"Cargo.toml": PACKAGE.format("app"), "src/main.rs": "fn main() {}\n"}


def test_clean_removes_the_lockfile_that_was_not_there_before(bench: Make) -> None:
    project = bench(without_lock())
    project.fetch()
    project.build()
    assert project.clean() == ("Cargo.lock",)
    assert not (project.root / "Cargo.lock").exists()
    assert project.clean() == ()


def test_a_lockfile_that_only_the_tests_write_is_cleaned_too(bench: Make) -> None:
    project = bench(without_lock())
    project.test()
    assert (project.root / "Cargo.lock").is_file()
    assert project.clean() == ("Cargo.lock",)


def test_clean_leaves_the_developers_lockfile(bench: Make) -> None:
    project = bench(without_lock() | {"Cargo.lock": LOCK.format("app")})
    project.fetch()
    project.build()
    project.test()
    assert project.clean() == ()
    assert (project.root / "Cargo.lock").read_text() == LOCK.format("app")


def test_clean_leaves_a_lockfile_that_was_changed_replaced_or_is_tracked(bench: Make, tmp_path: Path) -> None:
    project = bench(without_lock())
    lock = project.root / "Cargo.lock"
    project.fetch()
    written = lock.read_text()
    lock.write_text(f"{written}# mine\n")
    assert project.clean() == ()
    lock.unlink()
    (tmp_path / "shared.lock").write_text(written)
    lock.symlink_to(tmp_path / "shared.lock")
    assert project.clean() == ()
    lock.unlink()
    lock.write_text(written)
    subprocess.run(["git", "-C", str(project.root), "init", "-q"], check=True)
    subprocess.run(["git", "-C", str(project.root), "add", "Cargo.lock"], check=True)
    assert project.clean() == ()
    assert lock.read_text() == written


def test_a_build_without_its_dependencies_asks_for_fetch(bench: Make, tmp_path: Path, dependency: str) -> None:
    project = bench(uses(dependency), environment=fresh_home(tmp_path))
    project.fetch()
    project.environment["CARGO_HOME"] = str(tmp_path / "another home")
    for hook in (project.build, project.test):
        with pytest.raises(DependenciesMissingError) as raised:
            hook()
        assert "greeting" in (raised.value.output or "")
    project.fetch()
    project.build()


def test_fetch_offline_says_what_is_missing(bench: Make, tmp_path: Path) -> None:
    lock = LOCK.format("app").replace('version = "0.1.0"\n', 'version = "0.1.0"\ndependencies = ["itoa"]\n') + (
        '\n[[package]]\nname = "itoa"\nversion = "1.0.15"\n'
        'source = "registry+https://github.com/rust-lang/crates.io-index"\n'
        'checksum = "4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c"\n'
    )
    files = app() | {"Cargo.toml": PACKAGE.format("app") + '[dependencies]\nitoa = "1"\n', "Cargo.lock": lock}
    project = bench(files, environment=fresh_home(tmp_path), offline=True)
    with pytest.raises(FetchError) as raised:
        project.fetch()
    assert "itoa" in (raised.value.output or "")
    assert "--offline" in (raised.value.hint or "")
    with pytest.raises(DependenciesMissingError):
        project.build()


def test_fetch_of_a_source_that_does_not_exist(bench: Make, tmp_path: Path) -> None:
    environment = fresh_home(tmp_path) | {"CARGO_NET_RETRY": "0"}
    project = bench(uses((tmp_path / "nowhere").as_uri()), environment=environment)
    with pytest.raises(FetchError) as raised:
        project.fetch()
    assert "nowhere" in (raised.value.output or "")


def test_a_lock_that_is_behind_its_manifest(bench: Make, dependency: str, tmp_path: Path) -> None:
    project = bench(app() | {"Cargo.toml": uses(dependency)["Cargo.toml"]}, environment=fresh_home(tmp_path))
    lock = (project.root / "Cargo.lock").read_bytes()
    with pytest.raises(FetchError) as raised:
        project.fetch()
    assert raised.value.message == "Cargo.lock does not match Cargo.toml"
    assert "cargo update" in (raised.value.hint or "")
    with pytest.raises(FlowctlError):
        project.build()
    assert (project.root / "Cargo.lock").read_bytes() == lock


def test_vendored_crates_need_no_fetch(bench: Make, tmp_path: Path) -> None:
    vendored = PACKAGE.format("tiny")
    files = app() | {
        "Cargo.toml": PACKAGE.format("app") + '[dependencies]\ntiny = "0.1"\n',
        "Cargo.lock": LOCK.format("app").replace('0.1.0"\n', '0.1.0"\ndependencies = ["tiny"]\n')
        + '\n[[package]]\nname = "tiny"\nversion = "0.1.0"\n'
        'source = "registry+https://github.com/rust-lang/crates.io-index"\n'
        f'checksum = "{"0" * 64}"\n',
        ".cargo/config.toml": '[source.crates-io]\nreplace-with = "vendored"\n'
        '[source.vendored]\ndirectory = "vendor"\n',
        "vendor/tiny/Cargo.toml": vendored,
        "vendor/tiny/src/lib.rs": "pub const N: u8 = 7;\n",
        "vendor/tiny/.cargo-checksum.json": json.dumps({"files": {}, "package": "0" * 64}),
        "src/main.rs": 'fn main() { println!("{}", tiny::N); }\n',
    }
    project = bench(files, environment=fresh_home(tmp_path), offline=True)
    project.fetch()
    assert run(project.made(project.build())[0]) == "7"


def test_an_output_that_cannot_be_written(bench: Make) -> None:
    project = bench(app())
    plan = project.plan()
    context = project.context(plan)
    (context.output_dir / "component" / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError, match="component could not be written"):
        plugin.flowctl_build(plan, context)
    assert [path.name for path in context.output_dir.iterdir()] == ["component"]
