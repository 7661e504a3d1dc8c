"""pipeline.yaml (`flowctl/v1` or `flowctl.io/v1`, kind Pipeline): wired components."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from flowctl_core.models.component_document import Resources
from flowctl_core.models.document import (
    CommandLine,
    Document,
    Port,
    Text,
    Texts,
    Variables,
    VariableText,
    either,
)

Driver = Literal["process", "local", "docker", "kubernetes", "k8s", "nomad"]


class PipelineMetadata(Document):
    """Who the pipeline is."""

    name: Text = Field(description="Name.", min_length=1)
    namespace: Text | None = Field(None, description="Namespace.")
    description: Text | None = Field(None, description="What it does, in a line.")
    labels: dict[str, VariableText] = Field({}, description="Keys and values for tools.")
    annotations: dict[str, VariableText] = Field({}, description="Keys and values for tools, not for selection.")


class PipelineVolume(Document):
    """A folder that the component sees."""

    name: Text | None = Field(None, description="Name.")
    mount_path: Text | None = Field(None, alias="mountPath", description="Path in the container.")
    host_path: Text | None = Field(None, alias="hostPath", description="Path on the host.")
    container_path: Text | None = Field(None, description="Older spelling of mountPath.")
    readonly: bool | None = Field(None, description="true: not written.")


class PipelinePort(Document):
    """A port that the component opens."""

    name: Text | None = Field(None, description="Name.")
    container_port: Port = Field(alias="containerPort", description="Port in the container.")
    host_port: Port | None = Field(None, alias="hostPort", description="Port on the host.")
    protocol: Literal["TCP", "UDP", "SCTP", "tcp", "udp", "sctp"] | None = Field(None, description="TCP unless said.")


VolumeItem = Annotated[
    Annotated[PipelineVolume, Tag("map")] | Annotated[Text, Tag("text")],
    either("host:container or a mapping"),
]
SecretItem = Annotated[
    Annotated[dict[str, Any], Tag("map")] | Annotated[Text, Tag("text")], either("a name or a mapping")
]


class PipelineComponent(Document):
    """A component in its place; exactly one of image, command, type and path says what runs."""

    id: Text = Field(description="Name in this pipeline; unique.", min_length=1)
    type: Text | None = Field(None, description="Reference: [namespace/]name@version.", min_length=1)
    image: Text | None = Field(None, description="Container image.", min_length=1)
    command: CommandLine | None = Field(None, description="Program and arguments.")
    path: Text | None = Field(None, description="Folder of the component's source, or its program.", min_length=1)
    args: Texts = Field((), description="Further arguments.")
    inputs: Texts = Field((), description="ids of the components it takes events from.")
    input_event_types: Texts = Field((), description="Event types it takes.")
    output_event_types: Texts = Field((), description="Event types it gives.")
    config: dict[str, Any] = Field({}, description="Values for its configuration keys.")
    env: Variables | None = Field(None, description="Variables; stronger than config.")
    volumes: tuple[VolumeItem, ...] = Field((), description="Folders it sees.")
    secrets: tuple[SecretItem, ...] = Field((), description="Secrets it gets.")
    ports: tuple[PipelinePort, ...] = Field((), description="Ports it opens.")
    health_check: Text | None = Field(None, description="HTTP path that answers when it is well.")
    health_port: Port | None = Field(None, description="Port of the health check.")
    replicas: int | None = Field(None, ge=0, description="How many of it run.")
    resources: Resources | None = Field(None, description="What it needs and may use.")
    depends_on: Texts = Field((), description="ids that start before it.")
    restart_policy: Literal["no", "always", "on-failure", "unless-stopped"] | None = Field(
        None, description="When it is started again."
    )


class PipelineBody(Document):
    """How components are wired."""

    description: Text | None = Field(None, description="What it does.")
    driver: Driver | None = Field(None, description="What runs the components.")
    sources: tuple[PipelineComponent, ...] = Field((), description="Components that make events.")
    processors: tuple[PipelineComponent, ...] = Field((), description="Components that change events.")
    sinks: tuple[PipelineComponent, ...] = Field((), description="Components that keep events.")
    pipelines: tuple[PipelineComponent, ...] = Field((), description="Whole pipelines, run as black boxes.")
    config: dict[str, Any] = Field({}, description="Settings for the driver.")


class PipelineSpec(Document):
    """pipeline.yaml: components wired from sources through processors to sinks."""

    api_version: Text = Field(alias="apiVersion", description="flowctl/v1 or flowctl.io/v1")
    kind: Literal["Pipeline"] = Field(description="Always Pipeline.")
    metadata: PipelineMetadata = Field(description="Who it is.")
    spec: PipelineBody = Field(description="How components are wired.")
