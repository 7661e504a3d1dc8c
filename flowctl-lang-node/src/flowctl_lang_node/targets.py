"""Which package of the tree is built, and which file of it is the program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flowctl_core.errors import PlanError
from flowctl_core.models import SourceTree
from flowctl_lang_node.manifest import Package, Workspace, joined
from flowctl_lang_node.tsconfig import TYPESCRIPT, Compiler

JAVASCRIPT = (".js", ".mjs", ".cjs")
CONVENTIONAL = ("index", "server", "main", "app", "src/index", "src/main", "src/server", "src/app")
"""Names of a program that nothing declares, in the order they are tried."""

_LOADERS = ("node", "bun", "tsx", "ts-node", "nodemon")


@dataclass(frozen=True)
class Target:
    """A program to make."""

    files: tuple[str, ...]
    """Where it may be, relative to the tree, likeliest first: the first that exists after the build counts."""
    why: str
    """What named it: `package.json bin`, `scripts.start`."""
    runtime: str = ""
    """What runs it, where the source says so: `bun`, `tsx`, `ts-node`; empty is Node.js."""


def choose_package(workspace: Workspace, name: str, wanted: str | None) -> Package:
    """The member, or the root, that makes the component.

    A member of the component's name (or the one that `--main` names) wins, then the root when it declares a
    program, then the only member that does. Raises PlanError listing the members when several do.
    """
    for asked in (wanted, name):
        named = workspace.named(asked.strip("/").removeprefix("./")) if asked else None
        if named is not None and named is not workspace.root:
            return named
    if not workspace.members or declares_program(workspace.root):
        return workspace.root
    if wanted:
        inside = [one for one in workspace.members if wanted.removeprefix("./").startswith(one.folder + "/")]
        return max(inside, key=lambda one: len(one.folder)) if inside else workspace.root
    able = [member for member in workspace.members if declares_program(member)]
    # A main alone may be a library's, above all where another member needs it.
    able = [member for member in able if member.bins or _started(member.scripts.get("start", ""))] or able
    if len(able) == 1:
        return able[0]
    if not able:
        return workspace.root
    listed = ", ".join(f"{member.name or member.folder} ({member.folder})" for member in able)
    raise PlanError(
        f"the workspace has {len(able)} packages with a program: {listed}",
        hint=f"Choose one with --main {able[0].short_name or able[0].folder}, or `main:` in component.yaml.",
    )


def declares_program(package: Package) -> bool:
    """True when package.json names something that can be started."""
    return bool(package.bins or _started(package.scripts.get("start", "")) or package.text("main"))


def find_target(
    source: SourceTree, package: Package, compiler: Compiler | None, *, name: str, wanted: str | None
) -> Target:
    """The program of a package.

    Raises PlanError when several programs are declared and none has the component's name, when `wanted`
    names nothing, or when there is nothing that can be started.
    """
    names = (package.name, package.short_name, package.folder)
    if wanted and wanted.removeprefix("./").rstrip("/") not in names:
        return _wanted(source, package, compiler, wanted)
    target = _from_bin(package, name)
    if target is None:
        target = next(_declared(source, package, compiler), None)
    if target is not None:
        return target
    if (main := package.text("main")) is not None:
        raise PlanError(
            f'{package.path} names "main": "{main}", which is not a file of the source, and has no build script '
            "that could make it",
            hint='Correct "main", add "build" to the scripts, or name the file with `main:` in component.yaml.',
        )
    raise PlanError(
        f"{package.path if package.data else 'the source'} names no program, and there is no index.js or server.js",
        hint='Add "bin" or "main" to package.json, or name the file with `main:` in component.yaml or --main.',
    )


def _wanted(source: SourceTree, package: Package, compiler: Compiler | None, wanted: str) -> Target:
    if wanted in package.bins:
        return Target(_resolved(package, package.bins[wanted]), f"bin {wanted}")
    local = joined(package.folder, wanted)
    files: list[str] = []
    for path in dict.fromkeys((wanted.removeprefix("./"), local)):
        if path.endswith(TYPESCRIPT):
            files += [*(compiler.emitted(path) if compiler and "build" in package.scripts else ()), path]
        else:
            files += [path, *(path + suffix for suffix in JAVASCRIPT), f"{path}/index.js", f"{path}/index.ts"]
    promised = {joined(package.folder, value) for value in (*package.bins.values(), package.text("main") or ".")}
    generated = compiler is not None and compiler.out_dir is not None
    if (
        any(source.exists(file) for file in files)
        or promised & set(files)
        or (generated and "build" in package.scripts)
    ):
        return Target(tuple(dict.fromkeys(files)), "main")
    offered = f" Programs in {package.path}: {', '.join(package.bins)}." if package.bins else ""
    raise PlanError(
        f"the entry point {wanted} is neither a file of the source nor a program in {package.path}",
        hint=f"Correct `main:` in component.yaml or --main.{offered}",
    )


def _from_bin(package: Package, name: str) -> Target | None:
    bins = package.bins
    if not bins:
        return None
    chosen = next((one for one in (name, package.short_name) if one in bins), None)
    if chosen is None and len(set(bins.values())) == 1:
        chosen = next(iter(bins))
    if chosen is None:
        raise PlanError(
            f"{package.path} declares {len(bins)} programs: {', '.join(sorted(bins))}; none is named {name}",
            hint=f"Choose one with --main {sorted(bins)[0]}, or `main:` in component.yaml.",
        )
    return Target(_resolved(package, bins[chosen]), f"package.json bin {chosen}")


def _declared(source: SourceTree, package: Package, compiler: Compiler | None) -> Iterator[Target]:
    build = package.scripts.get("build", "")
    compiled = re.search(r"\bbun build\b(?=.*--compile\b).*?--outfile[= ](\S+)", build)
    if compiled:
        yield Target((joined(package.folder, compiled.group(1).strip("'\"")),), "scripts.build (bun --compile)")
    started = _started(package.scripts.get("start", ""))
    for key, value in (
        ("main", package.text("main")),
        ("exports", _exported(package.data.get("exports"))),
        ("module", package.text("module")),
    ):
        files = _resolved(package, value) if value else ()
        # `npm init` writes main: index.js whether there is one or not; that promises nothing without a build.
        if files and (how_built(package, compiler, files) or any(source.exists(file) for file in files)):
            if started and started[1] == "bun":
                break
            if key == "main" or not started:
                yield Target(files, f"package.json {key}")
    if started:
        file, runtime = started
        files = _resolved(package, file)
        yield Target(files, "scripts.start", runtime)
    for stem in CONVENTIONAL:
        for suffix in (*JAVASCRIPT, *TYPESCRIPT[:2]):
            path = joined(package.folder, stem + suffix)
            if source.exists(path):
                emitted = compiler.emitted(path) if compiler and build and suffix in TYPESCRIPT else ()
                yield Target((*emitted, path), path)


def how_built(package: Package, compiler: Compiler | None, files: tuple[str, ...]) -> str:
    """`script`; `tsc` where the compiler is there and makes one of the files, but no script calls it; else nothing."""
    if "build" in package.scripts:
        return "script"
    if compiler is None or compiler.no_emit or compiler.out_dir is None:
        return ""
    inside = any(file.startswith(compiler.out_dir + "/") for file in files)
    return "tsc" if inside and "typescript" in package.all_dependencies else ""


def _resolved(package: Package, value: str) -> tuple[str, ...]:
    """The files that Node.js tries for a path in package.json."""
    path = joined(package.folder, value)
    if path == package.folder:
        return (joined(path, "index.js"),)
    if PurePosixPath(path).suffix in (*JAVASCRIPT, *TYPESCRIPT):
        return (path,)
    return (path, path + ".js", joined(path, "index.js"))


def _exported(exports: Any, depth: int = 0) -> str | None:
    if isinstance(exports, str):
        return exports
    if isinstance(exports, dict) and depth < 6:
        for key in (".", "node", "import", "require", "default"):
            found = _exported(exports[key], depth + 1) if key in exports else None
            if found:
                return found
    return None


def _started(script: str) -> tuple[str, str] | None:
    """File and runtime of a start script such as `node --enable-source-maps dist/index.js`."""
    for part in re.split(r"&&|\|\||;", script):
        try:
            words = shlex.split(part)
        except ValueError:
            continue
        while words and re.fullmatch(r"\w+=.*|cross-env|npx|exec", words[0]):
            words.pop(0)
        if not words or words[0] not in _LOADERS:
            continue
        runtime = words[0] if words[0] in ("bun", "tsx", "ts-node") else ""
        verbs = {"bun": ("run", "start"), "tsx": ("watch",)}.get(words[0], ())
        plain = [word for word in words[1:] if not word.startswith("-") and word not in verbs]
        files = [word for word in plain if word.endswith((*JAVASCRIPT, *TYPESCRIPT))]
        for word in (*files, *plain):
            if re.fullmatch(r"[\w./@-]+", word):
                return word, runtime
    return None


def loader_of(package: Package, root: Package, file: str) -> str:
    """What lets Node.js run a TypeScript file that nothing compiles: tsx, ts-node, or Node.js itself."""
    if not file.endswith(TYPESCRIPT):
        return ""
    for loader in ("tsx", "ts-node"):
        if loader in package.all_dependencies or loader in root.all_dependencies:
            return loader
    return "strip-types"
