"""Pins a registry's root and shows what it says, for clients."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from flowctl_core.cli.console import counted, emit, is_terminal, say, say_aside, table, warn
from flowctl_core.cli.global_options import GLOBAL
from flowctl_core.cli.summary import duration_text
from flowctl_core.errors import StoreError, TrustError
from flowctl_core.models.trust import TrustDocument, TrustState


def pin_root(registry: str, fingerprint: str | None, root: Path | None, *, replace: bool) -> None:
    """Pin and report. Raises TrustError."""
    from flowctl_core.trust import pinning
    from flowctl_core.trust.names import check_digest

    registry = pinning.normal(registry)
    if root is not None:
        try:
            data = root.read_bytes()
        except OSError as error:
            raise StoreError.of(error, root, "read") from error
        found = pinning.fingerprint_of(data)
        if fingerprint is not None and check_digest(fingerprint.lower()) != found:
            raise TrustError(f"{root} has the fingerprint {found}", hint="Ask the operator which one is right.")
    else:
        data = pinning.offered_root(registry, fingerprint)
        if fingerprint is None:
            confirm_root(registry, pinning.fingerprint_of(data))
    report = pinning.pin(registry, data, replace=replace)
    if emit(report.model_dump(mode="json")):
        return
    what = "pinned" if report.changed else "pinned already:"
    say(f"{what} root {report.root_version} of {report.registry}, {report.fingerprint}")


def show_trust(registry: str | None, *, offline: bool) -> None:
    """Refresh and show. Raises TrustError."""
    from flowctl_core.trust.client import TrustStore

    with TrustStore(registry or _only_one(), offline=offline) as store:
        document = store.document()
    note = freshness(document)
    if note is not None:
        warn(note)
    if emit(document.model_dump(mode="json")):
        return
    _show(document)


def freshness(state: TrustState) -> str | None:
    """How old the state is, where it is not of now."""
    if state.offline is None:
        return None
    return (
        f"{state.registry} was not asked ({state.offline}): what was verified {duration_text(state.age_s)} ago holds "
        f"until {state.expires:%Y-%m-%d %H:%M} UTC"
    )


def _show(document: TrustDocument) -> None:
    say(f"{document.registry}, pinned {document.fingerprint}")
    say()
    table(
        ("ROLE", "VERSION", "EXPIRES"),
        [(role.role, role.version, f"{role.expires:%Y-%m-%d %H:%M} UTC") for role in document.roles],
    )
    say()
    if document.keys:
        now = datetime.now(UTC)
        rows = []
        for key in document.keys:
            ended = key.valid_until is not None and key.valid_until <= now
            state = "revoked" if key.revoked else "ended" if ended else "trusted"
            begin, end = (f"{at:%Y-%m-%d}" if at is not None else "-" for at in (key.valid_from, key.valid_until))
            rows.append((key.name, state, begin, end))
        table(("KEY", "STATE", "FROM", "UNTIL"), rows)
    else:
        say("no trusted keys")
    say(f"Sigstore root: {'yes' if document.trusted_root else 'none'}")
    names = f": {', '.join(document.namespaces)}" if document.namespaces else ""
    say(f"{counted(len(document.namespaces), 'namespace')}{names}")


def _only_one() -> str:
    from flowctl_core.trust.pinning import pinned

    known = pinned()
    if len(known) == 1:
        return known[0]
    if not known:
        raise TrustError(
            "no registry's root is pinned", hint="Pin it once: `flowctl trust pin URL --fingerprint SHA256`."
        )
    raise TrustError("several registries are pinned", hint=f"Name one of {', '.join(known)}.")


def confirm_root(registry: str, fingerprint: str) -> None:
    """Ask whether a root is the right one. Raises TrustError when nobody says so."""
    if GLOBAL.yes:
        return
    question = (
        f"The root of {registry} has the fingerprint\n  {fingerprint}\nCompare it with what its operator publishes."
    )
    if not (is_terminal() and sys.stdin.isatty()):
        raise TrustError(
            f"{registry} offers the root {fingerprint}, and nobody says whether it is right",
            hint="Give --fingerprint with what its operator publishes, or believe the first answer with --yes.",
        )
    say_aside(f"{question} Believe it? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise TrustError("the root was not pinned", hint="Give --fingerprint with what the operator publishes.")
