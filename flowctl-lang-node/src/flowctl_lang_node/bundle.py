"""Bundles the program and all it needs into one script, with esbuild."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from flowctl_core.errors import BuildError, DependenciesMissingError
from flowctl_core.models import BuildContext, Plan
from flowctl_lang_node import addons, release_fetch
from flowctl_lang_node.manifest import joined
from flowctl_lang_node.sea.blob import QUIET, resource
from flowctl_lang_node.toolchain import Tooling


def bundle(plan: Plan, context: BuildContext, tooling: Tooling, folder: Path, entry: str) -> dict[str, str]:
    """Write `bundle.cjs` into a folder; the files to carry beside it, absolute paths by names in the source tree.

    Raises BuildError with esbuild's own words, or when the program needs a native addon.
    """
    release: Any = plan.details["release"]
    program = release_fetch.linked(plan, context, "esbuild")
    interface = release_fetch.linked(plan, context, "esbuild-api")
    if program is None or interface is None:
        raise DependenciesMissingError("esbuild is not there (any more)", hint="Build the release without --offline.")
    script, job = folder / "bundle.mjs", folder / "job.json"
    script.write_text(resource("bundle.mjs"), encoding="utf-8")
    wanted = {
        "root": str(context.source_root),
        "entry": entry,
        "output": str(folder),
        "esbuildApi": str(interface.path(release_fetch.ESBUILD_API)),
        "node": release["node"],
        "external": release["external"],
    }
    job.write_text(json.dumps(wanted), encoding="utf-8")
    context.progress.step(f"bundling {entry}")
    environment = {**QUIET, "ESBUILD_BINARY_PATH": str(program.path(release_fetch.ESBUILD))}
    done = context.run([tooling.node_path(), *_archives(plan, context), str(script), str(job)], environment=environment)
    if not done.ok:
        raise BuildError(
            f"{entry} could not be bundled into one file (exit code {done.exit_code})",
            hint=_hint(done.output),
            output=done.output,
        )
    answer = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    _refuse_outside(answer["inputs"])
    addons.refuse_bundled(context.source_root, answer["packages"], answer["addons"], context.progress)
    declared = _declared(plan, context.source_root, release["assets"])
    return {**answer["assets"], **{name: str(context.source_root / name) for name in declared}}


def _archives(plan: Plan, context: BuildContext) -> list[str]:
    """Options with which node reads packages in yarn's archives (Plug'n'Play)."""
    manager: Any = plan.details["manager"]
    if not manager["plug_and_play"]:
        return []
    return ["--require", str(context.source_root / manager["root"] / ".pnp.cjs")]


def _hint(output: str) -> str:
    if "Top-level await" in output:
        return (
            "A single executable's script is CommonJS, which has no await outside of functions: put it into an async "
            "function that is called at the end."
        )
    if "Could not resolve" in output:
        return (
            "Add the package to the dependencies; one that the program can do without is named with `external:` below "
            "spec.build in component.yaml."
        )
    return "All that the program imports has to be of a kind that esbuild can bundle."


def _refuse_outside(inputs: Iterable[str]) -> None:
    outside = [name for name in inputs if name.startswith("../")]
    if outside:
        raise BuildError(
            f"the program imports files outside of its source: {', '.join(outside[:5])}",
            hint="Build from the folder that has both, for example the workspace's root.",
        )


def _declared(plan: Plan, root: Path, patterns: Iterable[str]) -> list[str]:
    """Files that component.yaml names; patterns are relative to the package."""
    found: list[str] = []
    for pattern in patterns:
        if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise BuildError(f"spec.build.assets: {pattern} leads outside of the component's folder")
        matches = [path for path in (root / plan.root).glob(pattern) if path.is_file()]
        if not matches:
            raise BuildError(f"spec.build.assets: no file matches {pattern}", hint="Correct it in component.yaml.")
        for path in matches:
            if not path.resolve().is_relative_to(root.resolve()):
                raise BuildError(f"spec.build.assets: {path.relative_to(root)} leads outside of the source tree")
            found.append(joined(".", path.relative_to(root).as_posix()))
    return found
