"""Folders of bundles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundle_project import write_tree


@pytest.fixture
def tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Path]:
    """Makes a folder from a dict of files; a dict in it is a folder."""
    return lambda files: write_tree(tmp_path_factory.mktemp("bundle"), files)
