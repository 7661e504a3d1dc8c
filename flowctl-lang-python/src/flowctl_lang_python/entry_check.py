"""Checks an entry point without running any of it; executed by the environment's own interpreter.

The module, and what it imports from the project itself, is parsed; each top-level import that is not conditional
has to be found. What only running would tell (a setting that is missing, a dependency that raises) is left to
running. Works on its own with any Python from 3.8 on: arguments are the kind of entry point, its target, and the
folders of the source; the last line printed states the problem, with exit code 1.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

_LIMIT = 500
"""Modules of the project to look at; a larger one is checked in part."""


def find(name: str) -> Any:
    """The spec of a module, found folder by folder, so that no package on the way is imported; None if missing."""
    parts = name.split(".")
    spec = importlib.util.find_spec(parts[0])
    for at in range(1, len(parts)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        full = ".".join(parts[: at + 1])
        spec = importlib.machinery.PathFinder.find_spec(full, list(spec.submodule_search_locations))
    return spec


def parse(path: str) -> ast.Module:
    """The syntax tree of a file; ends the program with the place of a syntax error."""
    try:
        return ast.parse(Path(path).read_bytes(), path)
    except (SyntaxError, ValueError) as error:
        import traceback

        traceback.print_exception(type(error), error, None)
        sys.exit(1)


def defines(tree: ast.Module, name: str) -> bool:
    """True when a module may have that name: anything bound at any level, or unknown because of `*`."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name:
            return True
        if isinstance(node, (ast.Import, ast.ImportFrom)) and any(
            (alias.asname or alias.name.split(".")[0]) in (name, "*") for alias in node.names
        ):
            return True
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
    return any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body)


def imported(tree: ast.Module, module: str, is_package: bool) -> list[tuple[str, int]]:
    """Absolute names of the modules that are imported whatever happens, with their lines."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                name = ".".join([*base, *([node.module] if node.module else [])])
            else:
                name = node.module or ""
            if name:
                found.append((name, node.lineno))
    return found


def check(module: str, path: str, is_package: bool, roots: list[str]) -> None:
    """Follow the imports of the project's own modules; ends the program at the first one that is missing."""
    todo, seen = [(module, path, is_package)], {path}
    while todo and len(seen) < _LIMIT:
        name, file, package = todo.pop()
        for wanted, line in imported(parse(file), name, package):
            top = wanted.split(".")[0]
            if top in sys.builtin_module_names:
                continue
            spec = find(top)
            if spec is None:
                sys.stderr.write(f'  File "{file}", line {line}\n')
                sys.exit(f"ModuleNotFoundError: No module named '{wanted}'")
            spec = find(wanted)
            # Submodules of other distributions may be made by their package when it is imported.
            if spec is None or not spec.origin or spec.origin in seen or not spec.origin.endswith(".py"):
                continue
            if any(spec.origin.startswith(root + "/") for root in roots) and "/site-packages/" not in spec.origin:
                seen.add(spec.origin)
                todo.append((wanted, spec.origin, spec.submodule_search_locations is not None))


def main(kind: str, target: str, *roots: str) -> None:
    """Check one entry point."""
    if kind == "file":
        sys.path.insert(0, str(Path(target).parent))
        check("__main__", target, False, list(roots))
        return
    module, _, function = target.partition(":")
    spec = find(module)
    if spec is not None and kind == "module" and spec.submodule_search_locations is not None:
        module += ".__main__"
        spec = find(module)
    if spec is None:
        sys.exit(f"ModuleNotFoundError: No module named '{module}'")
    if not spec.origin or not spec.origin.endswith(".py"):
        return  # compiled: only running would tell
    check(module, spec.origin, spec.submodule_search_locations is not None, list(roots))
    if function and not defines(parse(spec.origin), function.split(".")[0]):
        sys.exit(f"AttributeError: module '{module}' has no attribute '{function}'")


if __name__ == "__main__":
    main(*sys.argv[1:])
