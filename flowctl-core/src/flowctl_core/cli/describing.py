"""Writes and checks component.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.cli.console import say
from flowctl_core.errors import SpecError, UsageError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import Artifact
from flowctl_core.workflow import COMPONENT_FILE, run_plan

if TYPE_CHECKING:
    from flowctl_core.specfile.finding import Finding

KINDS = ("source", "processor", "sink")


def init_component(engine: Engine, options: Options, root: Path, *, name: str | None, kind: str, force: bool) -> None:
    """Write a component.yaml for what was detected; never over an existing one unless forced."""
    from flowctl_core.specfile.scaffold import component_yaml
    from flowctl_core.store.files import atomic_write

    file = root / COMPONENT_FILE
    if kind not in KINDS:
        raise UsageError(f"'{kind}' is not a type of component", hint=f"Choose one of {', '.join(KINDS)}.")
    if file.exists() and not force:
        raise UsageError(f"{file} exists already", hint="`flowctl component validate` checks it; --force replaces it.")
    job = Job(root, engine, replace(options, ignore_spec=True))
    plan = run_plan(job)
    entry = plan.entry_points[0].path if plan.entry_points and plan.entry_points[0].path not in (".", "") else None
    text = component_yaml(
        name=name or plan.component,
        version=plan.version if plan.version != "0.0.0" else "0.1.0",
        type=kind,
        language=plan.language,
        main=entry,
        platforms=tuple(engine.config.build.remote.platforms),
        description=f"What {name or plan.component} does, in one sentence",
    )
    atomic_write(file, text.encode())
    say(f"wrote {file.name}: {plan.language} {kind} {name or plan.component}")
    say("next: fill in the event types and config, then `flowctl component validate`")


def validate_component(root: Path, artifacts: tuple[Artifact, ...] = ()) -> list[Finding]:
    """Findings on component.yaml and metadata.json of a folder; SpecError when there is no component.yaml."""
    from flowctl_core.specfile.load import load_component
    from flowctl_core.specfile.validate import validate_component as validate

    file = root / COMPONENT_FILE
    if not file.exists():
        raise SpecError(f"{root} has no {COMPONENT_FILE}", hint="`flowctl component init` writes one.")
    return validate(root, load_component(file), artifacts=artifacts)


def interface_findings(job: Job) -> list[str]:
    """Errors of the interface of what was just built; nothing to check without a component.yaml."""
    if job.spec is None:
        return []
    findings = validate_component(job.root, job.artifacts)
    return [str(finding) for finding in findings if finding.severity == "error"]
