"""A Python package whose code is Rust, built by maturin."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_lang_python import leftovers

Bench = Callable[..., Any]

PYPROJECT = """\
[build-system]
requires = ["maturin>=1.7,<2"]
build-backend = "maturin"
[project]
name = "sample"
version = "1.0.0"
requires-python = ">=3.9"
[project.scripts]
sample = "sample.cli:main"
[tool.maturin]
python-source = "python"
module-name = "sample._native"
features = ["pyo3/extension-module"]
"""

CARGO = """\
[package]
name = "sample"
version = "1.0.0"
edition = "2021"
[lib]
name = "_native"
crate-type = ["cdylib"]
[dependencies]
pyo3 = "0.23"
[workspace]
"""

RUST = """\
use pyo3::prelude::*;

#[pyfunction]
fn greeting() -> &'static str { "hello" }

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(greeting, module)?)
}
"""


@pytest.mark.requires_tool("cargo", "rustc", "cc")
def test_rust_in_python_builds_changes_and_cleans(bench: Bench) -> None:
    project = bench(
        {
            "pyproject.toml": PYPROJECT,
            "Cargo.toml": CARGO,
            "src/lib.rs": RUST,
            "python/sample/__init__.py": "",
            "python/sample/cli.py": "from sample._native import greeting\ndef main():\n    print(greeting())\n",
        }
    )
    before = {path for path in project.root.rglob("*") if path.is_file()}
    made = project.build().artifacts
    # Without it the environment would be of no use: it belongs into the cache.
    assert [Path(one.path).parent.as_posix() for one in made if one.kind == "library"] == ["python/sample"]
    assert project.run().stdout == "hello\n"
    (project.root / "src" / "lib.rs").write_text(RUST.replace('"hello"', '"changed"'))
    assert project.build().artifacts == made
    assert project.run().stdout == "changed\n"
    removed = project.clean()
    assert "target" in removed
    assert any(path.endswith(".so") for path in removed)
    after = {path for path in project.root.rglob("*") if path.is_file() and ".flowctl" not in path.parts}
    assert after == before


OPTIONAL_CRATE = """\
[build-system]
requires = ["maturin>=1.7,<2"]
build-backend = "maturin"
[project]
name = "sample"
version = "1.0.0"
[tool.maturin]
bindings = "bin"
features = ["either/serde"]
"""


@pytest.mark.requires_tool("cargo", "rustc", "cc")
def test_crates_that_only_the_backends_features_want(bench: Bench, tmp_path: Path) -> None:
    """`cargo fetch` brings what Cargo.toml wants; a feature that maturin adds may want more."""
    cargo = '[package]\nname = "sample"\nversion = "1.0.0"\nedition = "2021"\n'
    project = bench(
        {
            "pyproject.toml": OPTIONAL_CRATE,
            "Cargo.toml": cargo + '[dependencies]\neither = "=1.15.0"\n[workspace]\n',
            "src/main.rs": 'fn main() { println!("{}", either::Either::<u8, u8>::Left(7)); }\n',
        }
    )
    home = tmp_path / "cargo-home"
    home.mkdir()
    project.environment["CARGO_HOME"] = str(home)  # no crate is on this machine yet
    project.fetch()
    project.build()
    assert subprocess.check_output([project.root / ".flowctl/env/bin/sample"], text=True) == "7\n"


def test_what_a_backend_writes_over_is_output_and_stays(bench: Bench) -> None:
    """A module that the developer compiled before is part of the build from then on, and still the developer's."""
    files = {"pyproject.toml": PYPROJECT, "Cargo.toml": CARGO, "python/sample/__init__.py": ""}
    project = bench(files | {"python/sample/mine.so": "mine", "python/sample/untouched.so": "untouched"})
    package = project.root / "python/sample"
    plan = project.plan()
    context = project.context(plan)
    with leftovers.watched(plan, context):
        (package / "mine.so").write_text("written anew")
        for name in ("new.so", "staged.so"):
            (package / name).write_text(name)
        (project.root / "target").mkdir()
        (project.root / "target/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
        (project.root / "target/deep.so").write_text("intermediate")
    written = [f"python/sample/{name}.so" for name in ("mine", "new", "staged")]
    assert leftovers.compiled(context) == tuple(written)
    subprocess.run(["git", "-C", str(project.root), "init", "-q"], check=True)
    subprocess.run(["git", "-C", str(project.root), "add", "python/sample/staged.so"], check=True)
    assert project.clean() == ("python/sample/new.so", "target")
    assert sorted(path.name for path in package.glob("*.so")) == ["mine.so", "staged.so", "untouched.so"]
