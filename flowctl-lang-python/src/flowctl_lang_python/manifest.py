"""What a folder's Python manifests declare, read without running anything."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flowctl_core.errors import SourceError
from flowctl_core.models import SourceTree
from flowctl_lang_python import poetry, requirement_files, setup_files

DEVELOPMENT = ("dev", "test", "tests", "testing")
"""Groups and extras by which projects name what their tests need."""

_REQUIREMENTS = ("requirements.txt", "requirements.in")
_DEVELOPMENT_REQUIREMENTS = tuple(
    pattern.format(word)
    for word in DEVELOPMENT
    for pattern in (
        "requirements-{}.txt",
        "requirements_{}.txt",
        "{}-requirements.txt",
        "requirements/{}.txt",
    )
)
_SCRIPT_BLOCK = re.compile(r"(?m)^# /// script\s*$\n((?:^#(?:| .*)$\n)+?)^# ///\s*$")


@dataclass(frozen=True)
class Project:
    """The declarations of one folder, normalised from all the ways of writing them."""

    root: str = "."
    """The folder, relative to the source tree."""
    files: tuple[str, ...] = ()
    """Manifests and lockfiles found, relative to the source tree; fetch depends on them."""
    problem: str | None = None
    """Why one of the manifests cannot be read, beginning with its path."""
    name: str | None = None
    requires_python: str | None = None
    python_declared_in: str | None = None
    pinned_python: str | None = None
    """From .python-version: `3.12` or `3.12.4`."""
    standard: bool = False
    """pyproject.toml has a [project] table, so uv reads the dependencies from it."""
    declares_package: bool = False
    """By [project], [build-system] or Poetry's table, by a setup.py, or by a setup.cfg with metadata."""
    tools_only: bool = False
    """A pyproject.toml that only configures tools."""
    dynamic: bool = False
    """Only the build backend can tell the dependencies."""
    requirements: tuple[str, ...] = ()
    """PEP 508; for standard projects only to know what is declared (uv reads them itself)."""
    development: tuple[str, ...] = ()
    """Requirements of the development groups and extras."""
    poetry_development: tuple[str, ...] = ()
    """Those among them that stand in Poetry's own groups, which uv does not read, beside a [project] table too."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Names of the development extras and dependency groups to install."""
    requirement_files: tuple[str, ...] = ()
    """requirements.txt and its kin to install, relative to `root`."""
    scripts: dict[str, str] = field(default_factory=dict)
    """Console scripts: name to `module:function`."""
    backend: str | None = None
    """Build backend (`hatchling.build`); None: nothing to install, the sources are used as they are."""
    build_requirements: tuple[str, ...] = ()
    lock: str | None = None
    """`uv.lock`, `poetry.lock`, `pdm.lock` or `Pipfile.lock`, relative to `root`."""
    compiled: bool = False
    """True when installing compiles something, so that each build has to ask the backend."""
    cargo: bool = False
    outside: tuple[str, ...] = ()
    """Path dependencies that lead out of the source tree."""
    local: tuple[str, ...] = ()
    """Folders in the source tree that are installed as copies; relative to it."""
    pytest_configured: bool = False

    @property
    def installable(self) -> bool:
        """True when there is a build backend that can install the project."""
        return self.backend is not None

    def declares(self, distribution: str) -> bool:
        """True when a distribution is among the requirements, of development or not."""
        return any(requirement_name(text) == distribution for text in (*self.requirements, *self.development))


def join(root: str, name: str) -> str:
    """A path below a folder of the source tree."""
    return name if root == "." else f"{root}/{name}"


def requirement_name(requirement: str) -> str:
    """The normalised distribution name (PEP 503) that a requirement begins with; empty for none."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return normalised(found.group(1)) if found else ""


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_toml(source: SourceTree, path: str) -> tuple[dict[str, Any], str | None]:
    """A TOML file's content and, when it cannot be read, the reason."""
    try:
        text = source.read_text(path)
        if text.startswith("\ufeff"):
            return {}, f"{path}: begins with a byte order mark, which TOML readers of Python refuse; save it without"
        return tomllib.loads(text), None
    except tomllib.TOMLDecodeError as error:
        return {}, f"{path}: {error}"
    except (SourceError, RecursionError) as error:
        return {}, str(error)


def read_project(source: SourceTree, root: str = ".") -> Project:
    """Read the manifests of one folder. Never raises for their content; see `Project.problem`."""

    def present(*names: str) -> tuple[str, ...]:
        return tuple(name for name in names if source.exists(join(root, name)))

    unreadable: list[str] = []

    def text_of(name: str) -> str:
        try:
            return source.read_text(join(root, name))
        except SourceError as error:
            unreadable.append(error.message)
            return ""

    data, problem = read_toml(source, join(root, "pyproject.toml")) if present("pyproject.toml") else ({}, None)
    project = _table(data, "project")
    system = _table(data, "build-system")
    tool = _table(data, "tool")
    old_poetry = _table(tool, "poetry")
    cfg = setup_files.read_cfg(text_of("setup.cfg")) if present("setup.cfg") else None
    script = setup_files.read_setup_py(text_of("setup.py")) if present("setup.py") else None
    if cfg is not None and cfg.name is None and not cfg.requirements and script is None:
        cfg = None  # only configures tools such as flake8
    legacy = [part for part in (cfg, script) if part is not None]
    declares = bool(project or system or old_poetry or legacy)

    requirements = _texts(project.get("dependencies"))
    optional = {str(name): _texts(value) for name, value in _table(project, "optional-dependencies").items()}
    groups = _table(data, "dependency-groups")
    extras = tuple(name for name in DEVELOPMENT if name in optional)
    group_names = tuple(name for name in DEVELOPMENT if name in groups)
    development = [text for name in extras for text in optional[name]]
    for name in group_names:
        development += _group(groups, name)
    development += _texts(_table(tool, "uv").get("dev-dependencies"))
    poetry_development: list[str] = []
    scripts = {str(name): str(target) for name, target in _table(project, "scripts").items()}
    dynamic = _texts(project.get("dynamic"))
    requires_python, declared_in = _text(project.get("requires-python")), "pyproject.toml requires-python"

    if old_poetry:
        main = _table(old_poetry, "dependencies")
        if not project:
            requirements = tuple(poetry.requirements(main))
            if isinstance(main.get("python"), str):
                requires_python = poetry.version_specifier(main["python"]) or None
                declared_in = "pyproject.toml tool.poetry.dependencies.python"
        poetry_development += poetry.requirements(_table(old_poetry, "dev-dependencies"))
        for group in _table(old_poetry, "group").values():
            if isinstance(group, dict) and not group.get("optional"):
                poetry_development += poetry.requirements(_table(group, "dependencies"))
        development += poetry_development
        for name, target in _table(old_poetry, "scripts").items():
            text = target if isinstance(target, str) else _text(_table(old_poetry, "scripts")[name].get("callable"))
            if text:
                scripts.setdefault(str(name), text)
    for part in legacy:
        if not project and not old_poetry:
            requirements += part.requirements
            for name in DEVELOPMENT:
                development += part.extras.get(name, ())
        scripts = {**part.scripts, **scripts}
        if requires_python is None and part.requires_python:
            requires_python, declared_in = part.requires_python, "setup.cfg" if part is cfg else "setup.py"

    backend = _backend(project, system, tool, bool(old_poetry), bool(legacy))
    build_requirements = _build_requirements(system, tool, backend, legacy)
    words = " ".join(build_requirements)
    cargo = "maturin" in words or "setuptools-rust" in words
    legacy_dynamic = not project and not old_poetry and any(part.dynamic for part in legacy)
    main_files = present(*_REQUIREMENTS)[:1]
    own = bool(requirements) or "dependencies" in dynamic or bool(project and "dependencies" in project)
    lock = next(iter(present("uv.lock") if project else ()), None)
    lock = lock or next(iter(present("poetry.lock", "pdm.lock", "Pipfile.lock")), None)
    if present("Pipfile") and not declares:
        pipfile, _ = read_toml(source, join(root, "Pipfile"))
        requirements = tuple(poetry.requirements(_table(pipfile, "packages")))
        development += poetry.requirements(_table(pipfile, "dev-packages"))
        pin = _text(_table(pipfile, "requires").get("python_version"))
        if pin:
            requires_python, declared_in = f"=={pin}.*", "Pipfile requires.python_version"
        own = True
    extra_files = present(*_DEVELOPMENT_REQUIREMENTS)
    listed = (*(() if own else main_files), *extra_files)
    try:
        listing = requirement_files.read(source, root, (*listed, *_dynamic_files(tool, cfg)))
    except SourceError as error:
        unreadable.append(error.message)
        listing = requirement_files.Listing()
    development += listing.requirements
    paths = (*_source_folders(tool), *requirements, *poetry_development)
    local = (requirement_files.folder_of(source, root, text) for text in paths)
    return Project(
        root=root,
        files=tuple(
            join(root, name)
            for name in (
                *present("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", ".python-version"),
                *present("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "Cargo.toml" if cargo else "uv.toml"),
                *main_files,
                *extra_files,
            )
        )
        + tuple(
            path for path in listing.files if path not in {join(root, name) for name in (*main_files, *extra_files)}
        ),
        problem=problem or next(iter(unreadable), None),
        name=_text(project.get("name"))
        or _text(old_poetry.get("name"))
        or next((p.name for p in legacy if p.name), None),
        requires_python=requires_python,
        python_declared_in=declared_in if requires_python else None,
        pinned_python=_pinned(source, join(root, ".python-version")),
        standard=bool(project),
        declares_package=declares,
        tools_only=bool(present("pyproject.toml")) and not declares and problem is None,
        dynamic="dependencies" in dynamic or legacy_dynamic,
        requirements=requirements,
        development=tuple(development),
        poetry_development=tuple(poetry_development),
        extras=extras,
        groups=group_names,
        requirement_files=listed,
        scripts=scripts,
        backend=backend,
        build_requirements=build_requirements,
        lock=lock,
        compiled=cargo or any(part.compiled for part in legacy) or _compiles(backend, words),
        cargo=cargo,
        outside=tuple(_outside(source, root, tool)),
        local=tuple(dict.fromkeys(folder for folder in (*listing.folders, *local) if folder not in (None, root))),
        pytest_configured=bool(present("pytest.ini", ".pytest.ini", "conftest.py", "pytest.toml"))
        or "pytest" in tool
        or _section(source, join(root, "setup.cfg"), "tool:pytest")
        or _section(source, join(root, "tox.ini"), "pytest"),
    )


def script_metadata(text: str) -> tuple[tuple[str, ...], str | None]:
    """Dependencies and `requires-python` of a single-file script (PEP 723)."""
    found = _SCRIPT_BLOCK.search(text)
    if found is None:
        return (), None
    try:
        data = tomllib.loads("\n".join(line[2:] for line in found.group(1).splitlines()))
    except tomllib.TOMLDecodeError:
        return (), None
    return _texts(data.get("dependencies")), _text(data.get("requires-python"))


def _backend(
    project: dict[str, Any], system: dict[str, Any], tool: dict[str, Any], old_poetry: bool, legacy: bool
) -> str | None:
    uv = _table(tool, "uv")
    if uv.get("package") is False or _table(tool, "poetry").get("package-mode") is False:
        return None
    wheel = _table(_table(_table(_table(tool, "hatch"), "build"), "targets"), "wheel")
    if wheel.get("packages") == [] and not any(key in wheel for key in ("include", "only-include", "force-include")):
        return None  # says so itself: nothing to install
    named = _text(system.get("build-backend"))
    if named or system or legacy or uv.get("package") is True:
        return named or "setuptools.build_meta:__legacy__"
    return "poetry.core.masonry.api" if old_poetry and not project else None


def _build_requirements(
    system: dict[str, Any], tool: dict[str, Any], backend: str | None, legacy: list[setup_files.SetupMetadata]
) -> tuple[str, ...]:
    """What building needs, with what backends ask for beyond `build-system.requires`.

    The backend's hook would tell exactly, at the price of running it while fetching; build asks again when
    something is missing here.
    """
    if backend is None:
        return ()
    fallback = ("poetry-core",) if backend.startswith("poetry") else ("setuptools>=40.8.0",)
    wanted = list(_texts(system.get("requires")) or fallback)
    if backend.startswith("hatchling"):
        wanted.append("editables~=0.3")
        hatch = _table(_table(tool, "hatch"), "build")
        tables = [_table(hatch, "hooks"), *(_table(t, "hooks") for t in _tables(_table(hatch, "targets")))]
        for table in (hatch, *_tables(_table(hatch, "targets")), *(h for t in tables for h in _tables(t))):
            wanted += _texts(table.get("dependencies"))
    if "setuptools" in backend:
        wanted.append("wheel")  # setuptools before 70.1 asks for it
    for part in legacy:
        wanted += part.setup_requires
    return tuple(dict.fromkeys(wanted))


def _compiles(backend: str | None, build_requirements: str) -> bool:
    word = backend or ""
    tools = ("cython", "pybind11", "cffi", "nanobind", "mypyc", "numpy")
    return word.startswith(("mesonpy", "scikit_build_core")) or any(t in build_requirements.lower() for t in tools)


def _group(groups: dict[str, Any], name: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """A dependency group with the groups it includes (PEP 735)."""
    texts: list[str] = []
    items = groups.get(name)
    for item in items if isinstance(items, list) else []:
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, dict) and isinstance(item.get("include-group"), str):
            included = item["include-group"]
            if included not in seen:
                texts += _group(groups, included, seen | {name})
    return texts


def _dynamic_files(tool: dict[str, Any], cfg: setup_files.SetupMetadata | None) -> tuple[str, ...]:
    """Files from which setuptools reads the dependencies."""
    declared = _table(_table(_table(tool, "setuptools"), "dynamic"), "dependencies").get("file")
    named = (declared,) if isinstance(declared, str) else _texts(declared)
    return (*named, *(cfg.requirements_in if cfg is not None else ()))


def _source_folders(tool: dict[str, Any]) -> Iterator[str]:
    """Folders that tool.uv.sources installs as copies."""
    for value in _table(_table(tool, "uv"), "sources").values():
        path = _text(value.get("path")) if isinstance(value, dict) and value.get("editable") is not True else None
        if path is not None:
            yield f"./{path}" if not path.startswith(("/", ".")) else path


def _outside(source: SourceTree, root: str, tool: dict[str, Any]) -> list[str]:
    found = []
    for value in _table(_table(tool, "uv"), "sources").values():
        path = _text(value.get("path")) if isinstance(value, dict) else None
        if path is None:
            continue
        target = (source.root / root / path).resolve()
        if not target.is_relative_to(source.root.resolve()):
            found.append(path)
    return found


def _pinned(source: SourceTree, path: str) -> str | None:
    if not source.exists(path):
        return None
    try:
        first = next(iter(source.read_text(path).split()), "")
    except SourceError:
        return None
    found = re.fullmatch(r"(?:cpython@?-?)?(\d+\.\d+(?:\.\d+)?)", first)
    return found.group(1) if found else None


def _section(source: SourceTree, path: str, name: str) -> bool:
    try:
        return source.exists(path) and f"[{name}]" in source.read_text(path)
    except SourceError:
        return False


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _tables(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for value in data.values() if isinstance(value, dict)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
