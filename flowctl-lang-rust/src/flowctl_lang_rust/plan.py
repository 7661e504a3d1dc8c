"""Says what cargo will be asked to build. Reads files, runs nothing."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from flowctl_core.errors import PlanError
from flowctl_core.models import EntryPoint, Inputs, Plan, PlanRequest, Platform, SourceTree
from flowctl_lang_rust.detect import ALIASES, LANGUAGE, find_manifests
from flowctl_lang_rust.entry import Choice, choose
from flowctl_lang_rust.manifest import join, read_toml, table
from flowctl_lang_rust.targets import library_file, platform_of, program_file
from flowctl_lang_rust.toolchain import PASSTHROUGH, cross_tools, minimum_version, pinned_channel, requirements
from flowctl_lang_rust.workspace import Project, read_project

ENVIRONMENT = {
    "CARGO_TERM_COLOR": "never",
    "CARGO_TERM_PROGRESS_WHEN": "never",
    "RUSTUP_AUTO_INSTALL": "0",  # a missing pinned toolchain is an error with a remedy, not a silent download
}


def make_plan(source: SourceTree, request: PlanRequest) -> Plan:
    """The plan for a source tree.

    Raises PlanError when there is no manifest, it cannot be read, or what to build cannot be told.
    """
    project, choice = _find(source, request)
    package, program = choice.package, choice.program
    lock = None if project.workspace is None else join(project.workspace, "Cargo.lock")
    minimum, declared_in = minimum_version(source, (package,), lock)
    channel = pinned_channel(source, project.folder)
    settings = _cargo_config(source, project.folder)
    target = _build_target(settings)
    release = request.profile == "release"
    first = request.platforms[0] if request.platforms else Platform.host()
    platform = platform_of(target) if target and not release else None
    details: dict[str, JsonValue] = {
        "package": package.name,
        "bin": program.name if program else None,
        "library": [*_linked(choice, release=release)],
        "features": list(package.missing_features(program)) if program else [],
        "workspace": project.workspace,
        "test_packages": _test_packages(project, choice),
        "channel": list(channel) if channel else None,
        "target": target,
    }
    plan = Plan(
        component=request.name,
        version=request.version,
        language=LANGUAGE,
        profile=request.profile,
        platforms=request.platforms,
        root=project.folder,
        entry_points=_entry_points(request.name, choice, platform or first, release=release),
        inputs=_inputs(source, project),
        toolchain=requirements(
            minimum=minimum,
            declared_in=declared_in,
            channel=channel[0] if channel else None,
            linker_optional=release or _sets_linker(settings),
        ),
        environment={**ENVIRONMENT, **_declared_environment(source)},
        passthrough=PASSTHROUGH,
        settings=request.settings,
        details=details,
        warnings=tuple(_warnings(project)),
    )
    return _for_release(plan, source, request, project, choice, settings, lock) if release else plan


def _for_release(
    plan: Plan,
    source: SourceTree,
    request: PlanRequest,
    project: Project,
    choice: Choice,
    settings: list[dict[str, Any]],
    lock: str | None,
) -> Plan:
    from flowctl_lang_rust.release import plan as release_plan

    more = release_plan.details(source, request, project, choice, settings, lock)
    targets = table(more, "targets")
    return plan.model_copy(
        update={
            "details": {**plan.details, **more},
            "toolchain": (*plan.toolchain, *cross_tools(triple for found in targets.values() for triple in found)),
            "environment": {**release_plan.ENVIRONMENT, **plan.environment},
            "passthrough": release_plan.PASSTHROUGH,
            "limitations": release_plan.limitations(request, choice, targets),
            "warnings": (*plan.warnings, *release_plan.warnings(request, choice.package)),
        }
    )


def _find(source: SourceTree, request: PlanRequest) -> tuple[Project, Choice]:
    """The project at the detected root, or another one in the tree that has the wanted program."""
    root = request.detection_root
    if not source.exists(join(root, "Cargo.toml")):
        raise PlanError(
            "there is no Cargo.toml in the source tree" if root == "." else f"there is no Cargo.toml in {root}",
            hint="Run `cargo init`, or choose another language with --language.",
        )
    project = read_project(source, root)
    try:
        return project, choose(project, request.name, request.entry_point)
    except PlanError as refused:
        if request.entry_point is None:
            raise
        for folder in find_manifests(source):
            if folder == root:
                continue
            try:
                other = read_project(source, folder)
                return other, choose(other, request.name, request.entry_point)
            except PlanError:
                continue
        raise refused


def _linked(choice: Choice, *, release: bool) -> tuple[str, ...]:
    """The library's crate types that are artifacts; a release has no use for a static library beside a shared one."""
    if choice.program is not None or choice.package.library is None:
        return ()
    linked = choice.package.library.linked
    return ("cdylib",) if release and "cdylib" in linked else linked


def _entry_points(component: str, choice: Choice, platform: Platform, *, release: bool) -> tuple[EntryPoint, ...]:
    """The program under the component's name, as in every language; libraries under the name that rustc gives."""
    package, program = choice.package, choice.program
    if program is not None:
        return (EntryPoint(name=program_file(component, platform), path=program.name),)
    library = package.library
    if library is None:  # choose() only answers without a program when there is a library
        raise PlanError(f"{package.name} has neither a program nor a library", hint="Add src/main.rs.")
    return tuple(
        EntryPoint(name=library_file(library.name, kind, platform), path=library.path, kind="library")
        for kind in _linked(choice, release=release)
    )


def _inputs(source: SourceTree, project: Project) -> Inputs:
    top = project.workspace or project.folder
    folders = dict.fromkeys((top, project.folder, *(package.folder for package in project.packages)))
    fetch = [path for folder in folders if source.exists(path := join(folder, "Cargo.toml"))]
    fetch.append(join(top, "Cargo.lock"))
    fetch += _config_files(source, project.folder)
    built = dict.fromkeys((top, project.folder))
    return Inputs(exclude=tuple("/" + join(folder, "target") + "/" for folder in built), fetch=tuple(fetch))


def _config_files(source: SourceTree, folder: str) -> list[str]:
    """Cargo's own configuration in the tree, the nearest first."""
    found = []
    while True:
        names = (join(folder, ".cargo/config"), join(folder, ".cargo/config.toml"))
        found += [name for name in names if source.exists(name)][:1]
        if folder == ".":
            return found
        folder = join(folder, "..")


def _cargo_config(source: SourceTree, folder: str) -> list[dict[str, Any]]:
    return [read_toml(source, path) for path in _config_files(source, folder)]


def _build_target(settings: list[dict[str, Any]]) -> str | None:
    """`build.target` of .cargo/config.toml, where it is one triple."""
    for data in settings:
        target = table(data, "build").get("target")
        if isinstance(target, str):
            return target
        if isinstance(target, list) and len(target) == 1 and isinstance(target[0], str):
            return target[0]
    return None


def _sets_linker(settings: list[dict[str, Any]]) -> bool:
    return any(
        isinstance(target, dict) and "linker" in target
        for data in settings
        for target in table(data, "target").values()
    )


def _declared_environment(source: SourceTree) -> dict[str, str]:
    """component.yaml's native environment for Rust (`RUSTFLAGS`, …)."""
    declared = source.component.language(LANGUAGE, *ALIASES) if source.component is not None else None
    return dict(declared.native.environment) if declared is not None and declared.native is not None else {}


def _test_packages(project: Project, choice: Choice) -> list[JsonValue]:
    """Packages to name in `cargo test`; none means what cargo does by itself in that folder.

    A workspace that holds one component is tested whole, as by hand. Where it holds several, only the chosen
    member is, as with `cargo test --package`.
    """
    owners = {package.folder for package in project.default_members if package.bins}
    alone = choice.package in project.default_members and owners <= {choice.package.folder}
    return [] if alone else [choice.package.name]


def _warnings(project: Project) -> list[str]:
    said = [
        f"{name} depends on {path}, outside the source tree: a change there is not noticed, "
        "and a registry cannot build it"
        for name, path in dict.fromkeys(project.outside_dependencies())
    ]
    if project.inherits_from_outside:
        said.append(
            "this package belongs to a workspace outside the source tree: its Cargo.toml and Cargo.lock are "
            "not noticed as inputs; make the workspace's folder the component and choose with --main"
        )
    return said
