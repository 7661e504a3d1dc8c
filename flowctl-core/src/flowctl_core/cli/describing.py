"""Writes and checks component.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.cli.console import emit, say
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.errors import SpecError, UsageError
from flowctl_core.job import Engine, Job, Options
from flowctl_core.models import Artifact
from flowctl_core.steps import COMPONENT_FILE
from flowctl_core.workflow import run_plan

if TYPE_CHECKING:
    from flowctl_core.models import MetadataSpec
    from flowctl_core.specfile.finding import Finding

KINDS = ("source", "processor", "sink")


def init_component(
    engine: Engine, options: Options, root: Path, *, name: str | None, kind: str | None, force: bool
) -> None:
    """Write a component.yaml for what was detected; never over an existing one unless forced."""
    from flowctl_core.cli.documents import InitDocument
    from flowctl_core.specfile.scaffold import component_yaml
    from flowctl_core.store.files import atomic_write

    file = root / COMPONENT_FILE
    if kind is not None and kind not in KINDS:
        raise UsageError(f"'{kind}' is not a type of component", hint=f"Choose one of {', '.join(KINDS)}.")
    if file.exists() and not force:
        raise UsageError(f"{file} exists already", hint="`flowctl component validate` checks it; --force replaces it.")
    job = Job(root, engine, replace(options, ignore_spec=True))
    plan = run_plan(job)
    entry = plan.entry_points[0].path if plan.entry_points and plan.entry_points[0].path not in (".", "") else None
    known = _metadata(root)
    name = name or (known.name if known is not None else plan.component)
    kind = kind or (known.type if known is not None and known.type else "processor")
    text = component_yaml(
        name=name,
        version=(known.version if known is not None else None) or "0.1.0",
        type=kind,
        language=plan.language,
        main=entry,
        platforms=tuple(engine.config.build.remote.platforms),
        description=(known.description if known is not None else None) or f"What {name} does, in one sentence",
        input_event_types=(known.inputs if known is not None else None) or (),
        output_event_types=(known.outputs if known is not None else None) or (),
        config=_declared_config(known),
        namespace=GLOBAL.namespace,
    )
    atomic_write(file, text.encode())
    document = InitDocument(path=str(file), component=name, type=kind, language=plan.language)
    if emit(document.model_dump(mode="json")):
        return
    say(f"wrote {file.name}: {plan.language} {kind} {name}")
    say("next: fill in the event types and config, then `flowctl component validate`")


def _metadata(root: Path) -> MetadataSpec | None:
    """metadata.json beside the source, which already says much of what component.yaml will say."""
    from flowctl_core.specfile.load import load_metadata

    file = root / "metadata.json"
    return load_metadata(file).spec if file.is_file() else None


def _declared_config(known: MetadataSpec | None) -> dict[str, dict[str, object]]:
    declared: dict[str, dict[str, object]] = {}
    for key, field in (known.config_schema if known is not None else {}).items():
        given = {"default": field.default, "description": field.description}
        declared[key] = {"type": field.type or "string", **{k: v for k, v in given.items() if v is not None}}
    return declared


def validate_component(root: Path, artifacts: tuple[Artifact, ...] = ()) -> list[Finding]:
    """Findings on component.yaml and metadata.json of a folder; SpecError when there is no component.yaml."""
    from flowctl_core.specfile.load import load_component
    from flowctl_core.specfile.validate import validate_component as validate

    file = root / COMPONENT_FILE
    if not file.exists():
        raise SpecError(f"{root} has no {COMPONENT_FILE}", hint="`flowctl component init` writes one.")
    return validate(root, load_component(file), artifacts=artifacts)
