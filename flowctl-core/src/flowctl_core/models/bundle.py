"""bundle.yaml (`component.flowctl.io/v1`, kind ComponentBundle): a set of components."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from flowctl_core.models.component_document import (
    BuildDependencies,
    BuildSection,
    Communication,
    ConfigField,
    DocumentMetadata,
    Environment,
    Execution,
    NamedSchema,
    Resources,
    Volume,
)
from flowctl_core.models.document import Document, Name, Port, Text, Texts, VariableText, Version, either
from flowctl_core.models.platform import Platform


class BundleTls(Document):
    """Encryption between components."""

    enabled: bool | None = Field(None, description="true: components talk over TLS.")
    mutual: bool | None = Field(None, description="true: both sides prove who they are.")


class BundleCommunication(Document):
    """How the components talk to each other."""

    protocol: Text | None = Field(None, description="Protocol.", examples=["grpc", "arrow-flight"])
    preserve_in_native: bool | None = Field(
        None,
        alias="preserveInNative",
        description="true: keep the protocol when components run as processes.",
    )
    ports: dict[str, Port] = Field({}, description="Port of each component.")
    discovery: Text | None = Field(None, description="How components find each other.")
    tls: BundleTls | None = Field(None, description="Encryption.")


class BundleComponent(Document):
    """One component of the bundle."""

    name: Name = Field(description="Name.")
    path: Text | None = Field(
        None, description="Folder, relative to bundle.yaml; without one it is a published component at `version`."
    )
    type: Literal["source", "processor", "sink", "consumer"] | None = Field(None, description="Place in a pipeline.")
    language: Text | None = Field(None, description="Language.")
    version: Version | None = Field(None, description="Semantic version.")
    description: Text | None = Field(None, description="What it does, in a line.")
    namespace: Name | None = Field(None, description="Namespace in the registry, where it is not the bundle's.")
    depends_on: Texts = Field((), description="Names of components that are built before it.")
    input_event_types: Texts = Field((), alias="inputEventTypes", description="Event types it takes.")
    output_event_types: Texts = Field((), alias="outputEventTypes", description="Event types it gives.")
    input_schemas: tuple[NamedSchema, ...] = Field((), alias="inputSchemas", description="Schemas it takes.")
    output_schemas: tuple[NamedSchema, ...] = Field((), alias="outputSchemas", description="Schemas it gives.")
    communication: Communication | None = Field(None, description="How events travel.")
    build: BuildSection | None = Field(None, description="How to build it, over its own component.yaml.")


class TemplateStep(Document):
    """How a template sets up one component."""

    config: dict[str, Any] = Field({}, description="Values for its configuration keys; ${VAR:-default} is expanded.")
    environment: dict[str, VariableText] = Field({}, description="Variables for it.")


class BundleTemplate(Document):
    """A ready-made pipeline."""

    name: Text = Field(description="Name.")
    description: Text | None = Field(None, description="What it does.")
    components: tuple[dict[str, TemplateStep | None], ...] = Field(
        (), description="Components in order, each a mapping of one name to its settings."
    )


class BundleShared(Document):
    """What all components get."""

    environment: Environment | None = Field(None, description="Variables.")
    volumes: tuple[Volume, ...] = Field((), description="Storage.")


class BundleRequirements(Document):
    """Versions that the bundle needs, such as `1.23+`."""

    go_version: Text | None = Field(None, description="Go.")
    arrow_version: Text | None = Field(None, description="Apache Arrow.")
    flowctl_version: Text | None = Field(None, description="flowctl.")


BundleDependencies = Annotated[
    Annotated[Texts, Tag("list")] | Annotated[BuildDependencies, Tag("map")],
    either("a list of packages or a mapping with system and build"),
]


class BundleBuild(Document):
    """How the bundle is built."""

    context: Text | None = Field(None, description="Folder given to the Dockerfile.")
    dockerfile: Text | None = Field(None, description="Path of the Dockerfile.")
    args: dict[str, VariableText] = Field({}, description="Build arguments.")
    targets: Texts = Field((), description="What is made.", examples=[["native", "container"]])
    parallel: bool | None = Field(None, description="false: one after another.")
    cache: bool | Text | None = Field(None, description="How the cache is used.")
    dependencies: BundleDependencies | None = Field(None, description="What must be installed to build.")
    order: Texts = Field((), description="Names of components that are built one after another, in this order.")
    environment: dict[str, VariableText] = Field({}, description="Variables set for all builds.")


class BundleBody(Document):
    """What the bundle holds."""

    execution: Execution | None = Field(None, description="How it can run.")
    communication: BundleCommunication | None = Field(None, description="How the components talk.")
    components: tuple[BundleComponent, ...] = Field(description="The components.", min_length=1)
    templates: tuple[BundleTemplate, ...] = Field((), description="Ready-made pipelines.")
    shared: BundleShared | None = Field(None, description="What all components get.")
    config: dict[str, dict[str, ConfigField]] = Field({}, description="Configuration: group, then key.")
    resources: dict[str, Resources] = Field({}, description="Resources of each component.")
    platforms: tuple[Platform, ...] = Field((), description="os/arch, where it runs.")
    requirements: BundleRequirements | None = Field(None, description="Versions it needs.")
    build: BundleBuild | None = Field(None, description="How it is built.")


class BundleSpec(Document):
    """bundle.yaml: a set of components that are built, published and run together."""

    api_version: Text = Field(alias="apiVersion", description="component.flowctl.io/v1")
    kind: Literal["ComponentBundle"] = Field(description="Always ComponentBundle.")
    metadata: DocumentMetadata = Field(description="Who it is.")
    spec: BundleBody = Field(description="What it holds.")
