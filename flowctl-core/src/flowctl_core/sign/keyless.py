"""The `keyless` signer: an OIDC identity gets a certificate for minutes, and the signature goes into a log.

Unmodified sigstore-python does it; here are the identity's source, the instance's choice, and words for what fails.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.errors import SigningError
from flowctl_core.hookspecs import hookimpl
from flowctl_core.models import Attestation, SigningRequest, Subject

if TYPE_CHECKING:
    from sigstore.models import ClientTrustConfig
    from sigstore.sign import Signer

    from flowctl_core.sign.sigstore_services import Services

NAME = "keyless"
TIMEOUT_S = 60.0
"""Seconds a service may be silent; a log answers only when the entry is in its tree, which takes a few."""


class KeylessSigner:
    """Signs with a certificate for an OIDC identity. `timeout_s`: seconds that a service may be silent."""

    contract = 3

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    @hookimpl
    def flowctl_sign(self, subjects: tuple[Subject, ...], request: SigningRequest) -> tuple[Attestation, ...] | None:
        """One certificate for all subjects; SigningError says what a service, or the identity's source, refused."""
        if request.signer != NAME:
            return None
        if not subjects:
            return ()
        from flowctl_core.sign.identity_token import identity_token
        from flowctl_core.sign.sigstore_services import Services

        config = _trust_config(request.trust_config)
        token = identity_token()
        services = Services(config, str(token), self._timeout_s)
        with services.explained(), ExitStack() as stack:
            signer = stack.enter_context(services.context.signer(token))
            return tuple(_attest(signer, subject, services) for subject in subjects)


def _attest(signer: Signer, subject: Subject, services: Services) -> Attestation:
    from sigstore.dsse import Statement
    from sigstore.hashes import Hashed
    from sigstore_models.common.v1 import HashAlgorithm

    if subject.statement is not None:
        bundle = signer.sign_dsse(Statement(subject.statement.encode()))
    else:
        digest = bytes.fromhex(subject.digest.removeprefix("sha256:"))
        bundle = signer.sign_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest))
    services.check_timestamps(bundle)
    return Attestation(subject=subject, bundle=bundle.to_json())


def _trust_config(path: str | None) -> ClientTrustConfig:
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig

    if path is None:
        try:
            return ClientTrustConfig.production()
        except Exception as error:  # its updater raises what the network, the file system and TUF make it raise
            raise SigningError(
                f"the public Sigstore instance's trust root cannot be had: {str(error) or type(error).__name__}",
                hint="Is there a network? A private instance is named by --trust-config FILE.",
            ) from error
    try:
        return ClientTrustConfig.from_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SigningError(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of the instance's trust config (JSON)."
        ) from error
    except (Error, ValueError, RecursionError) as error:
        raise SigningError(
            f"{path} is no Sigstore trust config",
            hint="It is JSON of type application/vnd.dev.sigstore.clienttrustconfig.v0.1+json (docs/users/keyless.md).",
            output=str(error)[:2000],
        ) from error


plugin = KeylessSigner()
