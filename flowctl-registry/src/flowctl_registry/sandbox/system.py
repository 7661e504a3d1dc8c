"""The read-only system of a sandbox: programs and libraries of this machine, and little of its /etc."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives", "ca-certificates", "crypto-policies", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "pki", "ssl/certs", "ssl/openssl.cnf",
)  # fmt: skip
_STUBS = {
    "passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\nbuild:x:{uid}:{gid}::/home/build:/bin/sh\n",
    "group": "root:x:0:\nbuild:x:{gid}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
}
UID = 1000
"""User and group as the command sees them, whoever they are outside."""


def fill_etc(session: Path) -> None:
    """Write the files of /etc that the sandbox does not share."""
    etc = session / "etc"
    etc.mkdir()
    for name, text in _STUBS.items():
        (etc / name).write_text(text.format(uid=UID, gid=UID))


def system_arguments(python: str, session: Path, source: Callable[[Path | str], str], tmp_bytes: int) -> list[str]:
    """bwrap's options for everything but the caller's own places. `source` names a path as bwrap can reach it."""
    arguments = [
        "--unshare-all", "--unshare-user", "--disable-userns", "--uid", str(UID), "--gid", str(UID), "--hostname",
        "build", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr",
        "--proc", "/proc", "--dev", "/dev",
    ]  # fmt: skip
    for place in ("/tmp", "/home", "/var/tmp"):  # noqa: S108 - inside
        arguments += ["--size", str(tmp_bytes), "--tmpfs", place]
    arguments += ["--dir", "/home/build"]
    for name in _LINKS:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    for name in _STUBS:
        arguments += ["--ro-bind", source(session / "etc" / name), f"/etc/{name}"]
    for name in _ETC:
        path = Path("/etc", name)
        if path.is_symlink() and not path.resolve().is_relative_to("/etc"):
            arguments += ["--symlink", str(path.readlink()), str(path)]  # into /usr, which is there
        elif path.exists():
            arguments += ["--ro-bind", str(path.resolve()), str(path)]
    prefix = Path(sys.base_prefix).resolve()
    if Path(python).is_relative_to(prefix) and not prefix.is_relative_to("/usr"):
        arguments += ["--ro-bind", source(prefix), str(prefix)]
    return arguments
