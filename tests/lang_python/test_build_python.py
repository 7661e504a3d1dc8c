"""Builds real projects with real tools and runs what came out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import BuildError, DependenciesMissingError, FetchError
from flowctl_lang_python.plugin import plugin

Bench = Callable[..., Any]

CODE = """\
import sys

def main():
    import tomli
    print("hello", *sys.argv[1:], sys.stdin.read(), sep="|")
    return 3
"""

HATCHLING = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "sample"
version = "1.2.3"
requires-python = ">=3.9"
dependencies = ["tomli==2.0.1"]
[project.scripts]
sample = "sample_pkg:main"
"""

SETUPTOOLS = HATCHLING.replace("hatchling.build", "setuptools.build_meta").replace("hatchling", "setuptools>=61")

POETRY = """\
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry]
name = "sample"
version = "1.2.3"
description = ""
authors = []
packages = [{ include = "sample_pkg" }]
[tool.poetry.dependencies]
python = "^3.9"
tomli = "~2.0.1"
[tool.poetry.scripts]
sample = "sample_pkg:main"
"""

SETUP_PY = """\
from setuptools import setup
setup(
    name="sample",
    version="1.2.3",
    packages=["sample_pkg"],
    install_requires=["tomli==2.0.1"],
    entry_points={"console_scripts": ["sample = sample_pkg:main"]},
)
"""

FLIT = (
    HATCHLING.replace("hatchling.build", "flit_core.buildapi")
    .replace("hatchling", "flit_core>=3.8")
    .replace('name = "sample"', 'name = "sample_pkg"\ndescription = "a sample"')
)

PROJECTS: dict[str, dict[str, str]] = {
    "hatchling": {
        "pyproject.toml": HATCHLING + '[tool.hatch.build.targets.wheel]\npackages = ["sample_pkg"]\n',
        "sample_pkg/__init__.py": CODE,
    },
    "setuptools": {"pyproject.toml": SETUPTOOLS, "src/sample_pkg/__init__.py": CODE},
    "setup.py": {"setup.py": SETUP_PY, "sample_pkg/__init__.py": CODE},
    "computed setup.py": {
        "setup.py": SETUP_PY.replace('["tomli==2.0.1"]', 'open("wanted.txt").read().split()'),
        "wanted.txt": "tomli==2.0.1",
        "sample_pkg/__init__.py": CODE,
    },
    "poetry": {"pyproject.toml": POETRY, "sample_pkg/__init__.py": CODE},
    "flit": {"pyproject.toml": FLIT, "sample_pkg/__init__.py": CODE},
    "no build system": {
        "pyproject.toml": HATCHLING.split("\n", 3)[3],
        "src/sample_pkg/__init__.py": CODE,
    },
    "requirements": {"requirements.txt": "tomli==2.0.1\n", "main.py": CODE + "sys.exit(main())\n"},
    "pipfile": {"Pipfile": '[packages]\ntomli = "==2.0.1"\n', "main.py": CODE + "sys.exit(main())\n"},
    "inline script": {
        "sample.py": '# /// script\n# dependencies = ["tomli==2.0.1"]\n# ///\n' + CODE + "sys.exit(main())\n"
    },
    "loose": {"main.py": CODE.replace("    import tomli\n", "") + "sys.exit(main())\n"},
    "package with __main__": {
        "requirements.txt": "tomli==2.0.1\n",
        "sample/__init__.py": "",
        "sample/code.py": CODE,
        "sample/__main__.py": "import sys\nfrom .code import main\nsys.exit(main())\n",
    },
}


@pytest.mark.parametrize("name", PROJECTS)
def test_every_kind_of_project_becomes_a_program(name: str, bench: Bench, tmp_path: Path) -> None:
    project = bench(PROJECTS[name])
    result = project.build()
    assert [artifact.kind for artifact in result.artifacts] == ["program", "tree"]
    assert result.artifacts[1].path == ".flowctl/env"
    assert not result.artifacts[1].relocatable
    done = project.run("a b", "*", stdin="in")
    assert (done.returncode, done.stdout) == (3, "hello|a b|*|in\n"), done.stderr
    leftovers = {path for path in project.root.rglob("__pycache__") if ".flowctl" not in path.parts}
    assert leftovers == set()


@pytest.mark.parametrize("name", ["setuptools", "requirements"])
def test_spaces_quotes_and_other_alphabets_in_paths(name: str, bench: Bench, tmp_path: Path) -> None:
    project = bench(PROJECTS[name], folder="größe 数 'it''s' $HOME")
    project.build()
    link = tmp_path / "my link"
    link.symlink_to(project.root / ".flowctl" / "bin" / "sample")
    second = tmp_path / "second"
    second.symlink_to("my link")
    done = subprocess.run([str(second)], input="", capture_output=True, text=True, cwd="/", check=False)
    assert (done.returncode, done.stdout) == (3, "hello|\n"), done.stderr
    relative = subprocess.run(["./second"], input="", capture_output=True, text=True, cwd=tmp_path, check=False)
    assert relative.returncode == 3, relative.stderr


def test_uv_lock_decides_versions(bench: Bench) -> None:
    files = dict(PROJECTS["hatchling"])
    files["pyproject.toml"] = files["pyproject.toml"].replace("tomli==2.0.1", "tomli>=2")
    project = bench(files)
    from_lock = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    uv = str(Path(sys.executable).with_name("uv"))
    argv = [uv, "lock", "--python", sys.executable, "--upgrade-package", "tomli==2.0.2"]
    subprocess.run(argv, cwd=project.root, env=from_lock, check=True, capture_output=True)
    before = (project.root / "uv.lock").read_bytes()
    project.build()
    assert project.run().returncode == 3
    assert list((project.root / ".flowctl/env/lib").glob("*/site-packages/tomli-2.0.2.dist-info"))
    assert (project.root / "uv.lock").read_bytes() == before
    assert not (project.root / ".venv").exists()


def test_a_poetry_lock_decides_versions(bench: Bench) -> None:
    files = dict(PROJECTS["poetry"])
    files["pyproject.toml"] = files["pyproject.toml"].replace("~2.0.1", "^2.0")
    files["poetry.lock"] = '[[package]]\nname = "tomli"\nversion = "2.0.2"\n[metadata]\nlock-version = "2.1"\n'
    project = bench(files)
    project.build()
    assert list((project.root / ".flowctl/env/lib").glob("*/site-packages/tomli-2.0.2.dist-info"))


def test_an_editable_build_sees_changed_sources_at_once(bench: Bench) -> None:
    project = bench(PROJECTS["hatchling"])
    project.build()
    (project.root / "sample_pkg" / "__init__.py").write_text(CODE.replace("hello", "changed"))
    assert project.run().stdout == "changed|\n"


def test_a_second_build_starts_no_uv(bench: Bench) -> None:
    project = bench(PROJECTS["setuptools"])
    project.build()
    project.progress.steps.clear()
    (project.root / "src" / "sample_pkg" / "__init__.py").write_text(CODE + "# changed\n")
    project.build()
    assert project.progress.steps == []
    assert project.run().returncode == 3


def test_a_new_dependency_and_a_new_script_arrive(bench: Bench) -> None:
    project = bench(PROJECTS["hatchling"])
    project.build()
    text = (project.root / "pyproject.toml").read_text()
    (project.root / "pyproject.toml").write_text(text.replace('"tomli==2.0.1"', '"tomli==2.0.1", "idna"'))
    (project.root / "sample_pkg" / "__init__.py").write_text("import idna\n" + CODE)
    project.build()
    assert project.run().returncode == 3


def test_a_moved_folder_does_not_run_the_old_sources(bench: Bench, tmp_path: Path) -> None:
    project = bench(PROJECTS["hatchling"])
    project.build()
    copy = tmp_path / "copy"
    shutil.copytree(project.root, copy, symlinks=True)
    (copy / "sample_pkg" / "__init__.py").write_text(CODE.replace("hello", "copy"))
    project.root = copy
    project.build()
    assert project.run().stdout == "copy|\n"


def test_build_runs_offline_once_fetched(bench: Bench) -> None:
    project = bench(PROJECTS["hatchling"])
    project.fetch()
    project.offline = True
    project.environment = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}
    plan = project.plan()
    with pytest.raises(DependenciesMissingError):  # another index is another environment
        plugin.flowctl_build(plan, project.context(plan))
    project.environment = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    project.build()
    assert project.run().returncode == 3


def test_offline_without_the_dependencies_says_so(bench: Bench, tmp_path: Path) -> None:
    project = bench(PROJECTS["hatchling"], offline=True)
    project.environment = {"UV_CACHE_DIR": str(tmp_path / "empty cache")}
    with pytest.raises(FetchError, match="there is no network") as caught:
        project.fetch()
    assert "tomli" in (caught.value.output or "")
    assert not (project.root / ".flowctl" / "env").exists()


def test_a_failed_fetch_keeps_the_environment(bench: Bench) -> None:
    project = bench(PROJECTS["hatchling"])
    project.build()
    text = (project.root / "pyproject.toml").read_text()
    (project.root / "pyproject.toml").write_text(text.replace("tomli==2.0.1", "flowctl-no-such-distribution==9"))
    with pytest.raises(FetchError) as caught:
        project.build()
    assert "flowctl-no-such-distribution" in (caught.value.output or "")
    (project.root / "pyproject.toml").write_text(text)
    project.progress.steps.clear()
    project.build()
    assert project.progress.steps == []
    assert project.run().returncode == 3


def test_an_environment_put_aside_by_a_killed_fetch_comes_back(bench: Bench) -> None:
    project = bench(PROJECTS["requirements"])
    project.build()
    state = project.root / ".flowctl"
    (state / "env").rename(state / "env.previous")
    (state / "env").mkdir()  # half made when the process was killed
    project.build()
    assert project.run().returncode == 3
    assert not (state / "env.previous").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"pyproject.toml": HATCHLING, "other/__init__.py": ""}, "could not be installed"),
        (
            {**PROJECTS["hatchling"], "sample_pkg/__init__.py": "import flowctl_missing_module\n"},
            "No module named 'flowctl_missing_module'",
        ),
        ({**PROJECTS["hatchling"], "sample_pkg/__init__.py": "def main(:\n"}, "SyntaxError"),
        ({**PROJECTS["hatchling"], "sample_pkg/__init__.py": "def other(): pass\n"}, "has no attribute 'main'"),
        ({"main.py": "print(\n"}, "SyntaxError"),
        (
            {
                **PROJECTS["hatchling"],
                "sample_pkg/__init__.py": "from .a import main\n",
                "sample_pkg/a.py": "import b0",
            },
            "No module named 'b0'",
        ),
        ({"main.py": "import near\n", "near.py": "import flowctl_missing\n"}, "No module named 'flowctl_missing'"),
    ],
)
def test_a_broken_source_is_noticed_at_build(files: dict[str, str], message: str, bench: Bench) -> None:
    project = bench(files)
    with pytest.raises(BuildError) as caught:
        project.build()
    assert message in caught.value.message
    assert caught.value.output
    assert caught.value.hint


def test_code_that_runs_while_fetching_is_named(bench: Bench, tmp_path: Path) -> None:
    project = bench({"requirements.txt": "docopt==0.6.2\n", "main.py": "import docopt\n"})
    project.environment = {"UV_CACHE_DIR": str(tmp_path / "cache")}
    report = project.fetch()
    assert report.ran_code == ("docopt==0.6.2",)
    assert report.fetched == 1
    assert any("no wheel" in note for note in project.progress.notes)


def test_clean_removes_only_what_installing_made(bench: Bench) -> None:
    project = bench(PROJECTS["setuptools"])
    before = set(project.root.rglob("*"))
    project.build()
    removed = project.clean()
    assert removed == ("src/sample.egg-info",)
    shutil.rmtree(project.root / ".flowctl")
    assert set(project.root.rglob("*")) == before


def test_clean_keeps_an_egg_info_that_was_there(bench: Bench) -> None:
    project = bench({**PROJECTS["setuptools"], "src/sample.egg-info/PKG-INFO": "Name: sample\n"})
    project.build()
    assert project.clean() == ()
    assert (project.root / "src/sample.egg-info/PKG-INFO").exists()


def test_signals_and_exit_codes_reach_the_program(bench: Bench) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    project = bench({"main.py": code})
    project.build()
    with subprocess.Popen([project.root / ".flowctl/bin/sample"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 7
        assert time.monotonic() - started < 5


def test_a_library_gets_its_environment_only(bench: Bench) -> None:
    text = HATCHLING.split("[project.scripts]")[0] + '[tool.hatch.build.targets.wheel]\npackages = ["sample_pkg"]\n'
    project = bench({"pyproject.toml": text, "sample_pkg/__init__.py": ""})
    plan = project.plan()
    assert plan.entry_points == ()
    assert any("no program" in text for text in plan.warnings)
    assert [artifact.kind for artifact in project.build().artifacts] == ["tree"]


def test_a_backend_that_asks_for_more_is_asked_while_fetching(bench: Bench, tmp_path: Path) -> None:
    backend = """\
from hatchling.build import *
from hatchling import build as _real
def get_requires_for_build_editable(config_settings=None):
    return [*_real.get_requires_for_build_editable(config_settings), "iniconfig==2.0.0"]
def build_editable(*args, **kwargs):
    import iniconfig
    return _real.build_editable(*args, **kwargs)
def get_requires_for_build_wheel(config_settings=None):
    return get_requires_for_build_editable(config_settings)
"""
    text = PROJECTS["hatchling"]["pyproject.toml"].replace(
        'build-backend = "hatchling.build"', 'build-backend = "own_backend"\nbackend-path = ["."]'
    )
    project = bench({**PROJECTS["hatchling"], "pyproject.toml": text, "own_backend.py": backend})
    project.environment = {"UV_CACHE_DIR": str(tmp_path / "cache")}
    project.build()
    assert project.run().returncode == 3
    assert any("runs its code" in note for note in project.progress.notes)


def test_a_module_that_wants_configuration_at_import_builds(bench: Bench) -> None:
    code = 'import os\nTOKEN = os.environ["SAMPLE_TOKEN"]\ndef main():\n    print(TOKEN)\n'
    project = bench({**PROJECTS["hatchling"], "sample_pkg/__init__.py": code})
    project.build()
    done = subprocess.run(
        [project.root / ".flowctl/bin/sample"],
        env={**os.environ, "SAMPLE_TOKEN": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "x\n"


def test_a_path_dependency_is_installed_and_named(bench: Bench, tmp_path: Path) -> None:
    """As examples in a library's repository have it: the library is a folder above the component."""
    text = HATCHLING.replace('"tomli==2.0.1"', '"liba"') + (
        '[tool.uv.sources]\nliba = { path = "../liba" }\n[tool.hatch.build.targets.wheel]\npackages = ["sample_pkg"]\n'
    )
    project = bench({"pyproject.toml": text, "sample_pkg/__init__.py": "from liba import main\n"})
    library = project.root.parent / "liba"
    library.mkdir()
    (library / "liba.py").write_text("def main():\n    return 3\n")
    (library / "pyproject.toml").write_text(SETUPTOOLS.split("requires-python")[0].replace('"sample"', '"liba"'))
    argv = [str(Path(sys.executable).with_name("uv")), "lock", "--python", sys.executable]
    for locked in (False, True):
        if locked:
            subprocess.run(argv, cwd=project.root, check=True, capture_output=True)
        project.environment = {"UV_CACHE_DIR": str(tmp_path / f"cache {locked}")}
        report = project.fetch()
        assert [text for text in report.ran_code if text.startswith("liba")]
        project.build()
        assert project.run().returncode == 3


@pytest.mark.parametrize(
    "wants",
    [
        {"requirements.txt": "./libs/events\n"},
        {
            "pyproject.toml": '[project]\nname = "app"\nversion = "1"\ndependencies = ["events"]\n'
            '[tool.uv.sources]\nevents = { path = "libs/events" }\n'
        },
    ],
    ids=["requirements.txt", "tool.uv.sources"],
)
def test_a_change_in_a_folder_that_is_installed_as_a_copy(bench: Callable[..., Bench], wants: dict[str, str]) -> None:
    library = (
        HATCHLING.replace("sample_pkg:main", "events:main").replace("sample", "events").replace("tomli==2.0.1", "")
    )
    files = {
        **wants,
        "main.py": "import events\nprint(events.NAME)\n",
        "libs/events/pyproject.toml": library.replace('[""]', "[]"),
        "libs/events/events/__init__.py": "NAME = 'first'\n",
    }
    project = bench(files)
    project.build()
    assert project.run().stdout == "first\n"
    (project.root / "libs/events/events/__init__.py").write_text("NAME = 'second'\n")
    project.build()
    assert project.run().stdout == "second\n"
