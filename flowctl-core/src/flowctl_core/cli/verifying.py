"""Verifies what was named and shows the seven checks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from flowctl_core.cli.console import emit, say, table
from flowctl_core.cli.documents import FailureDocument, VerificationDocument
from flowctl_core.cli.session import absolute
from flowctl_core.cli.signing import find_release
from flowctl_core.errors import TrustError, UsageError
from flowctl_core.models.policy import NamespaceRule, Policy, PolicyKey, SignerRule
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.models.verification import VerificationReport, VerifiedSubject
from flowctl_core.sign.provenance import LOCAL_BUILDER, REGISTRY_BUILDER
from flowctl_core.verify.checks import Evidence, Outcome, coverage, run_checks
from flowctl_core.verify.file import gather_file
from flowctl_core.verify.layout import gather_layout, is_layout
from flowctl_core.verify.policy_file import load_policy, policy_path, read_text
from flowctl_core.verify.provenance_reading import builder_id, parameters
from flowctl_core.verify.release import gather_release


@dataclass(frozen=True)
class Asked:
    """The command line."""

    target: str
    policy: Path | None
    key: Path | None
    identity: str | None
    issuer: str | None
    trusted_root: Path | None
    bundle: Path | None
    name: str | None
    version: str | None
    registry: str | None = None
    newest: bool = False


def verify_target(asked: Asked) -> None:
    """Verify and show. Raises VerificationError when a check fails, after the report was shown."""
    report, outcome = look(asked)
    failure = FailureDocument.of(outcome.failure).error if outcome.failure is not None else None
    document = VerificationDocument(**dict(report), error=failure)
    if emit(document.model_dump(mode="json")):
        if outcome.failure is not None:
            raise typer.Exit(outcome.failure.exit_code)
        return
    _show(report)
    if outcome.failure is not None:
        raise outcome.failure


def look(asked: Asked) -> tuple[VerificationReport, Outcome]:
    """Verify. Raises TrustError (no policy, or a bad one) and UsageError; a failed check is in the answer."""
    began = time.monotonic()
    kind, gather = _gatherer(asked)
    policy, trust, origin = _policy(asked)
    seen: list[Evidence] = []

    def remember() -> Evidence:
        seen.append(gather())
        return seen[0]

    outcome = _run(asked, remember, policy, trust)
    return _report(asked, kind, origin, outcome, seen[0] if seen else None, time.monotonic() - began), outcome


def _run(asked: Asked, gather: Callable[[], Evidence], policy: Policy, trust: TrustMaterial) -> Outcome:
    if asked.registry is None:
        if asked.newest:
            raise UsageError("--newest needs --registry")
        return run_checks(gather, policy, trust)
    from flowctl_core.trust.client import TrustStore
    from flowctl_core.verify.published import check_published

    with TrustStore(asked.registry) as store:
        return run_checks(gather, policy, trust, lambda found: check_published(store, found, newest=asked.newest))


def _policy(asked: Asked) -> tuple[Policy, TrustMaterial, str]:
    given = [asked.policy, asked.key, asked.identity]
    if sum(each is not None for each in given) > 1:
        raise UsageError("--policy, --key and --identity exclude one another")
    if (asked.identity is None) != (asked.issuer is None):
        raise UsageError("an identity counts only with its issuer", hint="Give both --identity and --issuer.")
    roots = (read_text(absolute(asked.trusted_root)),) if asked.trusted_root is not None else ()
    if asked.key is not None:
        pem = read_text(absolute(asked.key))
        trust = TrustMaterial(keys=(TrustedKey(name=asked.key.name, public_key=pem),), trusted_roots=roots)
        keys = {asked.key.name: PolicyKey(public_key=pem)}
        return _anything_by(SignerRule(key=asked.key.name), keys), trust, f"--key {asked.key}"
    if asked.identity is not None:
        if not roots:
            raise UsageError("--identity needs --trusted-root", hint="The Sigstore instance's trusted_root.json.")
        rule = SignerRule(identity=asked.identity, issuer=asked.issuer)
        return _anything_by(rule, {}), TrustMaterial(trusted_roots=roots), f"--identity {asked.identity}"
    file = absolute(asked.policy) if asked.policy is not None else policy_path()
    if asked.policy is None and not file.exists():
        raise TrustError(
            f"there is no policy at {file}, so nobody is trusted",
            hint="Write one (docs/users/verifying.md), or name who must have signed: --key FILE.",
        )
    policy, trust = load_policy(file)
    return policy, trust.model_copy(update={"trusted_roots": (*trust.trusted_roots, *roots)}), str(file)


def _anything_by(signer: SignerRule, keys: dict[str, PolicyKey]) -> Policy:
    """What the options stand for: this one signer, for any component, with the attestations that are there."""
    rule = NamespaceRule(pattern="**", signers=(signer,), builders=(LOCAL_BUILDER, REGISTRY_BUILDER), require=())
    return Policy(schema=1, keys=keys, namespaces=(rule,))


def _gatherer(asked: Asked) -> tuple[Literal["file", "release", "image"], Callable[[], Evidence]]:
    path = absolute(Path(asked.target))
    if is_layout(path):
        if asked.name is None:
            raise UsageError("say which component the image must be", hint="--name NAME")
        component = asked.name
        return "image", lambda: gather_layout(path, component, asked.version)
    if path.is_dir():
        root = find_release(path)
        return "release", lambda: gather_release(root, asked.name, asked.version)
    if path.exists() or "/" not in asked.target:
        if not path.exists():
            raise UsageError(f"there is no {asked.target}", hint="A file, a release's folder, or an image reference.")
        name = asked.name or _name_of_release(path)
        return "file", lambda: gather_file(path, asked.bundle and absolute(asked.bundle), name, asked.version)
    from flowctl_core.verify.image import gather_image

    if asked.name is None:
        raise UsageError("say which component the image must be", hint="--name NAME")
    name = asked.name
    return "image", lambda: gather_image(asked.target, name, asked.version)


def _name_of_release(path: Path) -> str:
    """Of a file in a release: what the release says, which its provenance has to confirm."""
    import json

    try:
        return str(json.loads((path.parent.parent / "metadata" / "build-info.json").read_bytes())["component"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UsageError("say which component the file must be of", hint="--name NAME") from None


def _report(
    asked: Asked,
    kind: Literal["file", "release", "image"],
    origin: str,
    outcome: Outcome,
    evidence: Evidence | None,
    took: float,
) -> VerificationReport:
    verdicts = list(outcome.verdicts.values())
    good = outcome.failure is None
    external = {name: value for name, value in parameters(outcome.provenance or {}).items() if isinstance(value, str)}
    return VerificationReport(
        target=asked.target,
        kind=kind,
        verified=good,
        component=evidence.component if evidence else None,
        version=(external.get("version") or evidence.version) if evidence and good else None,
        policy=origin,
        checks=tuple(outcome.checks),
        subjects=tuple(VerifiedSubject(name=n, digest=d) for n, d in evidence.digests.items())
        if evidence and good
        else (),
        attestations=tuple(outcome.attestations) if good else (),
        signers=tuple({each.signer.model_dump_json(): each.signer for each in verdicts}.values()) if good else (),
        tlog=coverage(outcome, "tlog"),
        timestamp=coverage(outcome, "timestamp"),
        signed_at=max((each.signed_at for each in verdicts if each.signed_at), default=None) if good else None,
        builder=builder_id(outcome.provenance or {}) if good else None,
        repository=external.get("repository") if good else None,
        commit=external.get("commit") if good else None,
        duration_s=round(took, 3),
    )


def _show(report: VerificationReport) -> None:
    title = " ".join(part for part in (report.component, report.version) if part) or report.target
    say(f"{title}: {'verified' if report.verified else 'NOT verified'} against {report.policy}")
    table(("Check", "Verdict", ""), [(each.check, each.verdict, each.detail) for each in report.checks])
    if report.verified:
        say(f"tlog: {report.tlog}, timestamp: {report.timestamp}")
        if report.commit:
            say(f"built from {report.repository or 'commit'} {report.commit} by {report.builder}")
