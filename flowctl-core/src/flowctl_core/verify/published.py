"""Whether the signed index of a pinned registry has a version, with these very digests."""

from __future__ import annotations

from flowctl_core.errors import TrustError, UsageError, VerificationError
from flowctl_core.trust.client import TrustStore
from flowctl_core.verify.checks import Evidence
from flowctl_core.verify.rejection import rejected


def check_published(store: TrustStore, evidence: Evidence, *, newest: bool) -> str:
    """Raises VerificationError (`identity`) unless the index lists the version with these digests, and when the index
    itself cannot be believed: it is frozen, was rolled back, or changed what it said before."""
    namespace, slash, component = evidence.component.partition("/")
    if not slash:
        raise UsageError("a registry knows components by namespace", hint="--name NAMESPACE/NAME")
    if evidence.version is None:
        raise UsageError("say which version it must be", hint="--version-of VERSION")
    try:
        index = store.index(namespace, component)
    except TrustError as failure:
        raise VerificationError(
            rejected("identity", failure.message).message, check="identity", hint=failure.hint
        ) from failure
    if index is None:
        raise rejected("identity", f"the signed index of {store.registry} has no {evidence.component}")
    digests = [digest for name, digest in evidence.digests.items() if name not in evidence.unattested]
    try:
        index.check_version(evidence.version, digests, newest=newest)
    except VerificationError as failure:
        raise rejected("identity", failure.message) from None
    return f"listed as {evidence.component} {evidence.version}"
