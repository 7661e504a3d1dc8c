"""Puts a single executable's content into a macOS binary of Node.js, as a segment of its own.

Node.js asks for section `__NODE_SEA_BLOB` of segment `NODE_SEA` (https://github.com/nodejs/postject). The segment takes
the place of __LINKEDIT in the file and in memory, and __LINKEDIT, which has to be the last one, moves behind it: all
offsets that point into it grow. Nothing else changes. The format is Apple's mach-o/loader.h and mach-o/fixup-chains.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from flowctl_lang_node.sea.elf import UnsuitableBinaryError

PAGE = 0x4000
"""Pages of arm64; a multiple of those of amd64."""
HEADER = struct.Struct("<IIIIIIII")
MAGIC_64 = 0xFEEDFACF
_SEGMENT = struct.Struct("<II16sQQQQIIII")
_SECTION = struct.Struct("<16s16sQQIIIIIIII")
_LINKEDIT_DATA = struct.Struct("<IIII")
_READABLE = 1
SEGMENT_64, CODE_SIGNATURE = 0x19, 0x1D
_CHAINED_FIXUPS = 0x80000034
_LINKEDIT_COMMANDS = frozenset({0x1E, 0x26, 0x29, 0x2B, 0x2E, 0x80000033, _CHAINED_FIXUPS})
"""Commands of the form linkedit_data_command: offset and size of something in __LINKEDIT."""
_OFFSETS = {
    0x02: (8, 16),  # LC_SYMTAB: symoff, stroff
    0x0B: (
        32,
        40,
        48,
        56,
        64,
        72,
    ),  # LC_DYSYMTAB: tocoff, modtaboff, extrefsymoff, indirectsymoff, extreloff, locreloff
    0x22: (8, 16, 24, 32, 40),  # LC_DYLD_INFO: rebase, bind, weak_bind, lazy_bind, export
    0x80000022: (8, 16, 24, 32, 40),  # LC_DYLD_INFO_ONLY
}
"""Where other commands hold offsets into __LINKEDIT; 0 means that there is none."""


@dataclass(frozen=True)
class LoadCommand:
    """One load command: its number and bytes."""

    number: int
    content: bytes

    @property
    def segment(self) -> str:
        """Name of a segment; empty for other commands."""
        return self.content[8:24].rstrip(b"\0").decode() if self.number == SEGMENT_64 else ""


def read_commands(binary: bytes) -> list[LoadCommand]:
    """The load commands. Raises UnsuitableBinaryError when it is no 64-bit Mach-O file of one architecture."""
    if len(binary) < HEADER.size or HEADER.unpack_from(binary)[0] != MAGIC_64:
        raise UnsuitableBinaryError("it is no 64-bit Mach-O file of one architecture")
    found, position = [], HEADER.size
    for _ in range(HEADER.unpack_from(binary)[4]):
        number, size = struct.unpack_from("<II", binary, position)
        if size < 8 or position + size > len(binary):
            raise UnsuitableBinaryError("its load commands are damaged")
        found.append(LoadCommand(number, binary[position : position + size]))
        position += size
    return found


def write_commands(binary: bytes, commands: list[LoadCommand]) -> bytes:
    """The binary's header with other commands, up to the first section's content.

    Raises UnsuitableBinaryError when they do not fit in front of it.
    """
    size = sum(len(command.content) for command in commands)
    room = min(
        offset
        for command in commands
        if command.number == SEGMENT_64
        for position in range(_SEGMENT.size, len(command.content), _SECTION.size)
        if (offset := _SECTION.unpack_from(command.content, position)[4])
    )
    if HEADER.size + size > room:
        raise UnsuitableBinaryError("there is no room for a load command in it")
    header = list(HEADER.unpack_from(binary))
    header[4], header[5] = len(commands), size
    packed = HEADER.pack(*header) + b"".join(command.content for command in commands)
    return packed + bytes(room - len(packed))


def with_segment(binary: bytes, segment: str, section: str, content: bytes) -> bytes:
    """The binary, without its signature, with one more segment that holds `content` in one section.

    Raises UnsuitableBinaryError for a file of another form.
    """
    commands = [command for command in read_commands(binary) if command.number != CODE_SIGNATURE]
    place = next((index for index, command in enumerate(commands) if command.segment == "__LINKEDIT"), None)
    if place is None:
        raise UnsuitableBinaryError("it has no __LINKEDIT")
    fields = list(_SEGMENT.unpack_from(commands[place].content))
    address, offset, size = fields[3], fields[5], fields[6]
    end = _end_of_data(read_commands(binary), offset + size)
    linkedit = binary[offset:end]
    gap_at, gap = _chained_gap(commands, linkedit, offset)
    if gap:
        linkedit = _with_chained_segment(linkedit, gap_at, gap, place)
    room = -(-len(content) // PAGE) * PAGE

    def moved(old: int) -> int:
        return old + room + (gap if old > offset + gap_at else 0)

    new = [_moved(command, moved, gap) for command in commands]
    fields[3], fields[4] = address + room, -(-len(linkedit) // PAGE) * PAGE
    fields[5], fields[6] = offset + room, len(linkedit)
    new[place] = LoadCommand(SEGMENT_64, _SEGMENT.pack(*fields))
    head = _SEGMENT.pack(
        SEGMENT_64,
        _SEGMENT.size + _SECTION.size,
        segment.encode(),
        address,
        room,
        offset,
        room,
        _READABLE,
        _READABLE,
        1,
        0,
    )
    body = _SECTION.pack(section.encode(), segment.encode(), address, len(content), offset, 2, 0, 0, 0, 0, 0, 0)
    new.insert(place, LoadCommand(SEGMENT_64, head + body))
    header = write_commands(binary, new)
    return b"".join((header, binary[len(header) : offset], content, bytes(room - len(content)), linkedit))


def _end_of_data(commands: list[LoadCommand], end: int) -> int:
    """Where __LINKEDIT ends without the signature, which is the last thing in it."""
    for command in commands:
        if command.number == CODE_SIGNATURE:
            start: int = _LINKEDIT_DATA.unpack_from(command.content)[2]
            return start
    return end


def _moved(command: LoadCommand, moved: Callable[[int], int], gap: int) -> LoadCommand:
    content = bytearray(command.content)
    positions = (8,) if command.number in _LINKEDIT_COMMANDS else _OFFSETS.get(command.number, ())
    for position in positions:
        (old,) = struct.unpack_from("<I", content, position)
        if old:
            struct.pack_into("<I", content, position, moved(old))
    if command.number == _CHAINED_FIXUPS and gap:
        (size,) = struct.unpack_from("<I", content, 12)
        struct.pack_into("<I", content, 12, size + gap)
    return LoadCommand(command.number, bytes(content))


def _chained_gap(commands: list[LoadCommand], linkedit: bytes, offset: int) -> tuple[int, int]:
    """Where in __LINKEDIT, and how many, bytes are needed for one segment more in dyld_chained_starts_in_image.

    dyld refuses a file whose list of segments there is shorter than its segments.
    """
    for command in commands:
        if command.number == _CHAINED_FIXUPS:
            if _LINKEDIT_DATA.unpack_from(command.content)[2] != offset:
                raise UnsuitableBinaryError("its chained fixups are not the first thing in __LINKEDIT")
            (starts,) = struct.unpack_from("<I", linkedit, 4)
            (count,) = struct.unpack_from("<I", linkedit, starts)
            return starts + 4 + 4 * count, 8  # what follows is kept aligned to 8 bytes
    return 0, 0


def _with_chained_segment(linkedit: bytes, gap_at: int, gap: int, index: int) -> bytes:
    """__LINKEDIT with a segment without fixups more in the list, at `index`."""
    version, starts, imports, symbols, *rest = struct.unpack_from("<IIIIIII", linkedit)
    (count,) = struct.unpack_from("<I", linkedit, starts)
    offsets = list(struct.unpack_from(f"<{count}I", linkedit, starts + 4))
    offsets = [value + gap if value else 0 for value in offsets]
    offsets.insert(index, 0)
    header = struct.pack("<IIIIIII", version, starts, imports + gap, symbols + gap, *rest)
    listed = struct.pack(f"<{count + 2}I", count + 1, *offsets)
    return header + linkedit[len(header) : starts] + listed + bytes(gap - 4) + linkedit[gap_at:]
