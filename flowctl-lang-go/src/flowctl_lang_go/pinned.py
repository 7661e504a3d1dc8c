"""What a release gives to `go`: the source's own settings, and nothing of the caller's that changes a result."""

from __future__ import annotations

import os
import re
from pathlib import Path

from flowctl_core.models import BuildContext, Plan, Platform
from flowctl_lang_go.linkflags import joined, stamp
from flowctl_lang_go.toolchain import PASSTHROUGH, build_flags, go_environment
from flowctl_lang_go.variants import VARIABLES, target_variables

_CALLERS = frozenset(
    (
        *(*PASSTHROUGH, *VARIABLES, "GOOS", "GOARCH", "GOROOT", "GODEBUG", "GOTOOLCHAIN", "GOENV"),
        *("CPP", "LD", "AS", "NM", "RANLIB", "STRIP", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LIBRARY_PATH"),
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "SDKROOT", "MACOSX_DEPLOYMENT_TARGET"),
    )
)
_PREFIXES = ("ZIG_", "NIX_", "PKG_CONFIG")
_KEPT = frozenset({"ZIG_GLOBAL_CACHE_DIR"})
_PLACES = ("GOMODCACHE", "GOCACHE", "GOPATH")


def pinned(plan: Plan, context: BuildContext) -> BuildContext:
    """The context without the caller's settings for Go and C: neither variables nor `go env -w`.

    Where Go keeps its caches stays as it is: that changes nothing but the time.
    """
    kept = {
        name: value
        for name, value in context.environment.items()
        if name in _KEPT or (name not in _CALLERS and not name.startswith(_PREFIXES))
    }
    return context.model_copy(update={"environment": {**kept, **_places(plan, context), **plan.environment}})


def fetching(plan: Plan, context: BuildContext) -> BuildContext:
    """The same for fetch, which the caller's `go env -w` (a proxy, private modules) and -modcacherw still concern."""
    made = pinned(plan, context).environment
    callers = context.environment
    flags = [made.get("GOFLAGS", ""), *re.findall(r"(?:^|\s)(-?-modcacherw)\b", callers.get("GOFLAGS", ""))]
    made = {name: value for name, value in made.items() if name != "GOENV"}
    if "GOENV" in callers:
        made["GOENV"] = callers["GOENV"]
    return context.model_copy(update={"environment": {**made, "GOFLAGS": " ".join(filter(None, flags))}})


def target_environment(plan: Plan, platform: Platform) -> dict[str, str]:
    """GOOS, GOARCH and the CPU; for a platform without a variant, the CPU that component.yaml names."""
    found = target_variables(platform)
    if platform.variant is None:
        found |= {name: plan.environment[name] for name in VARIABLES if name in found and name in plan.environment}
    return found


def build_arguments(plan: Plan, context: BuildContext, *, output: Path, external: bool, stamped: bool) -> list[str]:
    """The arguments of `go build` before the package.

    What makes a release comes after the caller's: of a flag that is given twice Go takes the last. `external`: C is
    linked in, by the C compiler.
    """
    ours = ["-s", "-w", "-buildid="]
    if external:
        ours += ["-linkmode=external"]
    if stamped:
        ours += stamp(plan.version)
    arguments = joined(build_flags(plan, context), context.environment.get("GOFLAGS", ""), ours)
    jobs = ["-p", str(context.parallel_jobs)] if context.parallel_jobs > 0 else []
    return ["build", *arguments, "-trimpath", "-buildvcs=false", *jobs, "-o", str(output)]


def _places(plan: Plan, context: BuildContext) -> dict[str, str]:
    """GOENV off, and the caches where the file that it names has put them."""
    given = context.environment
    if given.get("GOENV") == "off" or not _settings(given).is_file():
        return {"GOENV": "off"}
    tool = str(context.tool("go").path)
    done = context.run(
        [tool, "env", *_PLACES],
        environment=go_environment(plan, context, network=False),
        on_line=lambda _: None,
    )
    values = done.stdout.splitlines() if done.ok else []
    return {"GOENV": "off", **{name: value for name, value in zip(_PLACES, values, strict=False) if value}}


def _settings(given: dict[str, str]) -> Path:
    """The file that `go env -w` writes: GOENV, else `go/env` in the user's folder for settings."""
    if given.get("GOENV"):
        return Path(given["GOENV"])
    home = Path(given.get("HOME") or os.devnull)
    mac = home / "Library" / "Application Support"
    base = mac if mac.is_dir() else Path(given.get("XDG_CONFIG_HOME") or home / ".config")
    return base / "go" / "env"
