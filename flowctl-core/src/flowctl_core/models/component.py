"""component.yaml (`component.flowctl.io/v1`, kind ComponentSpec).

`ComponentSpec` carries the file as it was written, so that nothing is lost, and offers one normalised
view over the spellings in the wild. `flowctl_core.specfile` reads, checks and writes the file;
`component_document` holds the typed shape of every field.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from flowctl_core.models.base import Frozen
from flowctl_core.models.platform import Platform

if TYPE_CHECKING:
    from flowctl_core.models.scan import ScanIgnore

ComponentType = Literal["source", "processor", "sink"]

_LEADING_V = re.compile(r"[vV](?=\d)")


class NativeBuild(Frozen):
    """How to build without a container, normalised from all spellings in the wild."""

    command: tuple[str, ...] = ()
    """One argv."""
    commands: tuple[str, ...] = ()
    """Shell strings, run in order."""
    binary: str | None = None
    """Path that the command makes, relative to the component."""
    runtime: str | None = None
    """Interpreter that runs the binary (`node`), where it is a script."""
    environment: dict[str, str] = Field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    """System packages."""


class ContainerBuild(Frozen):
    """How the container image is built, and in which one tests run (`build.container`)."""

    base: str | None = None
    """Base of an image that is assembled without a Dockerfile; `scratch` is none."""
    dockerfile: str | None = None
    """Text of a Dockerfile, or the path of one, relative to the component."""
    context: str = "."
    """Folder given to the Dockerfile, relative to the component."""
    args: dict[str, str] = Field(default_factory=dict)
    target: str | None = None
    """Stage of the Dockerfile."""
    test_image: str | None = None
    """Image whose containers run the tests of `flowctl component test --container`."""

    @property
    def has_text(self) -> bool:
        """True when `dockerfile` is the text itself and not a path: it has lines, or begins as a Dockerfile must."""
        text = (self.dockerfile or "").strip()
        return "\n" in text or re.match(r"(FROM|ARG)\s", text, re.IGNORECASE) is not None


class LanguageSpec(Frozen):
    """One entry of `spec.languages`, normalised."""

    name: str
    """Lower case."""
    version: str | None = None
    main: str | None = None
    native: NativeBuild | None = None
    dockerfile: str | None = None
    """Text of the Dockerfile, inline in the spec."""


class ComponentSpec(Frozen):
    """A component.yaml, with accessors that hide its variants.

    Make one from a file with `flowctl_core.specfile.load.load_component`, from parsed data with `from_data`.
    """

    name: str
    version: str | None = None
    """Without a leading v."""
    data: dict[str, JsonValue] = Field(default_factory=dict)
    """The whole document as it was written, unknown fields included."""

    @classmethod
    def from_data(cls, data: dict[str, JsonValue]) -> ComponentSpec:
        """The spec for a parsed document; the caller has checked it."""
        metadata = _mapping(data.get("metadata"))
        return cls(name=_text(metadata.get("name")) or "", version=_version(metadata.get("version")), data=data)

    @property
    def namespace(self) -> str | None:
        """Namespace in the registry."""
        return _text(self._metadata.get("namespace"))

    @property
    def description(self) -> str | None:
        """What the component does, in a line."""
        return _text(self._metadata.get("description"))

    @property
    def license(self) -> str | None:
        """SPDX expression."""
        return _text(self._metadata.get("license"))

    @property
    def type(self) -> ComponentType | None:
        """Place in a pipeline; the synonym `consumer` reads as `sink`."""
        match self._spec.get("type"):
            case "source":
                return "source"
            case "processor":
                return "processor"
            case "sink" | "consumer":
                return "sink"
        return None

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """Platforms the component claims to run on."""
        return tuple(Platform(text) for text in _strings(self._spec.get("platforms")))

    @property
    def config(self) -> dict[str, JsonValue]:
        """Configuration keys with their schemas, from `spec.interface.config` or `spec.config`."""
        inner = _mapping(_mapping(self._spec.get("interface")).get("config"))
        outer = _mapping(self._spec.get("config"))
        properties = outer.get("properties")
        return {**(properties if isinstance(properties, dict) else outer), **inner}

    @property
    def input_event_types(self) -> tuple[str, ...]:
        """Event types the component takes."""
        return _strings(_mapping(self._spec.get("interface")).get("inputEventTypes"))

    @property
    def output_event_types(self) -> tuple[str, ...]:
        """Event types the component gives."""
        return _strings(_mapping(self._spec.get("interface")).get("outputEventTypes"))

    @property
    def languages(self) -> tuple[LanguageSpec, ...]:
        """Declared languages, the primary one first; what `spec.build` says is laid over its language."""
        entries = {name: body for name, body in _language_entries(self._spec.get("languages")) if name}
        build = _mapping(self._spec.get("build"))
        wanted = (_text(build.get("language")) or "").lower()
        if wanted and wanted not in entries:
            entries = {wanted: {}, **entries}
        target = wanted or next(iter(entries), "")
        return tuple(_language(name, body, build if name == target else {}) for name, body in entries.items())

    def language(self, *names: str) -> LanguageSpec | None:
        """The entry for a language under any of its names (`node`, `typescript`, `javascript`)."""
        wanted = {name.lower() for name in names}
        return next((entry for entry in self.languages if entry.name in wanted), None)

    @property
    def native_build(self) -> NativeBuild | None:
        """The component's native build command, from `spec.build` or the first language that has one."""
        candidates = [
            _native({}, _mapping(self._spec.get("build"))),
            *(entry.native for entry in self.languages),
        ]
        return next((native for native in candidates if native and (native.command or native.commands)), None)

    @property
    def scan_ignores(self) -> tuple[ScanIgnore, ...]:
        """Known vulnerabilities that do not matter here (`spec.build.scan.ignore`), in the order of the file."""
        from flowctl_core.models.scan import ScanIgnore

        listed = _mapping(_mapping(self._spec.get("build")).get("scan")).get("ignore")
        return tuple(ScanIgnore.model_validate(entry) for entry in listed) if isinstance(listed, list) else ()

    @property
    def container_build(self) -> ContainerBuild:
        """`build.container`: of the primary language, with what `spec.build` says laid over it field by field."""
        primary = next((_mapping(body.get("build")) for _, body in _language_entries(self._spec.get("languages"))), {})
        over = _mapping(self._spec.get("build"))
        found = {**_mapping(primary.get("container")), **_mapping(over.get("container"))}
        return ContainerBuild(
            base=_text(found.get("base")),
            dockerfile=_text(found.get("dockerfile")),
            context=_text(found.get("context")) or ".",
            args={name: _text(value) or "" for name, value in _mapping(found.get("args")).items()},
            target=_text(found.get("target")),
            test_image=_text(found.get("test_image")),
        )

    def build_extra(self, key: str) -> JsonValue:
        """An unknown field of `spec.build`, else of the primary language's `build`; None without one."""
        sections = [_mapping(self._spec.get("build"))]
        sections += [_mapping(body.get("build")) for _, body in _language_entries(self._spec.get("languages"))][:1]
        return next((section[key] for section in sections if key in section), None)

    @property
    def _metadata(self) -> dict[str, JsonValue]:
        return _mapping(self.data.get("metadata"))

    @property
    def _spec(self) -> dict[str, JsonValue]:
        return _mapping(self.data.get("spec"))


def _language_entries(value: JsonValue) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Name and body of each language, from a list of objects, a list of names or a map."""
    if isinstance(value, dict):
        for name, body in value.items():
            yield name.lower(), _mapping(body)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict):
                yield (_text(entry.get("name")) or "").lower(), entry
            elif isinstance(entry, str):
                yield entry.lower(), {}


def _language(name: str, body: dict[str, JsonValue], override: dict[str, JsonValue]) -> LanguageSpec:
    build = _mapping(body.get("build"))
    container = {**_mapping(build.get("container")), **_mapping(override.get("container"))}
    return LanguageSpec(
        name=name,
        version=_text(body.get("version")),
        main=_text(body.get("main")),
        native=_merge(_native(_mapping(body.get("native_build")), build), _native({}, override)),
        dockerfile=_text(container.get("dockerfile")),
    )


def _native(native_build: dict[str, JsonValue], build: dict[str, JsonValue]) -> NativeBuild | None:
    """What one section says: `native_build`, or `build` with `native` inside or `command` straight below."""
    if native_build.get("enabled") is False:
        return None
    native = _mapping(build.get("native"))
    command: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    for value in (native.get("command"), build.get("command"), native_build.get("build_command")):
        if isinstance(value, list) and not command:
            command = _strings(value)
        elif isinstance(value, str) and value.strip() and not commands:
            commands = (value,)
    for value in (native.get("commands"), build.get("commands")):
        commands = commands or _command_lines(value)
    dependencies = native.get("dependencies", build.get("dependencies"))
    result = NativeBuild(
        command=command,
        commands=() if command else commands,
        binary=_text(native.get("binary")) or _text(build.get("binary")) or _text(native_build.get("binary_path")),
        runtime=_text(native.get("runtime")) or _text(build.get("runtime")),
        environment={
            **_environment(build.get("environment")),
            **_environment(native_build.get("environment")),
            **_environment(native.get("environment")),
        },
        dependencies=_strings(dependencies.get("system") if isinstance(dependencies, dict) else dependencies),
    )
    return None if result == NativeBuild() else result


def _merge(base: NativeBuild | None, over: NativeBuild | None) -> NativeBuild | None:
    """`spec.build` wins over the language's entry, field by field; environments are joined."""
    if base is None or over is None:
        return over or base
    has_command = bool(over.command or over.commands)
    return NativeBuild(
        command=over.command if has_command else base.command,
        commands=over.commands if has_command else base.commands,
        binary=over.binary or base.binary,
        runtime=over.runtime or base.runtime,
        environment={**base.environment, **over.environment},
        dependencies=over.dependencies or base.dependencies,
    )


def _command_lines(value: JsonValue) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if not isinstance(value, list):
        return ()
    return tuple(shlex.join(_strings(line)) if isinstance(line, list) else _text(line) or "" for line in value if line)


def _environment(value: JsonValue) -> dict[str, str]:
    """Variables from a map, a list of `K=V`, or a list of {name, value}."""
    if isinstance(value, dict):
        return {key: _text(content) or "" for key, content in value.items()}
    found: dict[str, str] = {}
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, str) and "=" in entry:
            key, _, content = entry.partition("=")
            found[key.strip()] = content
        elif isinstance(entry, dict) and isinstance(name := entry.get("name"), str) and "value" in entry:
            found[name] = _text(entry["value"]) or ""
    return found


def _version(value: JsonValue) -> str | None:
    text = _text(value)
    return None if text is None else _LEADING_V.sub("", text.strip(), count=1)


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _strings(value: JsonValue) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(text for item in value if (text := _text(item)) is not None) if isinstance(value, list) else ()


def _text(value: JsonValue) -> str | None:
    """Text of a scalar, as YAML spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
