"""Copying and hashing the bytes of files, as fast as the system allows."""

from __future__ import annotations

import errno
import os
from hashlib import sha256

_CHUNK = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h
_PARALLEL_FROM = 4 << 20
"""Bytes; below this a thread costs more than it saves."""
_CANNOT = frozenset((errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EPERM, errno.EBADF))
"""What a file system answers that cannot share or move blocks; the plain way works then."""


def copy_bytes(source: int, target: int) -> None:
    """Copy all of one open file into another, empty one: sharing blocks where possible. Raises OSError."""
    if _clone(source, target):
        return
    done = 0
    if hasattr(os, "copy_file_range"):
        try:
            while moved := os.copy_file_range(source, target, 1 << 30, done, done):
                done += moved
            # Some file systems (proc, FUSE) answer 0 at once for a file that has content: read to be sure.
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    while chunk := os.pread(source, _CHUNK, done):
        view = memoryview(chunk)
        while view:
            written = os.pwrite(target, view, done)
            view = view[written:]
            done += written


def hash_bytes(fd: int) -> str:
    """SHA-256 (hex) of all of an open file; its position is not used. Raises OSError."""
    digest = sha256()
    done = 0
    while chunk := os.pread(fd, _CHUNK, done):
        digest.update(chunk)
        done += len(chunk)
    return digest.hexdigest()


def copy_and_hash(source: int, target: int) -> str:
    """Copy, and return the SHA-256 (hex) of the source; a big file is hashed while it is copied."""
    if os.fstat(source).st_size < _PARALLEL_FROM:
        copy_bytes(source, target)
        return hash_bytes(source)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        hashed = pool.submit(hash_bytes, source)
        copy_bytes(source, target)
        return hashed.result()


def _clone(source: int, target: int) -> bool:
    if os.uname().sysname != "Linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True
