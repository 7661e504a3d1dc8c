"""Command line of the registry."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `flowctl-registry` command."""
    from flowctl_core.cli.failure import exit_code
    from flowctl_registry.cli.app import run

    sys.exit(exit_code(run))
