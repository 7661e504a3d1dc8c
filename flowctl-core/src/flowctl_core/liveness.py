"""Whether a process is there; nothing but the standard library, for every room."""

from __future__ import annotations

import os


def is_alive(process: int) -> bool:
    """False when no process of this machine has that id; in doubt it is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
