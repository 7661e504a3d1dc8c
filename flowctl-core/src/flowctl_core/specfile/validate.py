"""Everything `flowctl component validate` looks at without running the component."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowctl_core.models.artifact import Artifact
from flowctl_core.models.component import ComponentSpec
from flowctl_core.specfile.check_interface import check_interface
from flowctl_core.specfile.check_metadata import check_metadata
from flowctl_core.specfile.check_tree import check_tree
from flowctl_core.specfile.finding import Finding
from flowctl_core.specfile.load import LoadedSpec


def validate_component(
    source_root: Path, loaded: LoadedSpec[ComponentSpec], *, artifacts: Sequence[Artifact] | None = None
) -> list[Finding]:
    """All findings about a component: the warnings of loading, the spec itself, its tree, its metadata.json.

    With `artifacts` (what a build made) the declared binary must be among them or in the tree; with none, only
    its path is checked. In order of file and line. Raises SpecError when metadata.json cannot be read at all.
    """
    findings = list(loaded.warnings)
    problems = [*check_interface(loaded.spec), *check_tree(source_root, loaded.spec, artifacts or None)]
    findings += [loaded.finding(severity, path, message) for severity, (path, message) in problems]
    findings += check_metadata(source_root, loaded)
    errors = {(finding.file, finding.field) for finding in findings if finding.severity == "error"}
    kept = [f for f in findings if f.severity == "error" or (f.file, f.field) not in errors]
    distinct = {(f.severity, f.file, f.line, f.field, f.message): f for f in kept}.values()
    return sorted(distinct, key=lambda f: (f.file != loaded.file, f.file, f.line or 0))
