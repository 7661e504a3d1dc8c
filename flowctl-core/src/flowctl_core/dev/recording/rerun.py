"""Which components run on recorded events, and what they gave then and now."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowctl_core.dev.recording.errors import RecordingError
from flowctl_core.errors import UsageError

if TYPE_CHECKING:
    from flowctl_core.dev.edges.batch import Batch
    from flowctl_core.dev.pipeline import DevPipeline
    from flowctl_core.dev.recording.read import Recording


@dataclass(frozen=True)
class Rerun:
    """The part of a pipeline that runs, and the components whose recorded events stand in for them."""

    recording: Recording
    pipeline: DevPipeline
    played: frozenset[str]


def plan_rerun(pipeline: DevPipeline, recording: Recording, only: Sequence[str] = ()) -> Rerun:
    """All but the sources run, or `only` these components; whatever else gives them events is played.

    Raises UsageError for an id that the pipeline does not have, or that takes no events; RecordingError when the
    recording has nothing of a component that is to be played.
    """
    known = pipeline.by_id
    unknown = [id for id in only if id not in known]
    if unknown:
        raise UsageError(f"--only {unknown[0]}: the pipeline has no such component; it has {', '.join(known)}")
    live = tuple(c for c in pipeline.components if (c.id in only if only else c.entry.inputs))
    idle = [c.id for c in live if not c.entry.inputs]
    if idle:
        raise UsageError(f"{idle[0]} takes no events: there is nothing to replay to it")
    running = {c.id for c in live}
    played = frozenset(id for c in live for id in c.entry.inputs if id not in running)
    missing = sorted(played - recording.inputs.keys())
    if missing:
        raise RecordingError(
            f"{recording.path} has no events of {missing[0]}: it was recorded from {', '.join(recording.inputs)}",
            hint="Record the pipeline anew: flowctl dev pipeline.yaml --record FILE",
        )
    return Rerun(recording, dataclasses.replace(pipeline, components=live), played)


class Outputs:
    """The events that components give, in memory."""

    def __init__(self) -> None:
        self.of: dict[str, list[bytes]] = {}

    @classmethod
    def recorded(cls, recording: Recording, components: Sequence[str]) -> Outputs:
        """What a recording has of these. Raises RecordingError."""
        outputs = cls()
        outputs.of = {component: [] for component in components}
        for event in recording.events(outputs.of.keys()):
            outputs.of[event.component].append(event.line)
        return outputs

    def outlet(self, component: str) -> OutputsOutlet:
        """What keeps this component's events."""
        return OutputsOutlet(self.of.setdefault(component, []))


class OutputsOutlet:
    """One component's events."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    def push(self, batch: Batch) -> None:
        """Keep them."""
        self._lines.extend(batch.data.split(b"\n")[:-1])

    def finish(self) -> None:
        """That was all."""
