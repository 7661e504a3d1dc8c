"""Remote builds, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flowctl_core.models.base import Frozen
from flowctl_registry.models.component import PageQuery
from flowctl_registry.models.names import Kind, Name, Version

BuildState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Trigger = Literal["publish", "webhook", "manual", "rebuild", "recall"]
StepName = Literal["clone", "decide", "fetch", "test", "build", "assemble", "publish"]
StepState = Literal["running", "succeeded", "failed", "cancelled", "refused"]


class BuildProblem(Frozen):
    """Why a build or step failed."""

    code: str
    """Kind of error, as in docs/exit-codes.md."""
    message: str
    """What the problem is."""
    hint: str | None = None
    """What to do about it."""
    step: StepName | None = None
    """Where it failed."""
    platform: str | None = None
    """For which platform; None where the step is not of one."""
    output: str | None = None
    """What the failed tool itself printed, its last part."""
    transient: bool = False
    """True: another try may succeed (network, a worker that died)."""


class BuildStep(Frozen):
    """A step of the timeline."""

    step: StepName
    """Which one."""
    platform: str | None = None
    """For which platform; None where the step is not of one."""
    state: StepState
    """How far it is."""
    attempt: int
    """1 for the first try."""
    worker: str
    """Who does it."""
    started_at: datetime
    """Of this try."""
    ended_at: datetime | None = None
    """None while it runs."""
    problem: BuildProblem | None = None
    """Why it failed."""


class BuildDocument(Frozen):
    """A build with its timeline."""

    id: str
    """Names it."""
    kind: Kind
    """`component` or `bundle`."""
    namespace: Name
    """Of the component."""
    name: Name
    """Of the component."""
    repository: str
    """Where its source is."""
    subdirectory: str
    """The component's folder in the repository."""
    ref: str | None = None
    """Tag, branch or commit that was asked for."""
    commit: str | None = None
    """The commit that is built, once it is known."""
    trigger: Trigger
    """What asked for it."""
    state: BuildState
    """How far it is."""
    phase: str | None = None
    """What happens now."""
    position: int | None = None
    """Place in the queue, 1 is next; None when it does not wait."""
    estimate_s: float | None = None
    """Seconds until it probably starts (queued) or ends (running), from what builds took before."""
    requested_by: str
    """Who asked for it."""
    attempt: int
    """1 for the first try."""
    version: str | None = None
    """That it makes, once it is known."""
    problem: BuildProblem | None = None
    """Why it failed."""
    created_at: datetime
    """When it was asked for."""
    started_at: datetime | None = None
    """When its first step began."""
    finished_at: datetime | None = None
    """When it ended."""
    steps: tuple[BuildStep, ...] = ()
    """The timeline."""


class BuildRequest(Frozen):
    """What to build."""

    repository: str | None = Field(None, max_length=2000)
    """`https://HOST/PATH`; default: where the component's source is registered."""
    ref: str | None = Field(None, max_length=250)
    """Tag, branch or commit; default: the newest tag that its pattern matches."""
    subdirectory: str | None = Field(None, max_length=400)
    """The component's folder in the repository."""
    version: Version | None = None
    """That it must turn out to be; a build of another fails."""
    trigger: Literal["publish", "manual", "rebuild"] = "manual"
    """How urgent it is: a release (`publish`) goes before what somebody tries, that before a rebuild."""
    request_key: str | None = Field(None, min_length=1, max_length=200)
    """Makes the request idempotent: a second one with the same key finds the first one's build."""


class BuildQuery(PageQuery):
    """Which builds."""

    namespace: Name | None = None
    """Only those of this namespace."""
    name: Name | None = None
    """Only those of components and bundles with this name."""
    state: BuildState | None = None
    """Only those that are so far."""


class BuildPage(Frozen):
    """Builds, the newest first."""

    items: tuple[BuildDocument, ...]
    """Without their timelines."""
    next: str | None = None
    """Cursor of the next page; None: this is the last."""


class LogQuery(BaseModel):
    """Which part of a log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: StepName | None = None
    """Only this step's."""
    platform: str | None = Field(None, max_length=64, pattern=r"^[a-z0-9]+(/[a-z0-9]+){1,2}$")
    """Only this platform's."""
