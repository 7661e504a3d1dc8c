"""Removes containers that a flowctl which was killed has left behind: each carries the process id of its owner."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from flowctl_core.liveness import is_alive

if TYPE_CHECKING:
    from docker import APIClient


def remove_leftovers(client: APIClient, label: str) -> None:
    """Remove all containers whose label of that name is the id of a process that is gone."""
    from docker.errors import APIError

    for container in client.containers(all=True, filters={"label": label}):
        owner = container["Labels"].get(label, "")
        if owner.isdigit() and not is_alive(int(owner)):
            with suppress(APIError):
                client.remove_container(container["Id"], force=True, v=True)
