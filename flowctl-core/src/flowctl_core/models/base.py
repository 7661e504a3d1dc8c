"""What all models that cross a stage or a process boundary have in common."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value that survives `model_validate_json(model_dump_json())` unchanged.

    Unknown fields are ignored so that a newer core may send a field that an older plugin does not know.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
