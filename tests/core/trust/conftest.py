"""A trust repository with its keys, a server for it, and clients that pinned it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flowctl_core.models.signing import TrustedKey
from flowctl_core.trust import pinning, publishing
from flowctl_core.trust.client import TrustStore
from flowctl_core.trust.fetcher import Patience
from flowctl_core.trust.repository import Lifetimes, Repository
from flowctl_core.trust.role_keys import KeyFolders

from .trust_server import TrustServer, serving

ONE, TWO, THREE = ("sha256:" + digit * 64 for digit in "123")
QUICK = Patience(connect_s=2, read_s=2, total_s=4, attempts=2)


def public_key(name: str = "team") -> TrustedKey:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return TrustedKey(name=name, public_key=key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@dataclass
class World:
    """An operator, who has the keys, and the registry, whose server may be an attacker's."""

    path: Path
    repository: Repository
    server: TrustServer

    def client(self, name: str = "client", *, offline: bool = False) -> TrustStore:
        """A client with a folder of that name, which pins the root of now on first use."""
        home = self.path / name
        registry = pinning.normal(self.server.url)
        if not pinning.folder_of(registry, home).pin.exists():
            pinning.pin(registry, pinning.offered_root(registry, None), home=home)
        return TrustStore(registry, home=home, offline=offline, patience=QUICK)

    def versions(self, name: str = "client", component: str = "greeting") -> list[str]:
        """What a client learns, with network, about acme's component."""
        with self.client(name) as store:
            index = store.index("acme", component)
            return list(index.versions) if index is not None else []

    def folder(self, name: str = "client") -> pinning.TrustFolder:
        return pinning.folder_of(pinning.normal(self.server.url), self.path / name)

    def copy(self, name: str, lifetimes: Lifetimes | None = None) -> Repository:
        """The repository as it is now, in a folder of its own, with the same keys."""
        shutil.copytree(self.repository.folder, self.path / name)
        return Repository(self.path / name, self.repository.keys, lifetimes)

    def publish(self, version: str, digest: str = ONE, component: str = "greeting") -> None:
        publishing.publish(self.repository, "acme", component, version, {component: digest})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """acme has published greeting 1.0.0."""
    repository = Repository(tmp_path / "repository", KeyFolders(tmp_path / "offline", tmp_path / "online"))
    publishing.init(repository, namespaces=["acme", "other"])
    with serving(repository.folder) as server:
        world = World(tmp_path, repository, server)
        world.publish("1.0.0")
        yield world


def outlive(world: World) -> None:
    """Wait until the timestamp of the repository has expired."""
    expires = next(role.expires for role in world.repository.report().roles if role.role == "timestamp")
    time.sleep(max(0.0, (expires - datetime.now(UTC)).total_seconds()) + 0.05)


def brief(seconds: float) -> Lifetimes:
    """Metadata that expires soon; whole seconds."""
    return Lifetimes(timestamp=timedelta(seconds=seconds))
