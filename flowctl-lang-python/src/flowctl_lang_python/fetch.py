"""Brings dependencies into a fresh environment, and build requirements into uv's cache."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from flowctl_core.errors import FetchError
from flowctl_core.models import BuildContext, CompletedCommand, FetchReport, Plan
from flowctl_lang_python import leftovers, locks, state
from flowctl_lang_python.launcher import write
from flowctl_lang_python.recipe import Recipe

BUILD_CONSTRAINTS = "build-constraints.txt"
"""In the work folder: exact versions of the build requirements, as fetched."""

BUILD_AHEAD = "fetch-by-building"
"""In the work folder: build found that the backend asks for more than is declared, so fetch has to ask it."""

_BUILT = re.compile(r"^\s*Built\s+(\S+)(?: @ \S+)?\s*$", re.MULTILINE)
_INSTALLED = re.compile(r"^Installed (\d+) packages? in", re.MULTILINE)
_NO_BUILD = ("--no-build", "building from source is disabled", "building source distributions is disabled")
_OFFLINE = ("network was disabled", "network connectivity is disabled", "not found in the cache")
_CARGO_OFFLINE = ("you're using offline mode (--offline)", "but --offline was specified")
"""Cargo's words, from a build backend: features that a backend adds want crates which `cargo fetch` does not bring."""


_NO_NETWORK = re.compile(r"error sending request|dns error|[Cc]onnection refused|unreachable|tunnel error")


def says_offline(done: CompletedCommand) -> bool:
    """True when uv, or cargo below it, failed as something is not on this machine and the network was not allowed."""
    return not done.ok and any(text in done.output for text in (*_OFFLINE, *_CARGO_OFFLINE))


class Fetching:
    """One run of fetch: what it ran and what uv said."""

    def __init__(self, plan: Plan, context: BuildContext, interpreter: str | None = None) -> None:
        """`interpreter` is for releases, which have no environment of their own."""
        self.plan = plan
        self.context = context
        self.recipe = Recipe.of(plan)
        self.ran_code: list[str] = []
        self.fetched = 0
        self.interpreter = interpreter or state.interpreter(context)
        self._known = {"--python", self.interpreter}
        self.environment: dict[str, str] = {}
        if interpreter is None:
            self.environment["VIRTUAL_ENV"] = str(state.environment(context))
            self.environment["UV_PROJECT_ENVIRONMENT"] = str(state.environment(context))

    def uv(self, *arguments: str, may_build: bool | None = None) -> CompletedCommand:
        """Run uv. `may_build` None: first only ready-made wheels, then, if some are missing, builds too.

        Raises FetchError with uv's words when it fails.
        """
        offline = ("--offline",) if self.context.offline else ()
        argv = [str(self.context.tool("uv").path), *arguments, *offline]
        shown = [word.replace(f"{self.context.work_dir}/", "") for word in arguments if word not in self._known]
        self.context.progress.step(" ".join(("uv", *shown)))
        done = None
        if may_build is None:
            done = self._run([*argv, "--no-build"])
            if not done.ok and any(text in done.output.lower() for text in _NO_BUILD):
                self.context.progress.note("some dependencies have no wheel: building them runs their own code")
                done = None
        if done is None:
            done = self._run(argv)
        if done.ok:
            self.ran_code += [name for name in _BUILT.findall(done.stderr) if name not in self.ran_code]
            self.fetched += sum(int(number) for number in _INSTALLED.findall(done.stderr))
            return done
        if says_offline(done):
            raise FetchError(
                f"dependencies of {self.plan.component} are not on this machine, and there is no network",
                hint="Run once with network and without --offline: they are kept in uv's cache from then on.",
                output=done.output,
            )
        raise FetchError(
            f"dependencies of {self.plan.component} could not be brought in",
            hint="uv's own words above name the package; check its name, version and the network.",
            output=done.output,
        )

    def _run(self, argv: list[str]) -> CompletedCommand:
        done = self._run_once(argv)
        if done.ok or self.context.offline or not _NO_NETWORK.search(done.output):
            return done
        # uv asks the index even for what it has; without a network what it has may be enough.
        again = self._run_once([*argv, "--offline"])
        if not again.ok:
            return done
        self.context.progress.note("no network: what uv has on this machine is used")
        return again

    def _run_once(self, argv: list[str]) -> CompletedCommand:
        return self.context.run(
            argv, cwd=self.plan.root, environment=self.environment, network=not self.context.offline
        )


def run(plan: Plan, context: BuildContext) -> FetchReport:
    """Make the environment anew with all dependencies, those of the tests included.

    An environment made from the same inputs is left alone. The old one is put aside and comes back when
    something fails. Raises FetchError.
    """
    if plan.profile == "release":
        from flowctl_lang_python.release import fetch as release

        return release.run(plan, context)
    digest = state.fetch_digest(plan, context)
    target = state.environment(context)
    ahead = (context.work_dir / BUILD_AHEAD).exists()
    prefetched = (context.work_dir / BUILD_CONSTRAINTS).exists()
    if prefetched and not ahead and state.read(context).get("fetch") == digest:
        return FetchReport(fetched=0)
    aside = target.with_name("env.previous")
    _recover(target, aside)
    fetching = Fetching(plan, context)
    if target.exists():
        target.rename(aside)
    try:
        with leftovers.watched(plan, context):
            _fill(fetching)
            prefetch_build_requirements(fetching)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        if aside.exists():
            aside.rename(target)
        raise
    state.record(context, fetch=digest)
    shutil.rmtree(aside, ignore_errors=True)
    return FetchReport(fetched=fetching.fetched, ran_code=tuple(fetching.ran_code))


def _recover(target: Path, aside: Path) -> None:
    """After a kill: an environment put aside is only good while there is no other."""
    if aside.exists():
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(target)


def _fill(fetching: Fetching) -> None:
    context, recipe = fetching.context, fetching.recipe
    target = state.environment(context)
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the folder in which core found the interpreter: pyenv's shims choose by a .python-version there.
    made = context.run(
        [str(context.tool("uv").path), "venv", "--python", str(context.tool("python").path), str(target)],
        cwd=fetching.plan.root,
        environment=fetching.environment,
    )
    if not made.ok:
        raise FetchError("the environment could not be made", output=made.output)
    python = ("--python", state.interpreter(context))
    (target / "flowctl").mkdir(exist_ok=True)
    if recipe.lock == "uv.lock":
        chosen = [part for name in recipe.extras for part in ("--extra", name)]
        chosen += [part for name in recipe.groups for part in ("--group", name)]
        fetching.uv("sync", "--frozen", "--no-install-project", *chosen, *_anew(recipe), *python)
    arguments = _wanted(fetching)
    if arguments:
        fetching.uv("pip", "install", *python, *arguments)


def _wanted(fetching: Fetching) -> list[str]:
    """Arguments for `uv pip install`: everything that no uv.lock brings."""
    recipe, context = fetching.recipe, fetching.context
    arguments: list[str] = []
    lines = list(recipe.requirements)
    if recipe.lock != "uv.lock":
        if recipe.standard:
            arguments += ["-r", "pyproject.toml"]
            arguments += [part for name in recipe.extras for part in ("--extra", name)]
            arguments += [part for name in recipe.groups for part in ("--group", name)]
        elif recipe.dynamic:
            arguments += ["-r", recipe.dynamic]
        if recipe.dynamic:
            fetching.ran_code.append(f"{fetching.plan.component} (its build backend tells the dependencies)")
    for name in recipe.requirement_files:
        arguments += ["-r", name]
    if recipe.add_pytest:
        context.progress.note("the tests use pytest, which the project does not declare: it is added")
        lines.append("pytest")
    if lines:
        # Relative paths of dependencies are written with this placeholder, as a plan has no absolute ones.
        root = quote(str(context.source_root / fetching.plan.root))
        wanted = context.work_dir / "requirements.in"
        write(wanted, "".join(f"{line.replace('${PROJECT_ROOT}', root)}\n" for line in lines))
        arguments += ["-r", str(wanted)]
    if arguments and recipe.lock and recipe.lock != "uv.lock":
        constraints = context.work_dir / "constraints.txt"
        write(constraints, locks.constraints(context.source_root / fetching.plan.root / recipe.lock))
        arguments += ["-c", str(constraints)]
    return [*arguments, *_anew(recipe)] if arguments else arguments


def _anew(recipe: Recipe) -> list[str]:
    """uv would take the wheel that it built of a folder before, as long as its pyproject.toml is no newer."""
    return [part for name in recipe.local for part in ("--reinstall-package", name)]


def prefetch_build_requirements(fetching: Fetching) -> None:
    """Bring what building needs into uv's cache, and note its exact versions, so that build runs offline."""
    context, recipe = fetching.context, fetching.recipe
    constraints = context.work_dir / BUILD_CONSTRAINTS
    if not recipe.installable:
        write(constraints, "")
        return
    python = ("--python", fetching.interpreter)
    scratch = context.work_dir / "build-requirements"
    shutil.rmtree(scratch, ignore_errors=True)
    wanted = context.work_dir / "build-requirements.in"
    write(wanted, "".join(f"{line}\n" for line in recipe.build_requirements))
    before = fetching.fetched
    fetching.uv("pip", "install", *python, "--target", str(scratch), "-r", str(wanted))
    fetching.fetched = before
    write(constraints, "".join(f"{name}=={version}\n" for name, version in _versions(scratch)))
    if recipe.cargo:
        argv = [str(context.tool("cargo").path), "fetch", *(("--offline",) if context.offline else ())]
        done = context.run(argv, cwd=fetching.plan.root, network=not context.offline)
        if not done.ok:
            raise FetchError("cargo could not bring in the crates", output=done.output)
    ahead = context.work_dir / BUILD_AHEAD
    if recipe.ask_backend or ahead.exists():
        _build_ahead(fetching)
        ahead.unlink(missing_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)


def _build_ahead(fetching: Fetching) -> None:
    """Build the project for a throwaway place, so that its backend names, and uv caches, all it wants."""
    context = fetching.context
    scratch = context.work_dir / "build-ahead"
    name = fetching.plan.component
    context.progress.note(f"the build backend of {name} is asked for its requirements, which runs its code")
    constraints = str(context.work_dir / BUILD_CONSTRAINTS)
    if fetching.plan.profile == "release":
        fetching.ran_code.append(name)
        arguments = ["--python", fetching.interpreter, "--build-constraints", constraints, "--out-dir", str(scratch)]
        fetching.uv("build", "--wheel", *arguments, may_build=True)
        shutil.rmtree(scratch, ignore_errors=True)
        return
    fetching.environment["VIRTUAL_ENV"] = str(scratch)
    fetching.uv("venv", "--clear", "--python", fetching.interpreter, str(scratch), may_build=True)
    arguments = ["--python", str(scratch), "--no-deps", "--build-constraints", constraints, "--editable", "."]
    fetching.uv("pip", "install", *arguments, may_build=True)
    shutil.rmtree(scratch, ignore_errors=True)


def _versions(folder: Path) -> list[tuple[str, str]]:
    """Name and version of the distributions in a folder, without those that come from a URL or folder."""
    found = []
    for info in sorted(folder.glob("*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        try:
            json.loads((info / "direct_url.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found.append((name, version))
    return found
