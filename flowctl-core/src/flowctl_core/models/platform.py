"""Platforms in the OCI spelling `os/arch[/variant]` (OCI image-spec, image index, platform object)."""

from __future__ import annotations

import platform as host_platform
import re
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_FORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


class Platform(str):
    """A platform such as `linux/amd64`; a plain string in JSON.

    Raises ValueError when the text is not of the form `os/arch[/variant]`.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Platform:
        """Check the form and keep the text as it is."""
        if not _FORM.fullmatch(text):
            raise ValueError(f"'{text}' is not a platform; write os/arch, for example linux/amd64")
        return super().__new__(cls, text)

    @property
    def os(self) -> str:
        """Operating system, as Go's GOOS names it."""
        return self.split("/")[0]

    @property
    def arch(self) -> str:
        """Architecture, as Go's GOARCH names it."""
        return self.split("/")[1]

    @property
    def variant(self) -> str | None:
        """CPU variant such as `v7`, where there is one."""
        parts = self.split("/")
        return parts[2] if len(parts) > 2 else None

    @classmethod
    def host(cls) -> Platform:
        """The platform this process runs on."""
        machine = host_platform.machine().lower()
        return cls(f"{host_platform.system().lower()}/{_MACHINES.get(machine, machine)}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate from str, dump as str."""
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.plain_serializer_function_ser_schema(str)
        )
