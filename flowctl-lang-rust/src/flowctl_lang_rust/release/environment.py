"""The environment of a release: only what the source declares decides how code is compiled."""

from __future__ import annotations

import os
import re

from flowctl_core.models import BuildContext, Limitation, Plan
from flowctl_lang_rust.release.flags import cargo_home
from flowctl_lang_rust.release.outside import settings_outside

_COMPILES = re.compile(
    r"""CARGO_(BUILD|TARGET|PROFILE|UNSTABLE)_.* | CARGO_ENCODED_RUSTFLAGS | CARGO_INCREMENTAL
    | RUSTFLAGS | RUSTDOCFLAGS | RUSTC | RUSTC_(?!LOG).* | RUSTDOC
    | (C|CXX|CPP|LD)FLAGS(_.*)? | (TARGET|HOST)_(C|CXX)FLAGS | (CC|CXX|AR|RANLIB|LD|NM|AS|CPP)(_.*)?
    | CPATH | C_INCLUDE_PATH | CPLUS_INCLUDE_PATH | LIBRARY_PATH | MACOSX_DEPLOYMENT_TARGET | CMAKE_.*
    """,
    re.VERBOSE,
)
"""The caller's variables that change what is compiled: the Cargo Book's «Environment Variables», and those of the `cc`
and `cmake` crates."""


def compiling(plan: Plan, context: BuildContext) -> list[str]:
    """Names of the caller's variables that would change the program and that the source does not declare."""
    declared = plan.environment
    given = (name for name, value in context.environment.items() if value and name not in declared)
    return sorted(name for name in given if _COMPILES.fullmatch(name))


def without_callers_choices(plan: Plan, context: BuildContext) -> BuildContext:
    """The context with an environment that has none of them, and with no wrapper around rustc."""
    dropped = frozenset(compiling(plan, context))
    kept = {name: value for name, value in context.environment.items() if name not in dropped}
    # An empty name switches off what a configuration file of the user's says (build.rustc-wrapper).
    wrappers = {name: kept.get(name, "") for name in ("RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER")}
    tools = [str(tool.path.parent) for tool in context.tools.values()]
    path = kept.get("PATH", os.defpath).split(os.pathsep)
    extended = path + [folder for folder in dict.fromkeys(tools) if folder not in path]
    found = {"CARGO": str(context.tool("cargo").path), "RUSTC": str(context.tool("rustc").path)}
    environment = {**kept, **wrappers, **found, "PATH": os.pathsep.join(extended)}
    return context.model_copy(update={"environment": environment})


def left_out(plan: Plan, context: BuildContext) -> list[Limitation]:
    """What of this machine's settings has no say in a release, and what has one that it should not have."""
    found = []
    names = compiling(plan, context)
    if names:
        verb = "is" if len(names) == 1 else "are"
        found.append(
            Limitation(
                platform=None,
                reason=f"{', '.join(names)} of your environment {verb} left out of a release",
                remedy="declare what the component needs in its .cargo/config.toml or in component.yaml",
            )
        )
    for file, keys in settings_outside(context.source_root, plan.root, cargo_home(context)):
        found.append(
            Limitation(
                platform=None,
                reason=f"{file} sets {', '.join(keys)}, which changes what is built here and nowhere else",
                remedy="move it into the component's own .cargo/config.toml, or take it out for releases",
            )
        )
    return found
