"""Is there anything for the worker inside `serve`? It costs 90 MB, so it is there only while there is.

Asked by `serve`'s own process, which stays small: of the embedded database alone, and without SQLAlchemy.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

_WORK = """
    SELECT EXISTS (SELECT 1 FROM builds WHERE state IN ('queued', 'running'))
        OR EXISTS (SELECT 1 FROM hook_messages WHERE due_at <= :now)
        OR EXISTS (SELECT 1 FROM sources WHERE active AND due_at <= :now)
"""


def is_wanted(database: Path) -> bool:
    """A build that is not over, a webhook to send, a repository to look at. Also when the database is silent."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=1)) as connection:
            (found,) = connection.execute(_WORK, {"now": int(time.time() * 1000)}).fetchone()
    except sqlite3.Error:
        return True
    return bool(found)
