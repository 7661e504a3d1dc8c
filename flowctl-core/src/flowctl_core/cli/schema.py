"""`flowctl schema`: JSON Schema for editors."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from flowctl_core.cli.console import emit
from flowctl_core.cli.streams import write
from flowctl_core.cli.summary import json_text


class SchemaKind(enum.StrEnum):
    """The files that have a schema."""

    component = "component"
    bundle = "bundle"
    pipeline = "pipeline"
    config = "config"
    policy = "policy"


def schema(kind: Annotated[SchemaKind, typer.Argument(help="Which file.")]) -> None:
    """Print the JSON Schema (2020-12) of component.yaml, bundle.yaml, pipeline.yaml, the configuration or a policy."""
    from flowctl_core.specfile.schema import json_schema

    document = json_schema(kind.value)
    if not emit(document):  # JSON is the form that editors read, so it is the one without -o too
        write(json_text(document))
