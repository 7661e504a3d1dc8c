"""Calls hooks: every builder for detection, exactly one for everything else, wrappers around both."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

import pluggy

from flowctl_core.errors import CancelledError, FlowctlError, PluginError, StoreError
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    CleanReport,
    DependencyReport,
    Detection,
    FetchReport,
    ImagePlan,
    Limitation,
    Plan,
    PlanRequest,
    ReleaseResult,
    SourceTree,
    TestReport,
    ToolRequirement,
)
from flowctl_core.plugins.identity import PluginIdentity, PluginRecord
from flowctl_core.plugins.manager import PluginManager
from flowctl_core.plugins.signatures import HookSignature, signature


@final
class HookMissing:
    """Answer of `call` when the builder does not implement the hook; false, and only ever `HOOK_MISSING`."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "HOOK_MISSING"


HOOK_MISSING: Final = HookMissing()


@dataclass(frozen=True)
class Answer:
    """What one builder said to a hook that every builder is asked."""

    record: PluginRecord
    error: FlowctlError | None = None
    """Why the answer is unknown: the plugin crashed, broke the contract or raised an error of its own."""

    @property
    def builder(self) -> str:
        """Name of the plugin."""
        return self.record.name

    @property
    def distribution(self) -> str:
        """Distribution that brings it."""
        return self.record.distribution

    @property
    def crash(self) -> str | None:
        """The error and its output as one text, for people."""
        if self.error is None:
            return None
        return "\n".join(part for part in (self.error.message, self.error.output) if part)


@dataclass(frozen=True)
class DetectAnswer(Answer):
    """A builder's detection; None, without an error, is «not mine»."""

    detection: Detection | None = None


@dataclass(frozen=True)
class ToolchainAnswer(Answer):
    """The tools that a builder may use; empty when it says nothing about them."""

    requirements: tuple[ToolRequirement, ...] = ()


class HookCaller(Protocol):
    """Calls hooks of plugins, wherever they run."""

    @property
    def manager(self) -> PluginManager:
        """The plugins that can be called."""
        ...

    def call(self, builder: str, hook: str, **arguments: Any) -> Any:
        """Call one hook of one builder (or signer), with all wrappers around it.

        Answers with the model that the contract names, None when the builder answered None, or HOOK_MISSING
        when it does not implement the hook. A FlowctlError of the plugin passes unchanged. Raises PluginError
        when there is no such builder, the plugin crashes (its traceback is in `output`) or answers with
        something else.
        """
        ...

    def detect_all(self, source: SourceTree) -> list[DetectAnswer]:
        """Ask every active builder, each by itself, so that a crash is attributed; ordered by builder name.

        Raises only CancelledError.
        """
        ...

    def toolchains(self) -> list[ToolchainAnswer]:
        """Ask every active builder which tools it may use. Raises only CancelledError."""
        ...

    def identities(self, builder: str) -> tuple[PluginIdentity, ...]:
        """The builder and all wrappers, for the cache key and provenance."""
        ...

    def plan(self, builder: str, source: SourceTree, request: PlanRequest) -> Plan:
        """The builder's plan. Raises what `call` raises, and PluginError when it answers None."""
        ...

    def fetch(self, builder: str, plan: Plan, context: BuildContext) -> FetchReport | None:
        """Bring dependencies in; None when the builder has nothing to fetch."""
        ...

    def build(self, builder: str, plan: Plan, context: BuildContext) -> BuildResult:
        """Build for the host. Raises what `call` raises, and PluginError when it answers None."""
        ...

    def test(self, builder: str, plan: Plan, context: BuildContext) -> TestReport | None:
        """Run the project's own tests; None when the builder knows none."""
        ...

    def clean(self, builder: str, plan: Plan, context: BuildContext) -> CleanReport | None:
        """Remove what build made outside `.flowctl`; None when the builder makes nothing there."""
        ...

    def limitations(self, builder: str, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        """What the tools that were found cannot build for a release; empty when the builder has nothing to add."""
        ...

    def build_multiplatform(self, builder: str, plan: Plan, context: BuildContext) -> ReleaseResult | None:
        """Build for the plan's platforms; None when the builder makes no releases."""
        ...

    def dependencies(self, builder: str, plan: Plan, context: BuildContext) -> DependencyReport | None:
        """The resolved dependencies; None when the builder cannot tell."""
        ...

    def image(self, builder: str, plan: Plan, artifact: Artifact) -> ImagePlan | None:
        """How an artifact becomes an image; None when it becomes none."""
        ...


class CallerBase:
    """What callers share; a subclass says how one hook is called."""

    def __init__(self, manager: PluginManager) -> None:
        self._manager = manager

    @property
    def manager(self) -> PluginManager:
        """See HookCaller."""
        return self._manager

    def call(self, builder: str, hook: str, **arguments: Any) -> Any:
        """See HookCaller."""
        raise NotImplementedError

    def detect_all(self, source: SourceTree) -> list[DetectAnswer]:
        """See HookCaller."""
        asked = self._ask_all("flowctl_detect", source=source)
        return [DetectAnswer(record, error, detection) for record, error, detection in asked]

    def toolchains(self) -> list[ToolchainAnswer]:
        """See HookCaller."""
        asked = self._ask_all("flowctl_toolchain")
        return [ToolchainAnswer(record, error, requirements or ()) for record, error, requirements in asked]

    def identities(self, builder: str) -> tuple[PluginIdentity, ...]:
        """See HookCaller."""
        records = (self._manager.builder(builder), *self._manager.wrappers)
        return tuple(record.identity() for record in records)

    def plan(self, builder: str, source: SourceTree, request: PlanRequest) -> Plan:
        """See HookCaller."""
        answer: Plan = self._required(builder, "flowctl_plan", source=source, request=request)
        return answer

    def fetch(self, builder: str, plan: Plan, context: BuildContext) -> FetchReport | None:
        """See HookCaller."""
        return self.call(builder, "flowctl_fetch", plan=plan, context=context) or None

    def build(self, builder: str, plan: Plan, context: BuildContext) -> BuildResult:
        """See HookCaller."""
        answer: BuildResult = self._required(builder, "flowctl_build", plan=plan, context=context)
        return answer

    def test(self, builder: str, plan: Plan, context: BuildContext) -> TestReport | None:
        """See HookCaller."""
        return self.call(builder, "flowctl_test", plan=plan, context=context) or None

    def clean(self, builder: str, plan: Plan, context: BuildContext) -> CleanReport | None:
        """See HookCaller."""
        return self.call(builder, "flowctl_clean", plan=plan, context=context) or None

    def limitations(self, builder: str, plan: Plan, context: BuildContext) -> tuple[Limitation, ...]:
        """See HookCaller."""
        return self.call(builder, "flowctl_limitations", plan=plan, context=context) or ()

    def build_multiplatform(self, builder: str, plan: Plan, context: BuildContext) -> ReleaseResult | None:
        """See HookCaller."""
        return self.call(builder, "flowctl_build_multiplatform", plan=plan, context=context) or None

    def dependencies(self, builder: str, plan: Plan, context: BuildContext) -> DependencyReport | None:
        """See HookCaller."""
        return self.call(builder, "flowctl_dependencies", plan=plan, context=context) or None

    def image(self, builder: str, plan: Plan, artifact: Artifact) -> ImagePlan | None:
        """See HookCaller."""
        return self.call(builder, "flowctl_image", plan=plan, artifact=artifact) or None

    def _required(self, builder: str, hook: str, **arguments: Any) -> Any:
        answer = self.call(builder, hook, **arguments)
        if not answer:
            record = self._manager.builder(builder)
            raise PluginError(
                f"plugin {record.label} answered {hook} with nothing; expected {signature(hook).expected}",
                hint="Report this to the plugin's authors.",
            )
        return answer

    def _ask_all(self, hook: str, **arguments: Any) -> list[tuple[PluginRecord, FlowctlError | None, Any]]:
        answers: list[tuple[PluginRecord, FlowctlError | None, Any]] = []
        for record in self._manager.builders:
            try:
                answers.append((record, None, self.call(record.name, hook, **arguments) or None))
            except CancelledError:
                raise
            except FlowctlError as error:
                answers.append((record, error, None))
        return answers


class InProcessCaller(CallerBase):
    """Calls hooks in this process."""

    def call(self, builder: str, hook: str, **arguments: Any) -> Any:
        """See HookCaller."""
        expected = signature(hook)
        check_arguments(expected, arguments)
        record = self.manager.provider(builder)
        if hook not in record.hooks:
            return HOOK_MISSING
        caller = self.manager.implementations(builder, hook)
        implementations = caller.get_hookimpls()
        _assert_one(record, hook, implementations)
        try:
            answer = caller(**arguments)
        except FlowctlError:
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in _REFUSALS:
                raise StoreError.of(error) from error
            raise _crash(error, record, hook, implementations) from error
        return _checked(answer, expected, record, implementations)


def check_arguments(expected: HookSignature, arguments: dict[str, Any]) -> None:
    """PluginError when the caller's own arguments do not fit the contract."""
    if set(arguments) != set(expected.arguments):
        raise PluginError(
            f"{expected.name} takes {', '.join(expected.arguments) or 'no arguments'}, "
            f"not {', '.join(sorted(arguments)) or 'none'}"
        )


def _wraps(implementation: pluggy.HookImpl) -> bool:
    return implementation.wrapper or implementation.hookwrapper


def _assert_one(record: PluginRecord, hook: str, implementations: list[pluggy.HookImpl]) -> None:
    """Wrappers alone would still answer, and two builders would hide each other: there must be exactly
    one."""
    own = [implementation.plugin_name for implementation in implementations if not _wraps(implementation)]
    if own != [record.name]:
        raise PluginError(f"{hook} of {record.name} would call {', '.join(own) or 'no builder'}")


def _checked(answer: Any, expected: HookSignature, record: PluginRecord, implementations: list[pluggy.HookImpl]) -> Any:
    """The answer as it survives the JSON boundary, so that both ways of calling give the same."""
    if expected.collects:
        if not isinstance(answer, list) or len(answer) > 1:
            raise _wrong(answer, "a list with one answer", expected, record, implementations)
        answer = answer[0] if answer else None
    if answer is None:
        return None
    try:
        # Strict refuses a dict in the model's place; the JSON round trip refuses models made without
        # validation.
        expected.answer.validate_python(answer, strict=True)
        return expected.answer.validate_json(expected.answer.dump_json(answer, warnings="error"))
    except (ValueError, TypeError) as error:  # includes pydantic's errors
        raise _wrong(answer, expected.expected, expected, record, implementations, str(error)) from error


def _wrong(
    answer: Any,
    wanted: str,
    expected: HookSignature,
    record: PluginRecord,
    implementations: list[pluggy.HookImpl],
    detail: str | None = None,
) -> PluginError:
    wrappers = [implementation.plugin_name for implementation in implementations if _wraps(implementation)]
    by = f" (or one of its wrappers {', '.join(wrappers)})" if wrappers else ""
    return PluginError(
        f"plugin {record.label}{by} answered {expected.name} with a {type(answer).__name__}; expected {wanted}",
        hint="Report this to the plugin's authors.",
        output=detail,
    )


_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EMFILE, errno.EIO)
"""What the system refuses to whoever asks: no fault of the plugin."""


def _crash(
    error: BaseException, record: PluginRecord, hook: str, implementations: list[pluggy.HookImpl]
) -> PluginError:
    name = _culprit(error, implementations) or record.name
    own = name == record.name
    by = f"plugin {record.label}" if own else f"plugin {name}, which wraps {record.name},"
    return PluginError(
        f"{by} crashed in {hook}: {type(error).__name__}: {error}",
        hint="Report this to the plugin's authors, with the traceback.",
        output="".join(traceback.format_exception(error)),
    )


def _culprit(error: BaseException, implementations: list[pluggy.HookImpl]) -> str | None:
    """The plugin whose hook is innermost in the traceback: an error passes through all wrappers' frames as
    well."""
    codes = {_code(implementation.function): implementation.plugin_name for implementation in implementations}
    found = None
    step = error.__traceback__
    while step is not None:
        found = codes.get(step.tb_frame.f_code, found)
        step = step.tb_next
    return found


def _code(function: Callable[..., object]) -> object:
    return getattr(getattr(function, "__func__", function), "__code__", None)
