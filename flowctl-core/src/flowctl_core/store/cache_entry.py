"""What the cache remembers of a build, and what it says about itself."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from pydantic import Field

from flowctl_core.models import Artifact, Frozen, Tool
from flowctl_core.store.stat_index import Stat


class CachedTool(Frozen):
    """What an entry remembers of a tool."""

    name: str
    version: str
    digest: str


class CacheEntry(Frozen):
    """One earlier result."""

    key: str
    component: str
    root_id: str
    """Real path of the source tree it was built in."""
    created: float
    """Seconds since the epoch."""
    last_used: float
    artifacts: tuple[Artifact, ...]
    modes: dict[str, int] = Field(default_factory=dict)
    """File mode of each artifact, by its path."""
    seen: dict[str, Stat] = Field(default_factory=dict)
    """What lstat said of a stored file (by digest) when it was complete and on disk: a file that still looks so
    need not be hashed again before it is restored."""
    tools: tuple[CachedTool, ...] = ()
    plugins: dict[str, str] = Field(default_factory=dict)
    """Plugin or wrapper → identity."""
    explain: dict[str, str] = Field(default_factory=dict)
    """Named part of the key → digest, so that a later miss can name what differs."""
    manifest: str = ""
    """Digest of the stored manifest of inputs."""

    @property
    def row(self) -> str:
        """Its name in the index."""
        return f"entry:{self.key}:{tools_digest(self.tools)}"


class CacheInfo(Frozen):
    """What `flowctl cache info` shows."""

    path: Path
    """Its folder."""
    entries: int
    """Builds that it holds."""
    files: int
    """Files that they consist of."""
    bytes: int
    """Of the stored files."""
    limit: int
    """Bytes that it holds itself to."""


class PruneReport(Frozen):
    """What `flowctl cache prune` removed."""

    entries: int = 0
    """Builds that were removed."""
    files: int = 0
    """Files that were removed."""
    bytes: int = 0
    """Bytes that were freed."""
    workspaces: int = 0
    """Folders in which releases were built that were removed."""


def remember(tools: Iterable[Tool]) -> tuple[CachedTool, ...]:
    """What an entry keeps of resolved tools."""
    known = (CachedTool(name=t.name, version=t.version, digest=t.digest) for t in tools)
    return tuple(sorted(known, key=lambda t: t.name))


def tools_digest(tools: tuple[CachedTool, ...]) -> str:
    """Stands for exactly these tools in the name of an entry's row."""
    return sha256(repr([(t.name, t.version, t.digest) for t in tools]).encode()).hexdigest()[:32]
