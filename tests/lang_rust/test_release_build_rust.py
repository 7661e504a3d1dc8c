"""Release builds with the real cargo, zig and, for linux/arm64, a Rust that has its standard library."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.models import LanguageSettings, Platform, PlatformOutcome
from flowctl_core.package.binary import check_artifact
from flowctl_lang_rust.plugin import plugin

Make = Callable[..., Any]

pytestmark = pytest.mark.requires_tool("cargo", "rustc", "cc", "cargo-zigbuild")

LINUX = ("linux/amd64", "linux/arm64")
PACKAGE = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'
LOCK = 'version = 3\n\n[[package]]\nname = "{}"\nversion = "0.1.0"\n'


def app(main: str = 'fn main() { println!("hello"); }\n', manifest: str = "") -> dict[str, str]:
    return {"Cargo.toml": PACKAGE.format("app") + manifest, "Cargo.lock": LOCK.format("app"), "src/main.rs": main}


def release(bench: Make, files: dict[str, str], **fields: object) -> Any:
    return bench(files, **{"profile": "release", "platforms": LINUX[:1], **fields})


def made(project: Any, outcome: PlatformOutcome) -> Path:
    assert outcome.failure is None, f"{outcome.failure}\n{outcome.output}"
    (artifact,) = outcome.artifacts
    return project.root / artifact.path  # type: ignore[no-any-return]


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    emulator = ["qemu-aarch64-static"] if "linux-arm64" in str(path) and os.uname().machine != "aarch64" else []
    return subprocess.run([*emulator, path, *arguments], capture_output=True, text=True)


# A program with everything that leaks folders: panics in it and in a crate, C that names its file, generated code,
# a path dependency outside the workspace.
LEAKY = {
    "app/Cargo.toml": PACKAGE.format("app")
    + 'build = "build.rs"\n[workspace]\n[dependencies]\nbeside = { path = "../beside" }\nitoa = "1"\n'
    + '[build-dependencies]\ncc = "1"\n',
    "app/build.rs": """
use std::{env, fs, path::Path};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("made.rs"), "pub fn made(n: usize) -> u8 { [1u8, 2][n] }").unwrap();
    cc::Build::new().file("src/native.c").compile("native");
}
""",
    "app/src/native.c": """
#include <stdio.h>
const char *where(void) { return __FILE__; }
""",
    "app/src/main.rs": """
use std::ffi::CStr;
mod made { include!(concat!(env!("OUT_DIR"), "/made.rs")); }
extern "C" { fn where_() -> *const std::ffi::c_char; }
fn main() {
    let mut digits = itoa::Buffer::new();
    let count = std::env::args().count();
    println!("{} {} {}", file!(), beside::place(), digits.format(count));
    println!("{}", unsafe { CStr::from_ptr(where_()) }.to_str().unwrap());
    if count > 2 { beside::fall(count) }
    println!("{}", made::made(count));
}
""".replace("where_()", "r#where()"),
    "beside/Cargo.toml": PACKAGE.format("beside") + "[workspace]\n",
    "beside/src/lib.rs": """
pub fn place() -> &'static str { file!() }
pub fn fall(n: usize) { let nothing: Option<usize> = if n > 99 { Some(n) } else { None }; nothing.unwrap(); }
""",
}


def test_two_platforms_that_run_and_tell_no_folder(bench: Make, arm64_path: str) -> None:
    project = release(bench, LEAKY, platforms=LINUX, path=arm64_path, name="leaky")
    outcomes = project.release()
    said = []
    for platform, outcome in outcomes.items():
        program = made(project, outcome)
        facts = check_artifact(program, Platform(platform), "program")
        assert facts.glibc is not None and tuple(map(int, facts.glibc.split("."))) <= (2, 17)
        assert [material.name for material in outcome.materials] == ["zig", "cargo-zigbuild"]
        assert all(material.digest.startswith("sha256:") for material in outcome.materials)
        content = program.read_bytes()
        for folder in (project.root, project.root.parent, Path.home()):
            assert str(folder).encode() not in content, f"{platform} names {folder}"
        assert b".symtab" not in content  # stripped
        if platform == "linux/arm64" and shutil.which("qemu-aarch64-static") is None:
            continue
        fine, broken = run(program), run(program, "1", "2")
        said.append((fine.stdout, fine.returncode, broken.returncode, broken.stderr.splitlines()[0].split(" (")[0]))
        # The path of the C file is what the build script says: relative here, so nothing is left to map.
        assert fine.stdout.splitlines()[0].startswith("src/main.rs /source/beside/src/lib.rs 1")
        assert "/source/beside/src/lib.rs:3" in broken.stderr
    assert len(set(said)) == 1
    assert project.progress.warnings[1:] == []  # the first one tells that there was no Cargo.lock


def test_the_same_bytes_elsewhere(bench: Make, arm64_path: str, tmp_path: Path) -> None:
    """Another folder, HOME, CARGO_HOME, umask, time zone, language, number of jobs, and not incremental."""
    first = release(bench, LEAKY, platforms=LINUX, path=arm64_path, name="here", jobs=2)
    lock = first.root / "app/Cargo.lock"
    digests = [digest(made(first, outcome)) for outcome in first.release().values()]
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    moved = {
        "CARGO_HOME": str(tmp_path / "ein anderer Ort" / "cargo"),
        "RUSTUP_HOME": rustup,
        "TZ": "Pacific/Kiritimati",
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),  # zig's, which takes minutes
    }
    (tmp_path / "home").mkdir()
    second = release(
        bench,
        LEAKY | {"app/Cargo.lock": lock.read_text()},
        platforms=LINUX,
        path=arm64_path,
        name="ein Ordner für Übung/tiefer",
        environment=moved,
        jobs=1,
    )
    before = os.umask(0o077)
    try:
        again = [digest(made(second, outcome)) for outcome in second.release().values()]
    finally:
        os.umask(before)
    assert again == digests


def test_the_same_bytes_when_cargo_has_cleared_its_unpacked_crates_out(bench: Make, tmp_path: Path) -> None:
    home = tmp_path / "cargo home"
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    files = app(
        'fn main() { let n: usize = std::env::args().count() - 1; println!("{}", semver::Version::parse("1").is_ok()); '
        "smallvec::SmallVec::<[u8; 1]>::new().remove(n); }\n",
        '[dependencies]\nsemver = "1"\nsmallvec = "1"\n',
    )
    del files["Cargo.lock"]
    project = release(bench, files, environment={"CARGO_HOME": str(home), "RUSTUP_HOME": rustup})
    first = made(project, project.release()["linux/amd64"])
    assert "/cargo/registry/smallvec-" in run(first).stderr
    before = digest(first)
    shutil.rmtree(home / "registry/src")
    shutil.rmtree(project.root / ".flowctl/work")
    assert digest(made(project, project.release(fetch=False)["linux/amd64"])) == before


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_what_does_not_compile_for_one_platform_is_its_outcome(bench: Make, arm64_path: str) -> None:
    main = '#[cfg(target_arch = "aarch64")]\ncompile_error!("not for this one");\nfn main() {}\n'
    project = release(bench, app(main), platforms=LINUX, path=arm64_path)
    outcomes = project.release()
    assert outcomes["linux/amd64"].failure is None
    failed = outcomes["linux/arm64"]
    assert "could not compile `app`" in (failed.failure or "")
    assert "not for this one" in (failed.output or "")
    assert "src/main.rs:2" in (failed.output or "")
    assert failed.artifacts == ()


def test_a_plan_with_both_platforms_in_one_call(bench: Make, arm64_path: str) -> None:
    project = release(bench, app(), platforms=LINUX, path=arm64_path)
    plan = project.plan()
    plugin.flowctl_fetch(plan, project.release_context(plan))
    context = project.release_context(plan)
    outcomes = plugin.flowctl_build_multiplatform(plan, context).outcomes
    assert [str(outcome.platform) for outcome in outcomes] == [*LINUX]
    assert all(outcome.failure is None for outcome in outcomes)


def test_a_shared_library_of_a_workspace_and_its_second_program(bench: Make) -> None:
    files = {
        "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["tool", "plug-in"]\n',
        "Cargo.lock": LOCK.format("plug-in") + '\n[[package]]\nname = "tool"\nversion = "0.1.0"\n',
        "tool/Cargo.toml": PACKAGE.format("tool"),
        "tool/src/main.rs": 'fn main() { println!("first"); }\n',
        "tool/src/bin/second.rs": 'fn main() { println!("second"); }\n',
        "plug-in/Cargo.toml": PACKAGE.format("plug-in") + '[lib]\ncrate-type = ["cdylib", "rlib"]\n',
        "plug-in/src/lib.rs": '#[no_mangle]\npub extern "C" fn answer() -> i32 { 42 }\n',
    }
    project = release(bench, files, main="second", name="second")
    assert run(made(project, project.release()["linux/amd64"])).stdout == "second\n"
    project.main = "plug-in"
    outcome = project.release()["linux/amd64"]
    library = made(project, outcome)
    assert (library.name, outcome.artifacts[0].kind) == ("libplug_in.so", "library")
    assert check_artifact(library, Platform("linux/amd64"), "library").libraries
    if Platform.host() == "linux/amd64":
        assert ctypes.CDLL(str(library)).answer() == 42
    assert plugin.flowctl_image(project.plan(), outcome.artifacts[0]) is None


FLAGS = 'fn main() { println!("{} {} {}", cfg!(mine), cfg!(theirs), cfg!(declared)); }\n'
CHECK = '[lints.rust]\nunexpected_cfgs = "allow"\n'


def test_settings_of_the_machine_have_no_say_and_those_of_the_source_do(bench: Make, tmp_path: Path) -> None:
    home = tmp_path / "cargo home"
    home.mkdir()
    (home / "config.toml").write_text(
        '[build]\nrustflags = ["--cfg", "theirs"]\nrustc-wrapper = "/nowhere/wrapper"\ntarget = "wasm32-wasip1"\n'
        '[target.x86_64-unknown-linux-gnu]\nlinker = "/nowhere/linker"\nrustflags = ["--cfg", "theirs"]\n'
        '[profile.release]\nlto = true\n[env]\nMOOD = "bad"\n[source.local]\ndirectory = "/nowhere"\n'
    )
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    environment = {
        "CARGO_HOME": str(home),
        "RUSTUP_HOME": rustup,
        "RUSTFLAGS": "--cfg theirs",
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER": "/nowhere/linker",
        "CARGO_PROFILE_RELEASE_STRIP": "none",
        "RUSTC_WRAPPER": "/nowhere/wrapper",
        "CC": "/nowhere/cc",
    }
    files = app(FLAGS, CHECK) | {
        ".cargo/config.toml": '[target.\'cfg(target_os = "linux")\']\nrustflags = "--cfg mine"\n'
    }
    project = release(bench, files, environment=environment)
    told = [limitation for limitation in project.limitations() if limitation.platform is None]
    assert told[0].reason == (
        "CARGO_PROFILE_RELEASE_STRIP, CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER, CC, RUSTC_WRAPPER, RUSTFLAGS "
        "of your environment are left out of a release"
    )
    assert f"{home / 'config.toml'} sets profile.release.lto, env.MOOD" in told[1].reason
    plan = project.plan()
    # Fetching takes the user's settings, as ever; here there is nothing to fetch, and the wrapper would be asked.
    outcome = project.release(plan, fetch=False)["linux/amd64"]
    program = made(project, outcome)
    assert run(program).stdout == "true false false\n"
    assert b".symtab" not in program.read_bytes()


def test_flags_that_component_yaml_declares(bench: Make) -> None:
    files = app(FLAGS, CHECK) | {".cargo/config.toml": '[build]\nrustflags = ["--cfg", "mine"]\n'}
    project = release(bench, files)
    plan = project.plan()
    plan = plan.model_copy(update={"environment": {**plan.environment, "RUSTFLAGS": "--cfg declared"}})
    assert run(made(project, project.release(plan)["linux/amd64"])).stdout == "false false true\n"


def test_a_program_that_contains_the_folder_it_was_built_in_is_told(bench: Make) -> None:
    project = release(bench, app('fn main() { println!("{}", env!("CARGO_MANIFEST_DIR")); }\n'))
    project.release()
    assert any(str(project.root) in warning for warning in project.progress.warnings)


def test_without_zig_the_machines_own_compiler_links_for_it(bench: Make) -> None:
    host = Platform.host()
    project = release(bench, app(), platforms=(str(host),), hidden=("zig",))
    warned = [limitation for limitation in project.limitations() if limitation.platform is None]
    assert any("glibc" in limitation.reason for limitation in warned)
    outcome = project.release()[str(host)]
    assert run(made(project, outcome)).stdout == "hello\n"
    assert [material.name for material in outcome.materials] == ["cc"]


@pytest.mark.requires_tool("aarch64-linux-gnu-gcc")
def test_without_zig_a_cross_compiler_links_for_another(bench: Make, arm64_path: str) -> None:
    project = release(bench, app(), platforms=LINUX[1:], path=arm64_path, hidden=("zig",))
    assert [limitation for limitation in project.limitations() if limitation.platform] == []
    program = made(project, project.release()["linux/arm64"])
    assert check_artifact(program, Platform("linux/arm64"), "program").arch == "arm64"


def test_a_profile_of_the_users_takes_the_place_of_release(bench: Make) -> None:
    manifest = '[profile.dist]\ninherits = "release"\ndebug-assertions = true\n'
    files = app('fn main() { println!("{}", cfg!(debug_assertions)); }\n', manifest)
    project = release(bench, files, settings=LanguageSettings(build_args=("--profile", "dist")))
    program = made(project, project.release()["linux/amd64"])
    assert run(program).stdout == "true\n"
    assert b".symtab" not in program.read_bytes()


def test_a_library_of_the_system_that_is_not_there(bench: Make) -> None:
    main = '#[link(name = "nosuch")]\nextern "C" { fn nosuch(); }\nfn main() { unsafe { nosuch() } }\n'
    outcome = release(bench, app(main)).release()["linux/amd64"]
    assert outcome.failure == "nosuch is a library of the system, and zig links none of this machine's"
    assert "vendored" in (outcome.hint or "") and "nosuch" in (outcome.output or "")


def test_a_lock_that_is_behind_is_an_outcome(bench: Make) -> None:
    files = app() | {"Cargo.toml": PACKAGE.format("app") + '[dependencies]\nitoa = "1"\n'}
    project = release(bench, files)
    outcome = project.release(fetch=False)["linux/amd64"]
    assert outcome.failure == "Cargo.lock does not match Cargo.toml"
    assert "cargo update" in (outcome.hint or "")


def test_an_unpinned_glibc_that_the_user_asks_for(bench: Make) -> None:
    arguments = ("--target", "x86_64-unknown-linux-gnu.2.28")
    project = release(bench, app(), settings=LanguageSettings(build_args=arguments))
    outcome = project.release()["linux/amd64"]
    assert run(made(project, outcome)).stdout == "hello\n"
    assert any("--target x86_64-unknown-linux-gnu.2.28" in step for step in project.progress.steps)
