"""Asks for a key's passphrase, where there is somebody to ask."""

from __future__ import annotations

import getpass
import os
import sys

from flowctl_core.errors import UsageError

VARIABLE = "FLOWCTL_KEY_PASSPHRASE"


def new_passphrase(wanted: bool) -> bytes | None:
    """For a key that is made now; None without one. Raises UsageError where nobody can be asked."""
    if not wanted:
        return None
    if (given := os.environ.get(VARIABLE)) is not None:
        if not given:
            raise UsageError(f"{VARIABLE} is empty", hint="--no-passphrase makes a key without one.")
        return given.encode()
    if not sys.stdin.isatty():
        raise UsageError(
            "a passphrase is needed, and there is no terminal to ask at",
            hint=f"Set {VARIABLE}, or --no-passphrase.",
        )
    first = getpass.getpass("Passphrase of the new key: ")
    if not first:
        raise UsageError("the passphrase is empty", hint="--no-passphrase makes a key without one.")
    if getpass.getpass("Again: ") != first:
        raise UsageError("the two are not the same")
    return first.encode()


def offer_passphrase() -> None:
    """Ask for the passphrase of a key that signs now, unless it is given already; the signer reads the variable."""
    if VARIABLE not in os.environ and sys.stdin.isatty():
        os.environ[VARIABLE] = getpass.getpass("Passphrase (or PIN) of the key: ")
