"""Publishes a bundle: one remote build for each member that changed, then the set, every member pinned by its digests.

Each step finds its own work done, so that a publication that was interrupted goes on when it is asked for again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal

from flowctl_core.bundles.claims import claims_of
from flowctl_core.bundles.describe import namespace_of
from flowctl_core.bundles.folder import BUNDLE_FILE, BundleFolder, Member
from flowctl_core.bundles.remote import KnownVersion, follow, known_version, publish_files
from flowctl_core.bundles.repository import Repository
from flowctl_core.errors import ConflictError, FlowctlError, NotFoundError, SourceError, SpecError, TrustError
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import Request
from flowctl_core.models import Progress
from flowctl_core.models.bundle_set import BUNDLE_PATH, MEMBERS_PATH, BundleSet, PinnedMember
from flowctl_core.models.remote_build import RemoteBuild
from flowctl_core.models.trust import IndexedVersion
from flowctl_core.publish.run import Prepared, Wanted, ask_for_build, prepare, push_source

_INDEX_S = 60.0
"""How long the signed index may lag behind a build."""
_INDEX_LOOK_S = 1.0
_AT_ONCE = 16
"""Builds that are asked for and followed at once."""
RegistryFor = Callable[[str], RemoteRegistry]


@dataclass(frozen=True)
class MemberPlan:
    """What is to be done for a member."""

    member: Member
    namespace: str
    version: str
    do: Literal["build", "keep"]
    """`keep`: this version is published, from the same source."""
    prepared: Prepared | None = None
    """build: its tag, its source, and what is pushed."""

    @property
    def what(self) -> str:
        """`namespace/name version`."""
        return f"{self.namespace}/{self.member.name} {self.version}"


@dataclass(frozen=True)
class BundlePlan:
    """What publishing will do."""

    bundle: BundleFolder
    namespace: str
    version: str
    repository: Repository
    members: tuple[MemberPlan, ...]

    @property
    def what(self) -> str:
        """`namespace/name version`."""
        return f"{self.namespace}/{self.bundle.name} {self.version}"

    @property
    def pushes(self) -> tuple[str, ...]:
        """Branch and tags that the remote does not have yet."""
        prepared = [each.prepared for each in self.members if each.prepared is not None]
        return tuple(dict.fromkeys(name for each in prepared for name in each.missing.names))


def plan_publication(
    bundle: BundleFolder,
    repository: Repository,
    registry_for: RegistryFor,
    *,
    namespace: str | None,
    version: str | None,
    move_source: bool = False,
) -> BundlePlan:
    """What is published already, and what is to be built. All members are looked at before the first problem is told.

    Raises SpecError for what cannot be published, TrustError where the registry's root is not pinned, SourceError,
    ConflictError for versions that exist with another source, RemoteError.
    """
    declared = bundle.loaded.spec.metadata.namespace
    if namespace is not None and declared is not None and namespace != declared:
        raise SpecError(f"{bundle.loaded.file} is of the namespace {declared}, and --namespace says {namespace}")
    where = namespace or declared
    if where is None:
        raise SpecError(
            f"{bundle.loaded.file} names no namespace", hint="Set metadata.namespace, or give it: --namespace NS."
        )
    registry_for(where).state()  # without a pinned root no member can be pinned in the end
    problems: list[FlowctlError] = []
    plans = []
    for claim in claims_of(bundle):
        try:
            its = namespace_of(bundle, claim) or where
            plans.append(_plan(claim.member, its, repository, registry_for, move_source=move_source))
        except (SpecError, SourceError, ConflictError, NotFoundError) as error:
            problems.append(error)
    if problems:
        first = problems[0]
        first.message = "\n".join(dict.fromkeys(problem.message for problem in problems))
        raise first
    chosen = (version or bundle.version).removeprefix("v")
    if version is not None and chosen != bundle.version:
        raise SpecError(
            f"{bundle.loaded.file} has version {bundle.version}, {chosen} was asked for",
            hint="Write the version into bundle.yaml and commit it: that file is published.",
        )
    plan = BundlePlan(bundle, where, chosen, repository, tuple(plans))
    building = [each.what for each in plan.members if each.do == "build"]
    if building and known_version(registry_for(where).session, "bundle", where, bundle.name, chosen) is not None:
        raise ConflictError(
            f"{plan.what} is published already, with other members than {', '.join(building)}",
            hint="A version means one thing for ever: raise metadata.version in bundle.yaml.",
        )
    return plan


def push_members(plan: BundlePlan) -> None:
    """Push the commit and the tags of members that are to be built. Raises SourceError with git's own words."""
    for each in plan.members:
        if each.prepared is not None:
            push_source(each.prepared)


def build_members(
    plan: BundlePlan, registry_for: RegistryFor, progress: Callable[[str], Progress]
) -> dict[str, RemoteBuild]:
    """Have every member built that is to be, all at once; by name. Waits for all, so that each failure is told.

    Raises BuildFailedError, RemoteError: what has been built stays, and is not built again.
    """
    wanted = {each.member.name: each.prepared for each in plan.members if each.prepared is not None}
    if not wanted:
        return {}
    stopped = threading.Event()
    sessions = {
        each.publication.namespace: registry_for(each.publication.namespace).session for each in wanted.values()
    }

    def one(name: str, prepared: Prepared) -> RemoteBuild:
        row, session = progress(name), sessions[prepared.publication.namespace]
        build = ask_for_build(session, prepared)
        row.note(f"build {build.id} of {build.what}")
        return follow(session, build, row.step, stopped.is_set)

    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="publish") as pool:
        running = {name: pool.submit(one, name, prepared) for name, prepared in wanted.items()}
        try:
            wait(running.values())
        except BaseException:  # also Ctrl-C: nobody else stops the threads
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failures = [error for each in running.values() if (error := each.exception()) is not None]
    for other in failures[1:]:
        if isinstance(failures[0], FlowctlError):
            failures[0].message += f"\n{other}"
    if failures:
        raise failures[0]
    return {name: each.result() for name, each in running.items()}


def publish_set(plan: BundlePlan, registry_for: RegistryFor, progress: Progress) -> BundleSet:
    """Pin every member by the signed index, and publish the set. Raises TrustError, ConflictError, RemoteError."""
    progress.step("reading the signed index")
    members = tuple(
        PinnedMember(
            namespace=each.namespace,
            name=each.member.name,
            version=each.version,
            digests=_listed(registry_for(each.namespace), each).digests,
        )
        for each in plan.members
    )
    bundle_set = BundleSet(namespace=plan.namespace, name=plan.bundle.name, version=plan.version, members=members)
    progress.step(f"publishing {plan.what}")
    files = {BUNDLE_PATH: (plan.bundle.root / BUNDLE_FILE).read_bytes(), MEMBERS_PATH: bundle_set.text()}
    publish_files(registry_for(plan.namespace).session, plan.namespace, plan.bundle.name, plan.version, files)
    return bundle_set


def _plan(
    member: Member, namespace: str, repository: Repository, registry_for: RegistryFor, *, move_source: bool
) -> MemberPlan:
    version = member.version
    if version is None:
        raise SpecError(f"{member.name} has no version", hint="Set metadata.version in its component.yaml.")
    if member.root is None:
        if known_version(registry_for(namespace).session, "component", namespace, member.name, version) is None:
            raise NotFoundError(
                f"there is no {namespace}/{member.name} {version}", hint="Publish it first, or correct bundle.yaml."
            )
        return MemberPlan(member, namespace, version, "keep")
    if member.loaded is None:
        raise SpecError(
            f"{member.root} has no component.yaml", hint="`flowctl component init` writes one; a registry needs it."
        )
    session = registry_for(namespace).session
    known = known_version(session, "component", namespace, member.name, version)
    if known is not None:
        _require_same(member, namespace, known, repository, repository.subdirectory(member.root))
        return MemberPlan(member, namespace, version, "keep")
    wanted = Wanted(
        member.root,
        namespace,
        member.name,
        version,
        platforms=tuple(map(str, member.loaded.spec.platforms)),
        remote=repository.checkout.remote,
        repository=repository.url,
        move_source=move_source,
    )
    return MemberPlan(member, namespace, version, "build", prepare(session, wanted))


def _require_same(
    member: Member, namespace: str, known: KnownVersion, repository: Repository, subdirectory: str
) -> None:
    what = f"{namespace}/{member.name} {known.version}"
    hint = f"A version means one thing for ever: raise metadata.version in {subdirectory}/component.yaml."
    if known.yanked is not None:
        raise ConflictError(f"{what} was yanked: {known.yanked.reason}", hint=hint)
    commit = known.source.commit
    ours = repository.tree_of(repository.checkout.commit.sha, subdirectory)
    theirs = repository.tree_of(commit, subdirectory) if commit is not None else None
    if theirs is None:
        raise ConflictError(
            f"{what} is published from the commit {commit}, which is not in this clone" if commit else
            f"{what} is published, and not from a commit",
            hint=f"Fetch that commit (git fetch), or: {hint}",
        )  # fmt: skip
    if ours != theirs:
        raise ConflictError(f"{what} is published, and its source has changed since", hint=hint)


def _listed(registry: RemoteRegistry, each: MemberPlan) -> IndexedVersion:
    """The signed index's entry, once it is there."""
    request = Request(each.namespace, each.member.name)
    deadline = time.monotonic() + _INDEX_S
    while True:
        try:
            entry = registry.index(request).versions.get(each.version)
        except NotFoundError:
            entry = None
        if entry is not None:
            return entry
        if time.monotonic() > deadline:
            raise TrustError(
                f"the signed index of {registry.url} has no {each.what}", hint="It is behind: publish again in a while."
            )
        time.sleep(_INDEX_LOOK_S)
        registry.trust.refresh()
