"""A published bundle: its members, each one version with its digests (`metadata/members.json` of a bundle's release).

A bundle's release is two files: `metadata/bundle.yaml`, as it was written, and this one. Both are subjects of what the
registry signs, and stand in the signed index under their names.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowctl_core.models.base import Frozen

BUNDLE_PATH = "metadata/bundle.yaml"
MEMBERS_PATH = "metadata/members.json"
MOST_MEMBERS = 1000
"""Of a bundle at most."""
_NAME = r"^[a-z0-9][a-z0-9._-]*$"
_VERSION = r"^[0-9A-Za-z][0-9A-Za-z.+-]*$"


class PinnedMember(Frozen):
    """A version of a component, and what it consists of."""

    namespace: str = Field(pattern=_NAME, max_length=128)
    """Where it is published."""
    name: str = Field(pattern=_NAME, max_length=128)
    """Its name there, and in bundle.yaml."""
    version: str = Field(pattern=_VERSION, max_length=128)
    """Without a leading v."""
    digests: dict[str, str] = Field(min_length=1)
    """Exactly what the signed index has of this version: name of a subject to `sha256:<hex>`."""

    @property
    def component(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


class BundleSet(Frozen):
    """`metadata/members.json`: what a version of a bundle is made of, for ever."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    namespace: str = Field(pattern=_NAME, max_length=128)
    """Where the bundle is published."""
    name: str = Field(pattern=_NAME, max_length=128)
    """Its name there."""
    version: str = Field(pattern=_VERSION, max_length=128)
    """Without a leading v."""
    members: tuple[PinnedMember, ...] = Field(min_length=1, max_length=MOST_MEMBERS)
    """In the order of bundle.yaml."""

    def text(self) -> bytes:
        """The file: the same set is the same bytes."""
        ordered = [each.model_copy(update={"digests": dict(sorted(each.digests.items()))}) for each in self.members]
        return self.model_copy(update={"members": tuple(ordered)}).model_dump_json(indent=2).encode() + b"\n"
