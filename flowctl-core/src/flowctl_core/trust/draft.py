"""The state of a trust repository while an operator's command changes it, and how it is signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from flowctl_core.errors import TrustError
from flowctl_core.trust.names import namespace_of, pattern_of, role_of
from flowctl_core.trust.role_keys import KeyFolders


class _Lifetimes(Protocol):
    def of(self, role: str) -> timedelta: ...


@dataclass
class Draft:
    """Metadata of all roles, and which of them changed."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: dict[str, Metadata[Targets]]
    """The role `targets` and those of the namespaces."""
    changed: set[str] = field(default_factory=set)
    """Roles to be signed anew; timestamp always is."""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """New targets: path to the role that lists it, and its bytes."""
    outgoing: dict[str, list[Signer]] = field(default_factory=dict)
    """Signers of keys that are being replaced, which sign this one time more."""

    @classmethod
    def empty(cls) -> Draft:
        """A repository without keys and without targets; every role is to be signed."""
        top = Targets()
        top.delegations = Delegations(keys={}, roles={})
        draft = cls(
            Metadata(Root(consistent_snapshot=True)),
            Metadata(Timestamp()),
            Metadata(Snapshot()),
            {"targets": Metadata(top)},
        )
        for role in ("root", "timestamp", "snapshot", "targets"):
            draft.signed(role).version = 0  # signing makes it 1
        draft.changed |= {"root", "snapshot", "targets"}
        return draft

    @property
    def delegated_roles(self) -> tuple[str, ...]:
        """Roles of the namespaces."""
        return tuple(sorted(role for role in self.targets if role != "targets"))

    def signed(self, role: str) -> Signed:
        """What a role's metadata says."""
        if role not in ("root", "timestamp", "snapshot") and role not in self.targets:
            raise TrustError(f"there is no role {role}", hint="`flowctl trust refresh` lists the roles.")
        return self._metadata(role).signed

    def delegator(self, role: str) -> Root | Targets:
        """Who says which keys sign for a role."""
        return self.targets["targets"].signed if role in self.delegated_roles else self.root.signed

    def keys_of(self, role: str) -> tuple[list[Key], int]:
        """Keys that may sign for a role, and how many of them must."""
        delegator = self.delegator(role)
        delegated = delegator.get_delegated_role(role)
        return [delegator.get_key(keyid) for keyid in delegated.keyids], delegated.threshold

    def put(self, role: str, path: str, data: bytes) -> None:
        """Let a role list a target of these bytes."""
        self.targets[role].signed.targets[path] = TargetFile.from_data(path, data, ["sha256"])
        self.files[path] = (role, data)
        self.changed.add(role)

    def add_namespace(self, namespace: str, key: Key) -> str:
        """Delegate a namespace to a key; returns the role. Raises TrustError when there is one."""
        role = role_of(namespace)
        if role in self.targets:
            raise TrustError(f"the namespace {namespace} exists", hint=f"Replace its key: rotate {role}.")
        delegations = self.targets["targets"].signed.delegations
        if delegations is None or delegations.roles is None:
            raise TrustError("the targets role delegates to no namespaces", hint="Restore the folder from a backup.")
        delegations.roles[role] = DelegatedRole(
            role, keyids=[], threshold=1, terminating=True, paths=[pattern_of(namespace_of(role))]
        )
        self.targets["targets"].signed.add_key(key, role)
        self.targets[role] = Metadata(Targets())
        self.targets[role].signed.version = 0
        self.changed |= {role, "targets"}
        return role

    def replace_keys(self, role: str, keys: list[Key], outgoing: list[Signer]) -> None:
        """Let other keys sign for a role. The outgoing ones sign once more, for clients that know only them."""
        delegator = self.delegator(role)
        for keyid in list(delegator.get_delegated_role(role).keyids):
            delegator.revoke_key(keyid, role)
        for key in keys:
            delegator.add_key(key, role)
        if role in self.delegated_roles:
            self.changed |= {role, "targets"}  # one snapshot names both: no client sees one without the other
            return
        self.outgoing[role] = outgoing
        self.changed |= {"root", "snapshot", role}

    def sign(self, keys: KeyFolders, lifetimes: _Lifetimes, now: datetime) -> dict[str, tuple[int, bytes]]:
        """New versions of what changed: role to version and bytes, in the order in which they may be written."""
        found: dict[str, tuple[int, bytes]] = {}
        # All signers first: nothing is half signed because a key is missing.
        signers = {role: self._signers(role, keys) for role in self._in_order()}
        for role, own in signers.items():
            metadata = self._metadata(role)
            metadata.signed.version += 1
            metadata.signed.expires = now + lifetimes.of(role)
            metadata.signatures.clear()
            for signer in own:
                metadata.sign(signer, append=True)
            data = metadata.to_bytes(JSONSerializer())
            found[role] = (metadata.signed.version, data)
            if role in self.targets:
                self.snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(
                    metadata.signed.version, data, ["sha256"]
                )
            elif role == "snapshot":
                self.timestamp.signed.snapshot_meta = MetaFile.from_data(metadata.signed.version, data, ["sha256"])
        return found

    def _in_order(self) -> Iterator[str]:
        roles = [role for role in self.targets if role in self.changed]
        yield from roles
        if roles or "snapshot" in self.changed:
            yield "snapshot"
        yield "timestamp"
        if "root" in self.changed:
            yield "root"

    def _signers(self, role: str, keys: KeyFolders) -> list[Signer]:
        own, threshold = self.keys_of(role)
        signers = keys.signers(role, own, threshold)
        known = {signer.public_key.keyid for signer in signers}
        return signers + [s for s in self.outgoing.get(role, []) if s.public_key.keyid not in known]

    def _metadata(self, role: str) -> Metadata[Root] | Metadata[Timestamp] | Metadata[Snapshot] | Metadata[Targets]:
        if role == "root":
            return self.root
        if role == "timestamp":
            return self.timestamp
        return self.snapshot if role == "snapshot" else self.targets[role]
