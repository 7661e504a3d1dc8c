"""Spec files to models, with every problem named by file, line and field.

`load_*` raise one SpecError that lists all problems; `read_*` return findings instead, for those who show
them otherwise; `parse_component` takes text from elsewhere (an upload, a git object).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from flowctl_core.errors import SpecError
from flowctl_core.models.component import ComponentSpec
from flowctl_core.specfile import rules
from flowctl_core.specfile.content import decode, display, read_bytes
from flowctl_core.specfile.finding import Finding, Severity, raise_errors
from flowctl_core.specfile.json_text import parse_json
from flowctl_core.specfile.node import Node, SourceFloat, SourceInt, spell
from flowctl_core.specfile.problems import Problem, model_problems, unknown_fields
from flowctl_core.specfile.yaml_text import TextProblem, parse_yaml

if TYPE_CHECKING:
    # Each format's shapes are imported by those who read that format: a build reads component.yaml only.
    from flowctl_core.models.bundle import BundleSpec
    from flowctl_core.models.metadata import MetadataSpec
    from flowctl_core.models.pipeline import PipelineSpec

Kind = Literal["component", "bundle", "pipeline", "metadata"]
S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class LoadedSpec(Generic[S]):
    """A spec, the file it came from, and what is odd about it."""

    spec: S
    path: Path
    text: str = field(repr=False)
    """The file as it was, for `dump`."""
    data: dict[str, Any] = field(repr=False)
    """The document as plain JSON values; text fields are text."""
    warnings: tuple[Finding, ...] = ()
    file: str = ""
    """The path as findings show it."""
    document: BaseModel | None = field(default=None, repr=False)
    """Typed view of every field; for a component the ComponentDocument, else the spec itself."""
    node: Node | None = field(default=None, repr=False)
    """The parsed text with positions."""

    def line_of(self, *path: str | int) -> int | None:
        """Line of a field, or of its nearest parent that is written in the file."""
        return None if self.node is None else self.node.line_of(path)

    def finding(self, severity: Severity, path: tuple[str | int, ...], message: str) -> Finding:
        """A Finding at a field of this file."""
        line = self.line_of(*path)
        return Finding(severity=severity, file=self.file, line=line, field=spell(path), message=message)


@dataclass(frozen=True)
class Reading(Generic[S]):
    """The result of reading without raising: a spec unless a finding is an error."""

    loaded: LoadedSpec[S] | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Format(Generic[S]):
    """What is particular about one kind of file."""

    document: type[BaseModel]
    build: Callable[[BaseModel, dict[str, Any]], S]
    groups: tuple[str, ...] = ()
    kind: str = ""
    rules: Callable[[dict[str, Any]], Iterator[rules.RuleProblem]] = rules.no_rules


def _component_format() -> _Format[ComponentSpec]:
    from flowctl_core.models.component_document import ComponentDocument

    return _Format[ComponentSpec](
        ComponentDocument,
        lambda document, data: ComponentSpec.from_data(data),
        ("component.flowctl.io",),
        "ComponentSpec",
        rules.component_rules,
    )


def _bundle_format() -> _Format[BundleSpec]:
    from flowctl_core.models.bundle import BundleSpec

    return _Format[BundleSpec](
        BundleSpec,
        lambda document, data: _same(document, BundleSpec),
        ("component.flowctl.io",),
        "ComponentBundle",
        rules.bundle_rules,
    )


def _pipeline_format() -> _Format[PipelineSpec]:
    from flowctl_core.models.pipeline import PipelineSpec

    return _Format[PipelineSpec](
        PipelineSpec,
        lambda document, data: _same(document, PipelineSpec),
        ("flowctl", "flowctl.io"),
        "Pipeline",
        rules.pipeline_rules,
    )


def _metadata_format() -> _Format[MetadataSpec]:
    from flowctl_core.models.metadata import MetadataSpec

    return _Format[MetadataSpec](MetadataSpec, lambda document, data: _same(document, MetadataSpec))


def _same(document: BaseModel, wanted: type[S]) -> S:
    if not isinstance(document, wanted):  # a mistake in the tables above, not in the file
        raise TypeError(f"{type(document).__name__} where {wanted.__name__} was expected")
    return document


_COMPONENT_HINT = (
    "Mend it (`flowctl schema component` prints what it may hold), or let `flowctl component init --force` write a new "
    "one from what is detected."
)


def load_component(path: Path, *, copy_of: Path | None = None) -> LoadedSpec[ComponentSpec]:
    """component.yaml. Raises SpecError naming file, line and field of every problem.

    `copy_of` is the file that people know, where a copy of it is read: problems are told of that one.
    """
    return _load(path, _component_format(), _COMPONENT_HINT, copy_of)


def load_bundle(path: Path) -> LoadedSpec[BundleSpec]:
    """bundle.yaml. Raises SpecError naming file, line and field of every problem."""
    return _load(path, _bundle_format())


def load_pipeline(path: Path) -> LoadedSpec[PipelineSpec]:
    """pipeline.yaml. Raises SpecError naming file, line and field of every problem."""
    return _load(path, _pipeline_format())


def load_metadata(path: Path) -> LoadedSpec[MetadataSpec]:
    """metadata.json. Raises SpecError naming file, line and field of every problem."""
    return _load(path, _metadata_format())


def read_component(path: Path) -> Reading[ComponentSpec]:
    """component.yaml with its problems as findings. Raises SpecError only when the file cannot be read."""
    return _read(path, _component_format())


def read_bundle(path: Path) -> Reading[BundleSpec]:
    """bundle.yaml with its problems as findings. Raises SpecError only when the file cannot be read."""
    return _read(path, _bundle_format())


def read_pipeline(path: Path) -> Reading[PipelineSpec]:
    """pipeline.yaml with its problems as findings. Raises SpecError only when the file cannot be read."""
    return _read(path, _pipeline_format())


def read_metadata(path: Path) -> Reading[MetadataSpec]:
    """metadata.json with its problems as findings. Raises SpecError only when the file cannot be read."""
    return _read(path, _metadata_format())


def parse_component(content: bytes, name: str = "component.yaml") -> LoadedSpec[ComponentSpec]:
    """A component.yaml that is not a file here. Raises SpecError like load_component."""
    reading = _parse(content, Path(name), name, _component_format())
    raise_errors(reading.findings)
    return _present(reading)


def parse_bundle(content: bytes, name: str = "bundle.yaml") -> LoadedSpec[BundleSpec]:
    """A bundle.yaml that is not a file here. Raises SpecError like load_bundle."""
    reading = _parse(content, Path(name), name, _bundle_format())
    raise_errors(reading.findings)
    return _present(reading)


def _load(path: Path, form: _Format[S], hint: str | None = None, copy_of: Path | None = None) -> LoadedSpec[S]:
    try:
        reading = _parse(read_bytes(path), path, display(copy_of or path), form)
        raise_errors(reading.findings)
    except SpecError as error:
        error.hint = error.hint or hint
        raise
    return _present(reading)


def _present(reading: Reading[S]) -> LoadedSpec[S]:
    if reading.loaded is None:  # every way to None reports an error
        raise SpecError("the spec could not be read")
    return reading.loaded


def _read(path: Path, form: _Format[S]) -> Reading[S]:
    return _parse(read_bytes(path), path, display(path), form)


def _parse(content: bytes, path: Path, shown: str, form: _Format[S]) -> Reading[S]:
    at = partial(Finding, file=shown)
    try:
        text = decode(content)
        root, early = (parse_json if path.suffix == ".json" else parse_yaml)(text)
    except TextProblem as stop:
        return Reading(None, (at(severity="error", line=stop.line, message=stop.message),))
    findings = [at(severity="error", line=each.line, message=each.message) for each in early]

    def add(severity: Severity, problem: Problem) -> None:
        found, message = problem
        findings.append(at(severity=severity, line=root.line_of(found), field=spell(found), message=message))

    raw = root.data()
    if not isinstance(raw, dict):
        what = "the file is empty" if raw is None else f"must be a mapping at the top, not {_kind(root)}"
        line = None if raw is None else root.line
        return Reading(None, (*findings, at(severity="error", line=line, message=what)))
    for severity, problem in rules.envelope(raw, form.groups, form.kind):
        add(severity, problem)
        if severity == "error" and problem[0] and problem[0][0] in ("apiVersion", "kind") and problem[0][0] in raw:
            return Reading(None, tuple(findings))  # another format: what follows would only be noise
    document: BaseModel | None = None
    try:
        document = form.document.model_validate(raw)
    except ValidationError as error:
        told = {finding.field for finding in findings}
        for problem in model_problems(error, root):
            if spell(problem[0]) not in told:
                add("error", problem)
    for severity, problem in form.rules(raw):
        add(severity, problem)
    if document is not None:
        for problem in unknown_fields(document):
            add("warning", problem)
    findings.sort(key=lambda finding: finding.line or 0)
    if document is None or any(finding.severity == "error" for finding in findings):
        return Reading(None, tuple(findings))
    data = _settle(raw, document.model_dump(mode="json", by_alias=True))
    warnings = tuple(finding for finding in findings if finding.severity == "warning")
    loaded = LoadedSpec(form.build(document, data), path, text, data, warnings, shown, document, root)
    return Reading(loaded, warnings)


def _kind(root: Node) -> str:
    return "a list" if root.sequence is not None else "a single value"


def _settle(raw: Any, dumped: Any) -> Any:
    """The raw data in the order of the file, numbers spelled out where the model wants text."""
    if isinstance(raw, dict):
        checked = dumped if isinstance(dumped, dict) else {}
        return {key: _settle(value, checked.get(key)) for key, value in raw.items()}
    if isinstance(raw, list):
        items = dumped if isinstance(dumped, list) and len(dumped) == len(raw) else [None] * len(raw)
        return [_settle(value, item) for value, item in zip(raw, items, strict=True)]
    if isinstance(raw, bool):
        return dumped if isinstance(dumped, str) else raw
    if isinstance(raw, SourceInt | SourceFloat):
        return dumped if isinstance(dumped, str) else int(raw) if isinstance(raw, SourceInt) else float(raw)
    return raw
