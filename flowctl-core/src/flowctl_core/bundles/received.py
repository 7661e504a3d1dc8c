"""A published bundle as it is received: its two files, held to the same checks as a component's release.

A bundle carries no program and no provenance of its own, so checks 6 and 7 have nothing to look at; each of its members
passes all seven by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from flowctl_core.errors import NotFoundError, RemoteError, SpecError, UsageError, VerificationError
from flowctl_core.install.checking import Rules, refuse_other_origin
from flowctl_core.install.installing import Room
from flowctl_core.install.lockfile import NAME, check_locked_registry, locked_for
from flowctl_core.install.plan import Choice
from flowctl_core.install.ranges import choose
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import ANY, Request
from flowctl_core.install.transfer import receive_all
from flowctl_core.models import Progress
from flowctl_core.models.bundle import BundleSpec
from flowctl_core.models.bundle_set import BUNDLE_PATH, MEMBERS_PATH, BundleSet, PinnedMember
from flowctl_core.models.installed import Lock, LockedVersion, Origin, Publisher
from flowctl_core.models.published import REGISTRY_STATEMENT, PublishedFile, PublishedVersion
from flowctl_core.models.trust import ComponentIndex
from flowctl_core.models.verification import CheckVerdict
from flowctl_core.specfile.load import parse_bundle
from flowctl_core.verify.checks import Evidence, ReleaseClaim, run_checks
from flowctl_core.verify.rejection import rejected
from flowctl_core.verify.release import LARGEST_METADATA

_SUBJECTS = {"bundle.yaml": BUNDLE_PATH, "members.json": MEMBERS_PATH}


@dataclass(frozen=True)
class BundleChoice:
    """One version of a bundle, and what is known of it before anything is fetched."""

    request: Request
    version: str
    registry: RemoteRegistry
    index: ComponentIndex
    locked: LockedVersion | None = None
    """What the lockfile has of this version."""

    @property
    def what(self) -> str:
        """`namespace/name version`, for messages."""
        return f"{self.request.component} {self.version}"


@dataclass(frozen=True)
class ReceivedBundle:
    """A version of a bundle that was verified."""

    choice: BundleChoice
    set: BundleSet
    spec: BundleSpec
    origin: Origin
    checks: tuple[CheckVerdict, ...]
    files: dict[str, PublishedFile]
    """What of it is in the store of files, by path."""

    def locked(self) -> LockedVersion:
        """What a lockfile keeps of it."""
        choice = self.choice
        wanted = choice.request.wanted
        if choice.locked is not None and wanted == ANY:
            wanted = choice.locked.requested
        digests = {name: self.files[path].digest for name, path in _SUBJECTS.items()}
        return LockedVersion(
            requested=wanted, version=choice.version, registry=choice.registry.url, origin=self.origin, files=digests
        )


def choose_bundle(
    request: Request, registry: RemoteRegistry, lock: Lock | None, *, locked: bool, prereleases: bool = False
) -> BundleChoice:
    """The newest version in the range, or the lockfile's.

    Raises UsageError, NotFoundError, TrustError, VerificationError where the lockfile and the registry disagree.
    """
    what = f"the bundle {request.component}"
    kept = locked_for(lock.bundles if lock is not None else {}, request, what, locked=locked)
    if kept is not None:
        check_locked_registry(what, kept, registry.url, request.namespace)
    index = registry.index(request, "bundle").model_copy(update={"component": request.name})
    if kept is None:
        return BundleChoice(request, choose(index, request.wanted, prereleases=prereleases), registry, index)
    entry = index.versions.get(kept.version)
    if entry is None:
        raise NotFoundError(
            f"the signed index of {registry.url} has no bundle {request.component} {kept.version}, which {NAME} names",
            hint="Versions are never taken away: ask the registry's operator.",
        )
    if entry.digests != kept.files:
        raise rejected("identity", f"{request.component} {kept.version} has other files than {NAME} names")
    return BundleChoice(request, kept.version, registry, index, kept)


def receive_bundle(choice: BundleChoice, room: Room, rules: Rules, progress: Progress) -> ReceivedBundle:
    """Have a bundle's files in the store, verified. Raises RemoteError, VerificationError, StoreError."""
    progress.step(f"looking up {choice.what}")
    listed = choice.registry.version(choice.request, choice.version, "bundle")
    try:
        return _received(choice, room, rules, progress, listed)
    except (VerificationError, RemoteError):
        fresh = listed
        with suppress(RemoteError):
            fresh = choice.registry.version(choice.request, choice.version, "bundle", fresh=True)
        if fresh == listed:
            raise
        return _received(choice, room, rules, progress, fresh)  # what was kept here was damaged


def _received(
    choice: BundleChoice, room: Room, rules: Rules, progress: Progress, listed: PublishedVersion
) -> ReceivedBundle:
    files = {path: file for path, file in listed.files.items() if path in (*_SUBJECTS.values(), REGISTRY_STATEMENT)}
    for path in (*_SUBJECTS.values(), REGISTRY_STATEMENT):
        if path not in files:
            raise rejected("digest", f"the bundle {choice.what} has no {path}")
        if files[path].size > LARGEST_METADATA:
            raise RemoteError(f"{path} is said to have {files[path].size} bytes; at most {LARGEST_METADATA} are read")
    receive_all(
        room.contents,
        choice.registry,
        choice.request,
        choice.version,
        files.values(),
        progress,
        kind="bundle",
        patience=room.patience,
    )
    progress.step("verifying")
    content = {path: room.contents.read(file.digest) for path, file in files.items()}
    checks, origin = _verified(choice, rules, listed, files, content[REGISTRY_STATEMENT])
    if choice.locked is not None:
        refuse_other_origin(choice.what, origin, choice.locked.origin, NAME)
    bundle_set, spec = read_set(choice.request, choice.version, content)
    choice.registry.keep(choice.request, listed, "bundle")
    return ReceivedBundle(choice, bundle_set, spec, origin, checks, files)


def _verified(
    choice: BundleChoice,
    rules: Rules,
    listed: PublishedVersion,
    files: Mapping[str, PublishedFile],
    statement: bytes,
) -> tuple[tuple[CheckVerdict, ...], Origin]:
    digests = {name: files[path].digest for name, path in _SUBJECTS.items()}
    evidence = Evidence(
        component=choice.request.component,
        version=choice.version,
        digests=digests,
        signatures=dict.fromkeys(digests, statement),
        attestations={},
        release=ReleaseClaim(
            f"pkg:generic/{choice.request.namespace}/{choice.request.name}@{choice.version}", listed.release_digest, {}
        ),
        recorded=(choice.request.name, choice.version),
    )
    # What the policy requires of programs, it requires of each member.
    rule = {"namespaces": tuple(each.model_copy(update={"require": ()}) for each in rules.policy.namespaces)}
    outcome = run_checks(
        lambda: evidence, rules.policy.model_copy(update=rule), rules.trust, lambda _: _listed(choice, digests)
    )
    if outcome.failure is not None:
        failure = outcome.failure
        raise VerificationError(f"bundle {choice.what}: {failure.message}", check=failure.check, hint=failure.hint)
    return tuple(outcome.checks), Origin(publisher=Publisher(kind="registry", registry=rules.fingerprint))


def _listed(choice: BundleChoice, digests: Mapping[str, str]) -> str:
    index, entry = choice.index, choice.index.versions.get(choice.version)
    if entry is not None and choice.locked is not None and entry.yanked is not None:
        entry = entry.model_copy(update={"yanked": None})
        index = index.model_copy(update={"versions": {**index.versions, choice.version: entry}})
    try:
        found = index.check_version(choice.version, digests)
    except VerificationError as failure:
        raise rejected("identity", failure.message) from None
    if more := sorted(set(found.digests) - set(digests)):
        raise rejected("identity", f"the signed index has {more[0]} in {choice.what}, which is no part of a bundle")
    return f"listed as the bundle {choice.what}"


def read_set(request: Request, version: str, content: Mapping[str, bytes]) -> tuple[BundleSet, BundleSpec]:
    """A bundle's two files, which must be about the bundle that was asked for and name the same members.

    Raises VerificationError (`statement`).
    """
    what = f"{request.component} {version}"
    try:
        bundle_set = BundleSet.model_validate_json(content[MEMBERS_PATH])
        spec = parse_bundle(content[BUNDLE_PATH]).spec
    except (ValidationError, SpecError) as error:
        problem = error.message if isinstance(error, SpecError) else str(error.errors(include_url=False)[0]["msg"])
        raise rejected("statement", f"the files of the bundle {what} cannot be used: {problem}") from None
    named = (bundle_set.namespace, bundle_set.name, bundle_set.version)
    if named != (request.namespace, request.name, version):
        raise rejected("statement", f"the members are those of {'/'.join(named[:2])} {named[2]}, not of {what}")
    told, pinned = [each.name for each in spec.spec.components], [each.name for each in bundle_set.members]
    if told != pinned:
        raise rejected(
            "statement", f"bundle.yaml of {what} names {', '.join(told)}, its members are {', '.join(pinned)}"
        )
    return bundle_set, spec


def member_choices(
    bundles: Sequence[ReceivedBundle], registry_for: Callable[[str], RemoteRegistry], lock: Lock | None
) -> list[Choice]:
    """The versions of components that bundles consist of, each once.

    Raises UsageError where two bundles want different versions of one component, VerificationError where the signed
    index has another version than a bundle names, NotFoundError, TrustError.
    """
    choices: dict[str, tuple[Choice, str]] = {}
    for bundle in bundles:
        for member in bundle.set.members:
            choice = _member(bundle, member, registry_for(member.namespace), lock)
            other, wanted_by = choices.setdefault(member.component, (choice, bundle.choice.what))
            if other.version != choice.version:
                raise UsageError(
                    f"{wanted_by} has {member.component} {other.version}, {bundle.choice.what} has {choice.version}",
                    hint="Install the bundles one after the other; the last one gets the links.",
                )
    return [choice for choice, _ in choices.values()]


def _member(bundle: ReceivedBundle, member: PinnedMember, registry: RemoteRegistry, lock: Lock | None) -> Choice:
    request = Request(member.namespace, member.name, member.version)
    index = registry.index(request)
    entry = index.versions.get(member.version)
    if entry is None or entry.digests != member.digests:
        what = "nothing of that version" if entry is None else "other files of it"
        raise rejected(
            "identity",
            f"the bundle {bundle.choice.what} names {member.component} {member.version}, the signed index has {what}",
        )
    if entry.yanked is not None and bundle.choice.locked is None:
        raise NotFoundError(
            f"{member.component} {member.version} of the bundle {bundle.choice.what} was yanked: {entry.yanked.reason}",
            hint="Choose another version of the bundle. A lockfile that has it can still install it: --locked.",
        )
    kept = lock.components.get(member.component) if lock is not None else None
    if kept is None or kept.version != member.version:
        return Choice(request, member.version, registry, index)
    return Choice(request, member.version, registry, index, locked=kept, expected=kept.origin)
