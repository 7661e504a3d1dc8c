"""What the commands of bundles print under `-o json`, one model each (see `documents`)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flowctl_core.cli.documents import CountedTests, Failure
from flowctl_core.models import BuildReport
from flowctl_core.models.base import Frozen
from flowctl_core.models.installation import InstalledComponent
from flowctl_core.models.installed import Origin
from flowctl_core.models.verification import CheckVerdict
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


class PublishedMember(Frozen):
    """A member of a bundle that is published."""

    component: str
    """`namespace/name`."""
    version: str
    """Without a leading v."""
    state: Literal["build", "built", "keep"]
    """`build`: it would be built (`--dry-run`); `built`: it was; `keep`: this version was there, of the same source."""
    build: str | None = None
    """Id of its build; null where there was none."""


class BundlePublishDocument(Frozen):
    """A bundle that was published, or would be."""

    bundle: str
    """`namespace/name`."""
    version: str
    """Without a leading v."""
    published: bool
    """False after `--dry-run`."""
    registry: str
    """Address of the registry."""
    repository: str
    """Where the members are built from."""
    commit: str
    """The commit."""
    pushed: tuple[str, ...]
    """Branch and tags that were (or would be) pushed by this command."""
    members: tuple[PublishedMember, ...]
    """In the order of bundle.yaml."""
    install: str
    """The command that installs it."""


class PinnedDocument(Frozen):
    """A member of a published bundle."""

    component: str
    """`namespace/name`."""
    version: str
    """Without a leading v."""
    digests: dict[str, str]
    """Name of each file or image to `sha256:<hex>`, as in the signed index."""


class PublishedBundleDocument(Frozen):
    """A published bundle, verified."""

    bundle: str
    """`namespace/name`."""
    version: str
    """Without a leading v."""
    description: str | None
    """What it does, in a line."""
    registry: str
    """Address of the registry."""
    origin: Origin
    """Who stands behind it."""
    checks: tuple[CheckVerdict, ...]
    """The seven checks, as they ended; each member has its own."""
    members: tuple[PinnedDocument, ...]
    """In the order of bundle.yaml."""
    templates: dict[str, tuple[str, ...]]
    """Name of each ready-made pipeline to its members in their order."""


class InstalledBundleDocument(Frozen):
    """A bundle that was installed, or found to be."""

    reference: str
    """`namespace/name@version`."""
    state: Literal["installed", "unchanged"]
    """`unchanged`: it was there, whole."""
    path: str
    """Its folder."""
    registry: str
    """Address of the registry that it came from."""
    origin: Origin
    """Who stands behind it."""
    members: tuple[str, ...]
    """`namespace/name@version`, each."""


class BundleInstallDocument(Frozen):
    """Bundles and their members, installed."""

    bundles: tuple[InstalledBundleDocument, ...]
    """In the order in which they were asked for."""
    components: tuple[InstalledComponent, ...]
    """Their members, each once."""
    lockfile: str | None = None
    """The lockfile that holds them."""
    offline: str | None = None
    """Why the registry was not asked, and what was verified earlier counts; null when it was asked."""
    warnings: tuple[str, ...] = ()
    """Texts for people."""
    duration_s: float = 0.0
    """Seconds."""


class ListedBundle(Frozen):
    """An installed bundle."""

    reference: str
    """`namespace/name@version`."""
    registry: str
    """Address of the registry that it came from."""
    path: str
    """Its folder."""
    members: tuple[str, ...]
    """`namespace/name@version`, each."""
    missing: tuple[str, ...]
    """Members that are not installed any more."""
    installed_at: datetime
    """When."""


class BundleListDocument(Frozen):
    """Which bundles are installed."""

    bundles: tuple[ListedBundle, ...]
    """By namespace and name, the newest first."""
