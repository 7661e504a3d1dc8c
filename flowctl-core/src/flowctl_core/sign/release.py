"""Signing a release folder: subjects go to a signer plugin, attestations come back and lie beside them.

The signed release is made beside the old one and takes its place at once, so that a run that is killed leaves a release
without signatures, or the one that was there, and never half of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowctl_core.errors import PluginError, SigningError
from flowctl_core.models import Attestation, SigningRequest, Subject
from flowctl_core.models.signed import SignedFile
from flowctl_core.package.referrers import Referrer, write_referrers
from flowctl_core.plugins.call import HOOK_MISSING, HookCaller
from flowctl_core.sign.provenance import LOCAL_BUILDER
from flowctl_core.sign.released import Released, digest_of, read_released
from flowctl_core.sign.statements import ATTESTATIONS, IMAGE_SIGNATURE, image_signature, release_statements
from flowctl_core.sign.unsigned import (
    ATTESTATION_FOLDER,
    CHECKSUMS,
    OCI,
    SUFFIX,
    UNSIGNED,
    renew_checksums,
    unsigned_copy,
)
from flowctl_core.store.dist import new_release_folder, place_release
from flowctl_core.store.files import remove_any, system_refusals


@dataclass(frozen=True)
class _Wanted:
    """A bundle to be made: where it goes, and what is signed."""

    file: SignedFile
    subject: Subject


def sign_release(root: Path, caller: HookCaller, request: SigningRequest, builder_id: str = LOCAL_BUILDER) -> Signed:
    """Sign everything in the release at `root`.

    Raises UsageError (no release), VerificationError (a file is not what its build recorded), SigningError and
    PluginError (the signer), StoreError (the folder cannot be written).
    """
    released = read_released(root)
    wanted = [*_files(released), *_attestations(released, builder_id), *_images(released)]
    answer = _ask(caller, request, tuple(each.subject for each in wanted))
    with system_refusals(root):
        made = unsigned_copy(root, new_release_folder(root))
        try:
            if referrers := _referrers(released, wanted, answer):
                write_referrers(made / OCI, referrers)
            sums = _file(CHECKSUMS, renew_checksums(made))
            # Last, because the image layout's index names the attestations: the list binds that as well.
            answer += _ask(caller, request, (sums.subject,))
            wanted.append(sums)
            for each, signed in zip(wanted, answer, strict=True):
                if each.file.kind != "image":
                    (made / each.file.path).parent.mkdir(exist_ok=True)
                    (made / each.file.path).write_text(signed.bundle, encoding="utf-8")
            place_release(made, root)
        except BaseException:
            remove_any(made)
            raise
    return Signed(released, tuple(each.file for each in wanted))


@dataclass(frozen=True)
class Signed:
    """A release, and the bundles that were written into it."""

    released: Released
    files: tuple[SignedFile, ...]


def leave_unsigned(root: Path, why: str) -> Released:
    """Tell every later reader that the release was left unsigned, and why; signatures that were there go."""
    released = read_released(root)
    with system_refusals(root):
        made = unsigned_copy(root, new_release_folder(root))
        try:
            (made / ATTESTATION_FOLDER).mkdir(exist_ok=True)
            (made / UNSIGNED).write_text(f"{why}\n", encoding="utf-8")
            place_release(made, root)
        except BaseException:
            remove_any(made)
            raise
    return released


def _files(released: Released) -> list[_Wanted]:
    return [_file(path, digest) for path, digest in released.files.items()]


def _file(path: str, digest: str) -> _Wanted:
    return _Wanted(SignedFile(path=path + SUFFIX, subject=path, kind="signature"), Subject(name=path, digest=digest))


def _attestations(released: Released, builder_id: str) -> list[_Wanted]:
    return [
        _Wanted(
            SignedFile(
                path=f"{ATTESTATION_FOLDER}/{name}{SUFFIX}",
                subject=f"{released.info.component} {released.info.version}",
                kind="attestation",
                predicate_type=ATTESTATIONS[name],
            ),
            Subject(name=name, digest=digest_of(text.encode()), statement=text),
        )
        for name, text in release_statements(released, builder_id).items()
    ]


def _images(released: Released) -> list[_Wanted]:
    found = []
    for name, digest in released.images.items():
        text = image_signature(name, digest)
        file = SignedFile(path=OCI, subject=name, kind="image", predicate_type=IMAGE_SIGNATURE)
        found.append(_Wanted(file, Subject(name=name, digest=digest, statement=text)))
    return found


def _referrers(released: Released, wanted: list[_Wanted], answer: tuple[Attestation, ...]) -> list[Referrer]:
    """Each image's own signature, and the release's attestations, which are about every image as well."""
    referrers = []
    for name, digest in released.images.items():
        for each, made in zip(wanted, answer, strict=True):
            kind = each.file.kind
            if kind == "attestation" or (kind == "image" and each.file.subject == name):
                referrers.append(Referrer(digest, made.bundle, each.file.predicate_type or ""))
    return referrers


def _ask(caller: HookCaller, request: SigningRequest, subjects: tuple[Subject, ...]) -> tuple[Attestation, ...]:
    signers = [each.name for each in caller.manager.records if each.state == "active" and each.kind == "signer"]
    if request.signer not in signers:
        raise SigningError(
            f"there is no signer {request.signer}; installed signers: {', '.join(signers) or 'none'}",
            hint="`flowctl plugin list` shows all plugins, and what is wrong with broken ones.",
        )
    answer = caller.call(request.signer, "flowctl_sign", subjects=subjects, request=request)
    if answer is HOOK_MISSING or answer is None or [each.subject for each in answer] != list(subjects):
        raise PluginError(f"the signer {request.signer} does not answer with a bundle for each subject, in their order")
    signed: tuple[Attestation, ...] = answer
    return signed
