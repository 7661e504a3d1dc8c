"""A registry that nobody can use yet says what its operator has to do; it never makes a token by itself."""

from __future__ import annotations

import logging

from sqlalchemy import select

from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import tokens
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)


def say_how_to_begin(services: Services) -> None:
    """Log the command that makes the first token, while there is none."""
    with reading(services.engine) as connection:
        found = connection.execute(select(tokens.c.id).limit(1)).first()
    if found is None:
        where = "" if services.settings.database_url is not None else f" --data {services.settings.data.absolute()}"
        _LOG.warning(
            "nobody can publish yet: make the first token with `flowctl-registry token create --user NAME --admin%s`",
            where,
        )
