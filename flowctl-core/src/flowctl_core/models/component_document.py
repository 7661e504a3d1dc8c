"""The typed shape of component.yaml: every field seen in the wild, in every variant.

Used to check a file and to make its JSON Schema; `ComponentSpec` (component.py) is what travels.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, Tag

from flowctl_core.models.document import (
    Assignment,
    CommandLine,
    Day,
    Document,
    Name,
    Port,
    Reason,
    Text,
    Texts,
    Variables,
    VariableText,
    Version,
    either,
)
from flowctl_core.models.platform import Platform

ConfigType = Literal["string", "integer", "number", "boolean", "array", "object"]


class DocumentMetadata(Document):
    """Who the component (or bundle) is."""

    name: Name = Field(description="Name: lower-case letters, digits, '-', '.', '_'.", examples=["ledger-processor"])
    version: Version | None = Field(None, description="Semantic version, with or without a leading v.")
    namespace: Name | None = Field(None, description="Namespace in the registry.")
    description: Text | None = Field(None, description="What it does, in a line.")
    author: Text | None = Field(None, description="Person or organisation.")
    homepage: Text | None = Field(None, description="URL for readers.")
    repository: Text | None = Field(None, description="URL of the source.")
    license: Text | None = Field(None, description="SPDX expression.", examples=["Apache-2.0"])
    tags: Texts = Field((), description="Words to find it by.")
    labels: dict[str, VariableText] = Field({}, description="Keys and values for tools.")
    annotations: dict[str, VariableText] = Field({}, description="Keys and values for tools, not for selection.")


class Execution(Document):
    """How the component can run."""

    modes: Texts = Field((), description="`native` (a process), `container`; for bundles also `hybrid`.")
    default: Text | None = Field(None, description="The mode used when none is asked for.")


class BuildDependencies(Document):
    """What must be installed to build."""

    system: Texts = Field((), description="System packages.")
    build: Texts = Field((), description="Tools.")


Dependencies = Annotated[
    Annotated[Texts, Tag("list")] | Annotated[BuildDependencies, Tag("map")],
    either("a list of packages or a mapping with system and build"),
]


class NativeBuildSection(Document):
    """How to build a program for the host."""

    command: CommandLine | None = Field(None, description="The build command, as a list of arguments.")
    commands: tuple[CommandLine, ...] = Field((), description="Shell commands, run in order.")
    binary: Text | None = Field(None, description="Path of the program that the command makes.")
    runtime: Text | None = Field(
        None, description="Interpreter of the program, where it is a script.", examples=["node"]
    )
    environment: Variables | None = Field(None, description="Variables set for the command.")
    dependencies: Dependencies | None = Field(None, description="System packages the build needs.")


class ContainerBuildSection(Document):
    """How to build a container image."""

    dockerfile: Text | None = Field(None, description="Text of a Dockerfile, or the path of one.")
    context: Text | None = Field(None, description="Folder given to the Dockerfile.")
    args: dict[str, VariableText] = Field({}, description="Build arguments.")
    target: Text | None = Field(None, description="Stage of the Dockerfile.")
    base: Text | None = Field(
        None, description="Base of an image that is assembled without a Dockerfile; `scratch` is none."
    )
    test_image: Text | None = Field(
        None,
        description="Image in which `flowctl component test --container` runs the tests.",
        examples=["golang:1.23"],
    )


class IgnoredVulnerability(Document):
    """A known vulnerability that does not matter here."""

    id: Text = Field(description="Id of the advisory, or an alias.", examples=["GO-2024-2687", "CVE-2023-45288"])
    reason: Reason = Field(description="Why it does not matter.")
    until: Day | None = Field(None, description="Last day on which it is ignored.", examples=["2027-03-31"])


class ScanSection(Document):
    """The scan for known vulnerabilities."""

    ignore: tuple[IgnoredVulnerability, ...] = Field((), description="Known vulnerabilities that do not matter here.")


class BuildSection(Document):
    """How to build; all optional, since a language's builder knows how."""

    language: Text | None = Field(None, description="Language whose builder is used.")
    command: CommandLine | None = Field(None, description="Same as native.command.")
    commands: tuple[CommandLine, ...] = Field((), description="Same as native.commands.")
    binary: Text | None = Field(None, description="Same as native.binary.")
    runtime: Text | None = Field(None, description="Same as native.runtime.")
    environment: Variables | None = Field(None, description="Same as native.environment.")
    native: NativeBuildSection | None = Field(None, description="How to build a program for the host.")
    container: ContainerBuildSection | None = Field(None, description="How to build an image.")
    dependencies: Dependencies | None = Field(None, description="What must be installed to build.")


class ComponentBuildSection(BuildSection):
    """How to build and what to look at, whatever the language; all optional."""

    scan: ScanSection | None = Field(None, description="The scan for known vulnerabilities.")
    assets: tuple[Text, ...] = Field((), description="Node.js releases: files that the executable carries.")
    external: tuple[Text, ...] = Field((), description="Node.js releases: packages that are left out.")
    python: dict[str, JsonValue] = Field(
        {}, description="Python releases: `interpreter` (system, embedded), `standalone`, `assets`."
    )


class NativeBuildVariant(Document):
    """The older spelling of build.native, below a language in a map."""

    enabled: bool | None = Field(None, description="false: no native build.")
    build_command: CommandLine | None = Field(None, description="The build command.")
    binary_path: Text | None = Field(None, description="Path of the program that the command makes.")
    environment: Variables | None = Field(None, description="Variables set for the command.")


class LanguageBody(Document):
    """A language the component is written in."""

    version: Text | None = Field(None, description="Version of the toolchain.", examples=["1.23"])
    main: Text | None = Field(None, description="File or package of the entry point.", examples=["src/main.go"])
    build: BuildSection | None = Field(None, description="How to build in this language.")
    native_build: NativeBuildVariant | None = Field(None, description="Older spelling of build.native.")


class LanguageEntry(LanguageBody):
    """A language the component is written in, named."""

    name: Text = Field(description="Language.", examples=["go", "rust", "typescript", "python"])


LanguageItem = Annotated[
    Annotated[LanguageEntry, Tag("map")] | Annotated[Text, Tag("text")],
    either("a language: a name or a mapping"),
]
Languages = Annotated[
    Annotated[tuple[LanguageItem, ...], Tag("list")] | Annotated[dict[str, LanguageBody | None], Tag("map")],
    either("a list of languages, or a mapping from language to its settings"),
]


class EventSchema(Document):
    """A schema of events."""

    name: Text = Field(description="Name of the schema.")
    version: Text | None = Field(None, description="Version of the schema.")
    description: Text | None = Field(None, description="What it describes.")


class Stream(Document):
    """A stream of events, given or taken."""

    name: Text = Field(description="Name of the stream.")
    schema_name: Text | None = Field(None, alias="schema", description="Schema of its events.")
    description: Text | None = Field(None, description="What flows there.")
    qos: Text | None = Field(None, description="Delivery guarantee.", examples=["at_least_once"])
    source: Text | None = Field(None, description="Component it comes from.")
    port: Port | None = Field(None, description="Port it comes from.")


class Endpoint(Document):
    """An HTTP endpoint of the component."""

    path: Text = Field(description="Path, starting with '/'.")
    method: Text | None = Field(None, description="HTTP method.", examples=["GET"])
    description: Text | None = Field(None, description="What it answers.")
    response_type: Text | None = Field(None, description="Media type of the answer.")


NamedSchema = Annotated[
    Annotated[EventSchema, Tag("map")] | Annotated[Text, Tag("text")], either("a name or a mapping")
]
NamedStream = Annotated[Annotated[Stream, Tag("map")] | Annotated[Text, Tag("text")], either("a name or a mapping")]


class Communication(Document):
    """How events travel."""

    protocol: Text | None = Field(None, description="Protocol.", examples=["grpc", "arrow-flight", "ndjson"])
    port: Port | None = Field(None, description="Port the component listens on.")
    streams: tuple[NamedStream, ...] = Field((), description="Streams it gives.")
    consumes: tuple[NamedStream, ...] = Field((), description="Streams it takes.")
    endpoints: tuple[Endpoint, ...] = Field((), description="HTTP endpoints.")


class ConfigValidation(Document):
    """Further rules for a value."""

    pattern: Text | None = Field(None, description="Regular expression that the whole text matches.")


class ConfigField(Document):
    """Schema of one configuration key."""

    type: ConfigType | None = Field(None, description="Type of the value.")
    required: bool | Texts | None = Field(None, description="true: must be set.")
    default: JsonValue = Field(None, description="Value when nothing is set.")
    enum: tuple[JsonValue, ...] = Field((), description="The allowed values.")
    minimum: float | None = Field(None, description="Smallest allowed number.")
    maximum: float | None = Field(None, description="Largest allowed number.")
    description: Text | None = Field(None, description="What it does.")
    examples: tuple[JsonValue, ...] = Field((), description="Values to copy.")
    condition: Text | None = Field(None, description="When the key applies.")
    validation: ConfigValidation | None = Field(None, description="Further rules.")
    pattern: Text | None = Field(None, description="Same as validation.pattern.")
    format: Text | None = Field(None, description="Kind of text, as JSON Schema names it.")
    env: Text | None = Field(None, description="Environment variable that carries it.")
    secret: bool | None = Field(None, description="true: never shown.")
    items: ConfigField | None = Field(None, description="Schema of the elements of an array.")
    properties: dict[str, ConfigField] = Field({}, description="Schemas of the keys of an object.")


class Channel(Document):
    """One side of the interface, in the older spelling."""

    type: Text | None = Field(None, description="Transport.")
    port: Port | None = Field(None, description="Port.")
    protocol: Text | None = Field(None, description="What flows there.")


NamedChannel = Annotated[Annotated[Channel, Tag("map")] | Annotated[Text, Tag("text")], either("a name or a mapping")]


class Interface(Document):
    """What the component takes, gives and can be told."""

    input_event_types: Texts = Field((), alias="inputEventTypes", description="Event types it takes.")
    output_event_types: Texts = Field((), alias="outputEventTypes", description="Event types it gives.")
    input_schemas: tuple[NamedSchema, ...] = Field((), alias="inputSchemas", description="Schemas it takes.")
    output_schemas: tuple[NamedSchema, ...] = Field((), alias="outputSchemas", description="Schemas it gives.")
    communication: Communication | None = Field(None, description="How events travel.")
    config: dict[str, ConfigField] = Field({}, description="Configuration keys.")
    input: NamedChannel | None = Field(None, description="Older spelling: transport in.")
    output: NamedChannel | None = Field(None, description="Older spelling: transport out.")
    upstream: NamedChannel | None = Field(None, description="Older spelling: transport in.")
    downstream: NamedChannel | None = Field(None, description="Older spelling: transport out.")


class ConfigProperties(Document):
    """Older spelling of interface.config."""

    properties: dict[str, ConfigField] = Field({}, description="Configuration keys.")


class ResourceList(Document):
    """Amounts, as Kubernetes writes them."""

    cpu: Text | None = Field(None, description="Cores.", examples=["500m", "2"])
    memory: Text | None = Field(None, description="Memory.", examples=["512Mi"])
    storage: Text | None = Field(None, description="Disk.", examples=["10Gi"])


class Resources(Document):
    """What the component needs and may use."""

    requests: ResourceList | None = Field(None, description="What it needs.")
    limits: ResourceList | None = Field(None, description="What it may use.")


class ProbeTarget(Document):
    """Where a probe asks."""

    path: Text | None = Field(None, description="HTTP path.")
    port: Port | None = Field(None, description="HTTP port.")


class Probe(ProbeTarget):
    """How health is asked for; times in seconds."""

    http: ProbeTarget | None = Field(None, description="Path and port, in the nested spelling.")
    initial_delay: float | None = Field(None, ge=0, description="Seconds before the first question.")
    period: float | None = Field(None, ge=0, description="Seconds between questions.")
    timeout: float | None = Field(None, ge=0, description="Seconds to wait for the answer.")
    failure_threshold: int | None = Field(None, ge=0, description="Failures until it counts as unhealthy.")


class Health(Document):
    """Health probes."""

    readiness: Probe | None = Field(None, description="Ready to take events?")
    liveness: Probe | None = Field(None, description="Alive?")
    startup: Probe | None = Field(None, description="Started?")


class Security(Document):
    """What a container may do."""

    run_as_user: int | None = Field(None, ge=0, description="User id.")
    run_as_group: int | None = Field(None, ge=0, description="Group id.")
    read_only_root_filesystem: bool | None = Field(None, description="Nothing outside volumes is written.")
    allow_privilege_escalation: bool | None = Field(None, description="May gain rights.")
    drop_capabilities: Texts = Field((), description="Linux capabilities taken away.")


class RuntimeDependencies(Document):
    """System packages."""

    runtime: Texts = Field((), description="Needed to run.")
    build: Texts = Field((), description="Needed to build.")
    system: Texts = Field((), description="Needed to build and run.")


class EnvironmentVariable(Document):
    """A variable that the component reads."""

    name: Text = Field(description="Name.", examples=["LOG_LEVEL"])
    description: Text | None = Field(None, description="What it does.")
    default: VariableText | None = Field(None, description="Value when unset.")
    value: VariableText | None = Field(None, description="Value.")
    required: bool | None = Field(None, description="true: must be set.")


EnvironmentItem = Annotated[
    Annotated[EnvironmentVariable, Tag("map")] | Annotated[Assignment, Tag("text")],
    either("NAME=value or a mapping with a name"),
]
Environment = Annotated[
    Annotated[tuple[EnvironmentItem, ...], Tag("list")] | Annotated[dict[str, VariableText], Tag("map")],
    either("a list of variables or a mapping"),
]


class Volume(Document):
    """Storage that the component wants."""

    name: Text = Field(description="Name.")
    path: Text | None = Field(None, description="Path in the component.")
    description: Text | None = Field(None, description="What is kept there.")
    size: Text | None = Field(None, description="Size.", examples=["10Gi"])
    access_modes: Texts = Field((), description="As Kubernetes names them.")


class Example(Document):
    """A configuration to copy."""

    name: Text | None = Field(None, description="Name.")
    description: Text | None = Field(None, description="What it shows.")
    config: dict[str, Any] = Field({}, description="Values for the configuration keys.")


class ComponentBody(Document):
    """What the component is made of and offers."""

    type: Literal["source", "processor", "sink", "consumer"] | None = Field(None, description="Place in a pipeline.")
    execution: Execution | None = Field(None, description="How it can run.")
    languages: Languages | None = Field(None, description="Languages, the primary one first.")
    build: ComponentBuildSection | None = Field(None, description="How to build, over the language's own way.")
    interface: Interface | None = Field(None, description="What it takes, gives and can be told.")
    config: ConfigProperties | None = Field(None, description="Older spelling of interface.config.")
    resources: Resources | None = Field(None, description="What it needs and may use.")
    health: Health | None = Field(None, description="Health probes.")
    security: Security | None = Field(None, description="What its container may do.")
    platforms: tuple[Platform, ...] = Field((), description="os/arch, where it runs.", examples=[["linux/amd64"]])
    dependencies: RuntimeDependencies | None = Field(None, description="System packages.")
    environment: Environment | None = Field(None, description="Variables it reads.")
    volumes: tuple[Volume, ...] = Field((), description="Storage it wants.")
    examples: tuple[Example, ...] = Field((), description="Configurations to copy.")


class ComponentDocument(Document):
    """component.yaml: what a component is, takes and gives, and how it is built."""

    api_version: Text = Field(alias="apiVersion", description="component.flowctl.io/v1")
    kind: Literal["ComponentSpec"] = Field(description="Always ComponentSpec.")
    metadata: DocumentMetadata = Field(description="Who it is.")
    spec: ComponentBody = Field(description="What it is made of and offers.")
