"""Where an OIDC identity token comes from. A token is a secret: it is never shown, logged or kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flowctl_core.errors import SigningError

if TYPE_CHECKING:
    from sigstore.oidc import IdentityToken

VARIABLE = "SIGSTORE_ID_TOKEN"
"""As cosign has it."""
_HINT = (
    f"Set {VARIABLE} to an OIDC token for the audience `sigstore`, or run in a CI that issues them (on GitHub Actions "
    "the job needs `permissions: id-token: write`). Without an identity, sign with a key: --signer embedded."
)


def identity_token() -> IdentityToken:
    """The token in SIGSTORE_ID_TOKEN, else the CI's own; SigningError where there is none, or it is not for now."""
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential

    raw, source = os.environ.get(VARIABLE, "").strip(), VARIABLE
    if not raw:
        source = "the CI's identity token"
        try:
            raw = detect_credential() or ""
        except IdentityError as error:
            raise SigningError(f"the CI gives no identity token: {error}", hint=_HINT) from error
    if not raw:
        raise SigningError("keyless signing needs an identity, and there is none", hint=_HINT)
    try:
        return IdentityToken(raw)
    except IdentityError as error:
        # The cause says which claim; neither text has the token in it.
        reason = str(error.__cause__ or error)
        raise SigningError(f"{source} cannot be used: {reason}", hint=_HINT) from None
