"""Names near to one that a registry does not have."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal

from flowctl_core.client.session import Query, Session
from flowctl_core.errors import NotFoundError, RemoteError
from flowctl_core.models.base import Frozen

_MOST = 3


class _Item(Frozen):
    namespace: str
    name: str


class _Page(Frozen):
    items: tuple[_Item, ...] = ()


def near_names(
    session: Session, namespace: str, name: str, kind: Literal["components", "bundles"] = "components"
) -> tuple[str, ...]:
    """Up to three `ns/name` like this one, the nearest first: of the namespace, and of others by the search."""
    found: dict[str, None] = {}
    asked: tuple[tuple[str, Query], ...] = (
        (f"/v1/{kind}", {"namespace": namespace, "limit": 100}),
        (f"/v1/{kind}/search", {"q": name[:3], "limit": 50}),
        (f"/v1/{kind}/search", {"q": name, "limit": 10}),
    )
    for path, query in asked:
        try:
            page = session.document(_Page, path, what="a list of names", query=query)
        except RemoteError:
            continue  # it helps, and nothing depends on it
        found |= {f"{item.namespace}/{item.name}": None for item in page.items}
    whole = get_close_matches(f"{namespace}/{name}", found, n=_MOST, cutoff=0.7)
    same = [each for each in found if each.partition("/")[2] == name]
    return tuple(dict.fromkeys([*whole, *same]))[:_MOST]


def with_near_names(
    session: Session,
    error: NotFoundError,
    namespace: str,
    name: str,
    kind: Literal["components", "bundles"] = "components",
) -> NotFoundError:
    """The same error, with what may have been meant."""
    near = near_names(session, namespace, name, kind)
    if not near:
        return error
    return NotFoundError(error.message, hint=f"Did you mean {' or '.join(near)}?", output=error.output)
