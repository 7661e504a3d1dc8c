"""What the signer does for the index by itself: it renews what expires, and forgets what nobody can be reading."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from flowctl_core.errors import ConfigError
from flowctl_core.sign.key_pair import generate
from flowctl_core.trust import publishing
from flowctl_core.trust.repository import Lifetimes
from flowctl_registry.database import migrate
from flowctl_registry.database.engine import open_engine, reading
from flowctl_registry.database.tables import trust_files
from flowctl_registry.settings import Settings
from flowctl_registry.signer.index import Index, open_repository
from flowctl_registry.signer.keys import SignerKeys


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@pytest.fixture
def open_index(settings: Settings) -> Iterator[Callable[[], Index]]:
    """The index of a signer that starts."""
    engine = open_engine(settings.database)
    migrate.upgrade(engine)

    def run() -> Index:
        index = Index(settings, engine)
        index.prepare(SignerKeys(settings).trusted())
        return index

    yield run
    engine.dispose()


def copied(settings: Settings) -> dict[str, bytes]:
    engine = open_engine(settings.database)
    with reading(engine) as connection:
        files = dict(connection.execute(select(trust_files.c.path, trust_files.c.content)).all())
    engine.dispose()
    return files


def version(settings: Settings, role: str = "timestamp") -> int:
    """Of the metadata that clients read."""
    return int(json.loads(copied(settings)[f"metadata/{role}.json"])["signed"]["version"])


def test_what_is_fresh_is_left_alone(settings: Settings, open_index: Callable[[], Index]) -> None:
    index = open_index()
    before = copied(settings)
    index.refresh()
    assert copied(settings) == before


def test_a_timestamp_past_half_its_life_is_signed_anew(settings: Settings, open_index: Callable[[], Index]) -> None:
    index, lives = open_index(), Lifetimes()
    index._repository.lifetimes = Lifetimes(timestamp=lives.timestamp * 3)  # what there is has less than half of that
    index.refresh()
    signed = json.loads(copied(settings)["metadata/timestamp.json"])["signed"]
    assert signed["version"] == 3  # made, then told of the signer's key
    left = datetime.fromisoformat(signed["expires"]) - datetime.now(UTC)
    assert lives.timestamp * 2 < left


def test_yearly_roles_are_signed_anew_when_their_keys_are_here(
    settings: Settings, open_index: Callable[[], Index], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_index()
    short = timedelta(days=30)
    repository = open_repository(settings)
    repository.lifetimes = Lifetimes(root=short, targets=short)
    publishing.refresh(repository, everything=True)
    (root_key,) = (tmp_path / "signer" / "trust-keys").glob("root-*.key")
    away = root_key.rename(tmp_path / root_key.name)
    index = open_index()
    with caplog.at_level(logging.WARNING):
        index.refresh()
    assert "root expires soon and its keys are not here" in caplog.text
    signed = version(settings)
    index.refresh()
    assert version(settings) == signed
    left = {each.role: each.expires - datetime.now(UTC) for each in open_repository(settings).report().roles}
    assert left["targets"] > timedelta(days=300) and left["root"] < short
    away.rename(root_key)
    before = version(settings, "root")
    index.refresh()
    assert version(settings, "root") == before + 1


def test_replaced_files_are_forgotten_the_second_time(settings: Settings, open_index: Callable[[], Index]) -> None:
    index, replaced = open_index(), "metadata/2.snapshot.json"
    folder = settings.data / "signer" / "trust"
    publishing.refresh(open_repository(settings))
    index.apply()
    index.refresh()
    assert replaced in copied(settings) and (folder / replaced).exists()
    index.refresh()
    there = copied(settings)
    assert replaced not in there and not (folder / replaced).exists()
    assert "metadata/1.root.json" in there
    current = {path.relative_to(folder).as_posix() for path in open_repository(settings).current()}
    assert current <= there.keys()


def test_a_change_of_the_operators_is_copied_whole(settings: Settings, open_index: Callable[[], Index]) -> None:
    index = open_index()
    publishing.rotate(open_repository(settings), "timestamp")
    publishing.add_namespace(open_repository(settings), "acme")
    index.apply()
    current = {path: path.read_bytes() for path in open_repository(settings).current()}
    folder = settings.data / "signer" / "trust"
    there = copied(settings)
    assert {path.relative_to(folder).as_posix(): data for path, data in current.items()}.items() <= there.items()


def test_a_key_of_the_operators_own(tmp_path: Path) -> None:
    """A file stands for what a PKCS#11 or KMS URI names; their keys are tested where they are opened."""
    pem, public = generate(None)
    (tmp_path / "own.key").write_bytes(pem)
    (tmp_path / "own.key").chmod(0o600)
    keys = SignerKeys(Settings(data=tmp_path, signer_key=str(tmp_path / "own.key")))
    assert keys.trusted().public_key == public
    with pytest.raises(ConfigError, match="signer's key is"):
        keys.rotate()
    assert not (tmp_path / "signer" / "keys").exists()


def test_a_folder_from_an_older_backup_goes_on_from_the_copy(
    settings: Settings, open_index: Callable[[], Index], tmp_path: Path
) -> None:
    """Else clients would see a rollback."""
    open_index()
    signer = tmp_path / "signer"
    shutil.copytree(signer, tmp_path / "backup")
    publishing.add_namespace(open_repository(settings), "acme")
    open_index()
    before = version(settings)
    shutil.rmtree(signer)
    shutil.copytree(tmp_path / "backup", signer)
    open_index()
    assert version(settings) > before
    assert "namespace-acme" in {each.role for each in open_repository(settings).report().roles}


def test_without_its_keys_no_new_root_is_made(
    settings: Settings, open_index: Callable[[], Index], tmp_path: Path
) -> None:
    open_index()
    before = copied(settings)
    (tmp_path / "signer").rename(tmp_path / "lost")
    for _ in range(2):
        with pytest.raises(ConfigError, match="the keys of the signed index are not in"):
            open_index()
    publishing.init(open_repository(settings))
    with pytest.raises(ConfigError, match="is not the trust repository of this database"):
        open_index()
    assert copied(settings) == before
