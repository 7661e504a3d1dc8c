"""Puts a single executable's content into a Linux binary of Node.js, as a note that the program finds at run time.

Node.js looks through its program headers (`dl_iterate_phdr`) for a PT_NOTE whose owner is `NODE_SEA_BLOB`
(https://github.com/nodejs/postject). Nothing of the binary moves: the note and a copy of the program headers, with two
entries more, are put at its end. That takes a fraction of a second, where libraries that rebuild the whole file take
half a minute for the hundred megabytes of Node.js. The format is the System V ABI's, chapters 4 and 5.
"""

from __future__ import annotations

import struct

_PT_LOAD, _PT_NOTE, _PT_PHDR = 1, 4, 6
_READABLE = 4
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_PAGE = 0x10000
"""The largest page that Linux has on arm64; a multiple of the one on amd64."""


class UnsuitableBinaryError(Exception):
    """The binary has not the form that this module understands."""


def with_note(binary: bytes, owner: str, content: bytes) -> bytes:
    """The binary with a note of that owner, mapped into memory when the program starts.

    Raises UnsuitableBinaryError when it is no 64-bit little-endian ELF executable.
    """
    if binary[:6] != b"\x7fELF\x02\x01":
        raise UnsuitableBinaryError("it is no 64-bit little-endian ELF file")
    header = list(_HEADER.unpack_from(binary))
    table, size, count = header[5], header[9], header[10]
    if size != _SEGMENT.size or table + size * count > len(binary):
        raise UnsuitableBinaryError("its program headers are damaged")
    segments = [list(_SEGMENT.unpack_from(binary, table + size * index)) for index in range(count)]
    loads = [segment for segment in segments if segment[0] == _PT_LOAD]
    if not loads:
        raise UnsuitableBinaryError("it has nothing to load")
    # Kernels before 5.18 tell the loader that the headers are at `e_phoff` plus the first segment's bias: address and
    # offset have to differ by it, beyond all other segments' addresses.
    bias = loads[0][3] - loads[0][2]
    end = max(segment[3] + segment[6] for segment in loads)
    address = _rounded(max(end, len(binary) + bias))
    offset = address - bias
    note = _note(owner, content)
    headers_size = size * (count + 2)
    whole = headers_size + len(note)
    for segment in segments:
        if segment[0] == _PT_PHDR:
            segment[2:7] = [offset, address, address, headers_size, headers_size]
    note_at = headers_size
    added = [_PT_LOAD, _READABLE, offset, address, address, whole, whole, _PAGE]
    # PT_LOAD entries stand in the order of their addresses.
    last = max(index for index, segment in enumerate(segments) if segment[0] == _PT_LOAD)
    segments.insert(last + 1, added)
    at, to = offset + note_at, address + note_at
    segments.append([_PT_NOTE, _READABLE, at, to, to, len(note), len(note), 4])
    header[5], header[10] = offset, count + 2
    parts = [
        _HEADER.pack(*header),
        binary[_HEADER.size :],
        bytes(offset - len(binary)),
        *(_SEGMENT.pack(*segment) for segment in segments),
        note,
    ]
    return b"".join(parts)


def _note(owner: str, content: bytes) -> bytes:
    name = owner.encode() + b"\0"
    head = struct.pack("<III", len(name), len(content), 0)
    return head + name + bytes(-len(name) % 4) + content + bytes(-len(content) % 4)


def _rounded(value: int) -> int:
    return -(-value // _PAGE) * _PAGE
