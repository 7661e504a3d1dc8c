"""What a release cannot do on this machine, as far as only the tools can tell. Local and quick: nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator

from flowctl_core.models import BuildContext, Limitation, Plan, Platform
from flowctl_lang_go import zig
from flowctl_lang_go.c_users import CUsers, find_c_users
from flowctl_lang_go.pinned import pinned, target_environment
from flowctl_lang_go.platforms import able, imports_modules, uses_c
from flowctl_lang_go.toolchain import run_go

_USUAL = frozenset({"linux/amd64", "linux/arm64", "linux/arm", "darwin/amd64", "darwin/arm64", "windows/amd64"})
"""Every Go has these: not worth a question."""


def limitations(plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
    """See `flowctl_limitations`."""
    context = pinned(plan, context)
    found: list[Limitation] = []
    optional: set[str] = set()
    for platform in able(plan):
        unknown = _unknown(plan, context, platform)
        if unknown is not None:
            found.append(unknown)
            continue
        cgo = uses_c(plan, platform)
        # Unknown where modules are still to be fetched; then the build asks again, and fails with the same words.
        users = find_c_users(plan, context, platform) if cgo is not False and imports_modules(plan, platform) else None
        users = users or CUsers()
        if cgo or users.required:
            found += _about_c(plan, context, platform, users)
        else:
            optional.update(users.optional)
    if optional:
        found.append(
            Limitation(
                platform=None,
                reason=f"the release is built without C, which these dependencies use where they may: "
                f"{', '.join(sorted(optional))}",
                remedy='If the program needs that, set CGO_ENABLED: "1" in build.native.environment of component.yaml; '
                '"0" there says that it does not',
            )
        )
    return tuple(found)


def _about_c(plan: Plan, context: BuildContext, platform: Platform, users: CUsers) -> Iterator[Limitation]:
    for reason, remedy in zig.reasons(platform, list(users.frameworks), list(users.pkg_config)):
        yield Limitation(platform=platform, reason=reason, remedy=remedy)
    if "zig" not in context.tools and not zig.on_mac(platform):
        who = f"{', '.join(users.required)} needs" if users.required else "the program has"
        yield Limitation(
            platform=platform,
            reason=f"{who} C, and zig, which compiles it for {platform}, was not found",
            remedy=str(zig.REQUIREMENT.install_hint),
        )


def _unknown(plan: Plan, context: BuildContext, platform: Platform) -> Limitation | None:
    if f"{platform.os}/{platform.arch}" in _USUAL:
        return None
    environment = {**target_environment(plan, platform), "CGO_ENABLED": "0"}
    done = run_go(plan, context, ["build", "-n", "unsafe"], environment=environment, on_line=lambda _: None)
    if done.ok or "unsupported GOOS/GOARCH" not in done.output:
        return None
    return Limitation(
        platform=platform,
        reason=f"Go {context.tool('go').version} does not build for {platform.os}/{platform.arch}",
        remedy="Name a platform that `go tool dist list` has, or install a Go that builds for it",
    )
