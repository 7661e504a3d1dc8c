"""`flowctl dev`: a pipeline on this machine that reloads what changed."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.console import counted, emit, say, say_aside
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.options import Output

if TYPE_CHECKING:
    from flowctl_core.dev.pipeline import DevPipeline
    from flowctl_core.specfile.finding import Finding


class Mode(enum.StrEnum):
    """What components run as."""

    native = "native"
    container = "container"
    hybrid = "hybrid"


def dev(
    pipeline: Annotated[Path, typer.Argument(help="pipeline.yaml, or its folder.", show_default=False)] = Path(
        "pipeline.yaml"
    ),
    check: Annotated[bool, typer.Option("--check", help="Check the wiring and end; nothing is started.")] = False,
    output: Output = None,
) -> None:
    """Run a pipeline from locally built components, and reload what changed."""
    from flowctl_core.cli.session import absolute

    file = absolute(pipeline)
    file = file / "pipeline.yaml" if file.is_dir() else file
    if check:
        read, findings = _read(file)
        _show_check(read, findings)
        return


def _read(file: Path) -> tuple[DevPipeline | None, list[Finding]]:
    import os

    from flowctl_core.dev.check import check_wiring
    from flowctl_core.dev.pipeline import read_dev_pipeline

    reading = read_dev_pipeline(file, namespace=GLOBAL.namespace)
    findings = list(reading.findings)
    if reading.pipeline is not None:
        findings += check_wiring(reading.pipeline, os.environ)
    return reading.pipeline, findings


def _show_check(pipeline: DevPipeline | None, findings: list[Finding]) -> None:
    from flowctl_core.cli.documents import ValidateDocument
    from flowctl_core.errors import SpecError

    errors = [finding for finding in findings if finding.severity == "error"]
    document = ValidateDocument(valid=not errors, findings=tuple(findings))
    if not emit(document.model_dump(mode="json")):
        for finding in findings:
            say_aside(f"{finding.severity}: {finding}")
        if errors or pipeline is None:
            say(counted(len(errors), "error"))
        else:
            edges = sum(len(component.entry.inputs) for component in pipeline.components)
            parts = f"{counted(len(pipeline.components), 'component')}, {counted(edges, 'edge')}"
            say(f"the pipeline {pipeline.name} is valid: {parts}")
    if errors:
        raise typer.Exit(SpecError.exit_code)
