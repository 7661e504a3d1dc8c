"""Says what will be built, from which inputs, with which tools. Reads files, runs nothing."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator

from pydantic import JsonValue

from flowctl_core.errors import PlanError, SourceError
from flowctl_core.models import (
    EntryPoint,
    Inputs,
    Limitation,
    NativeBuild,
    Plan,
    PlanRequest,
    Platform,
    SourceTree,
)
from flowctl_lang_go.constraints import AnyOf, Target, Wanted
from flowctl_lang_go.detect import LANGUAGE, NAMES
from flowctl_lang_go.manifest import Module, Replacement, is_inside, join, read_module
from flowctl_lang_go.project import Project, find_project
from flowctl_lang_go.targets import Tree, is_below, read_header
from flowctl_lang_go.toolchain import PASSTHROUGH, mode_under, requirements

_OWN = frozenset({"GOTOOLCHAIN", "GOWORK", "GO111MODULE", "GOPROXY", "GONOPROXY"})
"""Variables that the builder itself decides."""
_MACHINE = frozenset({"PATH", "HOME", "GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOENV", "GOBIN", "GOTMPDIR"})
"""Variables that belong to a machine, not to a source."""


def make_plan(source: SourceTree, request: PlanRequest) -> Plan:
    """See `flowctl_plan`. Raises PlanError when there is no program, or several and nothing says which."""
    native = _native(source)
    environment, warnings = _environment(native, request)
    tags = _tags(request.settings.build_args, native.environment.get("GOFLAGS", ""))
    cgo = environment.get("CGO_ENABLED") != "0"
    release = request.profile == "release"
    targets = tuple(Target.of(platform, tags, cgo=cgo) for platform in request.platforms)
    target: Wanted = AnyOf(targets) if release else targets[0]
    tree = Tree(source)
    project = find_project(
        tree, target, root=request.detection_root, name=request.name, entry_point=request.entry_point
    )
    if project.module is None:
        _refuse_outer_module(source, project)
    replaced, limitations = _replaced(source, project)
    traits = tree.traits([*project.members, *replaced] or [None], target)
    if project.workspace is None:
        environment["GOWORK"] = "off"
        warnings += _outer_workspace(source, project)
    package = _relative(project.program.folder, project.root)
    details: dict[str, JsonValue] = {
        "package": package,
        "files": [] if project.module else _loose_files(tree, project, target),
        "mod": _module_mode(source, project),
        "workspace": project.workspace is not None,
        "test_packages": _test_packages(tree, project, target),
        "modules": {module.path: _relative(module.folder, project.root)[2:] or "." for module in project.members},
        "cgo": traits.cgo and cgo,
    }
    toolchain = requirements(_declared(project), cgo=cgo and not release)
    if release:
        from flowctl_lang_go.platforms import Subject, describe
        from flowctl_lang_go.zig import REQUIREMENT

        subject = Subject(
            tree,
            project,
            [*project.members, *replaced],
            request.platforms,
            tags,
            environment.get("CGO_ENABLED"),
            mode_under(environment.get("GOFLAGS", ""), str(details["mod"])),
        )
        made = describe(subject)
        details |= made.details
        limitations = (*_for_each(limitations, request.platforms), *made.limitations)
        toolchain += (REQUIREMENT,) if made.may_use_c else ()
    return Plan(
        component=request.name,
        version=request.version,
        language=LANGUAGE,
        profile=request.profile,
        platforms=request.platforms,
        root=project.root,
        entry_points=(EntryPoint(name=request.name, path=package),),
        inputs=_inputs(source, tree, project, replaced, everything=traits.embeds or traits.cgo),
        toolchain=toolchain,
        environment=environment,
        # A release is the same whoever makes it: nothing of the caller's, see `pinned`.
        passthrough=() if release else tuple(name for name in PASSTHROUGH if name not in environment),
        limitations=limitations,
        settings=request.settings,
        details=details,
        warnings=(*warnings, *(f"{one.reason}; {one.remedy}" for one in limitations if one.platform is None)),
    )


def _native(source: SourceTree) -> NativeBuild:
    declared = source.component.language(*NAMES) if source.component is not None else None
    return (declared.native if declared is not None else None) or NativeBuild()


def _environment(native: NativeBuild, request: PlanRequest) -> tuple[dict[str, str], list[str]]:
    """What `go` gets, from component.yaml too, and what of that is not taken."""
    # Nothing is downloaded behind the user's back: a Go that is too old is an error with a hint.
    found = {"GOTOOLCHAIN": "local", "GO111MODULE": "on"}
    warnings = []
    platform = request.platforms[0]
    host = {"GOOS": platform.os, "GOARCH": platform.arch}
    if request.profile == "dev":
        # Said, not assumed: `go env -w` and an interpreter under emulation may think otherwise.
        found |= host
    for name, value in native.environment.items():
        if name in host:
            if request.profile == "release":
                wanted = ", ".join(request.platforms)
                warnings.append(f"component.yaml sets {name}={value}, which is ignored: a release is for {wanted}")
            elif value != host[name]:
                warnings.append(
                    f"component.yaml sets {name}={value}, which is ignored: this build is for {platform}; "
                    "spec.platforms says what a release is for"
                )
        elif name in _OWN or name in _MACHINE:
            warnings.append(f"component.yaml sets {name}, which is ignored: the builder decides it")
        else:
            found[name] = value
    return found, warnings


def _tags(build_args: tuple[str, ...], flags: str) -> frozenset[str]:
    text = " ".join((flags, *build_args))
    return frozenset(
        tag for match in re.finditer(r"(?:^|\s)--?tags[=\s]['\"]?([\w.,]+)", text) for tag in match[1].split(",") if tag
    )


def _declared(project: Project) -> Iterator[tuple[str, str]]:
    """The versions that go.mod and go.work ask for; the `toolchain` line is the newer of the two, where it counts."""
    for one in (*project.members, *((project.workspace,) if project.workspace else ())):
        if re.match(r"\d", one.go):
            yield one.go, one.file
        if one.toolchain:
            yield one.toolchain, f"{one.file}, toolchain"


def _replaced(source: SourceTree, project: Project) -> tuple[list[Module], tuple[Limitation, ...]]:
    """Modules in the source that stand in for others, and a limitation for each folder outside of it."""
    found: dict[str, Module] = {}
    outside: dict[str, str] = {}
    queue: list[tuple[str, Replacement]] = [(m.folder, r) for m in project.members for r in m.replacements]
    if project.workspace is not None:
        queue += [(project.workspace.folder, replacement) for replacement in project.workspace.replacements]
        for path in project.workspace.uses:
            if not is_inside(join(project.workspace.folder, path)):
                outside[path] = f"go.work uses {path}"
    members = {module.folder for module in project.members}
    for folder, replacement in queue:
        place = join(folder, replacement.target)
        if not is_inside(place):
            outside[replacement.target] = f"go.mod replaces {replacement.module} by {replacement.target}"
        elif place not in members and place not in found:
            module = read_module(source, place)
            if module is not None:
                found[place] = module
    limitations = tuple(
        Limitation(
            platform=None,
            reason=f"{reason}, which is outside the source: a change there does not cause a new build, and nobody else "
            "can build this",
            remedy="build from the folder that holds both, or use a published version",
        )
        for _, reason in sorted(outside.items())
    )
    return list(found.values()), limitations


def _for_each(limitations: tuple[Limitation, ...], platforms: tuple[Platform, ...]) -> tuple[Limitation, ...]:
    """What lies outside the source only bothers a build in the working tree; a release has an export of the source."""
    return tuple(one.model_copy(update={"platform": platform}) for one in limitations for platform in platforms)


def _module_mode(source: SourceTree, project: Project) -> str:
    """`vendor`, `readonly`, or empty for loose files."""
    if project.module is None:
        return ""
    listing = join(project.root, "vendor/modules.txt")
    if not source.exists(listing):
        return "readonly"
    for_workspace = source.read_text(listing).lstrip().startswith("## workspace")
    return "vendor" if for_workspace == (project.workspace is not None) else "readonly"


def _test_packages(tree: Tree, project: Project, target: Wanted) -> list[JsonValue]:
    if project.module is None:
        named = [posixpath.basename(path) for path in tree.go_files[project.program.folder]]
        return [name for name in named if target.wants_name(name)]
    if project.workspace is None:
        return ["./..."]
    return [f"{_relative(module.folder, project.root).rstrip('/.') or '.'}/..." for module in project.members]


def _loose_files(tree: Tree, project: Project, target: Wanted) -> list[JsonValue]:
    found: list[JsonValue] = []
    for path in tree.go_files[project.program.folder]:
        header = None if path.endswith("_test.go") else read_header(tree.source, path, target)
        if header is not None and header.wanted and header.package == "main":
            found.append(posixpath.basename(path))
    return found


def _inputs(source: SourceTree, tree: Tree, project: Project, replaced: list[Module], *, everything: bool) -> Inputs:
    """All that lies in the modules' folders, and not other modules.

    `everything`: any file may be embedded or included by C. Otherwise tests and texts cannot change the program.
    """
    modules = [*project.members, *replaced]
    folders = dict.fromkeys((project.root, *(module.folder for module in modules)))
    outer = [one for one in folders if not any(one != other and is_below(one, other) for other in folders)]
    include = ["**"] if "." in outer else [f"/{folder}/**" for folder in outer] + ["/component.yaml"]
    exclude = [
        f"/{folder}/"
        for folder in tree.modules
        if folder not in folders
        and folder != "."
        and any(is_below(folder, one) for one in folders)
        and not any(is_below(one, folder) for one in folders)
    ]
    if not everything:
        exclude += ["*_test.go", "testdata/", "*.md"]
        if source.exists(join(project.root, "vendor/modules.txt")):
            # What a dependency embeds is unknown here, and vendored files hardly ever change.
            exclude.append(f"!/{join(project.root, 'vendor')}/**")
    fetch = [join(module.folder, name) for module in modules for name in ("go.mod", "go.sum")]
    fetch += [join(project.root, name) for name in ("go.work", "go.work.sum", "vendor/modules.txt")]
    present = [path for path in dict.fromkeys(fetch) if source.exists(path)]
    return Inputs(include=tuple(include), exclude=tuple(exclude), fetch=tuple(present))


def _refuse_outer_module(source: SourceTree, project: Project) -> None:
    """Loose files that in truth belong to a module above the source: its other packages would be no inputs."""
    above = _above(source, "go.mod")
    if above is not None:
        inside = os.path.relpath(source.root.resolve(), above) + "/" + project.program.folder
        raise PlanError(
            f"these files belong to the module in {_upwards(source, above)}, which is outside the source",
            hint=f"Build in that folder, with --main ./{posixpath.normpath(inside)}.",
        )


def _outer_workspace(source: SourceTree, project: Project) -> list[str]:
    above = _above(source, "go.work") if project.module is not None else None
    if above is None:
        return []
    return [
        f"the go.work in {_upwards(source, above)} is outside the source and is not used; build in that folder with "
        "--main if this module needs the others"
    ]


def _above(source: SourceTree, name: str) -> str | None:
    """The nearest folder above the source that has such a file."""
    try:
        folders = source.root.resolve().parents
        return next((str(folder) for folder in folders if (folder / name).is_file()), None)
    except OSError as error:
        raise SourceError(f"{source.root} cannot be read: {error.strerror}") from error


def _upwards(source: SourceTree, folder: str) -> str:
    return os.path.relpath(folder, source.root.resolve())


def _relative(folder: str, root: str) -> str:
    """A Go package path: `.` or `./cmd/sink`."""
    relative = posixpath.relpath(folder, root)
    return "." if relative == "." else f"./{relative}"
