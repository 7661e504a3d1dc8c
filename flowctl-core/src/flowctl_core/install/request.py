"""What a user asks to install: `namespace/name`, `namespace/name@1.2.0`, `namespace/name@^1.2`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowctl_core.errors import UsageError

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_LONGEST = 100
ANY = "*"
"""The range of those who name none."""


@dataclass(frozen=True)
class Request:
    """A component and the range of versions that will do."""

    namespace: str
    name: str
    wanted: str = ANY
    """A range as npm reads it (https://github.com/npm/node-semver#ranges), or one version."""

    @property
    def component(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return self.component if self.wanted == ANY else f"{self.component}@{self.wanted}"


def parse_request(text: str, namespace: str | None = None) -> Request:
    """Read what a user wrote; `namespace` is that of names without one. Raises UsageError."""
    component, at, wanted = text.strip().partition("@")
    first, slash, second = component.partition("/")
    where, name = (first, second) if slash else (namespace or "", first)
    if not slash and not namespace:
        raise UsageError(f"{text} names no namespace", hint="Write NAMESPACE/NAME, or give the namespace with -n.")
    for part, what in ((where, "namespace"), (name, "component")):
        if not _NAME.fullmatch(part) or len(part) > _LONGEST:
            raise UsageError(
                f"'{part}' is no name of a {what}",
                hint="Write NAMESPACE/NAME[@RANGE]: acme/greeting@^1.2",
            )
    if at and not wanted.strip():
        raise UsageError(f"{text} has no range after the @", hint="Write a version or range, or leave the @ out.")
    wanted = wanted.strip()
    return Request(where, name, ANY if wanted in ("", "latest") else wanted)
