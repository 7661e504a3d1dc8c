"""Doing one step in a thread: tried again when its failure may pass, recorded, ended when it is to end."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from flowctl_core.errors import CancelledError, FlowctlError
from flowctl_registry.builds import records, registration
from flowctl_registry.builds.jobs import Answer, PostponedError, StepCall, StepFunction
from flowctl_registry.builds.logs import LogWriter
from flowctl_registry.builds.records import Doing, FencedError
from flowctl_registry.builds.runs import Run
from flowctl_registry.builds.workflow import Result
from flowctl_registry.database.engine import writing
from flowctl_registry.errors import StorageFullError, UnavailableError
from flowctl_registry.models.build import BuildProblem, StepState
from flowctl_registry.observability.logs import BUILD_ID
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)
_AGAIN_S = 0.5
_OUTPUT_CHARACTERS = 20_000
_NO_ROOM = "No space left on device"
_LOW_BYTES = 64 * 2**20
_Value = TypeVar("_Value")


class Performer:
    """Does steps for a worker."""

    def __init__(self, services: Services, worker: str, steps: Mapping[str, StepFunction]) -> None:
        self._services = services
        self._settings = services.settings.builds
        self._worker = worker
        self._steps = steps

    def perform(self, run: Run, step: str, platform: str) -> Result | None:
        """Do a step, unless it was done; None: this run may not go on, somebody else will."""
        BUILD_ID.set(run.claim.build_id)
        doing = Doing(run.claim.build_id, step, platform, self._worker, run.claim.token, run.owner)
        event = run.begin(step, platform)
        failed = True
        try:
            result = self._tried(run, doing, event)
            failed = result is not None and "problem" in result
            return result
        except PostponedError:
            self.persist(run, lambda connection: registration.postpone(connection, doing))
            run.end("stopping")
            return None
        except FencedError:
            run.end("replaced")
            _LOG.warning("build %s belongs to another run now", run.claim.build_id)
            return None
        except Exception as error:  # noqa: BLE001 - what cannot be recorded must not be done for ever
            _LOG.exception("step %s of build %s cannot be recorded", step, run.claim.build_id)
            return {"problem": _defect(doing, error).model_dump(mode="json", exclude_defaults=True)}
        finally:
            run.done(step, platform, failed=failed)

    def _tried(self, run: Run, doing: Doing, event: threading.Event) -> Result | None:
        pause_s = self._settings.retry_s
        for left in reversed(range(self._settings.tries)):
            if event.is_set():
                return None if run.parked else {"cancelled": True}
            attempt, known, answers = self.persist(run, lambda connection: _begun(connection, doing))
            if known is not None:
                return {"answer": known}
            call = StepCall(doing.build_id, doing.step, doing.platform, attempt, event, doing.worker, answers)
            outcome = self._call(doing, call)
            if not isinstance(outcome, BuildProblem):
                self._ended(run, doing, "refused" if "refused" in outcome else "succeeded", answer=outcome)
                return {"answer": outcome}
            if event.is_set():
                if run.parked:
                    return None
                self._ended(run, doing, "cancelled")
                return {"cancelled": True}
            self._ended(run, doing, "failed", problem=outcome)
            if not outcome.transient or left == 0:
                return {"problem": outcome.model_dump(mode="json", exclude_defaults=True)}
            _LOG.warning("step %s %s failed, it is tried again: %s", doing.step, doing.platform, outcome.message)
            event.wait(pause_s)
            pause_s *= 2
        return None if run.parked else {"cancelled": True}

    def _call(self, doing: Doing, call: StepCall) -> Answer | BuildProblem:
        with LogWriter(self._services, doing.build_id) as log:
            outcome = self._outcome(
                doing, dataclasses.replace(call, log=partial(log.write, doing.step, doing.platform))
            )
            if isinstance(outcome, BuildProblem):
                ended = "ended" if call.cancelled.is_set() else f"failed: {outcome.message}"
                log.note(doing.step, doing.platform, ended)
        return outcome

    def _outcome(self, doing: Doing, call: StepCall) -> Answer | BuildProblem:
        try:
            return self._steps[doing.step](call)
        except CancelledError as error:
            call.cancelled.set()
            return _problem(doing, error, transient=False)
        except FlowctlError as error:
            passing = isinstance(error, UnavailableError | StorageFullError) or self._had_no_room(error)
            return _problem(doing, error, transient=passing)
        except PostponedError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours must end this build only
            _LOG.exception("step %s of build %s broke", doing.step, doing.build_id)
            return _defect(doing, error)

    def _had_no_room(self, error: FlowctlError) -> bool:
        """A tool in the sandbox said so, and the disk is full: a source that prints the words is not believed."""
        said = f"{error.message}\n{error.hint or ''}\n{error.output or ''}"
        try:
            disk = shutil.disk_usage(self._services.settings.data)
        except OSError:
            return False
        return _NO_ROOM in said and disk.free < max(_LOW_BYTES, disk.total // 20)

    def _ended(self, run: Run, doing: Doing, state: StepState, **told: object) -> None:
        self.persist(run, lambda connection: records.end_step(connection, doing, state, **told))  # type: ignore[arg-type]

    def persist(self, run: Run, change: Callable[[Connection], _Value], *, patient: bool = False) -> _Value:
        """Make a change, however long the database is away. Raises FencedError, also when this run is to stop."""
        told = False
        while True:
            try:
                return writing(self._services.engine, change)
            except (UnavailableError, StorageFullError) as error:
                if not told:
                    _LOG.warning("build %s waits: %s", run.claim.build_id, error.message)
                told = True
            if run.parked and not patient:
                raise FencedError(run.claim.build_id)
            threading.Event().wait(_AGAIN_S)


def _begun(connection: Connection, doing: Doing) -> tuple[int, Answer | None, dict[str, Any]]:
    return *records.begin_step(connection, doing), records.completed(connection, doing.build_id)


def _defect(doing: Doing, error: Exception) -> BuildProblem:
    message = f"the registry's step {doing.step} broke: {type(error).__name__}"
    broken = FlowctlError(message, hint="This is a defect; the worker's log has the details.")
    return _problem(doing, broken, transient=False).model_copy(update={"code": "internal"})


def _problem(doing: Doing, error: FlowctlError, *, transient: bool) -> BuildProblem:
    return BuildProblem(
        code=error.code,
        message=error.message,
        hint=error.hint,
        step=doing.step,
        platform=doing.platform or None,
        output=error.output[-_OUTPUT_CHARACTERS:] if error.output else None,
        transient=transient,
    )
