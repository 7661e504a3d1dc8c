"""Detection on trees as they occur, good and misleading."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from flowctl_core.models import SourceTree
from flowctl_lang_python.detect import detect

Tree = Callable[[Mapping[str, str]], SourceTree]

PROJECT = '[project]\nname = "sample"\n'
SCRIPT = PROJECT + '[project.scripts]\nsample = "sample:main"\n'


def system(backend: str, requires: str) -> str:
    return f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{backend}"\n'


@pytest.mark.parametrize(
    ("files", "root", "basis", "low", "high"),
    [
        ({"pyproject.toml": SCRIPT + system("hatchling.build", "hatchling")}, ".", "manifest", 0.85, 1),
        ({"pyproject.toml": PROJECT + system("setuptools.build_meta", "setuptools")}, ".", "manifest", 0.5, 0.7),
        ({"pyproject.toml": '[tool.poetry]\nname = "a"\n[tool.poetry.scripts]\na = "a:b"\n'}, ".", "manifest", 0.85, 1),
        ({"pyproject.toml": PROJECT, "uv.lock": "", "main.py": ""}, ".", "manifest", 0.75, 0.9),
        ({"pyproject.toml": PROJECT + system("flit_core.buildapi", "flit_core")}, ".", "manifest", 0.5, 0.7),
        ({"setup.py": "from setuptools import setup\nsetup(name='a')\n"}, ".", "manifest", 0.5, 0.7),
        ({"setup.cfg": "[metadata]\nname = a\n"}, ".", "manifest", 0.5, 0.7),
        ({"Pipfile": "[packages]\n", "app.py": ""}, ".", "manifest", 0.65, 0.8),
        ({"requirements.txt": "requests\n", "main.py": ""}, ".", "manifest", 0.65, 0.8),
        ({"requirements.txt": "requests\n", "lib/code.py": ""}, ".", "manifest", 0.4, 0.6),
        ({"main.py": ""}, ".", "files", 0.4, 0.6),
        ({"stuff.py": "", "more/stuff.py": ""}, ".", "files", 0.2, 0.4),
        ({"mcp/pyproject.toml": SCRIPT, "README.md": ""}, "mcp", "manifest", 0.7, 0.85),
        ({"a/docs/requirements.txt": "mkdocs\n", "svc/requirements.txt": "x\n", "svc/app.py": ""},
         "svc", "manifest", 0.5, 0.7),
        # Serving something else beside another language's manifest.
        ({"pyproject.toml": "[tool.ruff]\nline-length = 100\n", "go.mod": "module a\n"}, ".", "manifest", 0.1, 0.25),
        ({"pyproject.toml": PROJECT + 'dependencies = ["mkdocs", "mkdocs-material>=9"]\n', "go.mod": ""},
         ".", "manifest", 0.1, 0.25),
        ({"requirements.txt": "mkdocs\n", "go.mod": "module a\n"}, ".", "manifest", 0.1, 0.25),
        ({"requirements.txt": "sphinx\n", "conf.py": ""}, ".", "manifest", 0.1, 0.25),
        ({"docs/requirements.txt": "mkdocs\n", "go.mod": "module a\n"}, "docs", "manifest", 0, 0.1),
        ({"pyproject.toml": PROJECT, "package.json": "{}", "sample/__init__.py": ""}, ".", "manifest", 0.4, 0.5),
        # Python around Rust: maturin wins over a Rust builder's claim.
        ({"pyproject.toml": PROJECT + system("maturin", "maturin>=1"), "Cargo.toml": ""}, ".", "manifest", 0.95, 1),
        # Broken, and still Python: the plan says what is wrong.
        ({"pyproject.toml": "[project\n"}, ".", "manifest", 0.5, 0.7),
        ({"pyproject.toml": "[project\n", "go.mod": ""}, ".", "manifest", 0.2, 0.4),
    ],
)  # fmt: skip
def test_detected(files: Mapping[str, str], root: str, basis: str, low: float, high: float, tree: Tree) -> None:
    found = detect(tree(files))
    assert found is not None
    assert (found.root, found.basis, found.language) == (root, basis, "python")
    assert low <= found.confidence <= high
    assert found.evidence
    assert all(item.path in files for item in found.evidence)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": ""},
        {"go.mod": "module a\n", "main.go": ""},
        {"setup.cfg": "[flake8]\nmax-line-length = 100\n"},
        {"node_modules/gyp/main.py": "", "package.json": "{}"},
        {".venv/lib/main.py": ""},
        {".flowctl/env/lib/a/main.py": ""},
    ],
)
def test_not_python(files: Mapping[str, str], tree: Tree) -> None:
    assert detect(tree(files)) is None


@pytest.mark.parametrize("language", ["python", "py", "Python"])
def test_asked_for(language: str, tree: Tree) -> None:
    source = tree({"job/code.py": "", "go.mod": ""}).model_copy(update={"language": language})
    found = detect(source)
    assert found is not None
    assert found.confidence >= 0.95


def test_another_language_asked_for(tree: Tree) -> None:
    assert detect(tree({"pyproject.toml": SCRIPT}).model_copy(update={"language": "go"})) is None


def test_asked_for_without_any_python(tree: Tree) -> None:
    assert detect(tree({"go.mod": ""}).model_copy(update={"language": "python"})) is None


def test_symlink_loops_and_links_outside_are_no_evidence(tree: Tree) -> None:
    source = tree({"main.py": ""})
    (source.root / "loop").symlink_to(source.root)
    (source.root / "requirements.txt").symlink_to("/etc/hostname")
    found = detect(source)
    assert found is not None
    assert found.basis == "files"
