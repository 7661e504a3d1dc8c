"""What a log shows of what tools print."""

from __future__ import annotations

import pytest

from flowctl_registry.builds.log_lines import Lines
from flowctl_registry.builds.masking import Masks, plain, secrets_of
from flowctl_registry.settings import load_settings

SECRET = "correct horse battery"


def fed(data: bytes, size: int, limit: int = 1_000_000, secrets: tuple[str, ...] = (SECRET,)) -> str:
    lines = Lines(Masks(secrets), limit)
    return "".join([lines.feed(data[at : at + size]) for at in range(0, len(data), size)] + [lines.end()])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_it_is_the_same_however_it_comes(size: int) -> None:
    data = f"für\r\n10 %\r50 %\r100 %\n\x1b[31mred\x1b[0m\n{SECRET}!\nlast".encode()
    assert fed(data, size) == "für\n10 %\n50 %\n100 %\nred\n***!\nlast\n"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("clone https://me:hunter2@git.test/x", "clone https://***@git.test/x"),
        ("clone https://0123456789abcdef0123456789abcdef@git.test/x", "clone https://***@git.test/x"),
        ("ssh://git@git.test/x", "ssh://git@git.test/x"),
        ("flowctl_" + "a" * 16 + "_" + "b" * 48, "***"),
        ("token=ghp_" + "A1" * 18 + ";", "token=***;"),
        ("Authorization: Bearer " + "x" * 40, "Authorization: Bearer ***"),
        ("AKIA" + "B" * 16, "***"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl", "***"),
        ("sha256:" + "0" * 64, "sha256:" + "0" * 64),
        ("go: downloading example.org/mod v1.2.3", "go: downloading example.org/mod v1.2.3"),
    ],
)
def test_what_looks_like_a_secret_is_masked(told: str, shown: str) -> None:
    assert fed(told.encode(), 5) == shown + "\n"


def test_a_secret_in_a_line_without_end_is_masked_wherever_it_stands() -> None:
    for before in range(30_000, 36_000, 499):
        assert SECRET not in fed(b"x" * before + SECRET.encode() + b"y" * 5_000, 1_024)


def test_what_is_cut_off_is_said() -> None:
    shown = fed(b"0123456789\n" * 100, 11, limit=110)
    assert shown.startswith("0123456789\n" * 10) and shown.count("0123456789") == 10
    assert shown.endswith("[flowctl: 990 more bytes of this step are not kept]\n")


@pytest.mark.parametrize("trick", ["\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x1b(B", "\x9b2J", "\x00", "\x08", "\u202e"])
def test_nothing_moves_a_terminals_cursor(trick: str) -> None:
    shown = plain(f"a{trick}b\n")
    assert "\x1b" not in shown and trick not in shown
    assert shown[0] == "a" and shown.endswith("b\n")


def test_the_registrys_own_secrets_are_known() -> None:
    values = {
        "FLOWCTL_REGISTRY_DATABASE_URL": "postgresql://me:passphrase@db.test/x",
        "FLOWCTL_REGISTRY_SOURCES__GITHUB_SECRET": "a webhook's secret",
        "FLOWCTL_REGISTRY_BLOB_OPTIONS__SECRET_ACCESS_KEY": "store-key",
    }
    assert {"passphrase", "a webhook's secret", "store-key"} <= secrets_of(load_settings(None, values))
