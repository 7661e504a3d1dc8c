"""What there is to verify of an image in a registry: index, manifests, and the bundles that refer to them.

Layers are not fetched: the manifests name their digests, and whoever pulls the image by digest compares them.
"""

from __future__ import annotations

from flowctl_core.package.foreign_documents import read_index
from flowctl_core.package.reference import parse_reference
from flowctl_core.package.referrers import Referrer
from flowctl_core.package.registry import Registry
from flowctl_core.package.remote_referrers import fetch_referrers
from flowctl_core.sign.released import INDEX
from flowctl_core.sign.statements import ATTESTATIONS, IMAGE_SIGNATURE
from flowctl_core.verify.checks import Evidence


def gather_image(reference: str, name: str, version: str | None) -> Evidence:
    """Fetch what is needed. Raises ImageError when the registry lies or fails."""
    target = parse_reference(reference)
    with Registry(target) as registry:
        root = target.digest or registry.resolve()
        data = registry.manifest(root)
        entries = read_index(data, reference)
        digests = {INDEX if entries is not None else "image": root}
        for entry in entries or ():
            registry.manifest(entry.digest)  # is there, and is that
            platform = entry.platform
            called = "/".join(part for part in platform.key if part) if platform else entry.digest
            digests[entry.digest if called in digests else called] = entry.digest
        referrers = {each: fetch_referrers(registry, digest) for each, digest in digests.items()}
    return Evidence(
        component=name,
        version=version,
        digests=digests,
        signatures={each: found for each in digests if (found := image_signature(referrers[each])) is not None},
        attestations=image_attestations(referrers),
        images=frozenset(digests),
    )


def image_signature(referrers: tuple[Referrer, ...]) -> bytes | None:
    """The bundle that signs an image: the newest of those that refer to it."""
    signed = [each.bundle.encode() for each in referrers if each.predicate_type == IMAGE_SIGNATURE]
    return signed[-1] if signed else None


def image_attestations(referrers: dict[str, tuple[Referrer, ...]]) -> dict[str, bytes]:
    """The newest of each type that the first image has; all images have the same, or the statements tell them apart."""
    first = next(iter(referrers.values()), ())
    types = {predicate_type: name for name, predicate_type in ATTESTATIONS.items()}
    return {types[each.predicate_type]: each.bundle.encode() for each in first if each.predicate_type in types}
