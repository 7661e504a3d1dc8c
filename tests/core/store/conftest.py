"""A place where another user may work."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowctl_core.store.files import remove_any


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user may enter and write to; pytest makes its own private again at any time."""
    folder = Path(tempfile.mkdtemp(prefix="flowctl-test-"))
    folder.chmod(0o777)
    yield folder
    remove_any(folder)
