"""The bundle.yaml that `flowctl bundle init` writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flowctl_core.bundles.folder import BUNDLE_FILE, COMPONENT_FILE
from flowctl_core.errors import SourceError, SpecError
from flowctl_core.models.component import ComponentSpec
from flowctl_core.specfile.load import load_component, parse_bundle
from flowctl_core.specfile.scaffold import yaml_text

_DEPTH = 4
"""Levels of folders that are looked through."""
_LEFT_OUT = frozenset(["node_modules", "vendor", "target", "dist", "build", "venv", "__pycache__"])
_PLACE = {"source": 0, "processor": 1, "sink": 2}


@dataclass(frozen=True)
class Found:
    """A component below the folder."""

    path: str
    """Relative, with `/`."""
    spec: ComponentSpec


def find_components(root: Path) -> tuple[Found, ...]:
    """Every folder with a component.yaml, sources first; nothing below one is looked at, nor hidden folders.

    Raises SourceError for what is no folder, SpecError for a component.yaml that cannot be used.
    """
    if not root.is_dir():
        raise SourceError(f"{root} is not a folder", hint="Name the folder that holds the components.")
    found = [
        Found(folder.relative_to(root).as_posix(), load_component(folder / COMPONENT_FILE).spec)
        for folder in _folders(root)
    ]
    return tuple(sorted(found, key=lambda each: (_PLACE.get(each.spec.type or "", 3), each.path)))


def _folders(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        if COMPONENT_FILE in files and here != root:
            yield here
            names[:] = []
        elif BUNDLE_FILE in files and here != root:
            names[:] = []
        else:
            names[:] = [n for n in names if not n.startswith(".") and n not in _LEFT_OUT] if depth < _DEPTH else []


def bundle_yaml(name: str, version: str, namespace: str | None, members: tuple[Found, ...]) -> str:
    """Text of a new bundle.yaml with comments. Raises SpecError when a name breaks a rule of the format."""
    platforms = [set(member.spec.platforms) for member in members if member.spec.platforms]
    common = sorted(map(str, set.intersection(*platforms))) if platforms else []
    lines = [
        "# Components that are built, tested, published and installed together.",
        "# Check it with: flowctl bundle validate",
        "apiVersion: component.flowctl.io/v1",
        "kind: ComponentBundle",
        "",
        "metadata:",
        f"  name: {yaml_text(name)}",
        f"  version: {yaml_text(version)}",
        "  description: 'TODO: say in a line what they do together'",
        f"  namespace: {yaml_text(namespace)}"
        if namespace
        else "  # namespace: my-team        # where it is published",
        "",
        "spec:",
        "  # What each takes and gives stands in its component.yaml.",
        "  components:",
    ]
    for member in members:
        lines += [f"    - name: {yaml_text(member.spec.name)}", f"      path: {yaml_text(member.path)}"]
        lines += [f"      type: {member.spec.type}"] if member.spec.type else []
    lines += ["", "  # Ready-made pipelines: components in order, each with its configuration."]
    lines += _template(members)
    if common:
        lines += ["", "  # Where all of them run.", "  platforms:", *(f"    - {yaml_text(each)}" for each in common)]
    text = "\n".join(lines) + "\n"
    loaded = parse_bundle(text.encode())
    if loaded.warnings:
        raise SpecError("\n".join(map(str, loaded.warnings)))
    return text


def _template(members: tuple[Found, ...]) -> list[str]:
    """A pipeline of the components that feed each other, or an example in a comment."""
    chain: list[Found] = []
    given: set[str] = set()
    for member in members:
        if not member.spec.input_event_types or given.intersection(member.spec.input_event_types):
            chain.append(member)
            given.update(member.spec.output_event_types)
    if len(chain) < 2:
        return ["  # templates:", "  #   - name: default", "  #     components:", "  #       - my-source: {config: {}}"]
    lines = ["  templates:", "    - name: default", "      components:"]
    return lines + [f"        - {yaml_text(member.spec.name)}: {{config: {{}}}}" for member in chain]
