"""The seven checks, in their order, each failing closed (docs/users/verifying.md).

1 digest, 2 signature, 3 tlog, 4 identity, 5 statement, 6 builder, 7 sbom. All subjects pass one check before the next
begins, and after the first failure nothing else is believed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from flowctl_core.errors import VerificationCheck, VerificationError
from flowctl_core.models.policy import NamespaceRule, Policy, Requirement
from flowctl_core.models.published import RELEASE_PREDICATE
from flowctl_core.models.signing import BundleVerdict, TrustMaterial
from flowctl_core.models.verification import CheckVerdict, Verdict
from flowctl_core.sign.provenance import BUILD_TYPE
from flowctl_core.sign.statements import ATTESTATIONS, IMAGE_SIGNATURE
from flowctl_core.verify.bundle import verify_bundle
from flowctl_core.verify.policy import check_identity, rule_for, told
from flowctl_core.verify.rejection import rejected

ORDER: tuple[VerificationCheck, ...] = get_args(VerificationCheck)


@dataclass(frozen=True)
class ReleaseClaim:
    """What a registry's statement about a whole release has to say."""

    purl: str
    """Package URL of the version."""
    release_id: str
    """Digest over the paths and digests of all its files (PublishedVersion.release_digest)."""
    attestations: Mapping[str, str]
    """Paths of the registry's further attestations, and their digests: those that it made, and no less."""


@dataclass
class Evidence:
    """What is to be verified, as it was found; nothing of it is believed yet."""

    component: str
    """Name that it is verified as."""
    version: str | None
    """That it has to be, where the caller knows."""
    digests: dict[str, str]
    """Of every subject, measured from its bytes: name and `sha256:<hex>`."""
    signatures: dict[str, bytes]
    """A signature's bundle for each subject."""
    attestations: dict[str, bytes]
    """Bundles of provenance, sbom and scan."""
    others: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    """Further bundles for the same subject or attestation: whoever may push to a registry may attach one."""
    documents: dict[str, bytes] = field(default_factory=dict)
    """sbom and scan as they lie beside the release, to be those that were signed."""
    described: dict[str, str] = field(default_factory=dict)
    """Byproducts that lie beside the release (build-info.json): path and digest, measured."""
    images: frozenset[str] = frozenset()
    """Subjects that a statement signs (images), not a signature over their bytes."""
    unattested: frozenset[str] = frozenset()
    """Subjects that attestations say nothing of (the list of checksums)."""
    release: ReleaseClaim | None = None
    """Set where a registry's statement about the whole release stands for the signature of each file. The documents
    and the record are then part of what is signed."""
    recorded: tuple[str, str] | None = None
    """Name and version in a record that the signatures cover, which count where there is no provenance."""


@dataclass
class Outcome:
    """How far the checks came, and what they proved."""

    checks: list[CheckVerdict] = field(default_factory=list)
    verdicts: dict[str, BundleVerdict] = field(default_factory=dict)
    provenance: dict[str, Any] | None = None
    attestations: list[str] = field(default_factory=list)
    failure: VerificationError | None = None


def run_checks(
    gather: Callable[[], Evidence],
    policy: Policy,
    trust: TrustMaterial,
    published: Callable[[Evidence], str] | None = None,
) -> Outcome:
    """Run all seven. `gather` measures the digests (and raises where they are wrong): it is the first check.
    `published` asks the signed index, as a part of the identity check."""
    outcome = Outcome()
    try:
        evidence = gather()
        detail = f"{len(evidence.digests)} of {len(evidence.digests)} as recorded"
        outcome.checks.append(CheckVerdict(check="digest", verdict="passed", detail=detail))
        rule = rule_for(policy, evidence.component)
        _signatures(outcome, evidence, rule, trust)
        _pass(outcome, "identity", lambda: _identity(outcome, rule, evidence, published))
        _pass(outcome, "statement", lambda: _statements(outcome, evidence, rule.require, published is not None))
        _pass(outcome, "builder", lambda: _builder(outcome, rule))
        _pass(outcome, "sbom", lambda: _sbom(outcome, evidence))
    except VerificationError as failure:
        outcome.failure = failure
        done = [each.check for each in outcome.checks]
        for check in ORDER:
            if check == failure.check and check not in done:
                outcome.checks.append(CheckVerdict(check=check, verdict="failed", detail=failure.message))
            elif check not in done:
                outcome.checks.append(CheckVerdict(check=check, verdict="not reached"))
        outcome.checks.sort(key=lambda each: ORDER.index(each.check))
    return outcome


def _signatures(outcome: Outcome, evidence: Evidence, rule: NamespaceRule, trust: TrustMaterial) -> None:
    """Checks 2 and 3: every bundle's signature, then what the logs and stamps prove."""
    first = next((d for name, d in evidence.digests.items() if name not in evidence.unattested), "")
    if missing := [name for name in evidence.digests if name not in evidence.signatures]:
        raise rejected("signature", f"there is no signature of {', '.join(missing)}")
    if not evidence.digests:
        raise rejected("signature", "there is nothing that is signed")
    bundles = [(name, evidence.digests[name], bundle) for name, bundle in evidence.signatures.items()]
    bundles += [(name, first, bundle) for name, bundle in evidence.attestations.items()]
    for name, digest, bundle in bundles:
        outcome.verdicts[name] = _first_allowed(
            evidence, name, digest, (bundle, *evidence.others.get(name, ())), rule, trust
        )
    outcome.checks.append(
        CheckVerdict(check="signature", verdict="passed", detail=f"{len(bundles)} bundles by {_signers(outcome)}")
    )
    detail = f"tlog: {coverage(outcome, 'tlog')}, timestamp: {coverage(outcome, 'timestamp')}"
    needed = "required" in (rule.transparency, rule.timestamp)
    verdict_3: Verdict = "passed" if needed or coverage(outcome, "tlog") == "verified" else "not required"
    outcome.checks.append(CheckVerdict(check="tlog", verdict=verdict_3, detail=detail))


def _first_allowed(
    evidence: Evidence,
    name: str,
    digest: str,
    candidates: tuple[bytes, ...],
    rule: NamespaceRule,
    trust: TrustMaterial,
) -> BundleVerdict:
    """The first bundle that holds and whose signer the policy names: what others attach to an image is no obstacle.

    Where there is none, the first that holds (so that the identity check says whose it is), else the first failure.
    """
    verdicts: list[BundleVerdict] = []
    failures: list[VerificationError] = []
    for bundle in candidates:
        try:
            verdict = _verified(evidence, name, digest, bundle, rule, trust)
            verdicts.append(verdict)
            check_identity(rule, verdict.signer, name)
        except VerificationError as failure:
            failures.append(failure)
        else:
            return verdict
    if verdicts:
        return verdicts[0]
    raise failures[0]


def _verified(
    evidence: Evidence, name: str, digest: str, bundle: bytes, rule: NamespaceRule, trust: TrustMaterial
) -> BundleVerdict:
    try:
        verdict = verify_bundle(
            bundle,
            digest,
            trust,
            require_tlog=rule.transparency == "required",
            require_timestamp=rule.timestamp == "required",
        )
    except VerificationError as failure:
        # The bytes are those that were recorded (check 1); a bundle over others is one that does not sign these.
        check = "signature" if failure.check == "digest" else failure.check
        raise rejected(check, f"{name}: {failure.message}") from None
    stated = name in evidence.attestations or name in evidence.images or evidence.release is not None
    wants = "statement" if stated else "signature"
    if verdict.content != wants:
        raise rejected("signature", f"{name}: the bundle holds a {verdict.content}, not a {wants}")
    return verdict


def coverage(outcome: Outcome, field_name: str) -> Literal["none", "some", "verified"]:
    """`none`, `some` or `verified`: how many of the bundles have a log entry, or a trusted time."""
    has = [getattr(verdict, field_name) != "none" for verdict in outcome.verdicts.values()]
    return "verified" if has and all(has) else "some" if any(has) else "none"


def _identity(
    outcome: Outcome, rule: NamespaceRule, evidence: Evidence, published: Callable[[Evidence], str] | None
) -> str:
    for name, verdict in outcome.verdicts.items():
        check_identity(rule, verdict.signer, name)
    listed = f"; {published(evidence)}" if published is not None else ""
    return f"{_signers(outcome)} may sign for {rule.pattern}{listed}"


def _statements(outcome: Outcome, evidence: Evidence, needed: tuple[Requirement, ...], listed: bool) -> str | None:
    """Type, subjects, name and version of each attestation; an image's signature is one, too. `listed`: the signed
    index has this name and version with these digests."""
    for requirement in needed:
        if requirement not in evidence.attestations:
            raise rejected("statement", f"there is no {requirement}, and the policy requires one")
    for name in evidence.attestations:
        statement = _read(outcome, name)
        if statement.get("predicateType") != ATTESTATIONS[name]:
            raise rejected("statement", f"{name} is of type {statement.get('predicateType')}, not {ATTESTATIONS[name]}")
        _require_subjects(name, statement, evidence)
        outcome.attestations.append(name)
    for name in sorted(evidence.images):
        if (kind := _read(outcome, name).get("predicateType")) != IMAGE_SIGNATURE:
            raise rejected("statement", f"the signature of {name} is of type {kind}, not {IMAGE_SIGNATURE}")
    if evidence.release is not None:
        for name in evidence.digests:
            _require_release(name, _read(outcome, name), evidence.release)
    if "provenance" not in evidence.attestations:
        _require_recorded(evidence, listed)
        return ", ".join(outcome.attestations) or None
    outcome.provenance = _predicate(_read(outcome, "provenance"), "provenance")
    said = _mapping(_mapping(outcome.provenance.get("buildDefinition")).get("externalParameters"))
    for field_name, expected in (("component", evidence.component.rpartition("/")[2]), ("version", evidence.version)):
        if expected is not None and said.get(field_name) != expected:
            raise rejected("statement", f"the provenance is of {field_name} {said.get(field_name)}, not {expected}")
    byproducts = _mapping(outcome.provenance.get("runDetails")).get("byproducts")
    recorded = {
        each.get("name"): f"sha256:{_mapping(each.get('digest')).get('sha256')}"
        for each in (byproducts if isinstance(byproducts, list) else [])
        if isinstance(each, dict)
    }
    for path, digest in evidence.described.items():
        if recorded.get(path) != digest:
            raise rejected("statement", f"{path} is not the one that the provenance names")
    return ", ".join(outcome.attestations)


def _require_release(name: str, statement: Mapping[str, Any], claim: ReleaseClaim) -> None:
    if statement.get("predicateType") != RELEASE_PREDICATE:
        kind = statement.get("predicateType")
        raise rejected("statement", f"the registry's statement is of type {kind}, not {RELEASE_PREDICATE}")
    said = _predicate(statement, "the registry's statement")
    if said.get("purl") != claim.purl:
        raise rejected("statement", f"the registry's statement is about {said.get('purl')}, not {claim.purl}")
    if said.get("releaseId") != claim.release_id:
        raise rejected("statement", "the registry lists other files for this version than it signed")
    if _mapping(said.get("attestations")) != claim.attestations:
        raise rejected("statement", "the registry's attestations of how it was built are not those that it signed")
    if not _digests_by_name(statement).get(name):
        raise rejected("statement", f"the registry's statement says nothing of {name}")


def _require_recorded(evidence: Evidence, listed: bool) -> None:
    """Without provenance, a version that was asked for has to be proved by something else, or it is a mere claim."""
    if evidence.recorded is not None:
        for word, is_, expected in zip(
            ("component", "version"),
            evidence.recorded,
            (evidence.component.rpartition("/")[2], evidence.version),
            strict=True,
        ):
            if expected is not None and is_ != expected:
                raise rejected("statement", f"the release is of {word} {is_}, not {expected}")
    elif evidence.version is not None and not listed:
        raise rejected("statement", f"there is no provenance, so nothing proves that it is version {evidence.version}")


def _builder(outcome: Outcome, rule: NamespaceRule) -> str | None:
    if outcome.provenance is None:
        return None
    definition = _mapping(outcome.provenance.get("buildDefinition"))
    if definition.get("buildType") != BUILD_TYPE:
        raise rejected("builder", f"the build is of type {definition.get('buildType')}, not {BUILD_TYPE}")
    builder = _mapping(_mapping(outcome.provenance.get("runDetails")).get("builder")).get("id")
    if builder not in rule.builders:
        raise rejected("builder", f"built by {builder}, and the policy does not let the signer speak for that one")
    return str(builder)


def _sbom(outcome: Outcome, evidence: Evidence) -> str | None:
    """The bill of materials and the scan beside the release are the signed ones, about the same subjects."""
    compared = []
    for name in ("sbom", "scan"):
        if name not in evidence.attestations:
            continue
        statement = _read(outcome, name)
        if "provenance" in evidence.attestations and _subjects(statement) != _subjects(_read(outcome, "provenance")):
            raise rejected("sbom", f"{name} is about other files than the provenance")
        if name in evidence.documents and _json(evidence.documents[name], name) != statement.get("predicate"):
            raise rejected("sbom", f"the {name} beside the release is not the one that was signed")
        compared.append(name)
    if "sbom" in compared:
        return f"{' and '.join(compared)} about the same subjects"
    if evidence.release is not None and "sbom" in evidence.documents:
        return "sbom among the files that the registry signed as this release"
    return None


def _require_subjects(name: str, statement: Mapping[str, Any], evidence: Evidence) -> None:
    known = _subjects(statement)
    names = _digests_by_name(statement)
    for subject, digest in evidence.digests.items():
        named = names.get(subject.removeprefix("binaries/"))
        if named and digest not in named:
            raise rejected("statement", f"{name} names another {subject} than this one ({digest})")
        if digest not in known and subject not in evidence.unattested:
            raise rejected("statement", f"{name} says nothing of {subject} ({digest})")


def _subjects(statement: Mapping[str, Any]) -> set[str]:
    return {
        f"sha256:{_mapping(each.get('digest')).get('sha256')}"
        for each in statement.get("subject") or ()
        if isinstance(each, dict)
    }


def _digests_by_name(statement: Mapping[str, Any]) -> dict[str, set[str]]:
    """What a statement calls by a name: one file of a release in the place of another is signed as well."""
    found: dict[str, set[str]] = {}
    for each in statement.get("subject") or ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            found.setdefault(each["name"], set()).add(f"sha256:{_mapping(each.get('digest')).get('sha256')}")
    return found


def _read(outcome: Outcome, name: str) -> dict[str, Any]:
    document = json.loads(outcome.verdicts[name].statement or "{}")
    return _mapping(document)


def _predicate(statement: Mapping[str, Any], name: str) -> dict[str, Any]:
    predicate = statement.get("predicate")
    if not isinstance(predicate, dict):
        raise rejected("statement", f"{name} has no predicate")
    return predicate


def _json(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise rejected("sbom", f"the {name} beside the release is no JSON") from None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _signers(outcome: Outcome) -> str:
    return ", ".join(sorted({told(verdict.signer) for verdict in outcome.verdicts.values()}))


def _pass(outcome: Outcome, check: VerificationCheck, run: Callable[[], str | None]) -> None:
    """Run one check; one that has nothing to look at is not required."""
    detail = run()
    outcome.checks.append(
        CheckVerdict(check=check, verdict="passed" if detail is not None else "not required", detail=detail or "")
    )
