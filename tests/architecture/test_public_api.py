"""Language packages use core's public names only, as somebody else's plugin would; the registry names no language."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLIC = {"flowctl_core", "flowctl_core.models", "flowctl_core.errors", "flowctl_core.launcher"}
LANGUAGES = sorted(path.name for path in ROOT.glob("flowctl-lang-*"))
PARTS = {"plugin.py", "detect.py", "manifest.py", "targets.py", "toolchain.py", "build.py", "suite.py"}


def imports(package: Path) -> Iterator[tuple[str, str]]:
    """(place, module) of every import, those inside functions and under TYPE_CHECKING as well."""
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            place = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                yield from ((place, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield place, node.module
                # `from flowctl_core import runners` names a module too
                yield from ((place, f"{node.module}.{a.name}") for a in node.names if is_module(node.module, a.name))


def is_module(package: str, name: str) -> bool:
    base = ROOT / "flowctl-core" / "src" / Path(*package.split("."))
    return package.startswith("flowctl_core") and ((base / name).is_dir() or (base / f"{name}.py").is_file())


def test_all_four_languages_are_here() -> None:
    assert LANGUAGES == ["flowctl-lang-go", "flowctl-lang-node", "flowctl-lang-python", "flowctl-lang-rust"]


@pytest.mark.parametrize("distribution", LANGUAGES)
def test_a_language_package_imports_only_public_names(distribution: str) -> None:
    found = list(imports(ROOT / distribution / "src"))
    core = [(place, module) for place, module in found if module.split(".")[0] == "flowctl_core"]
    assert core, "it uses the contract somewhere"
    assert [(place, module) for place, module in core if module not in PUBLIC] == []
    own = distribution.replace("-", "_")
    others = [entry for entry in found if entry[1].startswith(("flowctl_lang_", "flowctl_registry"))]
    assert [entry for entry in others if entry[1].split(".")[0] != own] == []


@pytest.mark.parametrize("distribution", LANGUAGES)
def test_language_packages_have_one_shape(distribution: str) -> None:
    package = ROOT / distribution / "src" / distribution.replace("-", "_")
    assert PARTS - {path.name for path in package.glob("*.py")} == set()


def test_core_and_registry_never_name_a_language_package() -> None:
    for distribution in ("flowctl-core", "flowctl-registry"):
        for place, module in imports(ROOT / distribution / "src"):
            assert not module.startswith("flowctl_lang_"), place
