"""What this machine cannot build, told before anything is fetched or compiled."""

from __future__ import annotations

from flowctl_core.errors import BuildError, FetchError, ToolchainError
from flowctl_core.models import BuildContext, Limitation, Plan, Platform
from flowctl_lang_rust.release.environment import left_out, without_callers_choices
from flowctl_lang_rust.release.frameworks import MACOS_REMEDY, links_frameworks
from flowctl_lang_rust.release.metadata import read_graph
from flowctl_lang_rust.release.plan import targets_of
from flowctl_lang_rust.release.route import GLIBC, Route, find_route
from flowctl_lang_rust.release.rustc import Rustc
from flowctl_lang_rust.toolchain import CROSS_HINT


def find_limitations(plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
    """What only rustc and the linkers that were found can tell. Raises ToolchainError when rustc does not work."""
    settled = without_callers_choices(plan, context)
    rustc = Rustc.ask(plan, settled)
    known = {limitation.platform for limitation in plan.limitations}
    found = left_out(plan, context)
    for platform in plan.platforms:
        if platform in known:
            continue
        route = find_route(plan, settled, rustc, platform)
        needs = _frameworks(plan, settled, platform) if platform.os == "darwin" else None
        if isinstance(route, Limitation):
            if needs is not None:
                both = {
                    "reason": f"{route.reason}, and {needs.reason}",
                    "remedy": f"{route.remedy}; then: {needs.remedy}",
                }
                route = route.model_copy(update=both)
            found.append(route)
        elif needs is not None and route.linker == "zig":
            found.append(needs)
        elif _takes_hosts_glibc(route):
            found.append(_hosts_glibc(route))
    return tuple(found)


def _frameworks(plan: Plan, context: BuildContext, platform: Platform) -> Limitation | None:
    """Why Apple's SDK is needed, as far as cargo can tell before fetch; None where it is there or not needed."""
    if context.environment.get("SDKROOT") or Platform.host().os == "darwin":
        return None
    triples = targets_of(plan, platform)
    try:
        graph = read_graph(plan, context, triples[0])
    except (BuildError, FetchError, ToolchainError, IndexError):
        return None  # not fetched yet: if it comes to that, the linker tells
    scopes = graph.scopes()
    crates = sorted({graph.crates[name].name for name, scope in scopes.items() if scope == "runtime"})
    linking = [crate for crate in crates if links_frameworks(crate)]
    if not linking:
        return None
    verb = "links" if len(linking) == 1 else "link"
    return Limitation(
        platform=platform,
        reason=f"{', '.join(linking)} {verb} frameworks of Apple's SDK, which is not on this machine",
        remedy=MACOS_REMEDY,
    )


def _takes_hosts_glibc(route: Route) -> bool:
    return route.linker != "zig" and "-linux-gnu" in route.triple


def _hosts_glibc(route: Route) -> Limitation:
    return Limitation(
        platform=None,
        reason=f"without zig the program for {route.platform} may need a glibc as new as this machine's",
        remedy=f"with zig it needs {GLIBC}: {CROSS_HINT}",
    )
