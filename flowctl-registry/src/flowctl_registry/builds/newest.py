"""The newest version among tags."""

from __future__ import annotations

from collections.abc import Iterable

from semantic_version import Version

from flowctl_registry.builds.git_url import version_of


def newest_tag(tags: Iterable[str], pattern: str) -> str | None:
    """The tag of the highest version; prereleases only where there is nothing else. None when none names one."""
    named = {tag: Version(version) for tag in tags if (version := version_of(tag, pattern)) is not None}
    released = {tag: version for tag, version in named.items() if not version.prerelease}
    among = released or named
    return max(among, key=lambda tag: (among[tag], tag)) if among else None
