"""The cargo commands of a release, and the variables that they get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowctl_core.models import BuildContext, Plan
from flowctl_lang_rust.build import chosen
from flowctl_lang_rust.cargo import failure
from flowctl_lang_rust.release.flags import c_flags, path_map, rust_flags
from flowctl_lang_rust.release.naming import wrapper_variables
from flowctl_lang_rust.release.plan import without_target
from flowctl_lang_rust.release.route import Route
from flowctl_lang_rust.release.rustc import Rustc

_NOWHERE = "flowctl-uses-no-python"
"""cargo-zigbuild asks a Python for zig first; only the zig that was found and recorded may be used."""
_COMPLETE = ("CARGO_ENCODED_RUSTFLAGS", "CFLAGS", "CXXFLAGS", "CARGO_TARGET_DIR", "CARGO_ZIGBUILD", "RUSTC_WRAPPER")
"""Beginnings of variables that already hold what the source declares, or that are no business of its."""


def unpack(plan: Plan, context: BuildContext, route: Route, target_dir: Path) -> None:
    """Let cargo unpack the crates that it keeps as archives: which folders are mapped away is told by looking at them.

    Cargo clears unpacked crates out after a while («Cargo home» of the Cargo Book), long after fetch ran.
    """
    argv = [str(context.tool("cargo").path), "fetch", "--locked", "--offline", "--target", route.triple]
    variables = {"CARGO_TARGET_DIR": str(target_dir)}
    done = context.run(argv, cwd=plan.root, environment=variables, on_line=lambda line: None)
    if not done.ok:
        raise failure(done, "cargo fetch")


def release_command(plan: Plan, context: BuildContext, route: Route) -> list[str]:
    """The command for one platform; `--profile` in the user's build_args takes the place of `--release`."""
    own = without_target(plan.settings.build_args)
    program, subcommand = ("cargo-zigbuild", "zigbuild") if route.linker == "zig" else ("cargo", "build")
    arguments = [str(context.tool(program).path), subcommand, "--offline", "--locked", "--target", route.target]
    if _profile(own) is None:
        arguments.append("--release")
    return [*arguments, *chosen(plan), *own]


def _profile(arguments: Sequence[str]) -> str | None:
    for position, argument in enumerate(arguments):
        if argument.startswith("--profile="):
            return argument.partition("=")[2]
        if argument == "--profile" and position + 1 < len(arguments):
            return arguments[position + 1]
    return None


def release_variables(
    plan: Plan, context: BuildContext, rustc: Rustc, route: Route, folder: Path, target_dir: Path
) -> dict[str, str]:
    """Variables for one platform: what component.yaml declares counts where a release has no need of its own.

    `folder` is the platform's own, for helpers. Raises StoreError when one cannot be written there.
    """
    mapped = path_map(context, rustc, target_dir)
    profile = _profile(plan.settings.build_args) or "release"
    variables = {
        "CARGO_TARGET_DIR": str(target_dir),
        "CARGO_BUILD_JOBS": str(context.parallel_jobs),
        "CARGO_ENCODED_RUSTFLAGS": rust_flags(plan, rustc, route.triple, mapped),
        f"CARGO_PROFILE_{_variable(profile)}_STRIP": "symbols",
        **c_flags(plan, route.triple, mapped),
        **wrapper_variables(plan, context, folder),
    }
    if route.linker == "zig":
        variables |= {
            "CARGO_ZIGBUILD_ZIG_PATH": str(context.tool("zig").path),
            "CARGO_ZIGBUILD_PYTHON_PATH": _NOWHERE,
            "CARGO_ZIGBUILD_CACHE_DIR": str(folder / "zigbuild"),
        }
    elif route.compiler is not None:
        variables[f"CARGO_TARGET_{_variable(route.triple)}_LINKER"] = str(route.compiler)
        variables[f"CC_{route.triple.replace('-', '_')}"] = str(route.compiler)
    declared = plan.environment
    return {name: value for name, value in variables.items() if name not in declared or name.startswith(_COMPLETE)}


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
