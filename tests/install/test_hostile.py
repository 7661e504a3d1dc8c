"""A registry and a network that lie: nothing is installed, nothing is reachable, and each lie has its message."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowctl_core.client.session import Patience as SessionPatience
from flowctl_core.connection import connect
from flowctl_core.errors import FlowctlError, NotFoundError, RemoteError, TrustError, VerificationError
from flowctl_core.install.download import Patience
from flowctl_core.install.installing import Installed, Room, install
from flowctl_core.install.places import Home
from flowctl_core.install.plan import choose_versions
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import parse_request
from flowctl_core.models.event import Silent
from flowctl_core.trust import pinning
from hostile_proxy import Answer, HostileProxy, Tamper, hostile_proxy
from registry_instance import Registry

from .conftest import FLOWCTL

PROGRAM = "/files/binaries/greeting-linux-amd64"
QUICK = Patience(attempts=2, first_wait_s=0.01, slow_s=0.5)
ASKING = SessionPatience(connect_s=10, read_s=30, total_s=60, attempts=2)
HASTY = SessionPatience(connect_s=10, read_s=1, total_s=60, attempts=2)
"""For a server that stalls; a busy machine's own pauses are no lies."""


@pytest.fixture(scope="module")
def proxy(registry: Registry) -> Iterator[HostileProxy]:
    with hostile_proxy(registry.urls[0]) as running:
        yield running


class Client:
    """Installs through the proxy, into a home of its own."""

    def __init__(self, folder: Path, proxy: HostileProxy, token: str | None = None) -> None:
        self.home, self.proxy, self.token = Home(folder / ".flowctl"), proxy, token
        self.asking = ASKING

    def pin(self) -> None:
        address = connect(self.proxy.url).trust
        pinning.pin(address, pinning.offered_root(address, None))

    def install(self, *references: str, **more: object) -> list[Installed]:
        connection = connect(self.proxy.url, self.token)
        with RemoteRegistry(connection, self.home.store / "listings", patience=self.asking) as remote:
            choices = choose_versions(
                [parse_request(each) for each in references], lambda _: remote, None, locked=False
            )
            return install(choices, Room(self.home, patience=QUICK), lambda _: Silent(), **more)  # type: ignore[arg-type]

    def refused(self, *references: str, tamper: Tamper) -> FlowctlError:
        with self.proxy.doing(tamper), pytest.raises(FlowctlError) as caught:
            self.install(*references)
        self.assert_nothing()
        return caught.value

    def assert_nothing(self) -> None:
        assert not self.home.bin.exists() or not os.listdir(self.home.bin)
        assert not list(self.home.path.glob("components/*/*/*"))


@pytest.fixture
def client(tmp_path: Path, proxy: HostileProxy, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Client(tmp_path, proxy)
    made.pin()
    return made


@pytest.fixture(scope="module")
def component(registry: Registry, make_release: Callable[..., Path]) -> str:
    namespace = registry.namespace()
    for version in ("1.2.0", "1.3.0"):
        done = registry.client().publish(make_release("greeting", version), namespace, "greeting", version)
        assert done.status_code == 201, done.text
    return f"{namespace}/greeting"


def on(part: str, change: Callable[[Answer], object]) -> Tamper:
    """Change answers whose path has `part`."""

    def tamper(answer: Answer) -> Answer:
        if part in answer.path and answer.status in (200, 206):
            change(answer)
        return answer

    return tamper


def flipped(answer: Answer) -> None:
    middle = len(answer.body) // 2
    answer.body = answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :]


def set_to(**values: object) -> Callable[[Answer], None]:
    return lambda answer: answer.__dict__.update(values)


def document(change: Callable[[dict], object]) -> Callable[[Answer], None]:
    def rewrite(answer: Answer) -> None:
        found = json.loads(answer.body)
        change(found)
        answer.body = json.dumps(found).encode()

    return rewrite


def test_without_lies_it_is_installed(client: Client, component: str) -> None:
    (done,) = client.install(component)
    assert done.report.version == "1.3.0" and os.access(client.home.bin / "greeting", os.X_OK)


BYTES = {
    "swapped": (on(PROGRAM, flipped), "digest"),
    "empty": (on(PROGRAM, set_to(body=b"")), "it ended after 0 of"),
    "longer": (on(PROGRAM, lambda answer: set_to(body=answer.body + b"more")(answer)), "digest"),
    "another file": (on(PROGRAM, set_to(body=b"#!/bin/sh\nrm -rf ~\n")), "it ended after"),
    "truncated": (on(PROGRAM, set_to(cut_after=1000)), "could not be received"),
    "stalled": (on(PROGRAM, set_to(stall_after=1000)), "could not be received"),
    "dripping": (on(PROGRAM, set_to(drip=True)), "could not be received"),
    "a length that is too long": (
        on(PROGRAM, lambda a: set_to(length=10**9, body=a.body + b"more")(a)),
        "more than its",
    ),
    "a length that is too short": (on(PROGRAM, set_to(length=10)), "it ended after"),
    "a false digest": (
        on(PROGRAM, lambda a: (flipped(a), a.headers.update({"ETag": '"x"', "Repr-Digest": "sha-256=:AAAA:"}))),
        "digest",
    ),
    "another part": (on(PROGRAM, set_to(status=206)), "another part"),
    "a bomb": (
        on(
            PROGRAM,
            lambda a: (set_to(body=gzip.compress(bytes(10**7)))(a), a.headers.update({"Content-Encoding": "gzip"})),
        ),
        "it ended after|digest",
    ),
    "no such file": (on(PROGRAM, set_to(status=404)), "binaries/greeting-linux-amd64"),
    "always busy": (on(PROGRAM, set_to(status=503)), "could not be received|cannot answer"),
    "swapped metadata": (on("/files/metadata/build-info.json", flipped), "digest"),
    "swapped statement": (on("/files/metadata/registry.sigstore.json", flipped), "digest"),
}


@pytest.mark.parametrize("lie", BYTES)
def test_bytes_that_are_not_the_file(client: Client, component: str, lie: str) -> None:
    tamper, told = BYTES[lie]
    client.asking = HASTY if lie == "stalled" else ASKING
    error = client.refused(component, tamper=tamper)
    client.asking = ASKING
    assert re.search(told, error.message), error.message
    assert isinstance(error, RemoteError | VerificationError) and error.hint
    (done,) = client.install(component)  # and what was kept of it is in nobody's way
    assert done.report.state == "installed"


LISTINGS = {
    "another digest": (lambda d: d["binaries"][0].update(digest="sha256:" + "0" * 64), VerificationError, "digest"),
    "another version": (lambda d: d.update(version="9.9.9"), RemoteError, "9.9.9 when asked for"),
    "another name": (lambda d: d.update(name="other"), RemoteError, "when asked for"),
    "a path outside": (
        lambda d: d["binaries"][0].update(path="binaries/../../../../.bashrc"), RemoteError, "leads out of the release"
    ),
    "an absolute path": (lambda d: d["metadata"][0].update(path="/etc/passwd"), RemoteError, "leads out of the release"),
    "no statement": (
        lambda d: d.update(metadata=[e for e in d["metadata"] if "registry.sigstore" not in e["path"]]),
        VerificationError, "signature",
    ),
    "a file less": (lambda d: d.update(containers=[]), VerificationError, "lists other files"),
    "a file more": (
        lambda d: d["containers"].append({**d["metadata"][0], "path": "containers/more.json"}), VerificationError, "other files"
    ),
    "no record": (
        lambda d: d.update(metadata=[e for e in d["metadata"] if "build-info" not in e["path"]]),
        VerificationError, "digest",
    ),
    "two of a kind swapped": (
        lambda d: d["metadata"][0].update(digest=d["metadata"][1]["digest"], size=d["metadata"][1]["size"]),
        VerificationError, "digest|other files",
    ),
    "no JSON": (None, RemoteError, "no document of a registry"),
    "a program of a terabyte": (lambda d: d["binaries"][0].update(size=10**15), RemoteError, "size"),
    "a record of a gigabyte": (
        lambda d: [e.update(size=10**9) for e in d["metadata"]], RemoteError, "at most"
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LISTINGS)
def test_a_list_of_files_that_is_not_what_was_signed(client: Client, component: str, lie: str) -> None:
    change, kind, told = LISTINGS[lie]
    rewrite = document(change) if change is not None else set_to(body=b"<html>")

    def tamper(answer: Answer) -> Answer:
        if answer.path.endswith("/1.3.0"):
            rewrite(answer)
        return answer

    error = client.refused(component, tamper=tamper)
    assert isinstance(error, kind), repr(error)
    assert re.search(told, error.message + (error.output or "")), error.message
    assert client.install(component)[0].report.state == "installed"


def test_another_versions_files_under_this_ones_name(client: Client, component: str) -> None:
    """All of 1.2.0, statement included, in the place of 1.3.0."""

    def tamper(answer: Answer) -> Answer:
        if "/1.3.0" in answer.path:
            other = _fetch(client.proxy.target + answer.path.replace("1.3.0", "1.2.0"))
            answer.body = other.replace(b'"version":"1.2.0"', b'"version":"1.3.0"')
        return answer

    error = client.refused(component, tamper=tamper)
    assert isinstance(error, VerificationError)
    assert error.check in ("identity", "statement", "digest"), error.message


def test_another_components_files_under_this_ones_name(
    client: Client, component: str, registry: Registry, make_release
) -> None:
    namespace = registry.namespace()
    other = f"{namespace}/greeting"
    done = registry.client().publish(make_release("greeting", "1.3.0"), namespace, "greeting", "1.3.0")
    assert done.status_code == 201

    def tamper(answer: Answer) -> Answer:
        if "/1.3.0" in answer.path:
            found = _fetch(client.proxy.target + answer.path.replace(component, other))
            answer.body = found.replace(namespace.encode(), component.partition("/")[0].encode())
        return answer

    error = client.refused(component, tamper=tamper)
    assert isinstance(error, VerificationError), repr(error)
    # The same program and record: only the registry's statement tells whose release it is.
    assert error.check in ("statement", "digest"), error.message


def test_the_index_of_yesterday(client: Client, component: str, registry: Registry, make_release) -> None:
    """Replayed metadata after newer one was seen: refused, not believed to be the newest."""
    kept: dict[str, Answer] = {}

    def record(answer: Answer) -> None:
        if "/v1/trust/" in answer.path:
            kept[answer.path] = Answer(answer.path, answer.status, dict(answer.headers), answer.body)

    with client.proxy.doing(record):
        client.install(component)
    namespace, _, name = component.partition("/")
    assert registry.client().publish(make_release("greeting", "1.4.0"), namespace, name, "1.4.0").status_code == 201
    assert client.install(component)[0].report.version == "1.4.0"
    with client.proxy.doing(lambda answer: kept.get(answer.path)), pytest.raises(TrustError) as caught:
        client.install(component)
    assert "timestamp" in caught.value.message, caught.value.message


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "namespace-", "index/"])
def test_a_forged_index(client: Client, component: str, role: str) -> None:
    def tamper(answer: Answer) -> Answer:
        if "/v1/trust/" in answer.path and role in answer.path:
            answer.body = answer.body.replace(b"2", b"3")
        return answer

    error = client.refused(component, tamper=tamper)
    assert isinstance(error, TrustError), repr(error)


def test_a_redirect_takes_no_token_along_and_brings_no_other_bytes(
    client: Client, component: str, registry: Registry
) -> None:
    with hostile_proxy(client.proxy.target) as elsewhere:
        client.token = registry.token
        elsewhere.tamper = on(PROGRAM, flipped)

        def tamper(answer: Answer) -> Answer:
            if PROGRAM in answer.path:
                return Answer(answer.path, 307, {"Location": elsewhere.url + answer.path}, b"")
            return answer

        error = client.refused(component, tamper=tamper)
        assert isinstance(error, VerificationError) and error.check == "digest"
        assert elsewhere.seen and not [path for path, headers in elsewhere.seen if "Authorization" in headers]
        elsewhere.tamper = None  # honest bytes from elsewhere are as good as any
        with client.proxy.doing(tamper):
            assert client.install(component)[0].report.state == "installed"


def test_a_redirect_in_a_circle_or_out_of_tls(client: Client, component: str) -> None:
    for target in (client.proxy.url + "/v1/circle" + PROGRAM, "http://registry.invalid/x"):

        def tamper(answer: Answer, target: str = target) -> Answer:
            if PROGRAM in answer.path:
                return Answer(answer.path, 302, {"Location": target}, b"")
            return answer

        assert "sends elsewhere" in client.refused(component, tamper=tamper).message


def test_a_connection_that_breaks_is_continued(client: Client, component: str) -> None:
    """Each try sends only a part more; what came is not asked for again."""
    asked: list[str] = []

    def tamper(answer: Answer) -> Answer:
        if PROGRAM in answer.path:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            asked.append(headers.get("content-range", "all"))
            answer.cut_after = 600_000
        return answer

    with client.proxy.doing(tamper):
        (done,) = client.install(component)
    assert done.report.state == "installed"
    starts = [int(re.findall(r"\d+", each)[0]) if each != "all" else 0 for each in asked]
    assert len(starts) > 2 and starts == sorted(set(starts)), starts


def test_a_mirror_that_lies_is_passed_over(client: Client, component: str, registry: Registry) -> None:
    with hostile_proxy(registry.urls[0]) as mirror:
        mirror.tamper = on("/files/", flipped)
        connection = connect(client.proxy.url, registry.token)
        from dataclasses import replace

        connection = replace(connection, mirrors=(mirror.url,))
        with RemoteRegistry(connection, client.home.store / "listings", patience=ASKING) as remote:
            choices = choose_versions([parse_request(component)], lambda _: remote, None, locked=False)
            (done,) = install(choices, Room(client.home, patience=QUICK), lambda _: Silent())
        assert done.report.state == "installed"
        assert mirror.seen and not [path for path, headers in mirror.seen if "Authorization" in headers]


def test_of_several_all_or_none(client: Client, component: str, registry: Registry, make_release) -> None:
    namespace = registry.namespace()
    for name in ("second", "third"):
        done = registry.client().publish(make_release(name, "1.2.0"), namespace, name, "1.2.0")
        assert done.status_code == 201, done.text
    asked = (component, f"{namespace}/second", f"{namespace}/third")
    error = client.refused(*asked, tamper=on("/second/1.2.0/files/metadata/build-info.json", flipped))
    assert isinstance(error, VerificationError) and "second" in error.message
    assert len(client.install(*asked)) == 3


def test_an_interruption_ends_it_and_leaves_nothing(client: Client, component: str) -> None:
    environment = {**os.environ, "FLOWCTL_REGISTRY_URL": client.proxy.url}
    with client.proxy.doing(on(PROGRAM, set_to(drip=True))):
        seen = len(client.proxy.seen)
        command = [FLOWCTL, "component", "install", component]
        running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        while not any(PROGRAM in path for path, _ in client.proxy.seen[seen:]):
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        running.terminate()
        _, said = running.communicate(timeout=120)
    assert running.returncode == 130 and "interrupted" in said, said
    client.assert_nothing()


def test_what_is_not_there(client: Client, component: str) -> None:
    for reference in ("nowhere/nothing", f"{component}@^7"):
        with pytest.raises(NotFoundError):
            client.install(reference)
    client.assert_nothing()


def _fetch(url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(url) as answer:
        return answer.read()
