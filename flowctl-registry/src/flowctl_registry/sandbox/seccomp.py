"""A filter of system calls that builds do not need and attackers do, made by libseccomp where it is installed."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import socket
import tempfile
from functools import lru_cache

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_REFUSED = (
    "add_key", "bpf", "fsconfig", "fsmount", "fsopen", "fspick", "init_module", "finit_module", "delete_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load", "kexec_load",
    "keyctl", "mount", "mount_setattr", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open",
    "pivot_root", "process_vm_readv", "process_vm_writev", "quotactl", "reboot", "request_key", "setns", "swapoff",
    "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup",
)  # fmt: skip
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, 16)
"""16 is AF_NETLINK. Others reach past the network namespace (AF_VSOCK: to the host of a virtual machine)."""


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@lru_cache(maxsize=1)
def program() -> bytes | None:
    """The filter as bubblewrap takes it; None where libseccomp is missing."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    try:
        for name in _REFUSED:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:
                library.seccomp_rule_add_array(context, ctypes.c_uint32(_ERRNO | errno.EPERM), number, 0, None)
        number = library.seccomp_syscall_resolve_name(b"socket")
        compare = (_Compare * len(_FAMILIES))()
        refuse = ctypes.c_uint32(_ERRNO | errno.EAFNOSUPPORT)
        allowed = sorted(int(family) for family in _FAMILIES)
        for family in range(46):  # one rule a family: rules of one call are joined by "or"
            if family not in allowed:
                compare[0] = _Compare(0, 4, family, 0)  # 4: equal
                library.seccomp_rule_add_array(context, refuse, number, 1, compare)
        compare[0] = _Compare(0, 5, 46, 0)  # 5: greater or equal
        library.seccomp_rule_add_array(context, refuse, number, 1, compare)
        with tempfile.TemporaryFile() as file:
            if library.seccomp_export_bpf(context, file.fileno()) != 0:
                return None
            file.seek(0)
            return file.read()
    finally:
        library.seccomp_release(context)
