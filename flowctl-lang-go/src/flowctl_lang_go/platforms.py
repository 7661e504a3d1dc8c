"""What a release plan says about each platform: whether it can be built here, with C or without. Reads files only."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from pydantic import JsonValue

from flowctl_core.models import Limitation, Plan, Platform
from flowctl_lang_go import zig
from flowctl_lang_go.constraints import Target
from flowctl_lang_go.manifest import Module, join
from flowctl_lang_go.project import Project
from flowctl_lang_go.reach import Reach, follow
from flowctl_lang_go.targets import Tree, read_header
from flowctl_lang_go.variants import target_variables


@dataclass(frozen=True)
class Release:
    """What a release plan has beside a plan for development."""

    details: dict[str, JsonValue]
    limitations: tuple[Limitation, ...]
    may_use_c: bool
    """False: no platform can come to need a C compiler."""


@dataclass(frozen=True)
class Subject:
    """What is released."""

    tree: Tree
    project: Project
    modules: Sequence[Module]
    """Those in the source, replacements included."""
    platforms: tuple[Platform, ...]
    tags: frozenset[str]
    cgo: str | None
    """CGO_ENABLED as component.yaml has it."""
    mode: str
    """`vendor`, `readonly`, or empty for loose files."""


def describe(subject: Subject) -> Release:
    """Look at each platform by itself."""
    limitations: list[Limitation] = []
    each: dict[str, JsonValue] = {}
    certificates = False
    for platform in subject.platforms:
        cgo, reach = _reach(subject, platform)
        reasons = list(_reasons(subject, platform, cgo, reach))
        limitations += [Limitation(platform=platform, reason=reason, remedy=remedy) for reason, remedy in reasons]
        certificates |= reach.speaks_tls
        each[platform] = {
            "cgo": cgo,
            "files": _loose_files(subject, platform),
            "imports": sha256("\0".join(sorted(reach.outside)).encode()).hexdigest() if reach.outside else "",
        }
    details: dict[str, JsonValue] = {
        "platforms": each,
        "libc": zig.libc(subject.tree.source),
        "certificates": certificates,
    }
    refused = {limitation.platform for limitation in limitations}
    left = [platform for platform in subject.platforms if platform not in refused]
    return Release(
        details,
        tuple(limitations),
        may_use_c=any(_entry(each, platform).get("cgo") is not False for platform in left),
    )


def able(plan: Plan) -> list[Platform]:
    """The platforms that the plan does not refuse."""
    refused = {limitation.platform for limitation in plan.limitations}
    return [platform for platform in plan.platforms if platform not in refused]


def uses_c(plan: Plan, platform: Platform) -> bool | None:
    """Whether cgo is on; None: a dependency outside the source may need it, which only Go can tell."""
    found = _entry(plan.details.get("platforms"), platform).get("cgo")
    return found if isinstance(found, bool) else None


def imports_modules(plan: Plan, platform: Platform) -> bool:
    """True when the program has packages from outside the source."""
    return bool(_entry(plan.details.get("platforms"), platform).get("imports")) and plan.details.get("mod") != "vendor"


def loose_files(plan: Plan, platform: Platform) -> list[str]:
    """The files to name to Go, where there is no go.mod."""
    found = _entry(plan.details.get("platforms"), platform).get("files")
    return [str(file) for file in found] if isinstance(found, list) else []


def _entry(each: JsonValue, platform: Platform) -> Mapping[str, JsonValue]:
    found = each.get(platform) if isinstance(each, dict) else None
    return found if isinstance(found, dict) else {}


def _reach(subject: Subject, platform: Platform) -> tuple[bool | None, Reach]:
    """Cgo is on where component.yaml says so or the source cannot do without it."""

    def with_cgo(on: bool) -> Reach:
        target = Target.of(platform, subject.tags, cgo=on)
        vendor = join(subject.project.root, "vendor") if subject.mode == "vendor" else None
        return follow(subject.tree, subject.modules, subject.project.program.folder, target, vendor=vendor)

    if subject.cgo == "0":
        return False, with_cgo(False)
    reach = with_cgo(True)
    if subject.cgo == "1" or reach.c_required:
        return True, reach
    pure = with_cgo(False)
    return (None if pure.outside and subject.mode == "readonly" else False), pure


def _reasons(subject: Subject, platform: Platform, cgo: bool | None, reach: Reach) -> list[tuple[str, str]]:
    """Why a platform cannot be built here, each with what would help."""
    program = subject.project.program.folder
    shown = _shown(program, subject.project.root)
    try:
        target_variables(platform)
    except ValueError as error:
        return [(f"{platform} is no platform of Go's: {error}", "Name a platform that Go has: `go tool dist list`.")]
    others = ",".join(one for one in subject.platforms if one != platform)
    leave_out = f"leave the platform out: --platforms {others}" if others else "release for another platform"
    target = Target.of(platform, subject.tags, cgo=cgo is not False)
    if program in reach.excluded or subject.tree.program(program, target) is None:
        causes = "build constraints" + (", file names or CGO_ENABLED=0" if subject.cgo == "0" else " or file names")
        return [
            (
                f"the program {shown} has no Go file with a func main for {platform}: {causes} exclude it",
                f"Add a file for {platform}, or {leave_out}",
            )
        ]
    if reach.excluded:
        folders = ", ".join(_shown(folder, subject.project.root) for folder in sorted(reach.excluded))
        return [
            (
                f"build constraints exclude all Go files for {platform} in {folders}, which the program imports",
                f"Add a file for {platform} there, or {leave_out}",
            )
        ]
    return zig.reasons(platform, sorted(reach.frameworks), sorted(reach.pkg_config)) if cgo else []


def _loose_files(subject: Subject, platform: Platform) -> list[JsonValue]:
    """The files of the program that belong to the platform, where no module says which."""
    if subject.project.module is not None:
        return []
    target = Target.of(platform, subject.tags, cgo=subject.cgo != "0")
    found: list[JsonValue] = []
    for path in subject.tree.go_files[subject.project.program.folder]:
        header = None if path.endswith("_test.go") else read_header(subject.tree.source, path, target)
        if header is not None and header.wanted and header.package == "main":
            found.append(posixpath.basename(path))
    return found


def _shown(folder: str, root: str) -> str:
    relative = posixpath.relpath(folder, root)
    return "." if relative == "." else f"./{relative}"
