"""Explains where an artifact comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from flowctl_core.cli.console import emit, say, table, warn
from flowctl_core.cli.session import absolute
from flowctl_core.cli.signing import find_release
from flowctl_core.cli.verifying import Asked, look
from flowctl_core.errors import FlowctlError, TrustError, UsageError
from flowctl_core.models.explanation import Explanation
from flowctl_core.models.verification import VerificationReport
from flowctl_core.sign.unsigned import ATTESTATION_FOLDER, SUFFIX
from flowctl_core.verify.policy import told
from flowctl_core.verify.provenance_reading import builder_id, claimed_provenance, ingredients, is_dirty, parameters


def explain(asked: Asked) -> None:
    """Explain and show. What cannot be proved is shown as what the artifact says of itself; exit code 60 when a check
    failed, 0 when there was nothing to check against."""
    report: VerificationReport | None = None
    proved: dict[str, Any] | None = None
    failure: FlowctlError | None = None
    try:
        report, outcome = look(asked)
        proved, failure = outcome.provenance if outcome.failure is None else None, outcome.failure
    except TrustError as error:
        if asked.policy is not None or asked.key is not None:
            raise
        failure = error
    explanation = _explanation(asked, report, proved, failure)
    if not emit(explanation.model_dump(mode="json")):
        _show(explanation)
    if report is not None and failure is not None:
        raise typer.Exit(failure.exit_code)


def _explanation(
    asked: Asked, report: VerificationReport | None, proved: dict[str, Any] | None, failure: FlowctlError | None
) -> Explanation:
    provenance = proved if proved is not None else _claimed(asked)
    why_not = failure.message if failure else None if proved is not None else "there is no provenance"
    said = parameters(provenance) if provenance is not None else {}
    return Explanation(
        target=asked.target,
        proved=proved is not None,
        why_not=why_not,
        component=_text(said.get("component")) or (report.component if report else None),
        version=_text(said.get("version")),
        built_by=builder_id(provenance) if provenance is not None else None,
        signed_by=tuple(told(each) for each in report.signers) if report else (),
        repository=_text(said.get("repository")),
        commit=_text(said.get("commit")),
        dirty=is_dirty(provenance) if provenance is not None else False,
        ingredients=ingredients(provenance) if provenance is not None else (),
        verification=report,
    )


def _claimed(asked: Asked) -> dict[str, Any] | None:
    """What lies beside a file or in a release, unverified; of an image nothing is shown that is not proved."""
    path = absolute(Path(asked.target))
    try:
        root = find_release(path) if path.is_dir() else path.parent.parent
    except UsageError:
        return None
    try:
        return claimed_provenance((root / ATTESTATION_FOLDER / f"provenance{SUFFIX}").read_bytes())
    except OSError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _show(explanation: Explanation) -> None:
    title = " ".join(part for part in (explanation.component, explanation.version) if part) or explanation.target
    if explanation.proved:
        say(f"{title}: all of this is proved by {', '.join(explanation.signed_by)}")
    else:
        warn(f"nothing of this is proved: {explanation.why_not}")
        say(f"{title}, as it says itself")
    say(f"  built by   {explanation.built_by or 'unknown'}")
    changed = ", with changes that are in no commit" if explanation.dirty else ""
    say(
        f"  from       {explanation.repository or 'no repository'} at commit {explanation.commit or 'unknown'}{changed}"
    )
    table(
        ("Made from", "Name", "Version", "Digest"),
        [(each.kind, each.name, each.version, each.digest[:26]) for each in explanation.ingredients],
    )
    if explanation.verification is not None:
        table(
            ("Check", "Verdict", ""),
            [(each.check, each.verdict, each.detail) for each in explanation.verification.checks],
        )
