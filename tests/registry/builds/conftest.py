"""Farms: workers with small steps, on each back end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from build_farm import Farm
from registry_fixtures import BACKENDS


@pytest.fixture(params=BACKENDS)
def open_farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """`open_farm(builds__tries=2)`: a farm with settings of its own."""
    opened: list[Farm] = []
    databases: list[str] = []

    def make(**settings: Any) -> Farm:
        url = None
        if request.param == "postgres":
            url = request.getfixturevalue("postgres_server").database()
            databases.append(url)
        opened.append(Farm(tmp_path / f"farm-{len(opened)}", url, **settings))
        return opened[-1]

    yield make
    for farm in opened:
        farm.close()
    for url in databases:
        request.getfixturevalue("postgres_server").drop(url)


@pytest.fixture
def farm(open_farm: Callable[..., Farm]) -> Farm:
    return open_farm()
