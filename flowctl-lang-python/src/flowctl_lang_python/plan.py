"""Says what will be built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from flowctl_core.errors import PlanError
from flowctl_core.models import EntryPoint, Inputs, Plan, PlanRequest, SourceTree
from flowctl_lang_python import suite, targets, toolchain
from flowctl_lang_python.detect import ALIASES, LANGUAGE
from flowctl_lang_python.manifest import (
    Project,
    join,
    read_project,
    read_toml,
    requirement_name,
    script_metadata,
)
from flowctl_lang_python.recipe import Recipe
from flowctl_lang_python.release import plan as release_plan

_NEVER_INPUTS = (
    "__pycache__/",
    "*.py[co]",
    "*.egg-info/",
    ".coverage",
    ".eggs/",
    ".hypothesis/",
    ".mypy_cache/",
    ".nox/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".tox/",
    ".venv/",
    "venv/",
)
_KNOWN_BACKENDS = (
    "flit_core",
    "hatchling",
    "maturin",
    "pdm.backend",
    "poetry.core",
    "poetry_core",
    "setuptools",
    "uv_build",
)
"""Backends that need nothing but what manifest.py knows of."""

_NEVER_INPUTS_COMPILED = ("*.so", "*.pyd", "*.dylib")


def make(source: SourceTree, request: PlanRequest) -> Plan:
    """The plan for one component.

    Raises PlanError when pyproject.toml cannot be read, when the program is not clear, and when uv.lock does
    not cover what pyproject.toml asks for.
    """
    project = read_project(source, request.detection_root)
    if project.problem:
        raise PlanError(project.problem, hint="Correct the file.")
    target = targets.choose(source, project, request)
    script_requirements, script_python = _inline_script(source, project, target)
    if script_python and project.requires_python is None:
        project = _with_python(project, script_python, target.target if target else "")
    tests = suite.discover(source, project)
    local = tuple(name for folder in project.local if (name := read_project(source, folder).name) is not None)
    version = source.component.language(LANGUAGE, *ALIASES) if source.component else None
    warnings = [
        f"{path} is outside the component: a change there is not noticed" for path in project.outside
    ] + _lock_warnings(source, project)
    if target is None:
        warnings.append("the project declares no program: only its environment is built")
    recipe = Recipe(
        kind=target.kind if target else None,
        target=target.target if target else "",
        installable=project.installable,
        import_roots=() if project.installable else targets.import_roots(source, project.root),
        compiled=project.compiled,
        cargo=project.cargo,
        metadata=_metadata(source, project),
        lock=project.lock,
        standard=project.standard,
        dynamic=_dynamic(source, project),
        requirements=(
            *(project.poetry_development if project.standard else (*project.requirements, *_listed(project))),
            *script_requirements,
        ),
        requirement_files=project.requirement_files,
        extras=project.extras,
        groups=project.groups,
        build_requirements=project.build_requirements,
        ask_backend=project.installable and not (project.backend or "").startswith(_KNOWN_BACKENDS),
        local=local,
        test_tool=tests.tool,
        test_start=tests.start,
        add_pytest=tests.tool == "pytest" and not project.declares("pytest"),
    )
    release = release_plan.make(source, project, target, script_requirements, request)
    return Plan(
        component=request.name,
        version=request.version,
        language=LANGUAGE,
        profile=request.profile,
        platforms=request.platforms,
        root=project.root,
        entry_points=(EntryPoint(name=request.name, path=target.target),) if target else (),
        inputs=Inputs(
            exclude=_NEVER_INPUTS + (_compiled_outputs(source, project) if project.compiled else ()),
            fetch=project.files + _local_files(source, project) + _script_file(script_requirements, target),
        ),
        toolchain=release.with_tools(toolchain.requirements(project, version.version if version else None)),
        environment=dict(toolchain.ENVIRONMENT),
        passthrough=toolchain.PASSTHROUGH,
        # Nothing in `fetched`: the environment is an artifact, so that the cache can restore it without any
        # tool; build asks for fetch when it is missing.
        generated=_generated(project),
        fetch_runs_code=recipe.ask_backend or recipe.dynamic is not None or bool(project.outside or project.local),
        settings=request.settings,
        limitations=release.limitations,
        details=recipe.model_copy(update={"release": release.recipe}).model_dump(
            mode="json", exclude=None if release.recipe else {"release"}
        ),
        warnings=(*warnings, *release.warnings),
    )


def _inline_script(
    source: SourceTree, project: Project, target: targets.Target | None
) -> tuple[tuple[str, ...], str | None]:
    """Dependencies that a single-file program declares in itself, where no manifest does."""
    if target is None or target.kind != "file" or project.declares_package or project.requirement_files:
        return (), None
    return script_metadata(source.read_text(target.target))


def _with_python(project: Project, specifier: str, file: str) -> Project:
    return replace(project, requires_python=specifier, python_declared_in=f"{file} requires-python")


def _script_file(requirements: tuple[str, ...], target: targets.Target | None) -> tuple[str, ...]:
    return (target.target,) if requirements and target else ()


def _compiled_outputs(source: SourceTree, project: Project) -> tuple[str, ...]:
    """What compiling leaves: setuptools' build/ beside the manifest, cargo's target/ beside each Cargo.toml.

    Only there: further down a folder of such a name may be a package or module of the source.
    """
    crates = (PurePosixPath(path).parent for path in source.walk(project.root, depth=3) if path.endswith("Cargo.toml"))
    targets = dict.fromkeys(join(str(folder), "target") for folder in crates)
    return (*_NEVER_INPUTS_COMPILED, f"/{join(project.root, 'build')}/", *(f"/{path}/" for path in targets))


def _local_files(source: SourceTree, project: Project) -> tuple[str, ...]:
    """Files of the folders that fetch installs as copies: a change there has to be installed again."""
    found = []
    for folder in project.local:
        for path in source.walk(folder):
            inside = PurePosixPath(path).relative_to(folder).parts
            made_by_backend = inside[0] == "build" or any(part.endswith(".egg-info") for part in inside)
            if path not in project.files and not made_by_backend:
                found.append(path)
    return tuple(found)


def _listed(project: Project) -> tuple[str, ...]:
    """Development requirements that no requirement file brings."""
    return () if project.requirement_files else project.development


def _dynamic(source: SourceTree, project: Project) -> str | None:
    if not project.dynamic:
        return None
    if project.standard:
        return "pyproject.toml"
    return "setup.py" if source.exists(join(project.root, "setup.py")) else "pyproject.toml"


def _metadata(source: SourceTree, project: Project) -> tuple[str, ...]:
    names = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in")
    return tuple(path for path in (join(project.root, name) for name in names) if source.exists(path))


def _generated(project: Project) -> tuple[str, ...]:
    """The folders with metadata that setuptools leaves in the source."""
    if not project.name or "setuptools" not in (project.backend or ""):
        return ()
    stem = project.name.replace("-", "_")
    names = dict.fromkeys((stem, project.name, stem.replace(".", "_")))
    return tuple(join(project.root, f"{folder}{name}.egg-info") for folder in ("", "src/") for name in names)


def _lock_warnings(source: SourceTree, project: Project) -> list[str]:
    """Raises PlanError when uv.lock lacks a declared dependency: the environment would lack it."""
    if project.lock != "uv.lock" or project.dynamic:
        return []
    data, problem = read_toml(source, join(project.root, "uv.lock"))
    if problem:
        raise PlanError(problem, hint="Restore uv.lock, or make it anew with `uv lock`.")
    listed = data.get("package")
    locked = (
        {str(package.get("name")) for package in listed if isinstance(package, dict)}
        if isinstance(listed, list)
        else set()
    )
    missing = sorted({name for text in project.requirements if (name := requirement_name(text)) not in locked})
    if missing:
        raise PlanError(
            f"uv.lock does not know {', '.join(missing)}, which pyproject.toml asks for",
            hint="Run `uv lock` and commit the result.",
        )
    return []
