"""Builds a release: for each platform an optimised, stripped program that has the same bytes wherever it is built."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flowctl_core.errors import BuildError, DependenciesMissingError, FlowctlError, ToolchainError
from flowctl_core.models import (
    Artifact,
    BuildContext,
    Limitation,
    Material,
    Plan,
    Platform,
    PlatformOutcome,
    ReleaseResult,
)
from flowctl_lang_rust.cargo import failure
from flowctl_lang_rust.made import copy, outputs
from flowctl_lang_rust.release.command import release_command, release_variables, unpack
from flowctl_lang_rust.release.environment import without_callers_choices
from flowctl_lang_rust.release.frameworks import MACOS_HINT, missing_library
from flowctl_lang_rust.release.route import Route, find_route
from flowctl_lang_rust.release.rustc import Rustc


def build_release(plan: Plan, context: BuildContext) -> ReleaseResult:
    """An outcome for each of the plan's platforms: what does not compile fails there and nowhere else.

    Raises what is no fault of the source: StoreError, CancelledError, ToolTimeoutError.
    """
    settled = without_callers_choices(plan, context)
    rustc = Rustc.ask(plan, settled)
    return ReleaseResult(outcomes=tuple(_outcome(plan, settled, rustc, platform) for platform in plan.platforms))


def _outcome(plan: Plan, context: BuildContext, rustc: Rustc, platform: Platform) -> PlatformOutcome:
    started = time.monotonic()
    route = find_route(plan, context, rustc, platform)
    if isinstance(route, Limitation):
        return PlatformOutcome(platform=platform, failure=route.reason, hint=route.remedy)
    try:
        artifacts = _build(plan, context, rustc, route)
    except DependenciesMissingError:
        raise
    except (BuildError, ToolchainError) as error:
        return PlatformOutcome(
            platform=platform,
            failure=error.message,
            output=error.output,
            hint=error.hint,
            duration_s=round(time.monotonic() - started, 4),
        )
    return PlatformOutcome(
        platform=platform,
        artifacts=artifacts,
        materials=_materials(context, route),
        duration_s=round(time.monotonic() - started, 4),
    )


def _build(plan: Plan, context: BuildContext, rustc: Rustc, route: Route) -> tuple[Artifact, ...]:
    # A folder for each platform: cargo locks its target folder, so platforms would wait for each other.
    folder = context.work_dir / "release" / route.platform.replace("/", "-")
    target_dir = folder / "target"
    argv = release_command(plan, context, route)
    unpack(plan, context, route, target_dir)
    context.progress.step(f"cargo {' '.join(argv[1:])}")
    done = context.run(
        [*argv, "--message-format=json-render-diagnostics"],
        cwd=plan.root,
        environment=release_variables(plan, context, rustc, route, folder, target_dir),
        on_line=lambda line: None if line.startswith('{"') else context.progress.line(line),
    )
    if not done.ok:
        raise _explained(failure(done, f"cargo build for {route.triple}"), route)
    artifacts = []
    for kind, made in outputs(plan, done.stdout):
        target = context.output_dir / (plan.entry_points[0].name if kind == "bin" else made.name)
        copy(made, target)
        _warn_of_paths(context, target, target_dir)
        artifacts.append(
            Artifact(
                path=Path(os.path.relpath(target, context.source_root)).as_posix(),
                kind="program" if kind == "bin" else "library",
                platform=route.platform,
                static=route.static and kind == "bin",
            )
        )
    if not artifacts:
        raise BuildError(
            f"cargo succeeded but did not make {', '.join(entry.name for entry in plan.entry_points)}",
            hint="Look for build_args that choose something else (--bin, --example, --no-run).",
            output=done.stderr,
        )
    return tuple(artifacts)


def _explained(error: FlowctlError, route: Route) -> FlowctlError:
    """With what to do, where the linker's words tell that a library is missing."""
    library = missing_library(error.output or "")
    if library is None or route.linker != "zig":
        return error
    if route.platform.os == "darwin":
        message, hint = f"{library} is part of Apple's SDK and not on this machine", MACOS_HINT
    else:
        message = f"{library} is a library of the system, and zig links none of this machine's"
        hint = f"Let the crate that needs it bring {library} itself: look for a feature like `vendored` or `bundled`."
    return BuildError(message, hint=hint, output=error.output)


def _materials(context: BuildContext, route: Route) -> tuple[Material, ...]:
    """What linked: it leaves its own start-up code in the program."""
    names = ("zig", "cargo-zigbuild") if route.linker == "zig" else ()
    found = []
    for tool in (context.tool(name) for name in names):
        packaged = tool.origin in ("ziglang", "cargo-zigbuild")
        purl = f"pkg:pypi/{tool.origin}@{tool.version}" if packaged else ""
        found.append(Material(name=tool.name, version=tool.version, purl=purl, digest=tool.digest))
    if route.compiler is not None:
        version = next((t for t in context.tools.values() if t.path == route.compiler), None)
        digest = version.digest if version is not None else ""
        found.append(Material(name=route.compiler.name, version=version.version if version else "", digest=digest))
    return tuple(found)


def _warn_of_paths(context: BuildContext, made: Path, target_dir: Path) -> None:
    """Say which folder of this machine the program contains: `env!("CARGO_MANIFEST_DIR")` cannot be mapped."""
    places = {"OUT_DIR": target_dir, "CARGO_MANIFEST_DIR": context.source_root}
    content = made.read_bytes()
    for name, folder in places.items():
        if any(str(path).encode() in content for path in (folder, folder.resolve())):
            context.progress.warning(
                f"{made.name} contains {folder}, so it differs when it is built in another folder; "
                f'the source, a macro or a build script puts it there (env!("{name}"))'
            )
            return
