"""The seven checks over a version that was fetched: by the policy of the user, or without one by the pinned root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.models.build_info import BuildInfo
from flowctl_core.models.installed import Origin, Publisher
from flowctl_core.models.policy import NamespaceRule, Policy, PolicyKey, SignerRule
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.models.trust import ComponentIndex
from flowctl_core.models.verification import CheckVerdict
from flowctl_core.sign.provenance import LOCAL_BUILDER, REGISTRY_BUILDER
from flowctl_core.verify.checks import Evidence, Outcome, run_checks
from flowctl_core.verify.fetched_release import (
    FetchedRelease,
    gather_by_publisher,
    gather_by_registry,
    has_publishers_signatures,
    read_info,
    subjects_of,
)
from flowctl_core.verify.policy_file import load_policy, policy_path
from flowctl_core.verify.provenance_reading import builder_id, parameters
from flowctl_core.verify.rejection import rejected

_ASK = "Ask the publisher or the registry's operator; do not use this version until it is explained."


@dataclass(frozen=True)
class Verified:
    """A version that passed all seven checks."""

    info: BuildInfo
    """Its record."""
    origin: Origin
    """Who stands behind it."""
    commit: str | None
    """Source commit, as the signed provenance says."""
    checks: tuple[CheckVerdict, ...]
    """How they ended."""
    policy: str
    """What they were held to."""


@dataclass(frozen=True)
class Rules:
    """Whom to believe for a registry's components."""

    policy: Policy
    trust: TrustMaterial
    told: str
    fingerprint: str
    """Of the registry's pinned root."""
    by_pin: bool
    """True: there is no policy, and the pinned root's keys count."""


def rules_for(registry: RemoteRegistry) -> Rules:
    """The user's policy; without one, the keys of the registry's signed index may sign what it publishes.

    Raises TrustError for a policy that cannot be read whole, and for an index that cannot be believed.
    """
    material, fingerprint = registry.material(), registry.state().fingerprint
    file = policy_path()
    if file.exists():
        policy, trust = load_policy(file, {registry.connection.trust: registry.trust})
        return Rules(policy, trust, str(file), fingerprint, by_pin=False)
    keys = [key for key in material.keys if not key.revoked]
    if not keys:
        raise TrustError(
            f"{registry.url} has no key that is trusted", hint="Ask its operator; nothing can be verified."
        )
    rule = NamespaceRule(
        pattern="**",
        signers=tuple(SignerRule(key=key.name) for key in keys),
        builders=(REGISTRY_BUILDER, LOCAL_BUILDER),
        require=(),
    )
    named = {key.name: PolicyKey(public_key=key.public_key) for key in keys}
    policy = Policy(schema=1, keys=named, namespaces=(rule,))
    return Rules(policy, material, f"the pinned root of {registry.url}", fingerprint, by_pin=True)


def check(
    release: FetchedRelease,
    index: ComponentIndex,
    rules: Rules,
    *,
    allow_yanked: bool = False,
) -> Verified:
    """Hold a fetched version to all seven checks. Raises VerificationError naming the first that failed."""
    tries: list[tuple[Callable[[FetchedRelease], Evidence], bool]] = []
    if not rules.by_pin and has_publishers_signatures(release):
        tries.append((gather_by_publisher, False))
    tries.append((gather_by_registry, True))
    failures: list[VerificationError] = []
    for gather, by_registry in tries:
        outcome = run_checks(
            lambda gather=gather: gather(release),  # type: ignore[misc]
            rules.policy,
            rules.trust,
            lambda _: _listed(release, index, allow_yanked=allow_yanked),
        )
        if outcome.failure is None:
            return _verified(release, rules, outcome, by_registry=by_registry)
        failures.append(outcome.failure)
    failure = failures[0]
    what = f"{release.component} {release.listed.version}"
    raise VerificationError(f"{what}: {failure.message}", check=failure.check, hint=failure.hint)


def _listed(release: FetchedRelease, index: ComponentIndex, *, allow_yanked: bool) -> str:
    """All files and images of the version's record are those of the signed index, and no others."""
    version = release.listed.version
    entry = index.versions.get(version)
    if entry is not None and allow_yanked and entry.yanked is not None:
        entry = entry.model_copy(update={"yanked": None})
        index = index.model_copy(update={"versions": {**index.versions, version: entry}})
    subjects = subjects_of(read_info(release))
    try:
        index.check_version(version, subjects)
    except VerificationError as failure:
        raise rejected("identity", failure.message) from None
    if entry is not None and (more := sorted(set(entry.digests) - set(subjects))):
        raise rejected("identity", f"the signed index has {more[0]} in {release.component} {version}, its record not")
    return f"listed as {release.component} {version}"


def _verified(release: FetchedRelease, rules: Rules, outcome: Outcome, *, by_registry: bool) -> Verified:
    provenance = outcome.provenance or {}
    said = parameters(provenance)
    repository, commit = said.get("repository"), said.get("commit")
    if by_registry:
        publisher = Publisher(kind="registry", registry=rules.fingerprint)
    else:
        signer = outcome.verdicts[next(iter(outcome.verdicts))].signer
        publisher = Publisher(
            kind=signer.kind, key_hint=signer.key_hint, identity=signer.identity, issuer=signer.issuer
        )
    return Verified(
        info=read_info(release),
        origin=Origin(
            publisher=publisher,
            builder=builder_id(provenance),
            repository=repository if isinstance(repository, str) else None,
        ),
        commit=commit if isinstance(commit, str) else None,
        checks=tuple(outcome.checks),
        policy=rules.told,
    )


def refuse_other_origin(what: str, found: Origin, expected: Origin, where: str) -> None:
    """Raises VerificationError (`identity`) where somebody else stands behind a version than `where` says."""
    for name, now, before in (
        ("publisher", found.publisher.told, expected.publisher.told),
        ("builder", found.builder, expected.builder),
        ("source repository", found.repository, expected.repository),
    ):
        if now != before:
            raise VerificationError(
                f"check identity failed: the {name} of {what} is {now or 'unknown'}, {where} has {before or 'none'}",
                check="identity",
                hint=f"{_ASK} If it is right: `flowctl component update --accept-identity`.",
            )
