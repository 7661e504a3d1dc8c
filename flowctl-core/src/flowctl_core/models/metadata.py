"""metadata.json: what today's runtime reads of a component."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from flowctl_core.models.document import Document, Port, Text, Texts


class MetadataConfigField(Document):
    """One configuration key."""

    type: Text | None = Field(None, description="Type of the value.")
    description: Text | None = Field(None, description="What it does.")
    default: JsonValue = Field(None, description="Value when nothing is set.")
    env: Text | None = Field(None, description="Environment variable that carries it.")
    required: bool | None = Field(None, description="true: must be set.")
    enum: tuple[JsonValue, ...] = Field((), description="The allowed values.")


class MetadataSpec(Document):
    """metadata.json: name, type, events and configuration of a component."""

    name: Text = Field(description="Name.", min_length=1)
    version: Text | None = Field(None, description="Version.")
    type: Literal["source", "processor", "sink", "consumer"] | None = Field(None, description="Place in a pipeline.")
    description: Text | None = Field(None, description="What it does, in a line.")
    produces: Texts = Field((), description="Event types it gives.")
    consumes: Texts = Field((), description="Event types it takes.")
    input_types: Texts = Field((), description="Event types it takes, in the other spelling.")
    output_types: Texts = Field((), description="Event types it gives, in the other spelling.")
    env_mapping: dict[str, Text] = Field({}, description="Configuration key to environment variable.")
    config_schema: dict[str, MetadataConfigField] = Field({}, description="Configuration keys.")
    port: Port | None = Field(None, description="Port it listens on.")
    health_port: Port | None = Field(None, description="Port of the health endpoints.")

    @property
    def inputs(self) -> tuple[str, ...] | None:
        """Event types it takes, in either spelling; None when neither is there."""
        return self._either("consumes", "input_types")

    @property
    def outputs(self) -> tuple[str, ...] | None:
        """Event types it gives, in either spelling; None when neither is there."""
        return self._either("produces", "output_types")

    def _either(self, *fields: str) -> tuple[str, ...] | None:
        found = [getattr(self, field) for field in fields if field in self.model_fields_set]
        return tuple(dict.fromkeys(name for names in found for name in names)) if found else None
