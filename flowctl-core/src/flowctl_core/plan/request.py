"""What the user asked for, as a PlanRequest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from flowctl_core.models import Candidate, LanguageSettings, PlanRequest, Platform, Profile, SourceTree

_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")


def component_name(source: SourceTree) -> str:
    """The name from component.yaml, else the folder's name in the form that component names have."""
    if source.component is not None:
        return source.component.name
    folder = unicodedata.normalize("NFKD", source.root.name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_NAMES.sub("-", folder).strip("-._") or "component"


def make_request(
    source: SourceTree,
    winner: Candidate,
    *,
    profile: Profile,
    platforms: tuple[Platform, ...],
    entry_point: str | None,
    languages: Mapping[str, LanguageSettings],
) -> PlanRequest:
    """Combine command line, component.yaml and the configuration's settings for the winning language."""
    detection = winner.detection
    names = (detection.language, *detection.aliases)
    declared = source.component.language(*names) if source.component is not None else None
    return PlanRequest(
        profile=profile,
        platforms=platforms,
        name=component_name(source),
        version=(source.component.version if source.component is not None else None) or "0.0.0",
        detection_root=detection.root,
        language=detection.language,
        entry_point=entry_point or (declared.main if declared is not None else None),
        settings=next((languages[name] for name in names if name in languages), LanguageSettings()),
    )
