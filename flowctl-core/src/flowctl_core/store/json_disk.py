"""How the index keeps names and values: JSON only. Imported on the cache's first use: diskcache is slow."""

from __future__ import annotations

from typing import Any

import diskcache
from diskcache.core import MODE_PICKLE, UNKNOWN

from flowctl_core.store.cache_index import DamagedIndexError


class PlainJSONDisk(diskcache.Disk):  # type: ignore[misc]
    """Names are text, values JSON text; whatever else is found in the database is damage."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """Names are stored as they are."""
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        """Refuse pickled names."""
        if not raw or not isinstance(key, str):
            raise DamagedIndexError("a name in the index is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> Any:
        """Values are stored as JSON text."""
        import json

        return super().store(json.dumps(value, separators=(",", ":")), read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Refuse pickled values."""
        import json

        if mode == MODE_PICKLE:
            raise DamagedIndexError("a value in the index is not JSON")
        try:
            return json.loads(super().fetch(mode, filename, value, read))
        except (ValueError, TypeError) as error:
            raise DamagedIndexError("a value in the index is not JSON") from error
