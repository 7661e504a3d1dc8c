"""Signs a Mach-O file ad hoc: macOS on arm64 runs no file without a signature, and this one needs no key.

The form is that of Go's linker (cmd/internal/codesign): one code directory with SHA-256 hashes of the file's pages, as
Apple's cs_blobs.h describes it. It says that the file is whole, and nothing about who made it.
"""

from __future__ import annotations

import hashlib
import struct

from flowctl_lang_node.sea.elf import UnsuitableBinaryError
from flowctl_lang_node.sea.macho import CODE_SIGNATURE, PAGE, SEGMENT_64, LoadCommand, read_commands, write_commands

_HASHED_PAGE = 12
"""2**12 bytes are hashed together."""
_SUPER_BLOB, _CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02
_VERSION = 0x20400
_AD_HOC, _LINKER_SIGNED = 0x2, 0x20000
_SHA256, _SHA256_SIZE = 2, 32
_MAIN_BINARY = 1
_DIRECTORY = struct.Struct(">IIIIIIIIIBBBBIIIIQQQQ")
_SEGMENT = struct.Struct("<II16sQQQQIIII")


def signed(binary: bytes, identifier: str) -> bytes:
    """The binary with an ad-hoc signature in place of any other. Raises UnsuitableBinaryError for another form."""
    commands = [command for command in read_commands(binary) if command.number != CODE_SIGNATURE]
    place = next((index for index, command in enumerate(commands) if command.segment == "__LINKEDIT"), None)
    text = next((command for command in commands if command.segment == "__TEXT"), None)
    if place is None or text is None:
        raise UnsuitableBinaryError("it has no __LINKEDIT or no __TEXT")
    linkedit = list(_SEGMENT.unpack(commands[place].content))
    start = -(-len(binary) // 16) * 16
    name = identifier.encode() + b"\0"
    pages = -(-start // (1 << _HASHED_PAGE))
    size = 20 + _DIRECTORY.size + len(name) + pages * _SHA256_SIZE
    linkedit[6] = start + size - linkedit[5]
    linkedit[4] = -(-linkedit[6] // PAGE) * PAGE
    commands[place] = LoadCommand(SEGMENT_64, _SEGMENT.pack(*linkedit))
    commands.append(LoadCommand(CODE_SIGNATURE, struct.pack("<IIII", CODE_SIGNATURE, 16, start, size)))
    header = write_commands(binary, commands)
    content = b"".join((header, binary[len(header) :], bytes(start - len(binary))))
    text_fields = _SEGMENT.unpack_from(text.content)
    return content + _blob(content, name, pages, text_fields[5], text_fields[6])


def _blob(content: bytes, name: bytes, pages: int, text_offset: int, text_size: int) -> bytes:
    name_at = _DIRECTORY.size
    hashes_at = name_at + len(name)
    length = hashes_at + pages * _SHA256_SIZE
    directory = _DIRECTORY.pack(
        _CODE_DIRECTORY,
        length,
        _VERSION,
        _AD_HOC | _LINKER_SIGNED,
        hashes_at,
        name_at,
        0,  # special slots
        pages,
        len(content),
        _SHA256_SIZE,
        _SHA256,
        0,  # platform
        _HASHED_PAGE,
        0,
        0,  # scatter
        0,  # team
        0,
        0,  # code limit in 64 bits
        text_offset,
        text_size,
        _MAIN_BINARY,
    )
    view, step = memoryview(content), 1 << _HASHED_PAGE
    hashes = (hashlib.sha256(view[position : position + step]).digest() for position in range(0, len(content), step))
    head = struct.pack(">IIIII", _SUPER_BLOB, 20 + length, 1, 0, 20)
    return head + directory + name + b"".join(hashes)
