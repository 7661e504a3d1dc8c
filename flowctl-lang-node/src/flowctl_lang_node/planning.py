"""The plan: which program, which inputs, which tools. Reads files, runs nothing."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import PurePosixPath

import pathspec
from pydantic import JsonValue

from flowctl_core.errors import PlanError
from flowctl_core.models import EntryPoint, Inputs, Plan, PlanRequest, SourceTree, ToolRequirement
from flowctl_lang_node.detect import LANGUAGE, NAMES
from flowctl_lang_node.manifest import (
    Manager,
    Package,
    Workspace,
    joined,
    node_range,
    read_manager,
    read_workspace,
    yaml_list,
)
from flowctl_lang_node.targets import Target, choose_package, find_target, how_built, loader_of
from flowctl_lang_node.toolchain import environment_of, install_hint, manager_requirement, node_requirement
from flowctl_lang_node.tsconfig import TYPESCRIPT, Compiler, read_compiler

OUTPUT_FOLDERS = frozenset({"dist", "build", "out", "lib", "esm", "cjs", ".output"})
_OUTPUT_OPTION = re.compile(r"(?:--out-?dir|--outDir|--outfile|--outFile|--dist-dir)[= ]+['\"]?([^\s'\"]+)")
NO_TESTS = "no test specified"
"""What `npm init` writes as the test script."""


def plan(source: SourceTree, request: PlanRequest) -> Plan:
    """See `flowctl_plan`.

    Raises PlanError when package.json cannot be read, when nothing or more than one thing can be built, and
    when the source needs a workspace that lies outside of it.
    """
    workspace = read_workspace(source, request.detection_root) or Workspace(Package(request.detection_root))
    wanted = request.entry_point or _declared_main(source)
    package = choose_package(workspace, request.name, wanted)
    compiler = read_compiler(source, package.folder)
    target = find_target(source, package, compiler, name=request.name, wanted=wanted)
    manager = read_manager(source, workspace.root, package)
    siblings = workspace.dependencies_of(package)
    _refuse_foreign_workspace(source, workspace, package)

    how = how_built(package, compiler, target.files)
    target = _startable(source, package, target, how)
    runtime = target.runtime or _runtime(package, workspace, target, manager, how)
    generated, build_info = _generated(source, package, compiler, target, how)
    for sibling in siblings:
        more, info = _generated(source, sibling, read_compiler(source, sibling.folder), None, _script(sibling))
        generated, build_info = generated + more, build_info + info
    packages = (workspace.root, *workspace.members, package)
    installs = bool(workspace.members) or any(one.all_dependencies for one in packages)
    node = node_range(source, workspace.root, package)
    allowed = _allowed_scripts(source, workspace, package)
    made = Plan(
        component=request.name,
        version=request.version,
        language=LANGUAGE,
        profile=request.profile,
        platforms=request.platforms,
        root=package.folder,
        entry_points=(EntryPoint(name=request.name, path=target.files[0]),),
        inputs=_inputs(source, workspace, package, manager, (*generated, *build_info), installs),
        toolchain=_toolchain(manager, node, runtime, package),
        environment=environment_of(manager),
        passthrough=("NODE_ENV", "NODE_OPTIONS"),
        fetched=_fetched(manager, package) if installs else (),
        generated=tuple(dict.fromkeys((*generated, *build_info))),
        fetch_runs_code=bool(allowed) and installs,
        settings=request.settings,
        details={
            "workspace": workspace.root.folder,
            "manager": asdict(manager),
            "installs": installs,
            "build": how,
            "siblings": [one.folder for one in siblings if _script(one)],
            "postinstall": _postinstall(package),
            "files": list(target.files),
            "why": target.why,
            "runtime": runtime,
            "outputs": list(dict.fromkeys(generated)),
            "build_info": list(build_info),
            "allowed_scripts": list(allowed),
            "test": _has_test_script(package),
            "node_range": node[0] if node else "",
        },
        warnings=_warnings(manager, installs),
    )
    if request.profile != "release":
        return made
    from flowctl_lang_node.release_plan import release_plan

    return release_plan(made, source, workspace, package)


def _declared_main(source: SourceTree) -> str | None:
    language = source.component.language(*NAMES) if source.component else None
    return language.main if language else None


def _refuse_foreign_workspace(source: SourceTree, workspace: Workspace, package: Package) -> None:
    if workspace.members or workspace.root.workspace_patterns:
        return
    outside = [name for name, wanted in package.all_dependencies.items() if wanted.startswith("workspace:")]
    if outside:
        raise PlanError(
            f"{package.path} needs {', '.join(outside)} from a workspace that is not in {source.root}",
            hint="Build from the workspace's root and name this package: "
            f"flowctl component build ROOT --main {package.short_name or package.folder}",
        )


def _script(package: Package) -> str:
    return "script" if "build" in package.scripts else ""


def _startable(source: SourceTree, package: Package, target: Target, how: str) -> Target:
    """The target without sources that a build compiles; PlanError when its file is not there and nothing makes it."""
    if how:
        compiled = tuple(file for file in target.files if not file.endswith(TYPESCRIPT))
        return replace(target, files=compiled) if compiled else target
    present = tuple(file for file in target.files if source.exists(file))
    if present:
        return replace(target, files=present)
    raise PlanError(
        f"{target.files[0]} does not exist ({target.why}), and {package.path} has no build script that could make it",
        hint='Add "build" to the scripts in package.json, or name the right file with `main:` in component.yaml.',
    )


def _runtime(package: Package, workspace: Workspace, target: Target, manager: Manager, how: str) -> str:
    first = target.files[0]
    if not first.endswith(TYPESCRIPT):
        return ""
    if manager.name == "bun" and not how:
        return "bun"
    return loader_of(package, workspace.root, first)


def _toolchain(
    manager: Manager, node: tuple[str, str] | None, runtime: str, package: Package
) -> tuple[ToolRequirement, ...]:
    only_bun = manager.name == "bun" and (runtime == "bun" or "--compile" in package.scripts.get("build", ""))
    found = [node_requirement(node, typescript=runtime == "strip-types", optional=only_bun)]
    wanted = manager_requirement(manager)
    if wanted is not None:
        found.append(wanted.model_copy(update={"optional": not only_bun}) if manager.name == "bun" else wanted)
    if runtime == "bun" and manager.name != "bun":
        found.append(ToolRequirement(name="bun", install_hint=install_hint("bun", None)))
    return tuple(found)


def _generated(
    source: SourceTree, package: Package, compiler: Compiler | None, target: Target | None, how: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Outputs of the build inside the tree, and the compiler's incremental state.

    What the compiler or the script names as output is generated, whether it exists or not, so that the plan
    is the same before and after a build. A folder that is only guessed from `main` counts when git ignores it
    or when its name can mean nothing else.
    """
    if not how:
        return (), ()
    found: list[str] = []
    build_info: tuple[str, ...] = ()
    script = package.scripts.get("build", "")
    if compiler is not None and not compiler.no_emit and (how == "tsc" or re.search(r"\b(v?tsc|tsgo|tspc)\b", script)):
        if compiler.out_dir is not None:
            found.append(compiler.out_dir)
        if compiler.build_info:
            build_info = (compiler.build_info,)
    for option in _OUTPUT_OPTION.findall(script):
        path = joined(package.folder, option)
        last = PurePosixPath(option)
        is_file = last.suffix in (".js", ".mjs", ".cjs") or "outfile" in script.lower()
        found.append(str(PurePosixPath(path).parent) if is_file and last.parent != PurePosixPath(".") else path)
    ignored = _ignored(source, package.folder)
    promised = list(target.files) if target else []
    promised += [joined(package.folder, value) for value in (package.text("main"), package.text("types")) if value]
    for file in promised:
        inner = PurePosixPath(file if package.folder == "." else file.removeprefix(package.folder + "/")).parts
        if len(inner) > 1:
            folder = joined(package.folder, inner[0])
            certain = inner[0] in OUTPUT_FOLDERS - {"lib"}
            if certain or (ignored.match_file(folder + "/") and inner[0] != "node_modules"):
                found.append(folder)
        elif ignored.match_file(file):
            found.append(file)
    sources = {package.folder, ".", joined(package.folder, "src"), *(compiler.root_dirs if compiler else ())}
    kept = [path for path in dict.fromkeys(found) if path not in sources and not path.startswith("..")]
    outer = [path for path in kept if not any(path.startswith(other + "/") for other in kept)]
    return tuple(outer), build_info


def _ignored(source: SourceTree, folder: str) -> pathspec.GitIgnoreSpec:
    """The rules of .gitignore files from the root to a folder."""
    lines: list[str] = []
    parts = [] if folder == "." else folder.split("/")
    for depth in range(len(parts) + 1):
        here = "/".join(parts[:depth])
        path = joined(here or ".", ".gitignore")
        for line in source.read_text(path).splitlines() if source.exists(path) else ():
            anchored = here and "/" in line.strip().rstrip("/") and not line.startswith(("#", "!"))
            lines.append(f"/{here}/{line.lstrip('/')}" if anchored else line)
    return pathspec.GitIgnoreSpec.from_lines(lines)


def _inputs(
    source: SourceTree,
    workspace: Workspace,
    package: Package,
    manager: Manager,
    generated: tuple[str, ...],
    installs: bool,
) -> Inputs:
    exclude = ["node_modules", ".nyc_output", "*.tsbuildinfo", ".turbo", ".pnp.*"]
    # Where test tools put their reports; a folder of that name further down may well be source.
    exclude += [f"/{joined(folder, 'coverage')}/" for folder in dict.fromkeys((workspace.root.folder, package.folder))]
    exclude += [f"**/.yarn/{name}" for name in ("cache", "unplugged", "install-state.gz", "build-state.yml")]
    exclude += [f"/{path}" for path in generated]
    fetch: list[str] = []
    if installs:
        folders = dict.fromkeys((manager.root, workspace.root.folder, package.folder))
        for folder in folders:
            fetch += [
                joined(folder, name)
                for name in (".npmrc", ".yarnrc.yml", ".yarnrc", "pnpm-workspace.yaml", "bunfig.toml")
            ]
        fetch += [one.path for one in (workspace.root, package, *workspace.members)]
        if manager.lockfile:
            fetch.append(manager.lockfile)
    present = tuple(path for path in dict.fromkeys(fetch) if source.exists(path))
    return Inputs(exclude=tuple(exclude), fetch=present)


def _fetched(manager: Manager, package: Package) -> tuple[str, ...]:
    if manager.plug_and_play:
        return (joined(manager.root, ".pnp.cjs"),)
    found = [joined(manager.root, "node_modules")]
    if manager.name == "pnpm" and package.folder != manager.root and package.all_dependencies:
        found.append(joined(package.folder, "node_modules"))
    return tuple(found)


def _allowed_scripts(source: SourceTree, workspace: Workspace, package: Package) -> tuple[str, ...]:
    """Dependencies whose install scripts the source allows, in any package manager's way of saying so."""
    names: set[str] = set()
    for one in (workspace.root, package):
        lists = [one.data.get("trustedDependencies"), one.table("pnpm").get("onlyBuiltDependencies")]
        lists += [one.data.get("allowScripts")]
        for value in lists:
            if isinstance(value, list):
                names.update(item for item in value if isinstance(item, str))
            elif isinstance(value, dict):
                names.update(key for key, allowed in value.items() if allowed is True)
        meta = one.table("dependenciesMeta")
        names.update(key for key, value in meta.items() if isinstance(value, dict) and value.get("built") is True)
    settings = joined(workspace.root.folder, "pnpm-workspace.yaml")
    if source.exists(settings):
        names.update(yaml_list(source.read_text(settings), "onlyBuiltDependencies"))
    extra: JsonValue = source.extra("trusted_dependencies")  # noqa: S610 - not Django's
    if isinstance(extra, list):
        names.update(item for item in extra if isinstance(item, str))
    # `name@1.2.3` allows one version; the lockfile pins it anyway.
    bare = {re.sub(r"(?<=.)@.*", "", name) for name in names}
    return tuple(sorted(name for name in bare if re.fullmatch(r"(@\w[\w.-]*/)?\w[\w.-]*", name)))


def _postinstall(package: Package) -> bool:
    """True when the package prepares itself after an install (patch-package, code generators)."""
    script = package.scripts.get("postinstall", "")
    return bool(script) and not re.search(r"husky|lefthook|simple-git-hooks|yorkie|only-allow", script)


def _has_test_script(package: Package) -> bool:
    script = package.scripts.get("test", "")
    return bool(script.strip()) and NO_TESTS not in script


def _warnings(manager: Manager, installs: bool) -> tuple[str, ...]:
    found = [manager.warning] if manager.warning else []
    if installs and manager.lockfile is None:
        command = f"{manager.name} install"
        found.append(
            f"no lockfile: dependencies are resolved anew by each fetch; run {command} and commit the lockfile"
        )
    return tuple(found)
