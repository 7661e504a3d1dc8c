"""What a plan says: program, interpreter, dependencies, inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from flowctl_core.errors import PlanError
from flowctl_core.models import Plan, PlanRequest, SourceTree
from flowctl_core.store.source_digest import digest_source
from flowctl_lang_python.detect import detect
from flowctl_lang_python.plan import make
from flowctl_lang_python.recipe import Recipe

Tree = Callable[[Mapping[str, str]], SourceTree]

PROJECT = '[project]\nname = "sample"\n'
SYSTEM = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def plan(source: SourceTree, entry_point: str | None = None, **fields: Any) -> Plan:
    request = {"name": "sample", "version": "0.0.0", "language": "python", "entry_point": entry_point, **fields}
    return make(source, PlanRequest.model_validate(request))


def scripts(**targets: str) -> str:
    return PROJECT + SYSTEM + "[project.scripts]\n" + "".join(f'"{n}" = "{t}"\n' for n, t in targets.items())


@pytest.mark.parametrize(
    ("files", "entry_point", "kind", "target"),
    [
        ({"pyproject.toml": scripts(other="a.b:main")}, None, "function", "a.b:main"),
        ({"pyproject.toml": scripts(other="a:b", sample="c:d.e")}, None, "function", "c:d.e"),
        ({"pyproject.toml": scripts(other="a:b", sample="c:d")}, "other", "function", "a:b"),
        ({"pyproject.toml": scripts(other="a:b [extra]")}, None, "function", "a:b"),
        ({"pyproject.toml": PROJECT + SYSTEM, "src/sample/__init__.py": "", "src/sample/__main__.py": ""},
         None, "module", "sample"),
        ({"pyproject.toml": PROJECT, "main.py": "", "app.py": ""}, None, "file", "main.py"),
        ({"pyproject.toml": PROJECT, "src/main.py": ""}, None, "file", "src/main.py"),
        ({"pyproject.toml": PROJECT, "sample.py": ""}, None, "file", "sample.py"),
        ({"requirements.txt": "", "app.py": ""}, None, "file", "app.py"),
        ({"tool.py": "if __name__ == '__main__':\n    pass\n", "lib.py": ""}, None, "file", "tool.py"),
        ({"main.py": "", "job/run.py": ""}, "job/run.py", "file", "job/run.py"),
        ({"main.py": "", "job/run.py": ""}, "./job/run.py", "file", "job/run.py"),
        ({"job/__init__.py": "", "job/run.py": ""}, "job/run.py", "module", "job.run"),
        ({"src/job/__init__.py": "", "src/job/run.py": ""}, "src/job/run.py", "module", "job.run"),
        ({"job/__init__.py": "", "job/__main__.py": ""}, "job", "module", "job"),
        ({"job/__init__.py": "", "job/run.py": ""}, "job.run", "module", "job.run"),
        ({"job/__init__.py": "", "job/run.py": ""}, "job.run:start", "function", "job.run:start"),
        ({"größe.py": "", "other.py": ""}, "größe.py", "file", "größe.py"),
        ({"setup.cfg": "[metadata]\nname = a\n[options.entry_points]\nconsole_scripts =\n    a = b.c:d\n"},
         None, "function", "b.c:d"),
        ({"setup.py": "import setuptools\nE = {'console_scripts': ['a=b:c']}\nsetuptools.setup(entry_points=E)\n"},
         None, "function", "b:c"),
        ({"setup.py": "from setuptools import setup\nsetup(entry_points='[console_scripts]\\na=b:c\\n[x]\\nd=e:f')\n"},
         None, "function", "b:c"),
        ({"pyproject.toml": PROJECT + SYSTEM + "[tool.hatch.build.targets.wheel]\npackages = []\n",
          "example.py": "if __name__ == '__main__':\n    pass\n"}, None, "file", "example.py"),
        ({"pyproject.toml": '[tool.poetry]\nname = "a"\n[tool.poetry.scripts]\na = "b:c"\n'}, None, "function", "b:c"),
    ],
)  # fmt: skip
def test_the_program(files: Mapping[str, str], entry_point: str | None, kind: str, target: str, tree: Tree) -> None:
    made = plan(tree(files), entry_point)
    recipe = Recipe.of(made)
    assert (recipe.kind, recipe.target) == (kind, target)
    assert [(entry.name, entry.path) for entry in made.entry_points] == [("sample", target)]


@pytest.mark.parametrize(
    ("files", "entry_point", "message"),
    [
        ({"pyproject.toml": scripts(one="a:b", two="c:d")}, None, "several scripts: one, two"),
        ({"pyproject.toml": scripts(one="nonsense")}, None, "not module:function"),
        ({"a.py": "", "b.py": ""}, None, "no program was found"),
        ({"a.py": "if __name__ == '__main__': pass", "b.py": "if __name__ == '__main__': pass"}, None, "a.py, b.py"),
        ({"main.py": ""}, "other.py", "other.py is not in the source"),
        ({"main.py": ""}, "other:run", "module other of entry point other:run is not in the source"),
        ({"job/__init__.py": ""}, "job", "no __main__.py"),
        ({"pyproject.toml": "[project\n"}, None, "pyproject.toml: Expected ']'"),
        ({"pyproject.toml": PROJECT + 'requires-python = "three"\n', "main.py": ""}, None, "not a version specifier"),
        ({"pyproject.toml": PROJECT + 'dependencies = ["idna", "Foo_Bar>1"]\n', "main.py": "",
          "uv.lock": '[[package]]\nname = "idna"\n'}, None, "uv.lock does not know foo-bar"),
        ({"pyproject.toml": PROJECT, "main.py": "", "uv.lock": "<<<<<<<\n"}, None, "uv.lock: "),
    ],
)  # fmt: skip
def test_an_unclear_or_broken_project(
    files: Mapping[str, str], entry_point: str | None, message: str, tree: Tree
) -> None:
    with pytest.raises(PlanError) as caught:
        plan(tree(files), entry_point)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("files", "version", "declared_in", "first"),
    [
        ({"pyproject.toml": PROJECT + 'requires-python = ">=3.10,<3.15"\n'}, ">=3.10,<3.15",
         "pyproject.toml requires-python", "python3"),
        ({"pyproject.toml": PROJECT + 'requires-python = ">=3.10"\n', ".python-version": "3.12.1\n"}, ">=3.10",
         "pyproject.toml requires-python", "python3.12"),
        ({".python-version": "3.12\n"}, "==3.12.*", ".python-version", "python3.12"),
        ({".python-version": "cpython@3.12.4\n"}, "==3.12.4", ".python-version", "python3.12"),
        ({".python-version": "pypy\n"}, "", None, "python3"),
        ({"pyproject.toml": '[tool.poetry]\nname = "a"\n[tool.poetry.dependencies]\npython = "^3.10"\n'},
         ">=3.10,<4", "pyproject.toml tool.poetry.dependencies.python", "python3"),
        ({"setup.py": "from setuptools import setup\nsetup(python_requires='>=3.8')\n"}, ">=3.8", "setup.py", "python3"),
        ({"Pipfile": '[packages]\n[requires]\npython_version = "3.11"\n'}, "==3.11.*",
         "Pipfile requires.python_version", "python3"),
        ({"main.py": '# /// script\n# requires-python = ">=3.11"\n# ///\n'}, ">=3.11",
         "main.py requires-python", "python3"),
    ],
)  # fmt: skip
def test_the_interpreter(
    files: Mapping[str, str], version: str, declared_in: str | None, first: str, tree: Tree
) -> None:
    python, uv = plan(tree({"main.py": "", **files})).toolchain
    assert (python.name, python.version, python.declared_in) == ("python", version, declared_in)
    assert python.executable == first
    assert "python3.13" in python.alternatives
    assert uv.name == "uv"
    assert uv.bundled_in[0] == "uv:../../../bin/uv"


def test_uvs_place_is_where_its_wheel_puts_it() -> None:
    from importlib.metadata import distribution

    where = plan.__globals__["make"].__globals__["toolchain"].UV.bundled_in[0].split(":")[1]
    assert where in [str(file) for file in distribution("uv").files or ()]


def test_maturin_needs_cargo(tree: Tree) -> None:
    text = '[build-system]\nrequires = ["maturin>=1"]\nbuild-backend = "maturin"\n[project]\nname = "a"\n'
    made = plan(tree({"pyproject.toml": text, "Cargo.toml": "", "python/a/__init__.py": ""}))
    assert [tool.name for tool in made.toolchain] == ["python", "uv", "cargo"]
    assert Recipe.of(made).compiled


def test_only_what_compiling_leaves_is_no_input(tree: Tree) -> None:
    text = '[build-system]\nrequires = ["maturin>=1"]\nbuild-backend = "maturin"\n[project]\nname = "a"\n'
    code = ("python/a/build/__init__.py", "rust/src/target/mod.rs")
    made = ("build/lib/a.py", "target/debug/a", "rust/target/debug/a", "python/a/a.so")
    files = {"pyproject.toml": text, "Cargo.toml": "", "rust/Cargo.toml": "", "python/a/__init__.py": ""}
    source = tree({**files, **dict.fromkeys((*code, *made), "")})
    assert set(digest_source(source.root, plan(source).inputs).manifest()) == {*files, *code}


POETRY = """\
[tool.poetry]
name = "a"
[tool.poetry.dependencies]
python = "^3.9"
a = "^1.2.3"
b = "^0.2"
c = "~1.4"
d = "1.2.*"
e = "*"
f = { version = ">=1,<2", extras = ["x", "y"], markers = "os_name == 'posix'" }
g = { git = "https://example.com/g.git", tag = "v1" }
h = { path = "../h" }
i = { version = "1.0", optional = true }
j = [{ version = "<2", python = "<3.10" }, { version = ">=2", python = ">=3.10" }]
k = ">= 1.0, < 2"
l = "^1 || ^2"
[tool.poetry.group.dev.dependencies]
pytest = "^8"
[tool.poetry.dev-dependencies]
old = "1.0"
"""


def test_poetrys_dependencies_in_standard_words(tree: Tree) -> None:
    from packaging.requirements import Requirement

    recipe = Recipe.of(plan(tree({"pyproject.toml": POETRY, "main.py": ""})))
    assert list(recipe.requirements) == [
        "a>=1.2.3,<2",
        "b>=0.2,<0.3",
        "c>=1.4,<1.5",
        "d==1.2.*",
        "e",
        "f[x,y]>=1,<2 ; os_name == 'posix'",
        "g @ git+https://example.com/g.git@v1",
        "h @ file://${PROJECT_ROOT}/../h",
        "j<2 ; python_version < '3.10'",
        "j>=2 ; python_version >= '3.10'",
        "k>=1.0,<2",
        "l",
        "old==1.0",
        "pytest>=8,<9",
    ]
    for line in recipe.requirements:
        Requirement(line)


@pytest.mark.parametrize(
    ("files", "requirement_files", "extras", "groups", "dynamic"),
    [
        ({"requirements.txt": "a\n", "requirements-dev.txt": "b\n"}, ("requirements.txt", "requirements-dev.txt"),
         (), (), None),
        ({"requirements.txt": "a\n", "pyproject.toml": PROJECT + 'dependencies = ["a"]\n'}, (), (), (), None),
        ({"requirements.txt": "a\n", "pyproject.toml": "[tool.ruff]\n"}, ("requirements.txt",), (), (), None),
        ({"pyproject.toml": PROJECT + "[project.optional-dependencies]\ntest = ['a']\ndocs = ['b']\n"
          "[dependency-groups]\ndev = ['c', {include-group = 'lint'}]\nlint = ['d']\n"}, (), ("test",), ("dev",), None),
        ({"pyproject.toml": PROJECT + 'dynamic = ["dependencies"]\n' + SYSTEM}, (), (), (), "pyproject.toml"),
        ({"setup.py": "from setuptools import setup\nsetup(install_requires=read())\n"}, (), (), (), "setup.py"),
        ({"setup.py": "raise SystemExit('never run')\n"}, (), (), (), "setup.py"),
    ],
)  # fmt: skip
def test_the_dependencies(
    files: Mapping[str, str],
    requirement_files: tuple[str, ...],
    extras: tuple[str, ...],
    groups: tuple[str, ...],
    dynamic: str | None,
    tree: Tree,
) -> None:
    made = plan(tree({"main.py": "", **files}))
    recipe = Recipe.of(made)
    assert (recipe.requirement_files, recipe.extras, recipe.groups) == (requirement_files, extras, groups)
    assert recipe.dynamic == dynamic
    assert made.fetch_runs_code == (dynamic is not None)
    assert set(files) <= set(made.inputs.fetch)


def test_a_plan_holds_no_absolute_path_and_is_stable(tree: Tree) -> None:
    files = {"pyproject.toml": POETRY, "setup.py": "", "main.py": "", "tests/test_a.py": "import pytest\n"}
    source = tree(files)
    assert str(source.root) not in plan(source).model_dump_json()
    assert plan(source) == plan(source)


def test_a_subfolders_paths_are_relative_to_the_source(tree: Tree) -> None:
    files = {"svc/pyproject.toml": scripts(sample="sample:main"), "svc/sample/__init__.py": ""}
    made = plan(tree(files), detection_root="svc")
    assert made.root == "svc"
    assert made.inputs.fetch == ("svc/pyproject.toml",)


def test_a_path_dependency_outside_is_said(tree: Tree) -> None:
    text = PROJECT + 'dependencies = ["other"]\n[tool.uv.sources]\nother = { path = "../../other" }\n'
    made = plan(tree({"pyproject.toml": text, "main.py": ""}))
    assert any("../../other is outside" in text for text in made.warnings)
    assert made.fetch_runs_code


def test_poetrys_groups_beside_a_project_table(tree: Tree) -> None:
    """Poetry 2 writes [project] and keeps its groups, which uv does not read."""
    text = (
        '[project]\nname = "a"\nversion = "1"\ndependencies = ["b"]\n'
        '[tool.poetry.group.dev.dependencies]\npytest = "^8"\n'
        '[tool.poetry.group.rare]\noptional = true\n[tool.poetry.group.rare.dependencies]\nc = "*"\n'
    )
    recipe = Recipe.of(plan(tree({"pyproject.toml": text, "a.py": "", "tests/test_a.py": "def test_a(): pass\n"})))
    assert recipe.standard  # uv reads b itself
    assert recipe.requirements == ("pytest>=8,<9",)
    assert not recipe.add_pytest


INCLUDING = {
    "requirements.txt": "-r reqs/base.txt\n--constraint=pins.txt  # why\n./libs/copied\n-e ./libs/linked\n",
    "reqs/base.txt": "-rmore.txt\ntomli\n",
    "reqs/more.txt": "-r base.txt\npytest>=7\n",
    "pins.txt": "tomli==2.0.1\n",
    "libs/copied/pyproject.toml": SYSTEM + '[project]\nname = "Copied"\n',
    "libs/copied/copied.py": "",
    "libs/copied/copied.egg-info/PKG-INFO": "",
    "libs/copied/build/lib/copied.py": "",
    "libs/copied/more/build/x.py": "",
    "libs/linked/pyproject.toml": SYSTEM + '[project]\nname = "linked"\n',
    "main.py": "",
    "test_main.py": "def test_it(): pass\n",
}


def test_what_requirement_files_include_decides_about_fetch(tree: Tree) -> None:
    made = plan(tree(INCLUDING))
    assert set(made.inputs.fetch) == {
        *("requirements.txt", "reqs/base.txt", "reqs/more.txt", "pins.txt"),
        *("libs/copied/pyproject.toml", "libs/copied/copied.py", "libs/copied/more/build/x.py"),
    }
    recipe = Recipe.of(made)
    assert recipe.local == ("Copied",) and made.fetch_runs_code
    assert not recipe.add_pytest


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": SYSTEM + '[project]\nname = "a"\nversion = "1"\ndynamic = ["dependencies"]\n'
         '[tool.setuptools.dynamic]\ndependencies = { file = ["reqs/base.in"] }\n'},
        {"setup.cfg": "[metadata]\nname = a\n[options]\ninstall_requires = file: reqs/base.in\n"},
    ],
    ids=["pyproject.toml", "setup.cfg"],
)  # fmt: skip
def test_files_that_setuptools_reads_dependencies_from_decide_about_fetch(tree: Tree, files: dict[str, str]) -> None:
    made = plan(tree({**files, "reqs/base.in": "-r more.in\n", "reqs/more.in": "tomli\n"}))
    assert {"reqs/base.in", "reqs/more.in"} <= set(made.inputs.fetch)


@pytest.mark.parametrize("name", ["setup.py", "setup.cfg", "requirements.txt", "pyproject.toml"])
def test_a_manifest_that_cannot_be_read_is_a_plan_error(tree: Tree, name: str) -> None:
    source = tree({"main.py": ""})
    with (source.root / name).open("wb") as file:
        file.truncate(17 * 2**20)
    detection = detect(source)
    assert detection is not None and "cannot be read" in detection.evidence[0].reason
    with pytest.raises(PlanError, match=f"^{name} is larger than 16 MiB"):
        plan(source)


def test_a_byte_order_mark_is_named(tree: Tree) -> None:
    with pytest.raises(PlanError, match=r"^pyproject\.toml: begins with a byte order mark"):
        plan(tree({"pyproject.toml": "\ufeff" + PROJECT, "main.py": ""}))
