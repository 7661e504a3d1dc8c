"""Tiny but real executables of any platform."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from flowctl_core.models import Platform

ELF_MACHINES = {"amd64": 62, "arm64": 183}
MACHO_TYPES = {"amd64": 0x01000007, "arm64": 0x0100000C}


def elf(arch: str, text: bytes = b"") -> bytes:
    """A static ELF64 executable: a header, one loadable segment over all of it, and some text."""
    entry, size = 0x400000, 64 + 56 + len(text)
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, ELF_MACHINES[arch], 1, entry + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    header += struct.pack("<IIQQQQQQ", 1, 5, 0, entry, entry, size, size, 0x1000)
    return header + text


def macho(arch: str, text: bytes = b"") -> bytes:
    """A Mach-O executable with an entry point and no library."""
    main = struct.pack("<IIQQ", 0x80000028, 24, 56, 0)
    return struct.pack("<IIIIIIII", 0xFEEDFACF, MACHO_TYPES[arch], 3, 2, 1, len(main), 0, 0) + main + text


@pytest.fixture(scope="session")
def binary_for() -> Callable[..., bytes]:
    """Makes an executable for a platform, with some bytes at its end."""

    def make(platform: Platform, text: bytes = b"") -> bytes:
        return (macho if platform.os == "darwin" else elf)(platform.arch, text)

    return make
