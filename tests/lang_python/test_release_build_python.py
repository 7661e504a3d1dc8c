"""Makes executables with the real tools, runs the one for this machine, and looks into the others."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import lief
import pytest

from flowctl_core.errors import ArtifactError, FetchError
from flowctl_core.models import Platform
from flowctl_lang_python.plugin import plugin
from flowctl_lang_python.release import natives

from .conftest import Release, write_files

HOST = Platform.host()
OTHER = next(Platform(name) for name in ("linux/arm64", "linux/amd64") if name != HOST)
PLATFORMS = (HOST, OTHER, "darwin/amd64")
MACHINES = {"linux/amd64": "X86_64", "linux/arm64": "AARCH64"}

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "sample"
version = "1.2.3"
requires-python = ">=3.11"
dependencies = ["markupsafe==3.0.2", "docopt==0.6.2"]
[dependency-groups]
dev = ["pytest"]
[project.scripts]
sample = "sample.cli:main"
"""
CLI = """\
import platform, sys
from importlib.metadata import version
from importlib.resources import files

def main():
    import docopt
    from markupsafe import _speedups, escape
    text = files("sample").joinpath("greeting.txt").read_text(encoding="utf-8").strip()
    print(escape(f"<{text}>"), version("sample"), docopt.__version__, *sys.argv[1:], sep="|")
    return 3
"""
FILES = {
    "pyproject.toml": PYPROJECT,
    "sample/__init__.py": "",
    "sample/cli.py": CLI,
    "sample/greeting.txt": "grüße\n",
    "tests/test_sample.py": "def test(): pass\n",
}


def run(program: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run an executable as a stranger would: with an interpreter on PATH, and nothing else of this project."""
    interpreters = home / "bin"
    interpreters.mkdir(exist_ok=True)
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    link = interpreters / name
    if not link.is_symlink():
        link.symlink_to(Path(sys.base_prefix) / "bin" / name)
    environment = {"PATH": f"{interpreters}:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, env=environment, cwd=home, check=False
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A project with a native dependency and one that has only a source archive, released for three platforms."""
    root = write_files(tmp_path_factory.mktemp("first") / "project", FILES)
    release = Release(root=root, platforms=PLATFORMS)
    release.outcomes = release.release()  # type: ignore[attr-defined]
    return release


def outcomes(release: Release) -> dict[str, Path]:
    found = release.outcomes  # type: ignore[attr-defined]
    return {platform: release.program(found[platform]) for platform in PLATFORMS}


def test_the_executable_runs_here(first: Release, tmp_path: Path) -> None:
    done = run(outcomes(first)[HOST], "a b", "ü", home=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("&lt;grüße&gt;|1.2.3|0.6.2|a b|ü\n", "", 3)
    (artifact,) = first.outcomes[HOST].artifacts  # type: ignore[attr-defined]
    assert (artifact.kind, artifact.format) == ("program", "script")
    assert artifact.interpreter == f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert [material.name for material in first.outcomes[HOST].materials] == ["pex"]  # type: ignore[attr-defined]


def modules(program: Path) -> Iterator[tuple[str, bytes]]:
    with ZipFile(program) as archive:
        for name in archive.namelist():
            if name.endswith((".so", ".dylib")):
                yield name, archive.read(name)


def test_each_executable_has_the_native_modules_of_its_platform(first: Release) -> None:
    found: dict[str, set[str]] = {}
    for platform, program in outcomes(first).items():
        for _, content in modules(program):
            binary = lief.parse(io.BytesIO(content))
            if isinstance(binary, lief.ELF.Binary):
                found.setdefault(platform, set()).add(binary.header.machine_type.name)
            elif isinstance(binary, lief.MachO.Binary):
                found.setdefault(platform, set()).add(f"macho {binary.header.cpu_type.name}")
    assert found == {HOST: {MACHINES[HOST]}, OTHER: {MACHINES[OTHER]}, "darwin/amd64": {"macho X86_64"}}


def test_only_what_running_needs_is_inside(first: Release) -> None:
    with ZipFile(outcomes(first)[HOST]) as archive:
        names = archive.namelist()
        content = b"".join(archive.read(name) for name in names if not name.endswith("/"))
    assert {name.split("/")[1].split("-")[0] for name in names if name.startswith(".deps/") and name != ".deps/"} == {
        "docopt",
        "markupsafe",
        "MarkupSafe",
        "sample",
    } - {"MarkupSafe" if any("/markupsafe-" in name for name in names) else "markupsafe"}
    assert not any("test_sample" in name or name.endswith(".pyc") for name in names)
    assert str(first.root).encode() not in content
    assert str(first.root.parent).encode() not in content


def test_building_a_dependency_runs_its_code_and_that_is_said(first: Release) -> None:
    assert first.report.ran_code == ("docopt==0.6.2",)
    assert any("docopt==0.6.2 has no wheel" in note for note in first.progress.notes)


def test_files_for_another_platform_are_refused(first: Release) -> None:
    programs = outcomes(first)
    assert natives.check(programs[OTHER], OTHER, frozenset()) == 1
    with pytest.raises(ArtifactError, match="files for another platform") as caught:
        natives.check(programs[OTHER], HOST, frozenset())
    assert "_speedups" in (caught.value.output or "")
    assert OTHER in (caught.value.output or "")
    with pytest.raises(ArtifactError):
        natives.check(programs["darwin/amd64"], HOST, frozenset())


def test_dependencies_are_what_was_built_in(first: Release) -> None:
    plan = first.plan()
    report = plugin.flowctl_dependencies(plan, first.context(plan))
    runtime = [entry for entry in report.dependencies if entry.scope == "runtime"]
    assert [(entry.purl, entry.direct, entry.parents) for entry in runtime] == [
        ("pkg:pypi/docopt@0.6.2", True, ()),
        ("pkg:pypi/markupsafe@3.0.2", True, ()),
    ]
    assert runtime[0].digest == "sha256:49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491"
    assert "pkg:pypi/hatchling@" in " ".join(entry.purl for entry in report.dependencies if entry.scope == "build")
    assert [entry.purl for entry in report.dependencies] == sorted(entry.purl for entry in report.dependencies)


@pytest.mark.parametrize("cache", ["named", "linked"])
def test_elsewhere_the_same_bytes(first: Release, tmp_path: Path, cache: str) -> None:
    """Another folder, home, umask and time zone, one platform alone, and without network: what is there is used."""
    root = write_files(tmp_path / "änother folder", FILES)
    shutil.copytree(first.root / ".flowctl" / "work", root / ".flowctl" / "work")
    shutil.rmtree(root / ".flowctl" / "work" / "release" / "project")
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "TZ": "Asia/Tokyo"}
    environment["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    (tmp_path / "big disk").mkdir()
    if cache == "named":
        environment["XDG_CACHE_HOME"] = str(tmp_path / "big disk")
    else:
        (home / ".cache").symlink_to(tmp_path / "big disk")
    second = Release(root=root, platforms=(HOST,), environment=environment, offline=True)
    before = os.umask(0o077)
    try:
        found = second.release()
    finally:
        os.umask(before)
    assert second.program(found[HOST]).read_bytes() == outcomes(first)[HOST].read_bytes()


EXTENSION = """\
#include <Python.h>
#include <assert.h>
static PyObject *answer(PyObject *self, PyObject *args) { assert(self != args); return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, __FILE__}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", NULL, -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""
SETUP = 'from setuptools import Extension, setup\nsetup(ext_modules=[Extension("fast", ["fast.c"])])\n'
FAST = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
[project]
name = "fast"
version = "0.1"
"""


@pytest.mark.requires_tool("cc")
def test_native_code_of_the_project_is_for_this_machine_and_the_same_everywhere(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": FAST + '[project.scripts]\nsample = "program:main"\n[tool.setuptools]\n'
        'py-modules = ["program"]\n',
        "setup.py": SETUP,
        "fast.c": EXTENSION,
        "program.py": "def main():\n    import fast\n    print(fast.answer())\n",
    }
    programs = []
    for folder in ("one", "another/folder"):
        release = Release(root=write_files(tmp_path / folder, files), platforms=(HOST, OTHER))
        found = release.release()
        programs.append(release.program(found[HOST]))
        assert found[OTHER].failure is not None
        assert "compiles native code" in found[OTHER].failure
        assert f"on a {OTHER} worker" in (found[OTHER].hint or "")
        assert found[OTHER].artifacts == ()
    assert run(programs[0], home=tmp_path).stdout == "42\n"
    assert programs[0].read_bytes() == programs[1].read_bytes()


@pytest.mark.requires_tool("cc")
def test_a_script_with_a_dependency_that_compiles(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "./libs/fast\n",
        "my-program.py": "import fast, helper, pathlib\n"
        "here = pathlib.Path(__file__).parent\n"
        "print(fast.answer(), helper.WORD, here.joinpath('data/words.txt').read_text().strip(), __name__)\n",
        "helper.py": "WORD = 'help'\n",
        "data/words.txt": "some words\n",
        "libs/fast/pyproject.toml": FAST,
        "libs/fast/setup.py": SETUP,
        "libs/fast/fast.c": EXTENSION,
    }
    root = write_files(tmp_path / "project", files)
    release = Release(root=root, platforms=(HOST, OTHER), entry_point="my-program.py")
    found = release.release()
    assert run(release.program(found[HOST]), home=tmp_path).stdout == "42 help some words __main__\n"
    assert found[OTHER].failure == f"dependencies cannot be had for {OTHER}: fast 0.1"
    assert f"does not run on {OTHER}" in (found[OTHER].output or "")
    assert release.report.ran_code == ("fast",)


def test_a_link_out_of_the_source_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    root = write_files(tmp_path / "project", {"main.py": "print('hello')\n"})
    (root / "copy.txt").symlink_to(tmp_path / "secret.txt")
    release = Release(root=root)
    outcome = release.release()[HOST]
    assert outcome.failure is not None
    assert "leads out of the source" in outcome.failure


def test_archives_that_the_project_does_not_list_are_refused(tmp_path: Path) -> None:
    line = "docopt==0.6.2 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    root = write_files(tmp_path / "project", {"requirements.txt": line, "main.py": "import docopt\n"})
    with pytest.raises(FetchError, match=r"docopt 0\.6\.2|could not be brought in") as caught:
        Release(root=root).release()
    assert "hash" in f"{caught.value.message} {caught.value.output}" or "digest" in caught.value.message


def test_without_network_and_wheels_the_error_says_so(tmp_path: Path) -> None:
    root = write_files(
        tmp_path / "project", {"requirements.txt": "iniconfig==2.0.0\n", "main.py": "import iniconfig\n"}
    )
    environment = {"UV_CACHE_DIR": str(tmp_path / "empty")}
    with pytest.raises(FetchError, match="there is no network"):
        Release(root=root, offline=True, environment=environment).release()


def test_a_build_that_fails_is_an_outcome_in_the_backends_words(tmp_path: Path) -> None:
    pyproject = FAST + '[project.scripts]\nsample = "program:main"\n'
    files = {"pyproject.toml": pyproject, "setup.py": "raise SystemExit('no luck today')\n", "program.py": ""}
    outcome = Release(root=write_files(tmp_path / "project", files)).release()[HOST]
    assert outcome.failure == "the wheel of sample could not be built"
    assert "no luck today" in (outcome.output or "")


def test_the_wheel_is_built_once_for_a_source_and_anew_for_a_changed_one(tmp_path: Path) -> None:
    pyproject = FAST + '[project.scripts]\nsample = "program:main"\n[tool.setuptools]\npy-modules = ["program"]\n'
    files = {"pyproject.toml": pyproject, "program.py": "def main():\n    print('before')\n"}
    release = Release(root=write_files(tmp_path / "project", files), platforms=(HOST, OTHER))
    release.release()
    assert release.progress.steps.count("uv build --wheel") == 1
    (release.root / "program.py").write_text("def main():\n    print('after')\n")
    assert run(release.program(release.release()[HOST]), home=tmp_path).stdout == "after\n"
    assert release.progress.steps.count("uv build --wheel") == 2


def test_state_is_plain_json(first: Release) -> None:
    data = json.loads((first.root / ".flowctl" / "work" / "release" / "fetched.json").read_text())
    assert sorted(data["targets"]) == sorted(PLATFORMS)


SCIENCE = """\
# Stands in for science, which no package index has: answers as it does, and writes a file where it would.
import json, pathlib, sys, tomllib
words = sys.argv[1:]
if words == ["--version"]:
    print("0.21.0")
    sys.exit()
manifest = tomllib.loads(pathlib.Path(words[-1]).read_text())["lift"]
folder = pathlib.Path(words[words.index("--dest-dir") + 1])
suffixes = [f"-{entry if isinstance(entry, str) else entry['platform']}" for entry in manifest.get("platforms", ())]
for suffix in suffixes or [""]:
    (folder / (manifest["name"] + suffix)).write_text(json.dumps(manifest["interpreters"]))
"""


def test_an_embedded_interpreter_is_what_component_yaml_names(tmp_path: Path) -> None:
    component = (
        "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata:\n  name: sample\n  version: 1.0.0\n"
    )
    component += "spec:\n  build:\n    language: python\n    python:\n      interpreter: embedded\n"
    component += "      standalone: '20251120'\n      assets: https://mirror.invalid/scie\n"
    root = write_files(tmp_path / "project", {"main.py": "print('hello')\n", "component.yaml": component})
    science = tmp_path / "science"
    science.write_text(f"#!{sys.executable}\n{SCIENCE}")
    science.chmod(0o755)
    release = Release(root=root, platforms=(HOST, OTHER), science=science)
    for platform, outcome in release.release().items():
        (interpreter,) = json.loads(release.program(outcome).read_text())
        assert interpreter["release"] == "20251120"
        assert interpreter["version"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
        assert interpreter["base_url"].startswith("https://mirror.invalid/scie/")
        assert outcome.artifacts[0].format == "native"
        assert outcome.artifacts[0].platform == platform
        assert [material.name for material in outcome.materials] == ["pex", "python-build-standalone"]
