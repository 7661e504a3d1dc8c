"""pipeline.yaml with everything that is known about its components."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel

from flowctl_core.dev.program import Program, find_program
from flowctl_core.errors import SpecError
from flowctl_core.specfile.finding import Finding
from flowctl_core.specfile.load import LoadedSpec, Reading, read_component, read_metadata, read_pipeline

if TYPE_CHECKING:
    from flowctl_core.models.component import ComponentSpec
    from flowctl_core.models.metadata import MetadataSpec
    from flowctl_core.models.pipeline import PipelineComponent, PipelineSpec

Stage = Literal["sources", "processors", "sinks", "pipelines"]
STAGES: tuple[Stage, ...] = ("sources", "processors", "sinks", "pipelines")
"""In the order in which they start."""
FieldPath = tuple[str | int, ...]
S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class DevComponent:
    """A component in its place in the pipeline."""

    stage: Stage
    at: FieldPath
    """Where it stands in the file: `("spec", "sinks", 0)`."""
    entry: PipelineComponent
    """What the pipeline says of it."""
    program: Program
    """What runs."""
    spec: ComponentSpec | None = None
    """Its component.yaml, where there is one."""
    metadata: MetadataSpec | None = None
    """Its metadata.json, where there is one."""

    @property
    def id(self) -> str:
        """Its name in this pipeline."""
        return self.entry.id

    @property
    def replicas(self) -> int:
        """How many of it run; 0: none."""
        return 1 if self.entry.replicas is None else self.entry.replicas

    @property
    def input_types(self) -> tuple[str, ...] | None:
        """Event types it takes; None: nothing says so."""
        spec = self.spec.input_event_types if self.spec else ()
        metadata = self.metadata.inputs if self.metadata else None
        return self.entry.input_event_types or spec or metadata or None

    @property
    def output_types(self) -> tuple[str, ...] | None:
        """Event types it gives; None: nothing says so."""
        spec = self.spec.output_event_types if self.spec else ()
        metadata = self.metadata.outputs if self.metadata else None
        return self.entry.output_event_types or spec or metadata or None

    @property
    def speaks_grpc(self) -> bool:
        """True when its events do not travel on stdin and stdout: it serves or calls gRPC (`flowctl.v1`)."""
        interface = self.body.get("interface")
        communication = interface.get("communication") if isinstance(interface, dict) else None
        protocol = communication.get("protocol") if isinstance(communication, dict) else None
        if protocol:
            return "grpc" in str(protocol).lower()
        return self.metadata is not None and self.metadata.port is not None

    @property
    def body(self) -> dict[str, Any]:
        """`spec` of its component.yaml; {} without one."""
        found = self.spec.data.get("spec") if self.spec else None
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class DevPipeline:
    """A pipeline as it will run."""

    loaded: LoadedSpec[PipelineSpec] = field(repr=False)
    folder: Path
    """The file's folder, absolute: where components run, and what relative paths count from."""
    components: tuple[DevComponent, ...]
    """Sources, processors, sinks."""

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.loaded.spec.metadata.name

    @cached_property
    def by_id(self) -> dict[str, DevComponent]:
        """Components by their ids."""
        return {component.id: component for component in self.components}

    def readers(self, id: str) -> tuple[DevComponent, ...]:
        """Who takes a component's events."""
        return tuple(component for component in self.components if id in component.entry.inputs)

    def start_order(self) -> tuple[DevComponent, ...]:
        """Each after those that it takes events from and depends on; otherwise as in the file."""
        settled: dict[str, DevComponent] = {}
        waiting = list(self.components)
        while waiting:
            ready = [c for c in waiting if all(id in settled for id in needs(c))]
            if not ready:  # a loop, which check.py has told of
                ready = waiting
            for component in ready:
                settled[component.id] = component
            waiting = [c for c in waiting if c.id not in settled]
        return tuple(settled.values())


def needs(component: DevComponent) -> tuple[str, ...]:
    """ids that have to run before a component starts."""
    return tuple(dict.fromkeys((*component.entry.inputs, *component.entry.depends_on)))


@dataclass(frozen=True)
class PipelineReading:
    """A pipeline, unless a finding is an error, and what is wrong with it."""

    pipeline: DevPipeline | None
    findings: tuple[Finding, ...]


def read_dev_pipeline(path: Path, *, namespace: str | None = None) -> PipelineReading:
    """Read pipeline.yaml and the component.yaml and metadata.json of each component that is on this machine.

    `namespace` is that of references without one. Raises SpecError when the file cannot be read.
    """
    reading = read_pipeline(path)
    findings = list(reading.findings)
    if reading.loaded is None:
        return PipelineReading(None, tuple(findings))
    loaded = reading.loaded
    folder = loaded.path.parent
    components = []
    for stage in STAGES:
        for index, entry in enumerate(getattr(loaded.spec.spec, stage)):
            at: FieldPath = ("spec", stage, index)
            program, problem = find_program(entry, folder, namespace)
            if problem is not None:
                findings.append(loaded.finding(problem.severity, (*at, problem.field), problem.message))
            root = program.root
            spec = _read(read_component, root / "component.yaml", findings) if root is not None else None
            metadata = _read(read_metadata, root / "metadata.json", findings) if root is not None else None
            components.append(DevComponent(stage, at, entry, program, spec, metadata))
    return PipelineReading(DevPipeline(loaded, folder, tuple(components)), tuple(_distinct(findings)))


def _read(reader: Callable[[Path], Reading[S]], file: Path, findings: list[Finding]) -> S | None:
    if not file.is_file():
        return None
    try:
        reading = reader(file)
    except SpecError as error:
        findings.append(Finding(severity="error", file=str(file), message=error.message))
        return None
    findings += reading.findings
    return reading.loaded.spec if reading.loaded is not None else None


def _distinct(findings: list[Finding]) -> Iterator[Finding]:
    """One component may stand in a pipeline twice; its own problems are told once."""
    yield from dict.fromkeys(findings)
