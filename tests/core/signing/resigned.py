"""Releases that their own publisher changed and signed again: what a right signature does not excuse."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowctl_core.sign.unsigned import renew_checksums


def strip_referrers(root: Path) -> None:
    """Take out of the image layout what would not agree with a changed attestation."""
    layout = root / "containers" / "oci"
    index = json.loads((layout / "index.json").read_bytes())
    kept = {"https://sigstore.dev/cosign/sign/v1"}
    index["manifests"] = [
        each
        for each in index["manifests"]
        if "artifactType" not in each or each["annotations"]["dev.sigstore.bundle.predicateType"] in kept
    ]
    (layout / "index.json").write_text(json.dumps(index))
    renew_checksums(root)


def resign(signed: Any, path: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Sign a changed statement with the right key, as a publisher would who makes a mistake (or worse)."""
    from flowctl_core.models import SigningRequest, Subject
    from flowctl_core.sign.embedded import plugin

    bundle = json.loads((signed.root / path).read_bytes())
    document = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(document)
    text = json.dumps(document)
    subject = Subject(name=path, digest="sha256:" + "0" * 64, statement=text)
    (made,) = plugin.flowctl_sign((subject,), SigningRequest(key=str(signed.keys / "default.key"))) or ()
    (signed.root / path).write_text(made.bundle)
    strip_referrers(signed.root)
    resign_checksums(signed)


def resign_checksums(signed: Any) -> None:
    from hashlib import sha256

    from flowctl_core.models import SigningRequest, Subject
    from flowctl_core.sign.embedded import plugin

    path = signed.root / "metadata/checksums"
    subject = Subject(name="checksums", digest=f"sha256:{sha256(path.read_bytes()).hexdigest()}")
    (made,) = plugin.flowctl_sign((subject,), SigningRequest(key=str(signed.keys / "default.key"))) or ()
    (signed.root / "metadata/checksums.sigstore.json").write_text(made.bundle)
