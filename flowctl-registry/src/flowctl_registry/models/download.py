"""What to download of a version."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

PLATFORM_PATTERN = r"^[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?$"


class DownloadQuery(BaseModel):
    """Names exactly one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Literal["binary", "library", "image", "sbom", "scan", "provenance", "signature", "metadata"] = "binary"
    """Kind of file. `image` is the manifest of the container image: of `platform`, or the index of all."""
    platform: Annotated[str, StringConstraints(pattern=PLATFORM_PATTERN, max_length=64)] | None = None
    """`os/arch[/variant]`; needed where there are files for several."""
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@+=~,-]+$", max_length=256)] | None = None
    """Name of the file, where several are of that kind."""
