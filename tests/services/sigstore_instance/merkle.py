"""A log's Merkle tree (RFC 6962, section 2.1) and its signed checkpoints (https://c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import hashlib
from typing import Any

from .keys import ServiceKey, b64


def _leaf(body: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + body).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = _split(len(leaves))
    return _node(root(leaves[:half]), root(leaves[half:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*path(index, leaves[:half]), root(leaves[half:])]
    return [*path(index - half, leaves[half:]), root(leaves[:half])]


class Tree:
    """The entries of one log."""

    def __init__(self, key: ServiceKey) -> None:
        self._key = key
        # A log is never empty when a client comes; a proof then has hashes to check.
        self._leaves = [_leaf(b"first"), _leaf(b"second")]

    def add(self, body: bytes, origin: str) -> dict[str, Any]:
        """The inclusion proof of a new entry, as a bundle has it."""
        self._leaves.append(_leaf(body))
        index, size = len(self._leaves) - 1, len(self._leaves)
        top = root(self._leaves)
        name = origin.partition(" ")[0]
        note = f"{origin}\n{size}\n{b64(top)}\n"
        signed = b64(self._key.key_id[:4] + self._key.sign(note.encode()))
        return {
            "logIndex": str(index),
            "rootHash": b64(top),
            "treeSize": str(size),
            "hashes": [b64(each) for each in path(index, self._leaves)],
            "checkpoint": {"envelope": f"{note}\n— {name} {signed}\n"},
        }
