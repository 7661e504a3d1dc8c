"""Builds for the host: the package's own build script, then a launcher for its program."""

from __future__ import annotations

import json
import shutil
from typing import Any

from flowctl_core.errors import BuildError, DependenciesMissingError
from flowctl_core.launcher import is_native_program
from flowctl_core.models import Artifact, BuildContext, BuildResult, Plan, Platform
from flowctl_lang_node import atomic, launcher, outputs, semver
from flowctl_lang_node.install import fetch_digest, is_fetched
from flowctl_lang_node.manifest import joined
from flowctl_lang_node.toolchain import Tooling

PREPARED = "prepared.json"


def build(plan: Plan, context: BuildContext) -> BuildResult:
    """See `flowctl_build`. Raises what `make_entry` raises."""
    details: dict[str, Any] = plan.details
    tooling = Tooling(plan, context)
    entry = make_entry(plan, context, tooling)
    _place(plan, context, tooling, entry)
    platform = Platform.host()
    program = (context.output_dir / plan.component).relative_to(context.source_root).as_posix()
    artifacts = [Artifact(path=program, platform=platform)]
    for path in plan.generated:
        made = context.source_root / path
        if outputs.snapshot(context.source_root, (path,)).keys() == {entry} and is_native_program(
            context.source_root / entry
        ):
            continue  # the program itself was copied
        if made.is_dir():
            artifacts.append(Artifact(path=path, kind="tree", platform=platform))
        elif made.is_file() and path not in details["build_info"]:
            artifacts.append(Artifact(path=path, kind="library", platform=platform))
    return BuildResult(artifacts=tuple(artifacts), warnings=_version_warning(plan, context))


def make_entry(plan: Plan, context: BuildContext, tooling: Tooling) -> str:
    """Run the build script, if there is one; the program's file, relative to the source tree.

    Raises DependenciesMissingError when node_modules is missing, incomplete or of another lockfile, and
    BuildError when the build script fails or does not make the program.
    """
    if not is_fetched(plan, context):
        raise DependenciesMissingError(
            "the dependencies are not installed, or an install was interrupted",
            hint="Build without --offline once, so that they can be fetched.",
        )
    details: dict[str, Any] = plan.details
    before = outputs.snapshot(context.source_root, plan.generated)
    _forget_stale_state(plan, context)
    try:
        _prepare(plan, context, tooling)
        for folder in details["siblings"]:
            _run_script(tooling, folder, "build", ())
        if details["build"] == "script":
            _run_script(tooling, plan.root, "build", plan.settings.build_args)
        elif details["build"] == "tsc":
            _run_compiler(tooling, plan)
    finally:
        # Also what a failed build left is the build's own.
        if plan.generated:
            outputs.remember(plan, context, before)
    return _entry(plan, context)


def _forget_stale_state(plan: Plan, context: BuildContext) -> None:
    """Without output the compiler must not believe its notes that everything is there already."""
    folders = plan.details["outputs"]
    if isinstance(folders, list) and any((context.source_root / str(folder)).exists() for folder in folders):
        return
    ours = outputs.recorded(context.work_dir)
    for path in plan.details["build_info"]:  # type: ignore[union-attr]
        if path in ours:
            (context.source_root / str(path)).unlink(missing_ok=True)


def _prepare(plan: Plan, context: BuildContext, tooling: Tooling) -> None:
    """The package's own postinstall (patch-package, code generators), once after each fetch.

    The fetch left it out, because it is code of the source; here there is no network.
    """
    if not plan.details["postinstall"]:
        return
    marker = context.work_dir / PREPARED
    digest = fetch_digest(plan, context)
    try:
        if json.loads(marker.read_text(encoding="utf-8")) == digest:
            return
    except (OSError, ValueError):
        pass
    _run_script(tooling, plan.root, "postinstall", ())
    atomic.write_text(marker, json.dumps(digest))


def _run_script(tooling: Tooling, folder: str, name: str, arguments: tuple[str, ...]) -> None:
    separator = ["--"] if arguments and tooling.manager == "npm" else []
    where = "" if folder == "." else f" in {folder}"
    tooling.context.progress.step(f"{tooling.manager} run {name}{where}")
    done = tooling.run(["run", name, *separator, *arguments], cwd=folder)
    if not done.ok:
        raise BuildError(
            f"the {name} script failed{where} (exit code {done.exit_code})",
            hint=f"{tooling.manager} run {name} shows the same in {folder}." if where else None,
            output=done.output,
        )


def _run_compiler(tooling: Tooling, plan: Plan) -> None:
    root = tooling.context.source_root
    for folder in dict.fromkeys((plan.root, str(plan.details["workspace"]))):
        compiler = root / folder / "node_modules/typescript/bin/tsc"
        if compiler.is_file():
            break
    else:
        raise BuildError("TypeScript is a dependency, but its compiler is not in node_modules")
    tooling.context.progress.step("tsc")
    done = tooling.execute([tooling.node_path(), str(compiler), "-p", ".", *plan.settings.build_args], cwd=plan.root)
    if not done.ok:
        raise BuildError(f"tsc found errors (exit code {done.exit_code})", output=done.output)


def _entry(plan: Plan, context: BuildContext) -> str:
    files: list[str] = plan.details["files"]  # type: ignore[assignment]
    for file in files:
        path = context.source_root / file
        if path.is_file():
            if not path.resolve().is_relative_to(context.source_root.resolve()):
                raise BuildError(f"{file} leads outside the source tree", hint="Copy it into the component's folder.")
            return file
    made = sorted(outputs.snapshot(context.source_root, plan.generated))
    scripts = [one for one in made if one.endswith((".js", ".mjs", ".cjs"))][:10]
    if not plan.details["build"]:
        happened = "package.json has no build script that could make it"
    elif scripts:
        happened = f"the build made {', '.join(scripts)}"
    else:
        happened = f"the build made nothing in {', '.join(plan.generated) or plan.root}"
    raise BuildError(
        f"{files[0]} is missing ({plan.details['why']}): {happened}",
        hint='Correct "bin" or "main" in package.json, outDir in tsconfig.json, or `main:` in component.yaml.',
    )


def _place(plan: Plan, context: BuildContext, tooling: Tooling, entry: str) -> None:
    """Write the launcher, or copy a program that needs none."""
    source = context.source_root / entry
    target = context.output_dir / plan.component
    if is_native_program(source):
        shutil.copyfile(source, target)
        target.chmod(0o755)
    else:
        launch = _launch(plan, context, tooling, entry)
        atomic.write_text(target, launcher.script(plan.component, launch), mode=0o755)


def _launch(plan: Plan, context: BuildContext, tooling: Tooling, entry: str) -> launcher.Launch:
    words = launcher.shebang(context.source_root / entry)
    interpreter = words[0].rsplit("/", 1)[-1] if words else "node"
    runtime = str(plan.details["runtime"])
    if runtime == "bun" or interpreter == "bun":
        return launcher.Launch(entry, _bun(context), program="bun")
    if interpreter in ("sh", "bash"):
        return launcher.Launch(entry, words[0] if words[0].startswith("/") else f"/bin/{interpreter}", interpreter)
    options = tuple(words[1:]) if interpreter == "node" else ()
    preload: list[tuple[str, str]] = []
    if plan.details["manager"]["plug_and_play"]:  # type: ignore[index,call-overload]
        root = str(plan.details["manager"]["root"])  # type: ignore[index,call-overload]
        preload.append(("--require", joined(root, ".pnp.cjs")))
        if (context.source_root / root / ".pnp.loader.mjs").is_file():
            preload.append(("--experimental-loader", joined(root, ".pnp.loader.mjs")))
    if runtime == "tsx":
        preload.append(("--import", _module(plan, context, "tsx/dist/loader.mjs")))
    elif runtime == "ts-node":
        preload.append(("--require", _module(plan, context, "ts-node/register/index.js")))
    return launcher.Launch(entry, tooling.node_path(), options=options, preload=tuple(preload))


def _bun(context: BuildContext) -> str:
    return str(context.tool("bun").path)


def _module(plan: Plan, context: BuildContext, path: str) -> str:
    for folder in dict.fromkeys((plan.root, str(plan.details["workspace"]))):
        relative = joined(folder, f"node_modules/{path}")
        if (context.source_root / relative).is_file():
            return relative
    raise BuildError(
        f"node_modules/{path} is missing, and the program is TypeScript that needs it",
        hint="Add a build script, or a version of tsx or ts-node that has this file.",
    )


def _version_warning(plan: Plan, context: BuildContext) -> tuple[str, ...]:
    """A range such as `18 || >=22` is looser as a requirement; say so when the chosen Node.js is in a gap."""
    declared = str(plan.details["node_range"])
    alternatives = semver.parse(declared)
    tool = context.tools.get("node")
    if alternatives is None or tool is None or semver.admits(alternatives, tool.version):
        return ()
    return (f"Node.js {tool.version} is not in {declared}, which package.json asks for",)
