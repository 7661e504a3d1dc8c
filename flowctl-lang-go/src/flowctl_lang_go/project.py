"""What lies where in a source tree: modules, the workspace around them, and the one program to build."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from flowctl_core.errors import PlanError
from flowctl_core.models import SourceTree
from flowctl_lang_go.constraints import Wanted
from flowctl_lang_go.manifest import (
    Module,
    Workspace,
    is_inside,
    join,
    read_module,
    read_workspace,
)
from flowctl_lang_go.targets import SIDE_FOLDERS, Program, Tree, is_below


@dataclass(frozen=True)
class Project:
    """The program, its module and what belongs to it."""

    program: Program
    module: Module | None
    """None: loose files without a go.mod."""
    workspace: Workspace | None
    members: tuple[Module, ...]
    """Modules that are built from this source: the program's, and in a workspace all that it uses."""

    @property
    def root(self) -> str:
        """Folder in which `go` runs."""
        if self.workspace is not None:
            return self.workspace.folder
        return self.module.folder if self.module is not None else self.program.folder


def find_project(tree: Tree, target: Wanted, *, root: str, name: str, entry_point: str | None) -> Project:
    """Choose the program.

    `root` is where detection found Go; `entry_point` a file, a folder or a program's name. Raises PlanError when there
    is no program, or several and nothing says which.
    """
    modules = candidate_modules(tree, root)
    if entry_point:
        program = _asked_for(tree, target, modules, root, entry_point)
    else:
        program = _choose(tree, target, modules, root, name)
    owner = owner_of(tree, program.folder)
    workspace = workspace_of(tree, owner) if owner is not None else None
    members = used_modules(tree.source, workspace) if workspace is not None else (owner,) if owner is not None else ()
    return Project(program, owner, workspace, tuple(members))


def candidate_modules(tree: Tree, root: str) -> list[Module]:
    """The modules that speak for a folder: its workspace's, its own, else those below it that serve nothing else."""
    workspace = read_workspace(tree.source, root)
    if workspace is not None:
        return list(used_modules(tree.source, workspace))
    own = read_module(tree.source, root)
    if own is not None:
        return [own]
    below = [folder for folder in tree.modules if is_below(folder, root)]
    below = [folder for folder in below if not is_aside(folder)] or below
    found = (read_module(tree.source, folder) for folder in below)
    return [module for module in found if module is not None]


def used_modules(source: SourceTree, workspace: Workspace) -> tuple[Module, ...]:
    """The members of a workspace that are in the source tree."""
    folders = [join(workspace.folder, path) for path in workspace.uses]
    found = (read_module(source, folder) for folder in folders if is_inside(folder))
    return tuple(module for module in found if module is not None)


def workspace_of(tree: Tree, module: Module) -> Workspace | None:
    """The nearest go.work, at or above a module and inside the source, that uses it."""
    folder = module.folder
    while True:
        workspace = read_workspace(tree.source, folder)
        if workspace is not None:
            used = {join(workspace.folder, path) for path in workspace.uses}
            return workspace if module.folder in used else None
        if folder == ".":
            return None
        folder = posixpath.dirname(folder) or "."


def owner_of(tree: Tree, folder: str) -> Module | None:
    """The module that a folder belongs to."""
    above = [one for one in tree.modules if is_below(folder, one)]
    return read_module(tree.source, max(above, key=_depth)) if above else None


def is_aside(folder: str) -> bool:
    """True for a folder that serves something beside the component."""
    return bool(SIDE_FOLDERS & set(folder.split("/")))


def programs_of(tree: Tree, target: Wanted, modules: Sequence[Module]) -> list[Program]:
    """All main packages of some modules; of loose files where there are none."""
    chosen: Sequence[Module | None] = modules or (None,)
    return [program for module in chosen for program in tree.programs(module, target)]


def _depth(folder: str) -> int:
    return 0 if folder == "." else folder.count("/") + 1


def _asked_for(tree: Tree, target: Wanted, modules: list[Module], root: str, entry_point: str) -> Program:
    wanted = entry_point.strip().removesuffix("/...") or "."
    for module in modules:
        if module.path and (wanted == module.path or wanted.startswith(module.path + "/")):
            return _program_at(tree, target, join(module.folder, "./" + wanted[len(module.path) :]), entry_point)
    places = dict.fromkeys(join(base, wanted) for base in (".", root, *(module.folder for module in modules)))
    for place in places:
        if not is_inside(place):
            continue
        if tree.source.exists(place) and place.endswith(".go"):
            return _program_at(tree, target, posixpath.dirname(place) or ".", entry_point)
        program = tree.program(place, target)
        if program is not None:
            return program
        below = _below(tree, target, place)
        if len(below) == 1:
            return below[0]
        if below:
            raise PlanError(f"there are several Go programs in {place}: {_listed(below)}", hint=_choice(below))
        if place in tree.go_files:
            return _program_at(tree, target, place, entry_point)
    programs = programs_of(tree, target, modules)
    named = [program for program in programs if _name(program, modules) == wanted]
    if len(named) == 1:
        return named[0]
    raise PlanError(
        f"there is no Go program {entry_point}" + (f" ({_listed(programs)})" if programs else ""),
        hint=_choice(programs) if programs else "Name a file or folder with `package main`.",
    )


def _below(tree: Tree, target: Wanted, place: str) -> list[Program]:
    """Programs in the folders below one, in whatever module; those that serve something beside it only if alone."""
    if place == "." or not tree.source.is_dir(place):
        return []
    found = [tree.program(folder, target) for folder in tree.go_files if is_below(folder, place)]
    programs = [program for program in found if program is not None]
    return [p for p in programs if not is_aside(posixpath.relpath(p.folder, place))] or programs


def _program_at(tree: Tree, target: Wanted, folder: str, entry_point: str) -> Program:
    program = tree.program(folder, target)
    if program is not None:
        return program
    package = tree.package(folder, target)
    if package == "main":
        raise PlanError(f"{entry_point}: the package main in {_shown(folder)} has no func main")
    if package:
        raise PlanError(
            f"{entry_point} is the package {package}, not a program",
            hint="Name a folder with `package main`.",
        )
    raise PlanError(
        f"{entry_point}: no Go file in {_shown(folder)} is for {target.shown}",
        hint="Build constraints or file names exclude them; tags can be given in build_args: [-tags, …].",
    )


def _choose(tree: Tree, target: Wanted, modules: list[Module], root: str, name: str) -> Program:
    every = programs_of(tree, target, modules)
    programs = [program for program in every if not program.aside] or every
    if len(programs) == 1:
        return programs[0]
    if not programs:
        raise _no_program(tree, target, modules, root)
    last = modules[0].name if len(modules) == 1 else ""
    for wanted in filter(None, (name, last)):
        named = [program for program in programs if _name(program, modules) == wanted]
        named = named or [program for program in programs if posixpath.basename(program.folder) == wanted]
        if len(named) == 1:
            return named[0]
        commands = [program for program in named if program.folder.endswith(f"cmd/{wanted}")]
        if len(commands) == 1:
            return commands[0]
    raise PlanError(f"there are several Go programs: {_listed(programs)}", hint=_choice(programs))


def _name(program: Program, modules: Sequence[Module]) -> str:
    """What `go install` would call it."""
    for module in modules:
        if program.folder == module.folder:
            return module.name
    return posixpath.basename(program.folder)


def _no_program(tree: Tree, target: Wanted, modules: list[Module], root: str) -> PlanError:
    if not modules and not tree.go_files:
        return PlanError(
            "there is no Go code here: neither go.mod nor *.go",
            hint="Start with `go mod init` and a main.go, or choose another language with --language.",
        )
    places: Sequence[Module | None] = modules or (None,)
    excluded = [
        folder
        for module in places
        for folder in tree.folders(module)
        if not tree.package(folder, target) and any(not path.endswith("_test.go") for path in tree.go_files[folder])
    ]
    what = f"the module {modules[0].path or modules[0].file}" if len(modules) == 1 else f"the Go code in {_shown(root)}"
    constrained = ""
    if excluded:
        constrained = f"; build constraints exclude all files for {target.shown} in " + ", ".join(
            _shown(folder) for folder in excluded[:5]
        )
    return PlanError(
        f"{what} is a library: no package main with a func main{constrained}",
        hint="A component is a program: add one, for example cmd/<name>/main.go, or choose a folder that has one.",
    )


def _shown(folder: str) -> str:
    return "." if folder == "." else f"./{folder}"


def _listed(programs: Sequence[Program]) -> str:
    shown = [_shown(program.folder) for program in programs]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")


def _choice(programs: Sequence[Program]) -> str:
    example = _shown(programs[0].folder)
    return f"Choose with --main {example}, or set main: {example} for the language in component.yaml."
