"""Builds in a registry, as its API tells of them (docs/reference/registry-api.md). Newer registries may know more."""

from __future__ import annotations

from datetime import datetime

from flowctl_core.models.base import Frozen

ENDED = frozenset(["succeeded", "failed", "cancelled"])
"""States that a build stays in."""


class RemoteProblem(Frozen):
    """Why a build or step failed."""

    code: str = ""
    """Kind of error, as the table of exit codes names it."""
    message: str
    """The problem."""
    hint: str | None = None
    """What to do about it."""
    step: str | None = None
    """Where it failed."""
    platform: str | None = None
    """For which platform; null where the step is not of one."""
    output: str | None = None
    """What the failed tool itself printed, its last part."""
    transient: bool = False
    """Another try may succeed."""


class RemoteStep(Frozen):
    """A step of a build."""

    step: str
    """`clone`, `decide`, `fetch`, `test`, `build`, `assemble` or `publish`."""
    platform: str | None = None
    """For which platform; null where the step is not of one."""
    state: str
    """`running`, `succeeded`, `failed`, `cancelled`, or `refused`: the platform cannot be built there."""
    attempt: int = 1
    """1 for the first try."""
    worker: str = ""
    """Who does it."""
    started_at: datetime
    """Of this try."""
    ended_at: datetime | None = None
    """Null while it runs."""
    problem: RemoteProblem | None = None
    """Why it failed."""

    @property
    def label(self) -> str:
        """For people: `build linux/amd64`."""
        return f"{self.step} {self.platform or ''}".rstrip()


class RemoteBuild(Frozen):
    """A build in a registry."""

    id: str
    """Names it."""
    kind: str = "component"
    """`component` or `bundle`."""
    namespace: str
    """Of the component."""
    name: str
    """Of the component."""
    version: str | None = None
    """That it makes, once it is known."""
    state: str
    """`queued`, `running`, `succeeded`, `failed` or `cancelled`."""
    phase: str | None = None
    """What happens now."""
    position: int | None = None
    """Place in the queue, 1 is next; null when it does not wait."""
    estimate_s: float | None = None
    """Seconds until it probably starts or ends."""
    trigger: str = ""
    """What asked for it: `publish`, `webhook`, `manual`, `rebuild` or `recall`."""
    requested_by: str = ""
    """Who asked for it."""
    repository: str = ""
    """Where its source is."""
    subdirectory: str = "."
    """The component's folder there."""
    ref: str | None = None
    """Tag, branch or commit that was asked for."""
    commit: str | None = None
    """The commit that is built, once it is known."""
    attempt: int = 1
    """1 for the first try."""
    problem: RemoteProblem | None = None
    """Why it failed."""
    created_at: datetime
    """When it was asked for."""
    started_at: datetime | None = None
    """When its first step began."""
    finished_at: datetime | None = None
    """When it ended."""
    steps: tuple[RemoteStep, ...] = ()
    """The timeline; lists of builds leave it out."""

    @property
    def what(self) -> str:
        """For people: `acme/greeting 1.2.0`."""
        return f"{self.namespace}/{self.name} {self.version or self.ref or ''}".rstrip()


class RemoteBuilds(Frozen):
    """Builds in a registry, the newest first."""

    items: tuple[RemoteBuild, ...]
    """Without their timelines."""
    next: str | None = None
    """Cursor of the next page."""


class Publication(Frozen):
    """What `flowctl component publish` pushes and asks for."""

    namespace: str
    """Where it is published."""
    name: str
    """Of the component."""
    version: str
    """Of component.yaml."""
    kind: str = "component"
    """`component` or `bundle`."""
    registry: str
    """Address of the registry."""
    repository: str
    """Where the registry fetches the source."""
    subdirectory: str
    """The component's folder in the repository."""
    commit: str
    """The commit that is built."""
    tag: str
    """Its tag."""
    remote: str
    """Name of the git remote that is pushed to."""
    push: tuple[str, ...] = ()
    """What the remote does not have yet: `main`, `v1.2.0`."""
    platforms: tuple[str, ...] = ()
    """That component.yaml declares; empty: the registry's choice."""


class PublishReport(Publication):
    """What `flowctl component publish` did."""

    dry_run: bool = False
    """Nothing was pushed and nothing asked for."""
    build: RemoteBuild | None = None
    """The build in the registry, as it was last seen."""
    install: str | None = None
    """What to type to install the version; null until it is published."""


class CallerReport(Frozen):
    """Whom a registry takes the user for."""

    registry: str
    """Address of the registry."""
    user: str | None = None
    """Null: anonymous."""
    actions: tuple[str, ...] = ()
    """What the token allows: `read`, `publish`, `yank`, `manage`, `admin`."""
    namespaces: dict[str, str] = {}
    """The user's roles."""
    token: str | None = None
    """Where the token is: `environment`, `configuration`, `keyring`, `file`; null: there is none."""
    fingerprint: str | None = None
    """`sha256:<hex>` of the pinned trust root; null: none is pinned."""
