"""Which program of a project is meant, and how Python starts it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import PlanRequest, SourceTree
from flowctl_lang_python.manifest import Project, join, normalised

MAIN_FILES = ("main.py", "app.py", "__main__.py")
"""File names by which programs go, in order of preference; the component's own name comes after them."""

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*:\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\s*\[.*\])?")


@dataclass(frozen=True)
class Target:
    """One program."""

    kind: Literal["function", "module", "file"]
    """`function`: `module:function` as a console script calls it; `module`: `python -m`; `file`: a script."""
    target: str
    """For `file` a path relative to the source tree."""


def import_roots(source: SourceTree, root: str) -> tuple[str, ...]:
    """Folders that hold a project's top-level modules, relative to the source tree: `src` before the root."""
    src = join(root, "src")
    return (src, root) if source.is_dir(src) and not source.exists(f"{src}/__init__.py") else (root,)


def packages(source: SourceTree, root: str) -> tuple[str, ...]:
    """Paths of the top-level packages, relative to the source tree."""
    found = []
    for folder in import_roots(source, root):
        for path in source.walk(folder, depth=1):
            parts = PurePosixPath(path).relative_to(folder).parts
            if len(parts) == 2 and parts[1] == "__init__.py" and parts[0] not in ("tests", "test", "docs"):
                found.append(str(PurePosixPath(path).parent))
    return tuple(found)


def choose(source: SourceTree, project: Project, request: PlanRequest) -> Target | None:
    """The program to build: what was asked for, else the script, `__main__`, or a main file.

    None for an installable project without any program (a library). Raises PlanError when the choice is not
    clear, when what was asked for does not exist, and when there is nothing to run.
    """
    if request.entry_point:
        return _asked(source, project, request.entry_point)
    scripts = project.scripts
    if scripts:
        wanted = {normalised(request.name), normalised(project.name or "")}
        named = [name for name in scripts if normalised(name) in wanted]
        if normalised(request.name) in {normalised(name) for name in named}:
            named = [name for name in named if normalised(name) == normalised(request.name)]
        chosen = named or list(scripts)
        if len(chosen) > 1:
            raise PlanError(
                f"{project.name or request.name} has several scripts: {', '.join(sorted(scripts))}",
                hint="Choose one with --main NAME, or as main in component.yaml.",
            )
        return _function(scripts[chosen[0]], chosen[0])
    modules = [path for path in packages(source, project.root) if source.exists(f"{path}/__main__.py")]
    own = {normalised(project.name or ""), normalised(request.name)}
    preferred = [path for path in modules if normalised(PurePosixPath(path).name) in own] or modules
    if len(preferred) == 1:
        return Target("module", PurePosixPath(preferred[0]).name)
    if len(preferred) > 1:
        raise PlanError(
            f"several packages can be run: {', '.join(preferred)}",
            hint="Choose one with --main PACKAGE, or as main in component.yaml.",
        )
    stems = {
        request.name,
        request.name.replace("-", "_"),
        project.name or "",
        (project.name or "").replace("-", "_"),
    }
    for folder in (project.root, join(project.root, "src")):
        for name in (*MAIN_FILES, *(f"{stem}.py" for stem in sorted(stems) if stem)):
            if source.exists(join(folder, name)):
                return Target("file", join(folder, name))
    if project.installable:
        return None
    scripts_here = [path for path in source.walk(project.root, depth=0) if path.endswith(".py")]
    loose = [path for path in scripts_here if _is_program(source, path)]
    if len(loose) == 1:
        return Target("file", loose[0])
    raise PlanError(
        "no program was found" if not loose else f"several files can be run: {', '.join(loose)}",
        hint="Name it with --main FILE (or module:function), as main in component.yaml, "
        "or under [project.scripts] in pyproject.toml.",
    )


def _is_program(source: SourceTree, path: str) -> bool:
    """True for a script with the usual `__main__` guard, that is not a test or set-up."""
    name = PurePosixPath(path).name
    if name in ("setup.py", "conftest.py", "noxfile.py", "tasks.py") or name.startswith("test_"):
        return False
    try:
        return re.search(r"^if\s+__name__\s*==", source.read_text(path), re.MULTILINE) is not None
    except SourceError:
        return False


def _function(text: str, name: str) -> Target:
    found = _FUNCTION.fullmatch(text.strip())
    if found:
        return Target("function", f"{found.group(1)}:{found.group(2)}")
    raise PlanError(f"script {name} = {text!r} is not module:function", hint="Correct it in pyproject.toml.")


def _asked(source: SourceTree, project: Project, text: str) -> Target:
    """The program for `--main` or component.yaml's `main`."""
    if text in project.scripts:
        return _function(project.scripts[text], text)
    if _FUNCTION.fullmatch(text):
        module = text.split(":")[0].strip()
        if project.installable or _module_file(source, project, module):
            return _function(text, "main")
        raise PlanError(f"module {module} of entry point {text} is not in the source", hint=_hint(project))
    cleaned = text.removeprefix("./").rstrip("/")
    for path in dict.fromkeys((join(project.root, cleaned), cleaned)):
        if source.exists(path):
            return as_module(source, project, path) or Target("file", path)
        if source.is_dir(path) and source.exists(f"{path}/__main__.py"):
            return as_module(source, project, f"{path}/__main__.py") or Target("file", f"{path}/__main__.py")
    if _MODULE.fullmatch(text) and (found := _module_file(source, project, text)):
        if found.endswith("/__init__.py"):
            raise PlanError(f"package {text} cannot be run: it has no __main__.py", hint=_hint(project))
        return Target("module", text)
    raise PlanError(f"entry point {text} is not in the source", hint=_hint(project))


def _hint(project: Project) -> str:
    scripts = f" This project's scripts: {', '.join(sorted(project.scripts))}." if project.scripts else ""
    return "main may be a file, a module, module:function or the name of a script." + scripts


def _module_file(source: SourceTree, project: Project, module: str) -> str | None:
    """File of a module: for a package its `__main__.py` if there is one."""
    path = module.replace(".", "/")
    for folder in import_roots(source, project.root):
        for candidate in (f"{path}/__main__.py", f"{path}.py", f"{path}/__init__.py"):
            if source.exists(join(folder, candidate)):
                return join(folder, candidate)
    return None


def as_module(source: SourceTree, project: Project, path: str) -> Target | None:
    """A file inside a package as a module, so that its relative imports work; None for a plain script."""
    parts = PurePosixPath(path)
    if parts.suffix != ".py" or not source.exists(str(parts.parent / "__init__.py")):
        return None
    top = parts.parent
    while top.name and source.exists(str(top.parent / "__init__.py")):
        top = top.parent
    if str(top.parent) not in import_roots(source, project.root):
        return None
    names = [*parts.parent.relative_to(top.parent).parts, parts.stem]
    if names[-1] in ("__main__", "__init__"):
        names.pop()
    dotted = ".".join(names)
    return Target("module", dotted) if _MODULE.fullmatch(dotted) else None
