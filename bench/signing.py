"""Signing and verifying: a release of 30 artifacts with a key, and one file of 100 MB against `sha256sum`.

    python bench/signing.py

The release is signed in this process, as the command does it, without the start of a process; so is the file verified.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from interleaved import Case, environment_line, run, show

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "11"))
SUBJECTS = 30
BUDGET_S = 0.5
MEGABYTES = 100


def bench_signing(folder: Path) -> bool:
    """All bundles of a release with 30 artifacts, the import of what makes them included."""
    from flowctl_core.models import SigningRequest, Subject
    from flowctl_core.sign.embedded import plugin
    from flowctl_core.sign.key_folder import KeyFolder

    os.environ["FLOWCTL_KEYS"] = str(folder / "keys")
    began = time.perf_counter()
    KeyFolder().generate("default", None)
    imported = time.perf_counter() - began
    statement = json.dumps({"subject": [{"name": str(n), "digest": {"sha256": "0" * 64}} for n in range(SUBJECTS)]})
    subjects = tuple(
        Subject(name=str(number), digest=f"sha256:{sha256(bytes([number])).hexdigest()}") for number in range(SUBJECTS)
    ) + tuple(Subject(name=name, digest="sha256:" + "0" * 64, statement=statement) for name in ("p", "sbom", "scan"))
    began = time.perf_counter()
    made = plugin.flowctl_sign(subjects, SigningRequest())
    took = time.perf_counter() - began
    assert made is not None and len(made) == len(subjects)
    print(f"\n## Embedded signing of {SUBJECTS} artifacts and three attestations\n")
    print(f"- {took * 1000:.0f} ms (budget {BUDGET_S * 1000:.0f}): {'met' if took < BUDGET_S else 'MISSED'}")
    print(f"- of it, and before it, imports: making the key took {imported * 1000:.0f} ms")
    return took < BUDGET_S


VERIFY = """
import sys, time
from pathlib import Path
from flowctl_core.models.signing import TrustedKey, TrustMaterial
from flowctl_core.verify.bundle import verify_bundle
from flowctl_core.verify.release import measure
file, key = Path(sys.argv[1]), Path(sys.argv[2]).read_text()
trust = TrustMaterial(keys=(TrustedKey(name="k", public_key=key),))
bundle = Path(sys.argv[1] + ".sigstore.json").read_bytes()
"""


def bench_verifying(folder: Path) -> bool:
    """Verify a large file: its bytes are read once, and the rest is a signature."""
    from flowctl_core.models import SigningRequest, Subject
    from flowctl_core.sign.embedded import plugin
    from flowctl_core.sign.key_folder import KeyFolder
    from flowctl_core.verify.release import measure

    file = folder / "large"
    block = os.urandom(2**20)
    with file.open("wb") as out:
        for _ in range(MEGABYTES):
            out.write(block)
    KeyFolder().generate("large", None)
    (attestation,) = (
        plugin.flowctl_sign((Subject(name="large", digest=measure(file)),), SigningRequest(key="large")) or ()
    )
    Path(f"{file}.sigstore.json").write_text(attestation.bundle)
    key = str(KeyFolder().folder / "large.pub")
    verify = VERIFY + "verify_bundle(bundle, measure(file), trust)\n"
    start = VERIFY + "verify_bundle(bundle, trust_digest, trust)\n".replace("trust_digest", repr(measure(file)))
    sum_command = shutil.which("sha256sum") or "sha256sum"
    cases = {
        "verify, process": Case([sys.executable, "-c", verify, str(file), key], folder),
        "verify, process, without reading": Case([sys.executable, "-c", start, str(file), key], folder),
        "sha256sum": Case([sum_command, str(file)], folder),
    }
    run(cases, rounds=ROUNDS, warmups=1)
    show(f"Verify a file of {MEGABYTES} MB", cases, [])
    inside = cases["verify, process"].median_ms - cases["verify, process, without reading"].median_ms
    ratio = inside / cases["sha256sum"].median_ms
    print(f"- verify, process start apart / sha256sum = {ratio:.2f} (budget 1.00): {'met' if ratio <= 1 else 'MISSED'}")
    return ratio <= 1


def main() -> None:
    """Run both."""
    print(f"# Signing and verifying\n\n{environment_line()}; {ROUNDS} interleaved rounds")
    with tempfile.TemporaryDirectory() as name:
        results = [bench_signing(Path(name)), bench_verifying(Path(name))]
    print(f"\n{sum(results)} of {len(results)} groups within budget")


if __name__ == "__main__":
    main()
