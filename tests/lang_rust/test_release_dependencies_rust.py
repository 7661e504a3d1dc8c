"""Crates of a release as package URLs, from the real cargo."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL

from flowctl_core.errors import DependenciesMissingError, SourceError
from flowctl_core.models import Artifact, Dependency, DependencyReport, LanguageSettings, Platform
from flowctl_core.testing import commit_all, write_project
from flowctl_lang_rust.plugin import plugin
from flowctl_lang_rust.release.checksums import read_checksums
from flowctl_lang_rust.release.dependencies import purl_of
from flowctl_lang_rust.release.metadata import Crate, Edge, Graph

Make = Callable[..., Any]

PACKAGE = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'


def crate(
    name: str, *, macro: bool = False, source: str | None = "registry+https://github.com/rust-lang/crates.io-index"
) -> Crate:
    return Crate(id=name, name=name, version="1.0.0", source=source, license="MIT", macro=macro)


def edges(text: str) -> tuple[Edge, ...]:
    """`a>b` runtime, `a+b` build, `a?b` test."""
    scopes = {">": "runtime", "+": "build", "?": "test"}
    return tuple(Edge(word[0], word[2], scopes[word[1]]) for word in text.split())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r>a a>b", {"a": "runtime", "b": "runtime"}),
        ("r+a a>b r>c c>b", {"a": "build", "b": "runtime", "c": "runtime"}),
        ("r?a a>b a+c", {"a": "test", "b": "test", "c": "test"}),
        ("r>m m>b", {"m": "build", "b": "build"}),  # m is a procedural macro
        ("r>m m>b r>b", {"m": "build", "b": "runtime"}),
        ("r>a a?b", {"a": "runtime"}),  # nobody runs a dependency's tests
        ("r>a a>b b>a", {"a": "runtime", "b": "runtime"}),
        ("a>b", {}),
        ("r?a r+b b>a", {"a": "build", "b": "build"}),
    ],
)
def test_the_strongest_purpose_counts(text: str, expected: dict[str, str]) -> None:
    crates = {name: crate(name, macro=name == "m") for name in "rabcm"}
    assert Graph("r", crates, edges(text)).scopes() == {"r": "runtime", **expected}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("registry+https://github.com/rust-lang/crates.io-index", "pkg:cargo/a@1.0.0"),
        ("sparse+https://index.crates.io/", "pkg:cargo/a@1.0.0"),
        ("sparse+https://crates.example/index/", "pkg:cargo/a@1.0.0?repository_url=https://crates.example/index/"),
        (
            "git+https://git.example/a.git?branch=main#0123456789abcdef0123456789abcdef01234567",
            "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps://git.example/a.git%400123456789abcdef0123456789abcdef01234567",
        ),
    ],
)
def test_package_urls(source: str, expected: str) -> None:
    made = purl_of(crate("a", source=source))
    assert PackageURL.from_string(made) == PackageURL.from_string(expected)


def test_checksums_of_an_old_lockfile_and_of_a_broken_one(tmp_path: Path) -> None:
    lock = tmp_path / "Cargo.lock"
    source = "registry+https://github.com/rust-lang/crates.io-index"
    lock.write_text(
        f'[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "{source}"\n'
        f'[[package]]\nname = "own"\nversion = "0.1.0"\n[metadata]\n"checksum a 1.0.0 ({source})" = "{"0" * 64}"\n'
    )
    assert read_checksums(lock) == {("a", "1.0.0", source): "0" * 64}
    for text in ("not toml [", "package = 3\n"):
        lock.write_text(text)
        if "[" in text:
            with pytest.raises(SourceError):
                read_checksums(lock)
        else:
            assert read_checksums(lock) == {}


pytest_real = pytest.mark.requires_tool("cargo", "rustc", "cc")


def listed(project: Any) -> DependencyReport:
    plan = project.plan()
    report = plugin.flowctl_dependencies(plan, project.release_context(plan))
    return DependencyReport.model_validate_json(report.model_dump_json())


def by_name(report: DependencyReport) -> dict[str, Dependency]:
    return {PackageURL.from_string(found.purl).name: found for found in report.dependencies}


@pytest_real
def test_what_a_program_is_made_of(bench: Make, tmp_path: Path) -> None:
    git = write_project(tmp_path / "greeting", {"Cargo.toml": PACKAGE.format("greeting"), "src/lib.rs": ""})
    commit = commit_all(git)
    files = {
        "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["app", "inner", "other"]\n',
        "app/Cargo.toml": PACKAGE.format("app")
        + '[features]\nextra = ["dep:hex"]\n'
        + '[dependencies]\ninner = { path = "../inner" }\nhex = { version = "0.4", optional = true }\n'
        + f'greeting = {{ git = "{git.as_uri()}" }}\n'
        + 'thiserror = "1"\n[target.\'cfg(target_os = "macos")\'.dependencies]\nfnv = "1"\n'
        + "[target.'cfg(windows)'.dependencies]\nryu = \"1\"\n"
        + '[build-dependencies]\nsemver = "1"\n[dev-dependencies]\nscopeguard = "1"\n',
        "app/src/main.rs": "fn main() {}\n",
        "app/build.rs": "fn main() {}\n",
        "inner/Cargo.toml": PACKAGE.format("inner")
        + '[dependencies]\nitoa = "1"\n[dev-dependencies]\nlazy_static = "1"\n',
        "inner/src/lib.rs": "",
        "other/Cargo.toml": PACKAGE.format("other") + '[dependencies]\nbase64 = "0.22"\n',
        "other/src/lib.rs": "",
    }
    settings = LanguageSettings(build_args=("--features", "extra"))
    project = bench(files, profile="release", platforms=("linux/amd64", "darwin/amd64"), main="app", settings=settings)
    project.fetch()
    report = listed(project)
    assert report.resolved_from == ("Cargo.lock", "cargo metadata")
    assert [found.purl for found in report.dependencies] == sorted(found.purl for found in report.dependencies)
    found = by_name(report)
    scopes = {name: one.scope for name, one in found.items()}
    # ryu is only for Windows, lazy_static tests another package, base64 belongs to another program.
    assert set(scopes) == {
        *("greeting", "hex", "fnv", "itoa", "semver", "scopeguard", "thiserror", "thiserror-impl"),
        *("proc-macro2", "quote", "syn", "unicode-ident"),
    }
    assert {name for name, scope in scopes.items() if scope == "runtime"} == {
        *("greeting", "hex", "fnv", "itoa", "thiserror"),
    }
    assert {name for name, scope in scopes.items() if scope == "test"} == {"scopeguard"}
    assert {name for name, one in found.items() if one.direct} == {
        *("greeting", "hex", "fnv", "itoa", "semver", "scopeguard", "thiserror"),
    }
    thiserror = found["thiserror"]
    assert found["thiserror-impl"].parents == (thiserror.purl,)
    assert found["thiserror-impl"].purl in found["syn"].parents
    assert thiserror.license == "MIT OR Apache-2.0"
    lock = (project.root / "Cargo.lock").read_text()
    assert thiserror.digest.startswith("sha256:") and thiserror.digest.removeprefix("sha256:") in lock
    git_purl = PackageURL.from_string(found["greeting"].purl)
    assert git_purl.qualifiers == {"vcs_url": f"git+{git.as_uri()}@{commit}"}
    assert found["greeting"].digest == ""


@pytest_real
def test_without_fetch_it_says_so(bench: Make, tmp_path: Path) -> None:
    files = {"Cargo.toml": PACKAGE.format("app") + '[dependencies]\nitoa = "1"\n', "src/main.rs": "fn main() {}\n"}
    project = bench(files, profile="release", platforms=("linux/amd64",))
    project.fetch()
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    project.environment = {"CARGO_HOME": str(tmp_path / "empty"), "RUSTUP_HOME": rustup}
    with pytest.raises(DependenciesMissingError):
        listed(project)


@pytest.mark.parametrize(("static", "base"), [(True, None), (False, "gcr.io/distroless/cc-debian12:nonroot")])
def test_the_image_of_a_program(bench: Make, static: bool, base: str | None) -> None:
    lock = 'version = 3\n\n[[package]]\nname = "openssl-probe"\nversion = "0.1.0"\n'
    files = {"Cargo.toml": PACKAGE.format("app"), "Cargo.lock": lock, "src/main.rs": "fn main() {}\n"}
    plan = bench(files, profile="release", platforms=("linux/amd64",)).plan()
    artifact = Artifact(path="dist/x", platform=Platform("linux/amd64"), static=static)
    image = plugin.flowctl_image(plan, artifact)
    assert image is not None
    assert (image.base, image.needs_certificates, image.entrypoint) == (base, True, ("/app/component",))
    assert [(file.source, file.target, file.mode) for file in image.files] == [("dist/x", "/app/component", 0o755)]
    darwin = artifact.model_copy(update={"platform": Platform("darwin/amd64")})
    assert plugin.flowctl_image(plan, darwin) is None
