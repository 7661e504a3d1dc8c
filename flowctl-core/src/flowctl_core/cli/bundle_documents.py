"""What the commands of bundles print under `-o json`, one model each (see `documents`)."""

from __future__ import annotations

from typing import Literal

from flowctl_core.cli.documents import CountedTests, Failure
from flowctl_core.models import BuildReport
from flowctl_core.models.base import Frozen
from flowctl_core.specfile.finding import Finding

MemberState = Literal["built", "fresh", "restored", "failed", "left-out", "published"]


class BundleValidateDocument(Frozen):
    """Findings about bundle.yaml, its members, and what they are to each other."""

    bundle: str
    """Name of the bundle."""
    valid: bool
    """True when no finding is an error."""
    findings: tuple[Finding, ...]
    """Errors and warnings: bundle.yaml's first, each file's in the order of its lines."""


class BuiltMember(Frozen):
    """What came of one member."""

    name: str
    """Name of the component."""
    path: str | None
    """Its folder, relative to bundle.yaml; null for one that is published elsewhere."""
    state: MemberState
    """`built`; `fresh`: up to date; `restored`: from the cache; `failed`; `left-out`: what it needs failed;
    `published`: not built here."""
    needs: tuple[str, ...] = ()
    """Of one that was left out: the members whose failure was the reason."""
    report: BuildReport | None = None
    """What was made; null where nothing was."""
    error: Failure | None = None
    """Why it failed."""


class BundleBuildDocument(Frozen):
    """A bundle's members, built."""

    bundle: str
    """Name of the bundle."""
    version: str
    """Its version; `0.0.0` where bundle.yaml has none."""
    ok: bool
    """True when every member is there."""
    duration_s: float
    """Seconds."""
    members: tuple[BuiltMember, ...]
    """In the order of bundle.yaml."""
    warnings: tuple[Finding, ...] = ()
    """What `flowctl bundle validate` finds odd."""
    error: Failure | None = None
    """The first failure; null when all went well."""


class TestedMember(Frozen):
    """What came of one member's tests."""

    __test__ = False

    name: str
    """Name of the component."""
    path: str | None
    """Its folder, relative to bundle.yaml; null for one that is published elsewhere."""
    state: Literal["passed", "failed", "left-out", "published"]
    """`left-out`: what it needs failed; `published`: not tested here."""
    needs: tuple[str, ...] = ()
    """Of one that was left out: the members whose failure was the reason."""
    tests: CountedTests | None = None
    """What the test tool reported."""
    interface: tuple[str, ...] = ()
    """What is wrong with the interface."""
    error: Failure | None = None
    """Why it failed."""


class BundleTestDocument(Frozen):
    """A bundle's members, tested."""

    __test__ = False

    bundle: str
    """Name of the bundle."""
    version: str
    """Its version; `0.0.0` where bundle.yaml has none."""
    ok: bool
    """True when every member's tests passed and its interface is as declared."""
    duration_s: float
    """Seconds."""
    members: tuple[TestedMember, ...]
    """In the order of bundle.yaml."""
    warnings: tuple[Finding, ...] = ()
    """What `flowctl bundle validate` finds odd."""
    error: Failure | None = None
    """The first failure; null when all went well."""


class BundleInitDocument(Frozen):
    """The bundle.yaml that was written."""

    path: str
    """The file."""
    bundle: str
    """Name written into it."""
    members: tuple[str, ...]
    """Names of the components that were found."""


class DescribedMember(Frozen):
    """A member and its place in the bundle."""

    name: str
    """Name of the component."""
    path: str | None
    """Its folder, relative to bundle.yaml; null for one that is published elsewhere."""
    namespace: str | None
    """Where it is published."""
    version: str | None
    """Its version, without a leading v."""
    type: str | None
    """`source`, `processor` or `sink`."""
    language: str | None
    """What it is written in."""
    input_event_types: tuple[str, ...]
    """What it takes."""
    output_event_types: tuple[str, ...]
    """What it gives."""
    takes_from: tuple[str, ...]
    """Members that give what it takes."""
    ports: tuple[int, ...]
    """Ports it listens on."""
    needs: tuple[str, ...]
    """Members that are built before it."""


class BundleInfoDocument(Frozen):
    """A bundle and what is in it."""

    bundle: str
    """Name of the bundle."""
    version: str
    """Its version; `0.0.0` where bundle.yaml has none."""
    namespace: str | None
    """Where it is published."""
    description: str | None
    """What it does, in a line."""
    platforms: tuple[str, ...]
    """Where it runs; empty where it does not say."""
    members: tuple[DescribedMember, ...]
    """In the order of bundle.yaml."""
    templates: dict[str, tuple[str, ...]]
    """Name of each ready-made pipeline to its members in their order."""
