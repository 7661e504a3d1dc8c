"""Who asks, and what the token is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Action = Literal["read", "publish", "yank", "manage", "admin"]
"""`read` what is there, `publish` versions, `yank` them, `manage` a namespace (members, publishers, its tokens),
`admin` the registry (create namespaces, quotas, audit log)."""
ACTIONS: tuple[Action, ...] = get_args(Action)
Role = Literal["owner", "member"]
"""Of a user in a namespace."""
ROLE_ACTIONS: dict[Role, frozenset[Action]] = {
    "member": frozenset({"read", "publish", "yank"}),
    "owner": frozenset({"read", "publish", "yank", "manage"}),
}


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
    """The only component (or bundle) that the token is for."""
    grants: tuple[tuple[str, str | None], ...] | None = None
    """Namespace and component (None: all of it) that a trusted publisher may write; None: no such token."""

    @property
    def shown(self) -> str:
        """For logs and as publisher."""
        return self.user or "anonymous"

    @property
    def is_admin(self) -> bool:
        """Allowed everything that the token is for, in every namespace."""
        return "admin" in self.actions

    def covers(self, namespace: str, component: str | None) -> bool:
        """Is the token for this component, or for the namespace as a whole when `component` is None?"""
        if self.grants is not None:
            return any(space == namespace and only in (None, component) for space, only in self.grants)
        return self.namespace in (None, namespace) and self.component in (None, component)
