"""Chooses what to build where a project holds several programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowctl_core.errors import PlanError
from flowctl_lang_rust.detect import SIDE_FOLDERS
from flowctl_lang_rust.manifest import Bin, Package, join
from flowctl_lang_rust.workspace import Project


@dataclass(frozen=True)
class Choice:
    """A package and the program in it; no program means its library."""

    package: Package
    program: Bin | None


def choose(project: Project, component: str, wanted: str | None) -> Choice:
    """The program (or library) to build.

    `wanted` is `--main` or component.yaml's `main`: a program's name or file, a package's name or folder.
    Without it: `default-run`, the only program, the one named like the component or the package.
    Raises PlanError, listing what there is, when nothing or more than one thing fits.
    """
    if wanted is not None:
        return _named(project, component, wanted)
    packages = _serious(project.default_members)
    if any(package.bins for package in packages):
        return _pick(project, packages, component)
    libraries = [package for package in packages if package.library and package.library.linked]
    if not libraries:
        raise _no_program(project)
    if len(libraries) == 1:
        return Choice(libraries[0], None)
    for package in libraries:
        if _same(package.name, component):
            return Choice(package, None)
    raise PlanError(
        "the workspace has several libraries: " + ", ".join(package.name for package in libraries),
        hint=f"choose with --main, for example --main {libraries[0].name}",
    )


def _named(project: Project, component: str, wanted: str) -> Choice:
    for packages in (project.default_members, project.members):
        found = [Choice(p, b) for p in packages for b in p.bins if b.name == wanted]
        if len(found) > 1:
            raise PlanError(
                f"several packages have a program named {wanted}: "
                + ", ".join(choice.package.name for choice in found),
                hint="choose by file: "
                + " or ".join(f"--main {choice.program.path}" for choice in found if choice.program),
            )
        if found:
            return found[0]
    # `main` may be written from the source tree or from the folder of the manifest.
    paths = {join(".", wanted), join(project.folder, wanted)}
    for package in project.members:
        for program in package.bins:
            if program.path in paths:
                return Choice(package, program)
        if package.library and package.library.linked and package.library.path in paths:
            return Choice(package, None)
    for package in project.members:
        library = package.library
        if package.name == wanted or (library and library.linked and library.name == wanted):
            return _of_package(project, package, component)
    nearest = _nearest(project, paths) if not wanted.endswith(".rs") else None
    if nearest is not None:
        return _of_package(project, nearest, component)
    raise PlanError(f"there is no program {wanted}; {_listing(project)}", hint=_example(project))


def _nearest(project: Project, paths: Iterable[str]) -> Package | None:
    """The package whose folder, or whose `src` or `src/bin`, is one of the paths."""
    for path in paths:
        for package in project.members:
            below = [package.folder, *(join(package.folder, inner) for inner in ("src", "src/bin"))]
            if path in below:
                return package
    return None


def _of_package(project: Project, package: Package, component: str) -> Choice:
    if package.bins:
        return _pick(project, (package,), component)
    if package.library and package.library.linked:
        return Choice(package, None)
    raise PlanError(f"{package.name} is a library crate without a program; {_listing(project)}", hint=_example(project))


def _pick(project: Project, packages: Sequence[Package], component: str) -> Choice:
    owners = [package for package in packages if package.bins]
    if len(owners) == 1:
        package = owners[0]
        # A program whose features are off is not built by `cargo build` either.
        programs = [b for b in package.bins if not package.missing_features(b)] or list(package.bins)
        for program in package.bins:
            if program.name == package.default_run:
                return Choice(package, program)
        if len(programs) == 1:
            return Choice(package, programs[0])
        for name in (component, package.name):
            for program in programs:
                if _same(program.name, name):
                    return Choice(package, program)
        raise PlanError(f"{package.name} has several programs; {_listing(project)}", hint=_example(project))
    named = [Choice(p, b) for p in owners for b in p.bins if _same(b.name, component)]
    if len(named) == 1:
        return named[0]
    for package in owners:
        if _same(package.name, component):
            return _pick(project, (package,), component)
    raise PlanError(f"the workspace has several programs; {_listing(project)}", hint=_example(project))


def _serious(packages: Sequence[Package]) -> list[Package]:
    """Without examples, fuzz targets and `xtask`, as long as something remains that can be built."""
    kept = [p for p in packages if p.name != "xtask" and not SIDE_FOLDERS & set(p.folder.split("/"))]
    buildable = any(p.bins or (p.library and p.library.linked) for p in kept)
    return kept if buildable else list(packages)


def _same(one: str, other: str) -> bool:
    return one.replace("_", "-").lower() == other.replace("_", "-").lower()


def _no_program(project: Project) -> PlanError:
    packages = project.default_members
    if not project.members:
        return PlanError(
            f"{join(project.folder, 'Cargo.toml')} is a workspace without members",
            hint="Correct `members` in [workspace].",
        )
    names = ", ".join(package.name for package in packages) or "the default members"
    what = "is a library crate" if len(packages) == 1 else "are library crates"
    elsewhere = any(package.bins for package in project.members)
    return PlanError(
        f"{names} {what} without a program or a cdylib, so there is nothing to run"
        + (f"; {_listing(project)}" if elsewhere else ""),
        hint=_example(project)
        if elsewhere
        else 'Add src/main.rs, or crate-type = ["cdylib"] to [lib] if other languages load it.',
    )


def _listing(project: Project) -> str:
    lines = [f"  {b.name} ({b.path})" for p in project.members for b in p.bins]
    lines += [f"  {p.name} (library, {p.folder})" for p in project.members if p.library and p.library.linked]
    return "there are:\n" + "\n".join(lines) if lines else "there are no programs"


def _example(project: Project) -> str:
    programs = [program for package in project.members for program in package.bins]
    repeated = {b.name for b in programs if sum(other.name == b.name for other in programs) > 1}
    first = next(iter(programs), None)
    if first is None:
        return "Add src/main.rs."
    shown = first.path if first.name in repeated else first.name
    return f"choose with --main, for example --main {shown}, or write it as `main` in component.yaml"
