"""What operators do with a trust repository. Each function is one change, visible as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from flowctl_core.errors import TrustError
from flowctl_core.models.signing import TrustedKey
from flowctl_core.models.trust import ComponentIndex, IndexedVersion, TrustedKeys, Yank
from flowctl_core.trust.draft import Draft
from flowctl_core.trust.names import (
    KEYS,
    TARGET_LIMIT,
    TRUSTED_ROOT,
    check_digest,
    check_version,
    index_path,
    role_of,
)
from flowctl_core.trust.repository import Repository

_RESTORE = "Restore the folder from a backup."


@dataclass(frozen=True)
class Recorded:
    """What a registry's database says of a version."""

    namespace: str
    component: str
    version: str
    digests: Mapping[str, str]
    """As in IndexedVersion; empty: those that the index has."""
    published: datetime
    yanked: Yank | None = None


def init(
    repository: Repository,
    *,
    root_keys: int = 1,
    root_threshold: int = 1,
    namespaces: Sequence[str] = (),
    trusted_root: bytes | None = None,
) -> None:
    """Make a repository with new keys for all roles. Raises TrustError when there is one."""
    if not 1 <= root_threshold <= root_keys:
        raise TrustError(f"{root_threshold} of {root_keys} root keys cannot sign", hint="Make more root keys.")
    with repository.locked():
        if repository.exists:
            raise TrustError(f"{repository.folder} is a trust repository already", hint="Name another folder.")
        draft = Draft.empty()
        root = draft.root.signed
        for role, number in (("root", root_keys), ("targets", 1), ("snapshot", 1), ("timestamp", 1)):
            for _ in range(number):
                root.add_key(repository.keys.new(role).public_key, role)
        root.roles["root"].threshold = root_threshold
        _put_keys(draft, TrustedKeys())
        if trusted_root is not None:
            draft.put("targets", TRUSTED_ROOT, _checked_root(trusted_root))
        for namespace in namespaces:
            draft.add_namespace(namespace, repository.keys.new(role_of(namespace)).public_key)
        repository.write(draft)


def refresh(repository: Repository, *, everything: bool = False, roles: Iterable[str] = ()) -> None:
    """Sign timestamp and snapshot anew, so that they do not expire, and `roles`.

    `everything`: root, targets and namespaces too.
    """
    with repository.edit() as draft:
        draft.changed.add("snapshot")
        if everything:
            draft.changed |= {"root", *draft.targets}
        draft.changed |= {role for role in roles if draft.signed(role) is not None}


def rotate(repository: Repository, role: str) -> None:
    """Give a role new keys. Clients that know only the old ones follow."""
    with repository.edit() as draft:
        draft.signed(role)  # it exists
        keys, threshold = draft.keys_of(role)
        outgoing = [] if role in draft.delegated_roles else repository.keys.signers(role, keys, threshold)
        draft.replace_keys(role, [repository.keys.new(role).public_key for _ in keys], outgoing)


def add_namespace(repository: Repository, namespace: str) -> None:
    """Delegate a namespace to a new key."""
    with repository.edit() as draft:
        role = role_of(namespace)
        if role in draft.targets:
            raise TrustError(f"the namespace {namespace} exists", hint="Publish without --new-namespace.")
        draft.add_namespace(namespace, repository.keys.new(role).public_key)


def set_trusted_root(repository: Repository, data: bytes) -> None:
    """Let clients trust a Sigstore instance. Raises TrustError for what is no TrustedRoot."""
    with repository.edit() as draft:
        draft.put("targets", TRUSTED_ROOT, _checked_root(data))


def add_key(repository: Repository, key: TrustedKey) -> None:
    """Trust a key. Raises TrustError when another one has its name, or when it is no public key."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        load_pem_public_key(key.public_key.encode())
    except Exception as error:  # cryptography raises many kinds
        raise TrustError(
            f"the key {key.name} is no public key in PEM", hint="Export it: `flowctl keys export`."
        ) from error
    if key.valid_from is not None and key.valid_until is not None and key.valid_until <= key.valid_from:
        raise TrustError(f"the key {key.name} would never be valid", hint="Let it end after its beginning.")
    with repository.edit() as draft:
        known = _keys(repository, draft)
        if any(other.name == key.name for other in known.keys):
            raise TrustError(
                f"there is a key named {key.name}", hint="Choose another name; names are never used again."
            )
        _put_keys(draft, TrustedKeys(keys=(*known.keys, key)))


def revoke_key(repository: Repository, name: str) -> None:
    """Stop trusting a key, whenever it signed. It stays listed, so that clients can say why they refuse."""
    with repository.edit() as draft:
        known = _keys(repository, draft)
        if not any(key.name == name for key in known.keys):
            names = ", ".join(key.name for key in known.keys) or "none"
            raise TrustError(f"there is no key named {name}", hint=f"Known: {names}.")
        _put_keys(
            draft,
            TrustedKeys(
                keys=tuple(key.model_copy(update={"revoked": True}) if key.name == name else key for key in known.keys)
            ),
        )


def publish(
    repository: Repository, namespace: str, component: str, version: str, digests: Mapping[str, str]
) -> IndexedVersion:
    """Enter a version in the signed index; again with the same digests changes nothing.

    Raises TrustError for a version that was published with other digests, or yanked: it means one thing for ever.
    """
    wanted = {name: check_digest(digest) for name, digest in digests.items()}
    if not wanted:
        raise TrustError(f"no digest of {component} {version} was given", hint="Name a release or digests.")
    check_version(version)
    with repository.edit() as draft:
        index = _index(repository, draft, namespace, component)
        known = index.versions.get(version)
        if known is not None:
            if known.digests == wanted and known.yanked is None:
                return known
            what = "was yanked" if known.yanked is not None else "was published with other digests"
            raise TrustError(f"{namespace}/{component} {version} {what}", hint="Publish it as a new version.")
        entry = IndexedVersion(digests=wanted, published=datetime.now(UTC).replace(microsecond=0))
        _put_index(draft, index, version, entry)
        return entry


def yank(repository: Repository, namespace: str, component: str, version: str, reason: str) -> IndexedVersion:
    """Tell clients not to use a version any more. Raises TrustError when it does not exist."""
    with repository.edit() as draft:
        index = _index(repository, draft, namespace, component)
        known = index.versions.get(version)
        if known is None:
            listed = ", ".join(index.versions) or "none"
            raise TrustError(f"there is no {namespace}/{component} {version}", hint=f"Published: {listed}.")
        if known.yanked is not None:
            return known
        entry = known.model_copy(update={"yanked": Yank(at=datetime.now(UTC).replace(microsecond=0), reason=reason)})
        _put_index(draft, index, version, entry)
        return entry


def unyank(repository: Repository, namespace: str, component: str, version: str) -> IndexedVersion:
    """Take a yank back. Raises TrustError when the version does not exist."""
    with repository.edit() as draft:
        index = _index(repository, draft, namespace, component)
        known = index.versions.get(version)
        if known is None:
            listed = ", ".join(index.versions) or "none"
            raise TrustError(f"there is no {namespace}/{component} {version}", hint=f"Published: {listed}.")
        entry = known.model_copy(update={"yanked": None})
        if known.yanked is not None:
            _put_index(draft, index, version, entry)
        return entry


def record(repository: Repository, entries: Iterable[Recorded]) -> None:
    """Bring the index to what is recorded elsewhere, as one change; again changes nothing, yanked or not.

    Namespaces that it does not know are made, which takes the targets key. Raises TrustError for a version that has
    other digests already: it means one thing for ever.
    """
    with repository.edit() as draft:
        for each in entries:
            if role_of(each.namespace) not in draft.targets:
                draft.add_namespace(each.namespace, repository.keys.new(role_of(each.namespace)).public_key)
            index = _index(repository, draft, each.namespace, each.component)
            known = index.versions.get(check_version(each.version))
            wanted = {name: check_digest(digest) for name, digest in each.digests.items()}
            if known is None and not wanted:
                raise TrustError(f"no digest of {each.component} {each.version} was given", hint="Name its digests.")
            if known is not None and wanted and known.digests != wanted:
                raise TrustError(
                    f"{each.namespace}/{each.component} {each.version} was published with other digests",
                    hint="Publish it as a new version.",
                )
            entry = known or IndexedVersion(digests=wanted, published=each.published)
            entry = entry.model_copy(update={"yanked": each.yanked})
            if entry != known:
                _put_index(draft, index, each.version, entry)


def read_key(name: str, path: Path, valid_from: datetime | None, valid_until: datetime | None) -> TrustedKey:
    """A key from a PEM file. Raises TrustError."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise TrustError(f"{path} cannot be read as a public key: {error}", hint="Name a file in PEM.") from error
    return TrustedKey(name=name, public_key=text, valid_from=valid_from, valid_until=valid_until)


def trusted_keys(repository: Repository) -> TrustedKeys:
    """The keys that clients are told to believe. Raises TrustError."""
    return _keys(repository, repository.load())


def _keys(repository: Repository, draft: Draft) -> TrustedKeys:
    data = repository.target(draft, "targets", KEYS)
    try:
        return TrustedKeys() if data is None else TrustedKeys.model_validate_json(data)
    except ValidationError as error:
        raise TrustError(f"{KEYS} has an unknown format", hint=_RESTORE) from error


def _put_keys(draft: Draft, keys: TrustedKeys) -> None:
    draft.put("targets", KEYS, _json(keys))


def _index(repository: Repository, draft: Draft, namespace: str, component: str) -> ComponentIndex:
    path, role = index_path(namespace, component), role_of(namespace)
    if role not in draft.targets:
        raise TrustError(
            f"there is no namespace {namespace}", hint="Make it with --new-namespace (needs the targets key)."
        )
    data = repository.target(draft, role, path)
    try:
        if data is None:
            return ComponentIndex(namespace=namespace, component=component)
        return ComponentIndex.model_validate_json(data)
    except ValidationError as error:
        raise TrustError(f"{path} has an unknown format", hint=_RESTORE) from error


def _put_index(draft: Draft, index: ComponentIndex, version: str, entry: IndexedVersion) -> None:
    new = index.model_copy(update={"versions": {**index.versions, version: entry}})
    path, data = index_path(index.namespace, index.component), _json(new)
    if len(data) > TARGET_LIMIT:
        raise TrustError(f"{path} would be larger than {TARGET_LIMIT} bytes", hint="Use another component name.")
    draft.put(role_of(index.namespace), path, data)


def _json(document: TrustedKeys | ComponentIndex) -> bytes:
    return document.model_dump_json(indent=1).encode() + b"\n"


def _checked_root(data: bytes) -> bytes:
    from sigstore_models.trustroot.v1 import TrustedRoot

    try:
        TrustedRoot.from_json(data.decode())
    except Exception as error:  # pydantic's, and those of its parser
        raise TrustError("the file is no Sigstore TrustedRoot", hint="Name a trusted_root.json.") from error
    return data
