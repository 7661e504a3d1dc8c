"""Publishes a version: everything that can be checked here and asked there comes before the first push."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from flowctl_core.client.builds import Kind, request_build
from flowctl_core.client.session import Session
from flowctl_core.errors import ConflictError, ForbiddenError, NotFoundError, SourceError, UnauthorizedError
from flowctl_core.models.base import Frozen
from flowctl_core.models.remote_build import Publication, RemoteBuild
from flowctl_core.publish.addresses import fetched_from
from flowctl_core.publish.repository import Checkout, Missing, check_out_of, missing_at_remote, push


@dataclass(frozen=True)
class Wanted:
    """What is to be published."""

    folder: Path
    namespace: str
    name: str
    version: str
    kind: Kind = "component"
    platforms: tuple[str, ...] = ()
    remote: str | None = None
    """Git remote to push to; None: the branch's, or origin."""
    repository: str | None = None
    """Where the registry fetches; None: the remote's address."""
    move_source: bool = False
    """The source may be registered anew, from another repository than before."""


@dataclass(frozen=True)
class Prepared:
    """What will be done, checked."""

    publication: Publication
    checkout: Checkout
    missing: Missing
    source: Literal["registered", "new", "moved", "left"]
    """What happens to the registration of the component's source; `left`: the caller may not register any."""
    registered: str | None = None
    """Where its source was registered before."""
    tag_pattern: str = "v*"


class _Source(Frozen):
    repository: str
    subdirectory: str
    tag_pattern: str


class _Caller(Frozen):
    user: str | None = None
    actions: tuple[str, ...] = ()
    namespaces: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it


class _Version(Frozen):
    version: str


def prepare(session: Session, wanted: Wanted) -> Prepared:
    """Check the repository, the caller's rights and the version; nothing is changed.

    Raises SourceError, UnauthorizedError, ForbiddenError, ConflictError for a version that is there, RemoteError.
    """
    checkout = check_out_of(wanted.folder, wanted.remote)
    repository = wanted.repository or fetched_from(checkout.address, checkout.remote)
    subdirectory = checkout.commit.prefix or "."
    may_manage = _check_caller(session, wanted)
    _check_new(session, wanted)
    known = _registered(session, wanted)
    pattern = known.tag_pattern if known is not None else "v*" if subdirectory == "." else f"{wanted.name}/v*"
    source = _source_step(wanted, known, repository, subdirectory, may_manage=may_manage)
    tag = pattern.replace("*", wanted.version)
    missing = missing_at_remote(checkout, tag)
    publication = Publication(
        namespace=wanted.namespace,
        name=wanted.name,
        version=wanted.version,
        kind=wanted.kind,
        registry=session.connection.url,
        repository=repository,
        subdirectory=subdirectory,
        commit=checkout.commit.sha,
        tag=tag,
        remote=checkout.remote,
        push=missing.names,
        platforms=wanted.platforms,
    )
    return Prepared(
        publication, checkout, missing, source, known.repository if known is not None else None, tag_pattern=pattern
    )


def push_source(prepared: Prepared) -> None:
    """Push commit and tag, where the remote lacks them. Raises SourceError with git's own words."""
    push(prepared.checkout, prepared.missing)


def ask_for_build(session: Session, prepared: Prepared) -> RemoteBuild:
    """Register the source where that is needed, and ask for the build. Raises RemoteError."""
    asked = prepared.publication
    if prepared.source in ("new", "moved"):
        body = {
            "repository": asked.repository, "subdirectory": asked.subdirectory, "tag_pattern": prepared.tag_pattern,
        }  # fmt: skip
        what = f"the source of {asked.namespace}/{asked.name}"
        session.send("PUT", f"{_path(asked.kind, asked.namespace, asked.name)}/source", what=what, body=body)
    return request_build(
        session,
        "bundle" if asked.kind == "bundle" else "component",
        asked.namespace,
        asked.name,
        repository=asked.repository,
        subdirectory=asked.subdirectory,
        ref=asked.tag,
        version=asked.version,
    )


def _path(kind: str, namespace: str, name: str) -> str:
    return f"/v1/{kind}s/{quote(namespace, safe='')}/{quote(name, safe='')}"


def _check_caller(session: Session, wanted: Wanted) -> bool:
    """Whether the caller may register sources. Raises where it may not even publish."""
    host, url = session.connection.host, session.connection.url
    if session.connection.token is None:
        raise UnauthorizedError(
            f"{host} takes versions from known users only", hint=f"`flowctl login {url}`, or set FLOWCTL_TOKEN."
        )
    caller = session.document(_Caller, "/v1/whoami", what="your token")
    if "publish" not in caller.actions:
        raise ForbiddenError(
            f"the token for {host} does not allow to publish",
            hint=f"It allows {', '.join(caller.actions) or 'nothing'}; ask for one that may publish.",
        )
    try:
        session.document(_Namespace, f"/v1/namespaces/{quote(wanted.namespace, safe='')}", what=wanted.namespace)
    except NotFoundError as error:
        names = ", ".join(sorted(caller.namespaces)) or "none"
        raise NotFoundError(
            f"{host} has no namespace {wanted.namespace}, or does not show it",
            hint=f"Yours: {names}. Name one with --namespace, or have this one made.",
        ) from error
    admin = "admin" in caller.actions
    if not admin and wanted.namespace not in caller.namespaces and caller.user and ":" not in caller.user:
        raise ForbiddenError(
            f"{caller.user} is no member of {wanted.namespace}",
            hint=f"Ask an owner to add you; yours: {', '.join(sorted(caller.namespaces)) or 'none'}.",
        )
    return "manage" in caller.actions and (admin or caller.namespaces.get(wanted.namespace) == "owner")


class _Namespace(Frozen):
    name: str


def _check_new(session: Session, wanted: Wanted) -> None:
    what = f"{wanted.namespace}/{wanted.name} {wanted.version}"
    try:
        path = f"{_path(wanted.kind, wanted.namespace, wanted.name)}/{quote(wanted.version, safe='')}"
        session.document(_Version, path, what=what)
    except NotFoundError:
        return
    raise ConflictError(
        f"{what} is published already",
        hint=f"A version means one thing for ever: raise the version in {wanted.kind}.yaml and commit.",
    )


def _registered(session: Session, wanted: Wanted) -> _Source | None:
    path = f"{_path(wanted.kind, wanted.namespace, wanted.name)}/source"
    try:
        return session.document(_Source, path, what=f"a source of {wanted.namespace}/{wanted.name}")
    except (NotFoundError, ForbiddenError):
        return None


def _source_step(
    wanted: Wanted, known: _Source | None, repository: str, subdirectory: str, *, may_manage: bool
) -> Literal["registered", "new", "moved", "left"]:
    if known is None:
        return "new" if may_manage else "left"
    if (_key(known.repository), known.subdirectory) == (_key(repository), subdirectory):
        return "registered"
    if wanted.move_source:
        return "moved"
    raise SourceError(
        f"{wanted.namespace}/{wanted.name} is registered as built from {known.repository}, "
        f"folder {known.subdirectory}; this is {repository}, folder {subdirectory}",
        hint="If it has moved, say so: --move-source.",
    )


def _key(repository: str) -> str:
    return repository.rstrip("/").removesuffix(".git").lower()
