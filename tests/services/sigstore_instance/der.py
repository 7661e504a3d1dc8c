"""As much of DER as time stamps and SCTs need (X.690)."""

from __future__ import annotations

import struct
from datetime import datetime

SEQUENCE, SET, OCTETS, NULL = 0x30, 0x31, 0x04, 0x05


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def sequence(*parts: bytes) -> bytes:
    return element(SEQUENCE, *parts)


def integer(value: int) -> bytes:
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return element(0x06, bytes(content))


def utf8(text: str) -> bytes:
    return element(0x0C, text.encode())


def generalized_time(moment: datetime) -> bytes:
    return element(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def opaque16(content: bytes) -> bytes:
    """TLS's `opaque<0..2^16-1>` (SCT lists, RFC 6962)."""
    return struct.pack("!H", len(content)) + content
