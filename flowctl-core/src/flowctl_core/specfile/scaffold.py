"""The component.yaml that `flowctl component init` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from flowctl_core.errors import SpecError, UsageError

_EVENTS = {
    "source": (False, True),
    "processor": (True, True),
    "sink": (True, False),
}
"""Type of component: takes events, gives events."""


def component_yaml(
    name: str,
    version: str = "0.1.0",
    type: str = "processor",
    language: str | None = None,
    main: str | None = None,
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
    description: str = "",
    input_event_types: Sequence[str] = (),
    output_event_types: Sequence[str] = (),
    config: Mapping[str, Mapping[str, object]] | None = None,
    namespace: str | None = None,
) -> str:
    """Text of a new component.yaml with comments, which loads without a warning.

    Raises SpecError when an argument breaks a rule of the format (name, version, platform), UsageError for
    an unknown type.
    """
    from flowctl_core.specfile.load import parse_component

    type = "sink" if type == "consumer" else type
    if type not in _EVENTS:
        raise UsageError(f"'{type}' is not a type of component", hint="Use source, processor or sink.")
    takes, gives = _EVENTS[type]
    lines = [
        "# What this component is, takes and gives, and how it is built.",
        "# Check it with: flowctl component validate",
        "apiVersion: component.flowctl.io/v1",
        "kind: ComponentSpec",
        "",
        "metadata:",
        f"  name: {yaml_text(name)}",
        f"  version: {yaml_text(version)}",
        f"  description: {yaml_text(description or f'TODO: say in a line what this {type} does')}",
        f"  namespace: {yaml_text(namespace)}"
        if namespace
        else "  # namespace: my-team        # where it is published",
        "  # license: Apache-2.0       # SPDX expression",
        "  # repository: https://…     # where its source lives",
        "  # tags: [stellar, events]",
        "",
        "spec:",
        f"  type: {type}  # source, processor or sink",
        "",
    ]
    if language:
        lines += ["  # Found by detection. `main` says which program, where there are several.", "  languages:"]
        lines += [f"    - name: {yaml_text(language)}"]
        lines += [f"      main: {yaml_text(main)}"] if main else ["      # main: path/of/the/entry/point"]
        lines += [
            "      # build:",
            "      #   native:",
            "      #     command: [make, build]   # replaces the language's own way to build",
            f"      #     binary: build/{name}",
            "",
        ]
    else:
        lines += [
            "  # No language was detected: say how to build, and which program that makes.",
            "  # build:",
            "  #   native:",
            "  #     command: [make, build]",
            f"  #     binary: build/{name}",
            "",
        ]
    lines += ["  # Event types decide what this component can be wired to.", "  interface:"]
    lines += _events("inputEventTypes", input_event_types, "stellar.ledger") if takes else []
    lines += _events("outputEventTypes", output_event_types, "token.transfer") if gives else []
    lines += [
        "    # communication:",
        "    #   protocol: grpc",
        "    #   port: 50051",
        *_config(config or {}),
        "",
        "  # Platforms that a release is built for, as os/arch.",
        "  platforms:",
        *(f"    - {yaml_text(platform)}" for platform in platforms),
    ]
    text = "\n".join(lines) + "\n"
    loaded = parse_component(text.encode())
    if loaded.warnings:
        raise SpecError("\n".join(map(str, loaded.warnings)))
    return text


def _events(key: str, types: Sequence[str], example: str) -> list[str]:
    if not types:
        return [f"    {key}: []".ljust(27) + f"# for example: [{example}]"]
    return [f"    {key}:", *(f"      - {yaml_text(name)}" for name in types)]


def _config(config: Mapping[str, Mapping[str, object]]) -> list[str]:
    if not config:
        return [
            "    # config:                # what users can set; handed over as environment variables",
            "    #   batch_size:",
            "    #     type: integer",
            "    #     default: 100",
            "    #     minimum: 1",
            "    #     description: Events handled at once",
        ]
    lines = ["    config:                  # what users can set; handed over as environment variables"]
    for key, fields in config.items():
        lines.append(f"      {yaml_text(key)}:")
        lines += [f"        {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return lines


def yaml_text(value: str) -> str:
    """A scalar that every YAML reader takes for text; quoted unless it plainly is a word."""
    word = value.replace("-", "").replace("/", "").replace("_", "").replace(".", "")
    plain = word.isascii() and word.isalnum() and value[0].isalpha()
    reserved = value.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return value if plain and not reserved else json.dumps(value, ensure_ascii=False)
