"""Everything `flowctl bundle validate` looks at, without building anything."""

from __future__ import annotations

from flowctl_core.bundles.check_members import check_members
from flowctl_core.bundles.check_platforms import check_platforms
from flowctl_core.bundles.check_templates import check_templates
from flowctl_core.bundles.check_wiring import check_wiring
from flowctl_core.bundles.claims import claims_of
from flowctl_core.bundles.folder import BundleFolder
from flowctl_core.bundles.order import order_findings
from flowctl_core.specfile.finding import Finding, raise_errors


def validate_bundle(bundle: BundleFolder) -> list[Finding]:
    """All findings about a bundle and its members, bundle.yaml's first, each file's in the order of its lines."""
    claims = claims_of(bundle)
    findings = [
        *bundle.findings,
        *check_members(bundle, claims),
        *check_wiring(bundle, claims),
        *check_templates(bundle, claims),
        *check_platforms(bundle),
        *order_findings(bundle),
    ]
    distinct = {(f.severity, f.file, f.line, f.field, f.message): f for f in findings}.values()
    return sorted(distinct, key=lambda f: (f.file != bundle.loaded.file, f.file, f.line or 0))


def require_valid(bundle: BundleFolder) -> list[Finding]:
    """The warnings. Raises SpecError that lists every error."""
    findings = validate_bundle(bundle)
    raise_errors(findings, hint="`flowctl bundle validate` shows warnings too.")
    return [finding for finding in findings if finding.severity == "warning"]
