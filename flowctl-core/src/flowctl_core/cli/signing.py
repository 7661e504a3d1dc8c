"""Signs a release and shows what was made."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flowctl_core.cli.console import emit, say
from flowctl_core.cli.session import load_configuration, load_manager
from flowctl_core.errors import UsageError
from flowctl_core.models.signed import SignedFile, SigningReport
from flowctl_core.models.signing import SigningRequest
from flowctl_core.plugins.call import InProcessCaller
from flowctl_core.sign.release import leave_unsigned, sign_release
from flowctl_core.sign.unsigned import OCI
from flowctl_core.store.dist import DIST, MARK
from flowctl_core.store.files import STATE_DIR


def find_release(path: Path) -> Path:
    """The release at `path`: that folder itself, or the one of a component there. Raises UsageError."""
    for folder in (path, path / DIST, path / STATE_DIR / DIST):
        if (folder / MARK).is_file():
            return folder
    raise UsageError(
        f"there is no release in {path}",
        hint="`flowctl component build --release` makes one; or name the folder of a release.",
    )


def sign(path: Path, request: SigningRequest, push: str | None) -> None:
    """Sign the release at `path` and show what was written."""
    from flowctl_core.cli.passphrase import offer_passphrase
    from flowctl_core.sign.embedded import NAME, needs_passphrase

    began = time.monotonic()
    root = find_release(path)
    wanted = load_configuration().config.build.remote.sign_artifacts
    if not wanted:
        files: tuple[SignedFile, ...] = ()
        released = leave_unsigned(root, "build.remote.sign_artifacts is false")
    else:
        if request.signer == NAME and needs_passphrase(request.key):
            offer_passphrase()
        signed = sign_release(root, InProcessCaller(load_manager()), request)
        released, files = signed.released, signed.files
    if push is not None and wanted:
        from flowctl_core.package.remote_referrers import push_referrers

        push_referrers(root / OCI, push)
    report = SigningReport(
        component=released.info.component,
        version=released.info.version,
        directory=str(root),
        signed=wanted,
        signer=request.signer,
        bundles=files,
        pushed=push if wanted else None,
        duration_s=round(time.monotonic() - began, 3),
    )
    if not emit(report.model_dump(mode="json")):
        _show(report)


def _show(report: SigningReport) -> None:
    title = f"{report.component} {report.version}"
    if not report.signed:
        say(f"{title} is left unsigned: build.remote.sign_artifacts is false; the release says so to every reader")
        return
    say(f"{title} signed in {report.duration_s:.1f} s ({report.signer})")
    for each in report.bundles:
        say(f"  {_line(each)}")
    if report.pushed:
        say(f"  pushed the images' attestations to {report.pushed}")
    say(f"  check it:  flowctl verify {os.path.relpath(report.directory)}")


def _line(file: SignedFile) -> str:
    if file.kind == "image":
        return f"image       {file.subject}, with the attestations as referrers in {file.path}"
    return f"{file.kind:<11} {file.path}"
