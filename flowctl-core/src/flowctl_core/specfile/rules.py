"""Rules that concern more than one field; they work on raw data, so that one bad field hides no other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from flowctl_core.specfile.finding import Severity
from flowctl_core.specfile.problems import Path, Problem, suggestion

RuleProblem = tuple[Severity, Problem]

SEMVER = re.compile(
    r"[vV]?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
_REFERENCE = re.compile(r"([a-zA-Z0-9][\w.-]*/)?[a-zA-Z0-9][\w.-]*(@[\^~]?[vV]?[0-9A-Za-z][\w.+-]*)?")
_WAYS = ("image", "command", "type", "path")


def no_rules(data: dict[str, Any]) -> Iterator[RuleProblem]:
    """For formats without such rules."""
    yield from ()


def envelope(data: dict[str, Any], groups: tuple[str, ...], kind: str) -> Iterator[RuleProblem]:
    """apiVersion and kind: another format or major version is an error, an unknown minor a warning."""
    if not groups:
        return
    wanted = f"{groups[0]}/v1"
    version = data.get("apiVersion")
    if version is None:
        yield "error", (("apiVersion",), f"is missing; write `apiVersion: {wanted}`")
    elif not isinstance(version, str):
        yield "error", (("apiVersion",), f"must be text such as {wanted}")
    else:
        group, _, number = version.rpartition("/")
        major = re.match(r"v(\d+)(?!\d)", number)
        if group not in groups or major is None:
            yield "error", (("apiVersion",), f"'{version[:80]}' is not a version this reads; write {wanted}")
        elif major.group(1) != "1":
            yield (
                "error",
                (
                    ("apiVersion",),
                    f"major version v{major.group(1)} is not known, only v1; is there a newer flowctl?",
                ),
            )
        elif number != "v1":
            yield "warning", (("apiVersion",), f"minor version {number} is not known; read as v1")
    if kind != data.get("kind"):
        if data.get("kind") is None:
            yield "error", (("kind",), f"is missing; write `kind: {kind}`")
        else:
            yield "error", (("kind",), f"must be '{kind}', not '{str(data['kind'])[:80]}'")


def version_rule(version: object, path: Path) -> Iterator[RuleProblem]:
    """A version that is no semantic version: a warning."""
    text = version if isinstance(version, str) else getattr(version, "text", None)
    if text and not SEMVER.fullmatch(text):
        yield "warning", (path, f"'{text[:80]}' is not a semantic version; write one such as 1.2.3")


def component_rules(data: dict[str, Any]) -> Iterator[RuleProblem]:
    """component.yaml beyond its fields."""
    yield from version_rule(_mapping(data.get("metadata")).get("version"), ("metadata", "version"))
    spec = _mapping(data.get("spec"))
    if isinstance(data.get("spec"), dict) and spec.get("type") is None:
        yield "warning", (("spec", "type"), "is missing; say source, processor or sink")
    languages = spec.get("languages")
    names = (
        [item.get("name") if isinstance(item, dict) else item for item in languages]
        if isinstance(languages, list)
        else []
    )
    for index, name in enumerate(names):
        if name is not None and name in names[:index]:
            yield "error", (("spec", "languages", index), f"the language '{name}' is given twice")


def bundle_rules(data: dict[str, Any]) -> Iterator[RuleProblem]:
    """bundle.yaml beyond its fields: names are unique and known, paths stay inside."""
    yield from version_rule(_mapping(data.get("metadata")).get("version"), ("metadata", "version"))
    spec = _mapping(data.get("spec"))
    components = [item if isinstance(item, dict) else {} for item in _list(spec.get("components"))]
    names = [str(item["name"]) for item in components if item.get("name") is not None]
    counts = Counter(names)
    seen: set[str] = set()
    for index, item in enumerate(components):
        here: Path = ("spec", "components", index)
        name = str(item.get("name"))
        if counts[name] > 1 and name in seen:
            yield "error", ((*here, "name"), f"the name '{name}' is given twice")
        seen.add(name)
        yield from version_rule(item.get("version"), (*here, "version"))
        path = item.get("path")
        if isinstance(path, str) and (path.startswith("/") or "\\" in path or ".." in PurePosixPath(path).parts):
            yield "error", ((*here, "path"), f"'{path[:80]}' leads outside the bundle's folder")
    if not names:
        return
    for path, name in _bundle_references(spec):
        if name not in counts:
            better = suggestion(name, names)
            rest = f"; did you mean '{better}'?" if better else ""
            yield "error", (path, f"'{name[:80]}' is not a component of this bundle{rest}")


def _bundle_references(spec: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every place that names a component."""
    for name in _mapping(_mapping(spec.get("communication")).get("ports")):
        yield ("spec", "communication", "ports", name), name
    for name in _mapping(spec.get("resources")):
        yield ("spec", "resources", name), name
    for index, name in enumerate(_list(_mapping(spec.get("build")).get("order"))):
        yield ("spec", "build", "order", index), str(name)
    for index, component in enumerate(_list(spec.get("components"))):
        for place, name in enumerate(_list(_mapping(component).get("depends_on"))):
            yield ("spec", "components", index, "depends_on", place), str(name)
    for index, template in enumerate(_list(spec.get("templates"))):
        for step, item in enumerate(_list(_mapping(template).get("components"))):
            for name in _mapping(item):
                yield ("spec", "templates", index, "components", step, name), name


def pipeline_rules(data: dict[str, Any]) -> Iterator[RuleProblem]:
    """pipeline.yaml beyond its fields: what runs, who feeds whom, unique ids, no loops."""
    spec = _mapping(data.get("spec"))
    if not isinstance(data.get("spec"), dict):
        return
    entries = list(_pipeline_entries(spec))
    if not entries:
        yield "error", (("spec",), "has no components; add sources, processors and sinks")
    ids = [item.get("id") for _, _, item in entries]
    for index, (stage, here, item) in enumerate(entries):
        if isinstance(item.get("id"), str) and item["id"] in ids[:index]:
            yield "error", ((*here, "id"), f"the id '{item['id'][:80]}' is given twice")
        yield from _what_runs(stage, here, item)
        yield from _wiring(stage, here, item, entries)
        if item.get("health_check") is not None and item.get("health_port") is None:
            yield "error", ((*here, "health_check"), "needs a health_port")
    yield from _loops(entries)


PipelineEntry = tuple[str, Path, dict[str, Any]]


def _pipeline_entries(spec: dict[str, Any]) -> Iterator[PipelineEntry]:
    for stage in ("sources", "processors", "sinks", "pipelines"):
        for index, item in enumerate(_list(spec.get(stage))):
            if isinstance(item, dict):
                yield stage, ("spec", stage, index), item


def _what_runs(stage: str, here: Path, item: dict[str, Any]) -> Iterator[RuleProblem]:
    ways = [way for way in _WAYS if item.get(way) not in (None, "", [])]
    if stage == "pipelines" and item.get("type") == "pipeline":
        ways = [way for way in ways if way != "type"]  # there, `type: pipeline` is a label
    if not ways:
        yield "error", (here, "nothing says what runs; give one of image, command, type and path")
    elif len(ways) > 1:
        yield "error", ((*here, ways[1]), f"{' and '.join(ways)} are given together; keep exactly one")
    reference = item.get("type")
    if ways == ["type"] and isinstance(reference, str) and not _REFERENCE.fullmatch(reference):
        yield (
            "error",
            ((*here, "type"), f"'{reference[:80]}' is not a reference; write [namespace/]name@version"),
        )


def _wiring(stage: str, here: Path, item: dict[str, Any], entries: list[PipelineEntry]) -> Iterator[RuleProblem]:
    stages = {str(entry.get("id")): place for place, _, entry in entries}
    inputs = item.get("inputs")
    if stage == "sources" and inputs:
        yield "error", ((*here, "inputs"), "a source has no inputs")
        return
    if stage in ("processors", "sinks") and not inputs:
        yield (
            "error",
            (
                (*here, "inputs"),
                f"is {'missing' if inputs is None else 'empty'}; say what feeds this {stage[:-1]}",
            ),
        )
    for field in ("inputs", "depends_on"):
        for index, name in enumerate(_list(item.get(field))):
            path: Path = (*here, field, index)
            if str(name) not in stages:
                better = suggestion(str(name), stages)
                rest = f"; did you mean '{better}'?" if better else ""
                yield "error", (path, f"there is no component '{str(name)[:80]}'{rest}")
            elif field == "inputs" and stages[str(name)] == "sinks":
                yield "error", (path, f"'{name}' is a sink and gives no events")


def _loops(entries: list[PipelineEntry]) -> Iterator[RuleProblem]:
    """Components that feed themselves, by taking away those whose inputs are all settled."""
    needs = {str(item.get("id")): {str(name) for name in _list(item.get("inputs"))} for _, _, item in entries}
    waiting = {name: wanted & needs.keys() for name, wanted in needs.items()}
    while ready := [name for name, wanted in waiting.items() if not wanted & waiting.keys()]:
        for name in ready:
            del waiting[name]
    # What is left is in a loop or behind one; only those that reach themselves are named.
    for _, here, item in entries:
        name = str(item.get("id"))
        if name in waiting and _reaches(name, waiting):
            yield (
                "error",
                (
                    (*here, "inputs"),
                    f"'{name}' takes its own events, through {', '.join(sorted(waiting[name]))}",
                ),
            )


def _reaches(start: str, edges: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name == start:
            return True
        if name not in seen:
            seen.add(name)
            todo += edges.get(name, ())
    return False


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
