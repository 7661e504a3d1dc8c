"""Which registry answers for which namespace, with which token, and where tokens are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flowctl_core.client.credentials import Credentials
from flowctl_core.client.registries import Registries
from flowctl_core.config.edit import remember_registry
from flowctl_core.config.load import effective_values, load_config
from flowctl_core.errors import ConfigError, UnauthorizedError, UsageError

PUBLIC, ACME = "https://registry.example.org", "https://registry.acme.example"
CONFIG = f"""\
# ours
registry:
  url: {PUBLIC}/
  auth: {{token: of-the-file}}
registries:
  - url: {ACME}
    namespaces: [acme, acme-*]   # private ones
    private: true
    proxy: http://me:secret@proxy.acme.example:3128
  - url: {PUBLIC}
    mirrors: [https://mirror.example.org]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.delenv("FLOWCTL_TOKEN", raising=False)
    (tmp_path / ".flowctl").mkdir()
    (tmp_path / ".flowctl" / "config.yaml").write_text(CONFIG)
    return tmp_path


def known(home: Path, named: str | None = None, **environ: str) -> Registries:
    environ = {"HOME": str(home), **environ}
    return Registries(load_config(environ=environ).config, named=named, environ=environ)


def test_a_claimed_namespace_is_asked_at_its_registry_alone(home: Path) -> None:
    Credentials().keep(ACME, "of-acme")
    for namespace in ("acme", "acme-tools"):
        found = known(home).of(namespace)
        assert (found.url, found.token, found.proxy) == (ACME, "of-acme", "http://me:secret@proxy.acme.example:3128")
    for namespace in ("acm", "acmeother", "other"):
        found = known(home).of(namespace)
        assert (found.url, found.token, found.mirrors) == (PUBLIC, "of-the-file", ("https://mirror.example.org",))
    with pytest.raises(UsageError, match=f"namespace acme belongs to {ACME}: {PUBLIC} is not asked"):
        known(home, PUBLIC).of("acme")
    assert known(home, ACME).of("acme").url == ACME


def test_a_private_registry_is_never_asked_without_a_token(home: Path) -> None:
    with pytest.raises(UnauthorizedError, match="is private, and there is no token"):
        known(home).of("acme")
    # the token of the environment is for the registry that the command is about
    with pytest.raises(UnauthorizedError):
        known(home, FLOWCTL_TOKEN="of-ci").of("acme")
    assert known(home, FLOWCTL_TOKEN="of-ci").of("acme", alone=True).token == "of-ci"
    assert known(home, FLOWCTL_TOKEN="of-ci").of("other").token == "of-ci"
    assert known(home, ACME, FLOWCTL_TOKEN="of-ci").of("acme").token == "of-ci"


def test_the_token_of_the_file_is_for_the_registry_of_the_file(home: Path) -> None:
    assert known(home, "https://elsewhere.example").main().token is None
    assert known(home).place_of_token(PUBLIC) == "configuration"
    assert known(home, FLOWCTL_TOKEN="t").place_of_token(PUBLIC) == "environment"


def test_two_that_claim_the_same_are_an_error(home: Path) -> None:
    file = home / ".flowctl" / "config.yaml"
    file.write_text(CONFIG + "  - {url: https://third.example, namespaces: [acme-t*, acme]}\n")
    for namespace in ("acme", "acme-tools"):
        with pytest.raises(ConfigError, match=f"both claim namespace {namespace}"):
            known(home).of(namespace)
    file.write_text(CONFIG + "  - {url: https://third.example, namespaces: [acme-tools]}\n")
    assert known(home).of("acme-tools").url == "https://third.example"  # a whole name goes before a pattern
    file.write_text(CONFIG + f"  - url: {ACME}/\n")
    with pytest.raises(ConfigError, match="is there twice"):
        known(home)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("registries: [{namespaces: [a]}]", "registries.url: Field required"),
        ("registries: [{url: http://registry.example.org}]", "write https://HOST"),
        ("registries: [{url: 'https://me:secret@host'}]", "write https://HOST"),
        ("registries: [{url: 'https://host', namespaces: ['*']}]", "registries.namespaces"),
        ("registries: [{url: 'https://host', token: t}]", "is not a known key"),
        ("registries: {url: 'https://host'}", "registries"),
    ],
)
def test_a_bad_entry_is_told(home: Path, text: str, told: str) -> None:
    (home / ".flowctl" / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        known(home)
    assert told in caught.value.message and "secret" not in caught.value.message


def test_what_is_shown_has_no_password(home: Path) -> None:
    rows = {key: value for key, value, _ in effective_values(load_config(environ={"HOME": str(home)}))}
    assert rows["registries[0].proxy"] == "********" and rows["registries[0].namespaces"] == ("acme", "acme-*")


def test_without_any_registry_the_user_is_told(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    empty = Registries(load_config(environ=environ).config, environ=environ, credentials=Credentials(tmp_path))
    for ask in (empty.main, lambda: empty.of("acme")):
        with pytest.raises(UsageError) as caught:
            ask()
        assert caught.value.hint is not None and "flowctl login URL" in caught.value.hint


def test_tokens_are_kept_where_nobody_else_reads(home: Path) -> None:
    credentials = Credentials()
    assert credentials.keep(ACME, "s3cret") == "file" and credentials.place(ACME) == "file"
    assert credentials.path.stat().st_mode & 0o777 == 0o600
    credentials.keep(PUBLIC, "other")
    assert (credentials.find(ACME), credentials.known()) == ("s3cret", (ACME, PUBLIC))
    assert credentials.forget(ACME) and not credentials.forget(ACME)
    assert "s3cret" not in credentials.path.read_text() and credentials.find(PUBLIC) == "other"
    credentials.path.write_text('{"registries": {"x": {"place": "file", "token": ["s3cret"]}}}')
    with pytest.raises(ConfigError, match="is damaged") as caught:
        credentials.find(ACME)
    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}{caught.value.output}"


KEYRING = """
import json, pathlib
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError
FILE = pathlib.Path(__file__).with_name("kept.json")
class Keyring(KeyringBackend):
    priority = 1
    def _read(self):
        if FILE.with_name("locked").exists():
            raise KeyringLocked("it is locked")
        return json.loads(FILE.read_text()) if FILE.exists() else {}
    def get_password(self, service, name):
        return self._read().get(service + name)
    def set_password(self, service, name, password):
        FILE.write_text(json.dumps({**self._read(), service + name: password}))
    def delete_password(self, service, name):
        kept = self._read()
        if kept.pop(service + name, None) is None:
            raise PasswordDeleteError("none")
        FILE.write_text(json.dumps(kept))
"""


def test_a_keyring_is_used_where_there_is_one(home: Path, tmp_path: Path) -> None:
    (tmp_path / "my_keyring.py").write_text(KEYRING)
    kept = tmp_path / "kept.json"

    def run(text: str) -> str:
        program = f"from flowctl_core.client.credentials import Credentials\nc = Credentials()\n{text}"
        environ = {"HOME": str(home), "PYTHON_KEYRING_BACKEND": "my_keyring.Keyring", "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True)
        return done.stdout.strip() + done.stderr.strip().rpartition("\n")[2]

    assert run(f"print(c.keep({ACME!r}, 's3cret'))") == "keyring"
    assert json.loads(kept.read_text()) == {"flowctl" + ACME: "s3cret"}
    assert "s3cret" not in (home / ".flowctl" / "credentials.json").read_text()
    assert run(f"print(c.find({ACME!r}))") == "s3cret"
    (tmp_path / "locked").touch()
    assert "the keyring does not give the token" in run(f"c.find({ACME!r})")
    assert run(f"print(c.keep({PUBLIC!r}, 'other'))") == "file"  # it refuses: the file takes it
    (tmp_path / "locked").unlink()
    assert run(f"print(c.forget({ACME!r}), c.find({ACME!r}))") == "True None"
    assert json.loads(kept.read_text()) == {}


def test_signing_in_notes_the_registry_and_keeps_what_is_written(home: Path) -> None:
    file = home / ".flowctl" / "config.yaml"

    def remember(url: str, *namespaces: str) -> str | None:
        return remember_registry(load_config(environ={"HOME": str(home)}), url, list(namespaces))

    assert remember(PUBLIC) is None and file.read_text() == CONFIG
    assert remember(ACME, "acme", "other-*") is not None
    text = file.read_text()
    assert "# ours" in text and "# private ones" in text
    assert known(home, FLOWCTL_TOKEN="t").of("other-x", alone=True).url == ACME
    with pytest.raises(ConfigError, match="namespace acme belongs to"):
        remember("https://third.example", "acme")
    with pytest.raises(ConfigError, match="'A b' is no namespace"):
        remember(ACME, "A b")
    assert file.read_text() == text
    file.unlink()
    remember(PUBLIC)
    assert known(home).main().url == PUBLIC and file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    remember(ACME, "acme")  # the only registry, and not that of other namespaces
    with pytest.raises(UsageError, match="no registry is known for namespace other"):
        known(home).of("other")
