"""A stranger's builder, as a real wheel in a fresh environment beside core: no change to core is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.testing.conformance.releasing import ReleaseRules

ROOT = Path(__file__).parents[2]
PROJECTS = ROOT / "tests" / "projects"


def _run(*command: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "FLOWCTL_"))
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def _ok(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = _run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _wheel(source: Path, folder: Path) -> Path:
    """Build the wheel of a source tree, from a copy, so that nothing is written beside the sources."""
    copy = shutil.copytree(
        source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "dist", ".flowctl", "*.egg-info")
    )
    _ok(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "wheels", copy)
    (wheel,) = (folder / "wheels").glob(f"{source.name.replace('-', '_')}-*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of a fresh environment with the wheels of flowctl-core (with its test kit) and of the shell builder."""
    folder = tmp_path_factory.mktemp("third-party")
    core = _wheel(ROOT / "flowctl-core", folder)
    builder = _wheel(PROJECTS / "flowctl-lang-sh", folder)
    _ok(sys.executable, "-m", "venv", folder / "venv")
    commands = folder / "venv" / "bin"
    installed = _run(commands / "pip", "install", "--quiet", f"{core}[testing]", builder)
    if installed.returncode != 0 and "Failed to establish a new connection" in installed.stderr:
        if os.environ.get("CI"):
            pytest.fail(f"no package registry, and CI is set: {installed.stderr}")
        pytest.skip("no package registry can be reached")
    assert installed.returncode == 0, installed.stderr
    return commands


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECTS / "sh-greeting", tmp_path / "greeting"))


@pytest.fixture
def flowctl(environment: Path, tmp_path: Path) -> Any:
    """`flowctl(*arguments, cwd=…)` gives what the command printed as JSON."""

    def run(*arguments: str, cwd: Path) -> Any:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        text = _ok(
            environment / "flowctl", *arguments, "-o", "json", cwd=cwd, HOME=str(home), FLOWCTL_CACHE_DIR=str(home)
        )
        return json.loads(text)

    return run


def test_the_plugin_is_listed_beside_cores_own(flowctl: Any, tmp_path: Path):
    plugins = {plugin["name"]: plugin for plugin in flowctl("plugin", "list", cwd=tmp_path)}
    assert {name for name, plugin in plugins.items() if plugin["kind"] == "builder"} == {"command", "sh"}
    found = plugins["sh"]
    assert (found["distribution"], found["version"]) == ("flowctl-lang-sh", "0.3.0")
    assert (found["state"], found["kind"], found["contract"]) == ("active", "builder", 1)
    assert found["digest"].startswith("sha256:") and len(found["digest"]) == 71
    assert "flowctl_build" in found["hooks"] and "flowctl_fetch" not in found["hooks"]


def test_detect_build_run_test_and_clean(flowctl: Any, project: Path):
    detection = flowctl("component", "detect", cwd=project)
    assert "sh.toml" in json.dumps(detection) and "flowctl-lang-sh" in json.dumps(detection)
    report = flowctl("component", "build", cwd=project)
    assert (report["language"], report["cache"], report["profile"]) == ("sh", "miss", "dev")
    (artifact,) = report["artifacts"]
    assert artifact["kind"] == "program" and artifact["digest"].startswith("sha256:") and artifact["size"] > 0
    assert _ok(project / "greeting", "Ada", cwd=project) == "hello Ada\n"
    assert flowctl("component", "build", cwd=project)["cache"] == "fresh"
    tests = flowctl("component", "test", cwd=project)["tests"]
    assert (tests["passed"], tests["failed"], tests["skipped"]) == (2, 0, 1)
    flowctl("component", "clean", cwd=project)
    assert sorted(path.name for path in project.iterdir()) == ["lib", "main.sh", "sh.toml", "tests"]
    assert flowctl("component", "build", cwd=project)["cache"] == "hit"
    assert _ok(project / "greeting", "again", cwd=project) == "hello again\n"


def test_a_change_builds_again(flowctl: Any, project: Path):
    flowctl("component", "build", cwd=project)
    (project / "lib" / "greet.sh").write_text('greet() { echo "goodbye $1"; }\n')
    assert flowctl("component", "build", cwd=project)["cache"] == "miss"
    assert _ok(project / "greeting", "Ada", cwd=project) == "goodbye Ada\n"


def test_the_conformance_suite_passes_in_that_environment(environment: Path, tmp_path: Path):
    """As its author runs it: pytest of that environment, nothing of this checkout importable."""
    shutil.copytree(PROJECTS / "sh-greeting", tmp_path / "sh-greeting")
    (tmp_path / "author").mkdir()
    suite = shutil.copy(PROJECTS / "flowctl-lang-sh" / "conformance.py", tmp_path / "author" / "test_conformance.py")
    command = (environment / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", suite)
    output = _ok(*command, cwd=tmp_path / "author", HOME=str(tmp_path))
    rules = [name for name in vars(ReleaseRules) if name.startswith("test_")]
    assert f" passed, {len(rules)} skipped" in output and "failed" not in output, output  # it makes no releases


def test_an_editable_checkout_of_this_project_is_not_what_ran(environment: Path):
    where = _ok(environment / "python", "-c", "import flowctl_core; print(flowctl_core.__file__)").strip()
    assert Path(where).is_relative_to(environment.parent)


def test_removing_the_plugin_removes_the_language(environment: Path, flowctl: Any, project: Path, tmp_path: Path):
    """The last test of the module: it changes the environment."""
    _ok(environment / "pip", "uninstall", "--quiet", "--yes", "flowctl-lang-sh")
    plugins = flowctl("plugin", "list", cwd=tmp_path)
    assert [plugin["name"] for plugin in plugins if plugin["kind"] == "builder"] == ["command"]
    done = _run(environment / "flowctl", "component", "build", "-o", "json", cwd=project, HOME=str(tmp_path))
    assert done.returncode == 20
    assert json.loads(done.stdout)["error"]["code"] == "nothing-detected"
