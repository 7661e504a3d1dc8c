"""What this component is and takes: metadata.json as one value."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

NAME = "account-activity"

CONFIG: dict[str, tuple[str, str, object]] = {
    "window": ("integer", "Ledgers in a window", 10),
    "min_transfers": ("integer", "Accounts with fewer transfers in a window are left out", 1),
    "flag_above": ("string", "Flag accounts that sent more than this in a window; 0 flags none", "0"),
    "on_invalid": ("string", "skip or fail on a line that is not a transfer", "skip"),
}
"""Key: type, description, default."""


def metadata() -> dict[str, Any]:
    """The description that `--describe-json` prints."""
    return {
        "name": NAME,
        "version": version(NAME),
        "type": "processor",
        "description": "Sums up what each account sent and received, window by window, and flags unusual ones",
        "input_types": ["stellar.token_transfer.v1"],
        "output_types": ["stellar.account_activity.v1"],
        "env_mapping": {key: key.upper() for key in CONFIG},
        "config_schema": {
            key: {"type": kind, "description": text, "default": default, "env": key.upper()}
            for key, (kind, text, default) in CONFIG.items()
        },
    }
