"""What release plans say before anything is fetched or built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import PlanError, SpecError
from flowctl_core.models import Artifact, BuildContext, Plan, PlanRequest, Platform, SourceTree, Tool
from flowctl_core.runners.local import LocalRunner
from flowctl_core.specfile.load import load_component
from flowctl_lang_python.plugin import plugin
from flowctl_lang_python.release import environment
from flowctl_lang_python.release.locked_wheels import missing
from flowctl_lang_python.release.target import Target

Tree = Callable[[Mapping[str, str]], SourceTree]

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "sample"
version = "1.0.0"
requires-python = ">=3.11"
dependencies = ["native"]
[project.scripts]
sample = "sample:main"
"""
FILES = {"pyproject.toml": PYPROJECT, "sample/__init__.py": "def main(): pass\n"}
OTHER = next(Platform(name) for name in ("linux/arm64", "linux/amd64") if name != Platform.host())


def make(source: SourceTree, *platforms: str, profile: str = "release") -> Plan:
    request = PlanRequest.model_validate(
        {"name": "sample", "version": "1.0.0", "profile": profile, "platforms": platforms, "language": "python"}
    )
    return plugin.flowctl_plan(source, request)


def lock(*wheels: str, marker: str = "") -> str:
    listed = "".join(f'    {{ url = "https://example.invalid/{name}", hash = "sha256:00" }},\n' for name in wheels)
    dependency = f'{{ name = "native"{f", marker = {marker!r}" if marker else ""} }}'
    return (
        'version = 1\nrequires-python = ">=3.11"\n'
        '[[package]]\nname = "sample"\nversion = "1.0.0"\nsource = { editable = "." }\n'
        f"dependencies = [{dependency}]\n"
        '[[package]]\nname = "native"\nversion = "2.0"\nsource = { registry = "https://example.invalid/simple" }\n'
        + (f"wheels = [\n{listed}]\n" if wheels else 'sdist = { url = "https://example.invalid/native-2.0.tar.gz" }\n')
    )


def test_dev_plans_know_nothing_of_releases(tree: Tree) -> None:
    plan = make(tree(FILES), Platform.host(), profile="dev")
    assert "release" not in plan.details
    assert plan.limitations == ()
    assert [tool.version for tool in plan.toolchain if tool.name == "uv"] == [">=0.5"]


def test_without_a_lockfile_the_plan_warns(tree: Tree) -> None:
    assert "no lockfile" in " ".join(make(tree(FILES), "linux/amd64").warnings)


def test_a_locked_package_without_a_wheel_is_named(tree: Tree) -> None:
    machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[Platform.host()]
    files = {**FILES, "uv.lock": lock(f"native-2.0-cp311-cp311-manylinux_2_17_{machine}.whl")}
    plan = make(tree(files), Platform.host(), OTHER, "darwin/amd64")
    assert [(entry.platform, entry.reason.split(",")[0]) for entry in plan.limitations] == [
        (OTHER, f"native 2.0 has no wheel for {OTHER}"),
        ("darwin/amd64", "native 2.0 has no wheel for darwin/amd64"),
    ]
    assert f"build on a {OTHER} worker" in plan.limitations[0].remedy
    assert plan.warnings == ()


@pytest.mark.parametrize(
    ("wheels", "marker", "expected"),
    [
        (("native-2.0-py3-none-any.whl",), "", []),
        (("native-2.0-cp311-abi3-macosx_10_9_universal2.whl",), "", []),
        (("native-2.0-cp311-cp311-macosx_11_0_x86_64.whl",), "", []),
        (("native-2.0-cp311-cp311-macosx_15_0_x86_64.whl",), "", ["native 2.0"]),
        (("native-2.0-cp311-cp311-macosx_11_0_arm64.whl",), "", ["native 2.0"]),
        (("native-2.0-cp312-cp312-macosx_11_0_x86_64.whl",), "", ["native 2.0"]),
        (("native-2.0-cp311-cp311-win_amd64.whl",), "sys_platform == 'win32'", []),
        ((), "", []),  # only building tells whether it is pure Python
    ],
)
def test_which_wheels_run_on_a_mac(wheels: tuple[str, ...], marker: str, expected: list[str]) -> None:
    import tomllib

    text = lock(*wheels, marker=marker)
    assert sorted(missing(tomllib.loads(text), Target(Platform("darwin/amd64"), (3, 11)))) == expected


def test_newer_glibc_only_when_asked_for(tree: Tree) -> None:
    wheel = "native-2.0-cp311-cp311-manylinux_2_34_aarch64.whl"
    assert Target(Platform("linux/arm64"), (3, 11)).rank(wheel) is None
    assert Target(Platform("linux/arm64"), (3, 11), glibc=(2, 34)).rank(wheel) is not None
    assert Target(Platform("linux/arm64"), (3, 11)).rank(wheel.replace("2_34", "2_17")) is not None


def test_rust_is_only_built_for_this_machine(tree: Tree) -> None:
    pyproject = PYPROJECT.replace("hatchling.build", "maturin").replace("hatchling", "maturin>=1.7,<2")
    plan = make(tree({**FILES, "pyproject.toml": pyproject, "Cargo.toml": ""}), Platform.host(), OTHER)
    assert [entry.platform for entry in plan.limitations] == [OTHER]
    assert "Rust code, through maturin" in plan.limitations[0].reason


def test_platforms_without_wheels_and_libraries_without_programs_are_refused(tree: Tree) -> None:
    library = PYPROJECT.replace('[project.scripts]\nsample = "sample:main"\n', "")
    plan = make(tree({**FILES, "pyproject.toml": library}), "windows/amd64", "linux/amd64")
    assert [entry.platform for entry in plan.limitations] == ["windows/amd64", "linux/amd64"]
    assert "declares no program" in plan.limitations[1].reason


def component(tree: Tree, settings: str) -> SourceTree:
    text = "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata:\n  name: sample\n  version: 1.0.0\nspec:\n  build:\n"
    source = tree({**FILES, "component.yaml": f"{text}    language: python\n    python: {settings}\n"})
    return SourceTree(root=source.root, component=load_component(source.root / "component.yaml").spec)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ("{interpreter: inside}", "inside"),
        ("{interpreter: embedded}", "standalone"),
        ("{glibc: new}", "glibc"),
        ("{colour: red}", "unknown fields"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tree: Tree, settings: str, word: str) -> None:
    with pytest.raises(PlanError, match=word):
        make(component(tree, settings), "linux/amd64")


def test_settings_that_are_no_mapping_are_refused_when_read(tree: Tree) -> None:
    with pytest.raises(SpecError, match=r"component.yaml:9: spec.build.python: must be a mapping, not 'fast'"):
        component(tree, "fast")


def test_an_embedded_interpreter_needs_science(tree: Tree) -> None:
    plan = make(component(tree, "{interpreter: embedded, standalone: '20251120', glibc: '2.34'}"), "linux/amd64")
    assert "science" in [tool.name for tool in plan.toolchain]
    details: Any = plan.details["release"]
    assert details["settings"]["glibc"] == [2, 34]


def test_images_have_the_interpreter_that_the_executable_needs(tree: Tree) -> None:
    plan = make(tree(FILES), "linux/amd64")
    script = Artifact(path="out/sample", platform=Platform("linux/amd64"), format="script", interpreter="python3.12")
    image = plugin.flowctl_image(plan, script)
    assert image is not None
    assert image.base is not None
    assert image.base.endswith("/python:3.12-slim")
    assert image.files[0].source == "out/sample"
    assert image.environment["PEX_ROOT"].startswith("/tmp/")
    native = plugin.flowctl_image(plan, script.model_copy(update={"format": "native", "interpreter": ""}))
    assert native is not None
    assert native.base is not None
    assert "python" not in native.base
    assert plugin.flowctl_image(plan.model_copy(update={"profile": "dev"}), script) is None


def test_dependencies_of_a_dev_build_are_what_its_environment_holds(tmp_path: Path) -> None:
    site = tmp_path / ".flowctl" / "env" / "lib" / "python3.11" / "site-packages"

    def install(name: str, version: str, *fields: str, editable: bool = False) -> None:
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("\n".join([f"Name: {name}", f"Version: {version}", *fields]) + "\n\ntext\n")
        if editable:
            (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')

    install("sample", "1.0", "Requires-Dist: Web_Kit[fast]>=1", 'Requires-Dist: gone; extra == "x"', editable=True)
    install("web_kit", "2.0", "License-Expression: mit", 'Requires-Dist: speed; extra == "fast"')
    install("speed", "0.1", "License: BSD", "Classifier: License :: OSI Approved :: MIT License")
    install("pytest", "9.0", "Requires-Dist: speed")
    context = BuildContext(
        source_root=tmp_path,
        output_dir=tmp_path,
        work_dir=tmp_path,
        tools={"python": Tool(name="python", version="3.11.7", path=Path("python3"))},
        runner=LocalRunner(),
    )
    found = {entry.purl: entry for entry in environment.report(context).dependencies}
    assert list(found) == ["pkg:pypi/pytest@9.0", "pkg:pypi/speed@0.1", "pkg:pypi/web-kit@2.0"]
    pytest_, speed, kit = found.values()
    assert (pytest_.scope, pytest_.direct, pytest_.license) == ("test", False, "")
    assert (speed.scope, speed.direct, speed.license) == ("runtime", False, "MIT")
    assert speed.parents == ("pkg:pypi/pytest@9.0", "pkg:pypi/web-kit@2.0")
    assert (kit.scope, kit.direct, kit.license) == ("runtime", True, "MIT")
