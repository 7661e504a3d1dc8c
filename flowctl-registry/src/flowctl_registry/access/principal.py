"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Action = Literal["read", "publish", "yank", "manage", "admin"]
"""`read` what is there, `publish` versions, `yank` them, `manage` a namespace (members, publishers, its tokens),
`admin` the registry (create namespaces, quotas, audit log)."""


@dataclass(frozen=True)
class Principal:
    """A caller. Without a token it is nobody, who may read what is public."""

    user: str | None = None
    """None: anonymous."""
    token_id: str | None = None
    actions: frozenset[Action] = field(default_factory=frozenset)
    """What the token is for; the user's role may allow less."""
    namespace: str | None = None
    """The only one that the token is for; None: all of the user's."""
    component: str | None = None
    """The only component that the token is for."""

    @property
    def shown(self) -> str:
        """For logs and as publisher."""
        return self.user or "anonymous"
