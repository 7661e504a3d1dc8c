"""The one compressor of layers.

libdeflate, from a wheel, at one level and in blocks of one size: the same bytes on every machine. Measured for that
(the same file on amd64 with and without newer instructions, and on arm64): isal writes other bytes on arm64 and at
level 3 between processors, zlib differs between systems, zlib-ng agrees with itself but takes twice as long for more
bytes. libdeflate compresses whole buffers, so a layer is a series of gzip members (RFC 1952, 2.2: "a gzip file consists
of a series of members"), as eStargz layers are.
"""

from __future__ import annotations

from importlib.metadata import version

from flowctl_core.models.image import Compressor

LEVEL = 1
BLOCK = 2**20
"""Bytes. Larger blocks save less than 0.1 %, smaller ones keep more cores busy."""


def compress(block: bytes) -> bytes:
    """One gzip member. Gives other threads their turn (no GIL)."""
    import deflate

    return bytes(deflate.gzip_compress(block, LEVEL))


def describe() -> Compressor:
    """Name and version, for the build's record."""
    return Compressor(name="libdeflate (deflate)", version=version("deflate"), level=LEVEL, block_size=BLOCK)
