"""component.yaml (`component.flowctl.io/v1`, kind ComponentSpec)."""

from __future__ import annotations

from pydantic import JsonValue

from flowctl_core.models.base import Frozen


class NativeBuild(Frozen):
    """How to build without a container, normalised from all spellings in the wild."""

    command: tuple[str, ...] = ()
    """One argv."""
    commands: tuple[str, ...] = ()
    """Shell strings, run in order."""
    binary: str | None = None
    """Path that the command makes, relative to the component."""
    environment: dict[str, str] = {}
    dependencies: tuple[str, ...] = ()
    """System packages."""


class LanguageSpec(Frozen):
    """One entry of `spec.languages`, normalised."""

    name: str
    version: str | None = None
    main: str | None = None
    native: NativeBuild | None = None
    dockerfile: str | None = None


class ComponentSpec(Frozen):
    """A component.yaml, with accessors that hide its variants."""

    name: str
    version: str | None = None

    @property
    def languages(self) -> tuple[LanguageSpec, ...]:
        """Declared languages, the primary one first."""
        return ()

    def language(self, *names: str) -> LanguageSpec | None:
        """The entry for a language under any of its names."""
        return None

    @property
    def native_build(self) -> NativeBuild | None:
        """The component's native build command, from `spec.build` or the first language that has one."""
        return None

    def build_extra(self, key: str) -> JsonValue:
        """An unknown field of `spec.build`."""
        return None
