"""No network, no room, no rights, a killed process, two at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowctl_core.errors import LockedError, StoreError, TrustError
from flowctl_core.trust import publishing
from flowctl_core.trust.repository import Repository

from .conftest import ONE, World, brief, outlive, public_key

FLOWCTL = Path(sys.prefix) / "bin" / "flowctl"

CLIENT = """\
import pathlib, sys
from flowctl_core.errors import FlowctlError
from flowctl_core.trust.client import TrustStore
from flowctl_core.trust.fetcher import Patience
try:
    with TrustStore(sys.argv[1], home=pathlib.Path(sys.argv[2]), patience=Patience(2, 2, 4, 2)) as store:
        print(" ".join(store.index("acme", "greeting").versions), store.state().offline)
except FlowctlError as error:
    sys.exit(f"{type(error).__name__}: {error} ({error.hint})")
"""


def go_offline(world: World) -> None:
    world.server.shutdown()
    world.server.server_close()


def test_no_network(world: World) -> None:
    publishing.add_key(world.repository, public_key())
    assert world.versions() == ["1.0.0"]
    world.publish("1.0.0", component="wave")
    go_offline(world)
    with world.client() as store:
        state = store.refresh()
        assert state.offline is not None and "metadata" in state.offline
        assert 0 < state.age_s < 60 and state.expires > datetime.now(UTC)
        assert [key.name for key in store.material().keys] == ["team"]
        index = store.index("acme", "greeting")
        assert index is not None and list(index.versions) == ["1.0.0"]
        assert store.index("acme", "unheard") is None
        with pytest.raises(TrustError, match=r"other.* not known on this machine"):
            store.index("other", "greeting")


def test_components_of_before_stay_usable_offline(world: World) -> None:
    """A refresh for one component brings the newer index of others that were looked up, too."""
    assert world.versions() == ["1.0.0"]
    world.publish("1.1.0")
    world.publish("1.0.0", component="wave")
    assert world.versions(component="wave") == ["1.0.0"]
    go_offline(world)
    assert world.versions() == ["1.0.0", "1.1.0"]


def test_no_network_and_nothing_known(world: World) -> None:
    world.client().close()  # pinned, never asked
    with world.client(offline=True) as store, pytest.raises(TrustError, match="was never verified"):
        store.material()
    go_offline(world)
    with world.client() as store, pytest.raises(TrustError, match="cannot be reached"):
        store.material()


def test_offline_only_until_it_expires(world: World) -> None:
    publishing.refresh(Repository(world.repository.folder, world.repository.keys, brief(8)))
    assert world.versions() == ["1.0.0"]
    go_offline(world)
    assert world.versions() == ["1.0.0"]
    outlive(world)
    with world.client() as store, pytest.raises(TrustError, match=r"last verified \d+ seconds ago.*has expired"):
        store.index("acme", "greeting")


def test_interrupted_refresh(world: World) -> None:
    """The newer timestamp is believed, so what it does not name is used no more; network heals it."""
    assert world.versions() == ["1.0.0"]
    world.publish("1.1.0")
    world.server.status = {f"metadata/{number}.snapshot.json": 404 for number in range(9)}
    with world.client() as store, pytest.raises(TrustError, match="lacks a file"):
        store.material()
    for offline in (True, False):
        if not offline:
            world.server.status = {"metadata/timestamp.json": 503}
        with world.client(offline=offline) as store, pytest.raises(TrustError, match="part of the metadata"):
            store.material()
    world.server.status = {}
    assert world.versions() == ["1.0.0", "1.1.0"]


def test_offline_asks_nobody(world: World) -> None:
    assert world.versions() == ["1.0.0"]
    asked = len(world.server.asked)
    with world.client(offline=True) as store:
        assert store.index("acme", "greeting") is not None
    assert len(world.server.asked) == asked


def test_clock_that_was_set_back(world: World) -> None:
    """With it, what has expired would look good again."""
    assert world.versions() == ["1.0.0"]
    later = datetime.now(UTC) + timedelta(days=2)
    world.folder().verified.write_text(json.dumps({"at": later.isoformat()}))
    with world.client(offline=True) as store, pytest.raises(TrustError, match=r"clock is .* before"):
        store.material()


@pytest.mark.parametrize("part", ["pin", "root", "verified"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
def test_damaged_files_of_the_client(world: World, part: str, data: bytes) -> None:
    assert world.versions() == ["1.0.0"]
    getattr(world.folder(), part).write_bytes(data)
    with world.client(offline=True) as store, pytest.raises(TrustError, match=r"damaged|not the root that was pinned"):
        store.material()


def test_damaged_metadata_of_the_client_heals(world: World) -> None:
    assert world.versions() == ["1.0.0"]
    for path in [*world.folder().metadata.glob("*.json"), *world.folder().targets.iterdir()]:
        if not path.is_symlink():
            path.write_bytes(b"{")
    with world.client(offline=True) as store, pytest.raises(TrustError):
        store.material()
    assert world.versions() == ["1.0.0"]


def run_client(world: World, *before: str) -> subprocess.CompletedProcess[str]:
    world.client().close()  # pins
    return subprocess.run(
        [*before, sys.executable, "-c", CLIENT, world.server.url, str(world.path / "client")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_full_disk(world: World) -> None:
    """No file may grow beyond 900 bytes, as on a disk that is full."""
    world.client().close()
    limited = (
        sys.executable, "-c",
        "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); os.execv(sys.argv[1], sys.argv[1:])",
    )  # fmt: skip
    done = run_client(world, *limited)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("StoreError") and "larger than" in done.stderr
    assert world.versions() == ["1.0.0"]
    before = state_of(world.repository.folder)
    done = subprocess.run(
        [*limited, FLOWCTL, "trust", "refresh", world.repository.folder, "--keys", world.repository.keys.offline,
         "--online-keys", world.repository.keys.online],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == StoreError.exit_code and "Traceback" not in done.stderr, done.stderr
    assert state_of(world.repository.folder) == before
    assert world.versions() == ["1.0.0"]


def state_of(folder: Path) -> bytes:
    return (folder / "metadata/timestamp.json").read_bytes()


def test_read_only_folders(world: World) -> None:
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    assert world.versions() == ["1.0.0"]
    folders = [path for path in (world.path / "client").rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = run_client(world, *powerless)
        assert done.stdout.startswith("1.0.0 ") and done.stdout.endswith("cannot be written\n"), done.stderr
        go_offline(world)
        done = run_client(world, *powerless)
        assert done.stdout.startswith("1.0.0 "), done.stderr
        world.folder().verified.unlink()
        done = run_client(world, *powerless)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert done.stderr.startswith("StoreError") and "no permission" in done.stderr
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_client_is_killed_at_any_moment(world: World) -> None:
    chance = random.Random(4)
    world.client().close()
    for step in range(1, 6):
        world.publish(f"1.{step}.0")
        publishing.rotate(world.repository, ("root", "snapshot")[step % 2])
        child = subprocess.Popen(
            [sys.executable, "-c", "import flowctl_core.trust.client; print('up', flush=True)\n" + CLIENT,
             world.server.url, str(world.path / "client")],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stdout is not None and child.stdout.readline() == "up\n"
        time.sleep(chance.uniform(0.0, 0.06))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert len(world.versions()) == step + 1
    assert not [path for path in world.folder().targets.iterdir() if path.name.endswith(".part")]


OPERATOR = """\
import pathlib, sys
from flowctl_core.trust import publishing
from flowctl_core.trust.repository import Repository
from flowctl_core.trust.role_keys import KeyFolders
base = pathlib.Path(sys.argv[1])
repository = Repository(base / "repository", KeyFolders(base / "offline", base / "online"))
print("up", flush=True)
while True:
    for role in ("root", "timestamp", "snapshot", "targets", "namespace-acme"):
        publishing.rotate(repository, role)
        publishing.refresh(repository)
"""


def test_operator_is_killed_at_any_moment(world: World) -> None:
    """At each moment the folder is one that old and new clients follow, and the next command goes on."""
    chance = random.Random(4)
    for step in range(1, 8):
        child = subprocess.Popen([sys.executable, "-c", OPERATOR, str(world.path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdout.readline() == "up\n"
        time.sleep(chance.uniform(0.0, 0.15))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        # Before anybody mends anything:
        assert len(world.versions()) == len(world.versions(f"new-{step}")) == step
        world.publish(f"1.{step}.0")
        assert len(world.versions()) == step + 1
    assert world.repository.report().roles[0].version > 3


@pytest.mark.parametrize("written", range(0, 9))
def test_operator_stops_between_any_two_files(world: World, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    from flowctl_core.trust import repository as module

    class StopError(Exception):
        pass

    real, count = module.atomic_write, [0]

    def stopping(path: Path, data: bytes, **options: bool) -> None:
        if count[0] == written:
            raise StopError
        count[0] += 1
        real(path, data, **options)

    assert world.versions() == ["1.0.0"]
    monkeypatch.setattr(module, "atomic_write", stopping)
    for role in ("timestamp", "snapshot", "targets", "root"):
        count[0] = 0
        try:
            publishing.rotate(world.repository, role)
            assert count[0] <= written
        except StopError:
            assert count[0] == written
        assert world.versions() == world.versions(f"new-{role}") == ["1.0.0"]
    monkeypatch.undo()
    world.publish("1.1.0")
    assert world.versions() == ["1.0.0", "1.1.0"]


def test_many_at_once(world: World) -> None:
    """Clients that share a folder, while the operator publishes."""
    world.client().close()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, world.server.url, str(world.path / "client")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for step in range(1, 10):
        world.publish(f"1.{step}.0")
    for child in children:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0 and out.startswith("1.0.0") and out.endswith("None\n"), err
    assert len(world.versions()) == 10


def test_two_operators_at_once(world: World) -> None:
    children = [
        subprocess.Popen(
            [FLOWCTL, "trust", "publish", world.repository.folder, "acme/greeting", f"2.{number}.0", "--digest",
             f"x={ONE}", "--keys", world.repository.keys.offline, "--online-keys", world.repository.keys.online],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    assert sorted(world.versions()) == ["1.0.0", *(f"2.{number}.0" for number in range(4))]


def test_who_waits_too_long_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowctl_core.store.lock import file_lock

    assert world.versions() == ["1.0.0"]
    monkeypatch.setattr("flowctl_core.trust.client.LOCK_TIMEOUT_S", 0.1)
    with (
        file_lock(world.folder().lock, what="it", timeout_s=1),
        world.client() as store,
        pytest.raises(LockedError, match="is in use by process"),
    ):
        store.refresh()


def test_folder_as_registry(world: World) -> None:
    from flowctl_core.trust import pinning
    from flowctl_core.trust.client import TrustStore

    registry = pinning.normal(str(world.repository.folder))
    pinning.pin(registry, pinning.offered_root(registry, None), home=world.path / "home")
    with TrustStore(registry, home=world.path / "home") as store:
        assert store.index("acme", "greeting") is not None
    shutil.move(world.repository.folder, world.path / "unplugged")
    with TrustStore(registry, home=world.path / "home") as store:
        assert store.index("acme", "greeting") is not None
        assert "is missing" in str(store.state().offline)
