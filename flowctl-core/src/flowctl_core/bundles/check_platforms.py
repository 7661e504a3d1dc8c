"""What a bundle claims to run on and to need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowctl_core import __version__
from flowctl_core.bundles.folder import BundleFolder
from flowctl_core.specfile.finding import Finding

_NEEDED = re.compile(r"[>=~^ ]*v?(\d+(?:\.\d+)*)[^+]*\+?")


def check_platforms(bundle: BundleFolder) -> Iterator[Finding]:
    """Every member runs where the bundle claims to, and this flowctl is new enough for it."""
    for index, platform in enumerate(bundle.loaded.spec.spec.platforms):
        lacking = [
            member.name
            for member in bundle.members
            if member.loaded is not None
            and member.loaded.spec.platforms
            and platform not in member.loaded.spec.platforms
        ]
        if lacking:
            names = ", ".join(lacking[:5]) + (" …" if len(lacking) > 5 else "")
            verb = "does" if len(lacking) == 1 else "do"
            yield bundle.loaded.finding(
                "error", ("spec", "platforms", index), f"the bundle claims {platform}, {names} {verb} not"
            )
    requirements = bundle.loaded.spec.spec.requirements
    wanted = requirements.flowctl_version if requirements is not None else None
    match = _NEEDED.fullmatch(wanted.strip()) if wanted is not None else None
    if match is not None and _numbers(match.group(1)) > _numbers(__version__):
        path = ("spec", "requirements", "flowctl_version")
        yield bundle.loaded.finding("error", path, f"needs flowctl {wanted}, this is {__version__}")


def _numbers(version: str) -> tuple[int, ...]:
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return found + (0,) * (3 - len(found))
