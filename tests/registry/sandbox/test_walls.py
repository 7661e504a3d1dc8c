"""What is not the command's own cannot be seen, read, written, signalled or reached."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_registry.errors import SandboxError
from sandbox_box import Box

TRY = """
import sys
def attempt(what, *arguments, **given):
    try: return repr(what(*arguments, **given))
    except OSError as error: return type(error).__name__
"""


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The service's database, a key, another build's folder; all with the same word, as its environment has."""
    monkeypatch.setenv("FLOWCTL_REGISTRY_DATABASE_URL", "postgresql://u:top-secret-word@db/x")
    found = [
        tmp_path / "data" / "registry.db",
        tmp_path / "data" / "signer" / "key.pem",
        tmp_path / "other" / "source.c",
    ]
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("top-secret-word")
        path.chmod(0o644)  # a careless mode does not help
    return found


def test_files_of_the_service_and_of_other_builds(box: Box, secrets: list[Path]) -> None:
    code = TRY + "for path in sys.argv[1:]: print(attempt(lambda: open(path).read()))"
    ran = box.python(code, *map(str, secrets))
    assert ran.output.split() == ["FileNotFoundError"] * 3


def test_environment_is_exactly_what_was_given(box: Box, secrets: list[Path]) -> None:
    ran = box.run("env", environment={"WORD": "größer"})
    assert sorted(line.partition("=")[0] for line in ran.output.splitlines()) == ["HOME", "PATH", "WORD"]
    assert "WORD=größer\n" in ran.output


def test_proc_shows_only_the_command(box: Box, secrets: list[Path]) -> None:
    code = (
        TRY
        + """
import os
from pathlib import Path
print('PIDS', sorted(int(p.name) for p in Path('/proc').iterdir() if p.name.isdigit()) [-1] < 1000)
for p in Path('/proc').iterdir():
    if p.name.isdigit():
        for name in ('environ', 'cmdline', 'maps'):
            try: print((p / name).read_bytes())
            except OSError: pass
        for root in (p / 'root', p / 'cwd'):
            for path in sys.argv[1:]:
                print(attempt(lambda: open(f'{root}{path}').read()))
print('SYS', attempt(open, '/proc/sys/kernel/core_pattern', 'w'), attempt(open, '/proc/sysrq-trigger', 'w'))
print('CORE', attempt(open, '/proc/kcore', 'rb'), attempt(open, '/dev/mem', 'rb'), attempt(open, '/dev/kmsg', 'rb'))
"""
    )
    ran = box.python(code, *map(str, secrets))
    assert "PIDS True" in ran.output
    assert "top-secret-word" not in ran.output
    system = next(line for line in ran.output.splitlines() if line.startswith("SYS"))
    assert set(system.split()[1:]) <= {"PermissionError", "OSError", "FileNotFoundError"}
    assert "TextIOWrapper" not in ran.output
    if "CORE <" in ran.output:  # Docker covers it with an empty file
        assert "/dev/null" in ran.output


@pytest.mark.parametrize("place", ["/usr/x", "/etc/x", "/x", "/proc/x", "/run/x", "/run/flowctl/inside.py", "/given/x"])
def test_writing_outside(box: Box, tmp_path: Path, place: str) -> None:
    (tmp_path / "given").mkdir(mode=0o777)
    ran = box.python(
        TRY + "print(attempt(open, sys.argv[1], 'a'))", place, read_only={"/given": tmp_path / "given"}
    )  # fmt: skip
    assert ran.output.strip() in {"OSError", "PermissionError", "FileNotFoundError"}
    assert not list((tmp_path / "given").iterdir())


def test_symlinks_out_of_the_writable_folder(box: Box, secrets: list[Path]) -> None:
    code = (
        TRY
        + """
import os
for number, path in enumerate(sys.argv[1:] + ['/etc/shadow', '../data/registry.db']):
    os.symlink(path, f'link{number}')
    print(attempt(lambda: open(f'link{number}').read()), attempt(open, f'link{number}', 'w'))
"""
    )
    ran = box.python(code, *map(str, secrets))
    assert "top-secret-word" not in ran.output
    assert "TextIOWrapper" not in ran.output
    assert all(path.read_text() == "top-secret-word" for path in secrets)


def test_a_writable_folder_that_is_a_symlink_is_refused(bubble: Box, secrets: list[Path]) -> None:
    """A build could have made it, to have the next one write elsewhere."""
    shutil.rmtree(bubble.work)
    bubble.work.symlink_to(secrets[0].parent)
    with pytest.raises(SandboxError, match="is a symlink"):
        bubble.run("touch", "x")
    assert secrets[0].stat().st_uid == os.getuid()


def test_giving_a_folder_follows_no_symlink(bubble: Box, secrets: list[Path]) -> None:
    (bubble.work / "link").symlink_to(secrets[0])
    (bubble.work / "folder").symlink_to(secrets[0].parent)
    assert bubble.run("true").outcome.exit_code == 0
    assert all(path.stat().st_uid == os.getuid() for path in secrets)


def test_setuid_programs(box: Box, tmp_path: Path, give_up: Callable[[str], None]) -> None:
    if os.geteuid() != 0:
        give_up("only root can make a setuid program of root")
    folder = tmp_path / "given"
    folder.mkdir(mode=0o755)
    shutil.copy(str(shutil.which("id")), folder / "id")
    (folder / "id").chmod(0o4755)
    ran = box.run("/given/id", "-un", read_only={"/given": folder})
    assert "root" not in ran.output
    assert "euid=0" not in box.run("/given/id", read_only={"/given": folder}).output
    status = box.run("cat", "/proc/self/status").output
    assert "NoNewPrivs:\t1" in status
    assert all(line.split()[1] == "0" * 16 for line in status.splitlines() if line.startswith("Cap"))


def test_signals_and_ptrace_of_others(box: Box) -> None:
    code = (
        TRY
        + """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, sys.argv[1:]):
    print(attempt(os.kill, pid, 0), libc.ptrace(16, pid, 0, 0))
print(attempt(os.kill, -1, signal.SIGTERM))
"""
    )
    ran = box.python(code, str(os.getpid()), str(os.getppid()))
    lines = [line for line in ran.output.splitlines() if line.startswith("ProcessLookupError")]
    assert lines[:2] == ["ProcessLookupError -1"] * 2
    os.kill(os.getppid(), 0)  # whoever started the tests is still there


def test_more_privileges_by_namespaces_mounts_and_odd_sockets(box: Box) -> None:
    code = (
        TRY
        + """
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000), libc.unshare(0x20000), libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))
print(attempt(socket.socket, 40, socket.SOCK_STREAM), attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW))
"""
    )
    ran = box.python(code)
    numbers, sockets = ran.output.splitlines()
    assert numbers == "-1 -1 -1"
    assert "<socket" not in sockets


def test_loopback_and_other_addresses_of_this_machine_in_a_build(box: Box) -> None:
    """In a fetch too: the proxy is the only way out (test_proxy.py)."""
    reached = []
    with socket.create_server(("0.0.0.0", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0flowctl-{os.getpid()}")
        abstract.listen()
        port = server.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                reached.append(connection.recv(10))

        threading.Thread(target=accept, daemon=True).start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            own = probe.getsockname()[0]
        with socket.create_connection((own, port)) as control:
            control.sendall(b"control")
        code = (
            TRY
            + """
import socket
for host in ('127.0.0.1', 'localhost', sys.argv[2], '192.0.2.1', '169.254.169.254', '8.8.8.8'):
    print(attempt(socket.create_connection, (host, int(sys.argv[1])), 3))
s = socket.socket(socket.AF_UNIX)
print(attempt(s.connect, '\\0' + sys.argv[3]))
print(attempt(socket.getaddrinfo, 'example.org', 443))
"""
        )
        ran = box.python(code, str(port), own, f"flowctl-{os.getpid()}")
        server.shutdown(socket.SHUT_RDWR)
    assert "socket.socket" not in ran.output
    assert "None" not in ran.output
    assert len(ran.output.split()) == 8
    assert reached == [b"control"]


@pytest.mark.parametrize("place", ["relative", "/", "/given/../etc", "/proc/x", "/run/flowctl/inside.py"])
def test_places_that_would_undo_the_walls_are_refused(bubble: Box, place: str) -> None:
    with pytest.raises(SandboxError, match="cannot be a place inside"):
        bubble.run("true", read_only={place: bubble.work})
