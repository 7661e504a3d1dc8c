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
    found = image_bundles(referrers)
    return Evidence(
        component=name,
        version=version,
        digests=digests,
        signatures={name: bundles[0] for name, bundles in found.items() if name in digests},
        attestations={name: bundles[0] for name, bundles in found.items() if name not in digests},
        others={name: bundles[1:] for name, bundles in found.items()},
        images=frozenset(digests),
    )


def image_bundles(referrers: dict[str, tuple[Referrer, ...]]) -> dict[str, tuple[bytes, ...]]:
    """Signatures of each image (by its name), and attestations (by theirs) as the first image has them; newest first.

    All images have the same attestations, or the statements tell them apart.
    """
    types = {predicate_type: name for name, predicate_type in ATTESTATIONS.items()}
    found: dict[str, list[bytes]] = {}
    for name, signed in referrers.items():
        for each in reversed(signed):
            if each.predicate_type == IMAGE_SIGNATURE:
                found.setdefault(name, []).append(each.bundle.encode())
    for each in reversed(next(iter(referrers.values()), ())):
        if each.predicate_type in types:
            found.setdefault(types[each.predicate_type], []).append(each.bundle.encode())
    return {name: tuple(bundles) for name, bundles in found.items()}
