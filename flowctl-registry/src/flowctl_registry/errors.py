"""What a registry refuses. Each is a FlowctlError, so that commands and HTTP answers tell it alike."""

from __future__ import annotations

from flowctl_core.errors import FlowctlError


class RegistryError(FlowctlError):
    """The registry refuses a request, or cannot answer it."""

    code = "registry"
    exit_code = 80
    retry_after_s: float | None = None
    """Sent as `Retry-After` where a later try may succeed."""


class BadRequestError(RegistryError):
    """The request is malformed."""

    code = "bad-request"
    http_status = 400


class DigestInvalidError(BadRequestError):
    """That is no digest of this registry."""


class UnauthorizedError(RegistryError):
    """There is no token, or one that is unknown, expired or revoked."""

    code = "unauthorized"
    http_status = 401
    challenge = 'Bearer realm="flowctl-registry"'
    """Sent as `WWW-Authenticate` (RFC 9110 section 11.6.1)."""


class ForbiddenError(RegistryError):
    """The token does not allow it."""

    code = "forbidden"
    http_status = 403


class NotFoundError(RegistryError):
    """There is nothing of that name, or the caller must not know that there is."""

    code = "not-found"
    http_status = 404


class ManifestUnknownError(NotFoundError):
    """The repository has no image of that tag or digest."""


class BlobUnknownError(NotFoundError):
    """The repository has no blob of that digest."""


class ConflictError(RegistryError):
    """Something else has that name already."""

    code = "conflict"
    http_status = 409


class TooLargeError(RegistryError):
    """The body or the release is larger than this registry takes."""

    code = "too-large"
    http_status = 413


class InvalidReleaseError(RegistryError):
    """What was uploaded is no release: a file is missing, differs from its digest, or contradicts another."""

    code = "invalid-release"
    http_status = 422


class TooManyRequestsError(RegistryError):
    """A rate limit is used up."""

    code = "too-many-requests"
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class QuotaError(RegistryError):
    """The namespace has used up what it may store."""

    code = "quota"
    http_status = 403


class UnavailableError(RegistryError):
    """The database, the blob store or the signer does not answer; nothing was changed."""

    code = "unavailable"
    http_status = 503
    retry_after_s = 5.0


class TransientError(UnavailableError):
    """What a build needs did not answer, or broke off: another try may succeed."""

    code = "transient"


class TamperedError(RegistryError):
    """The audit log is not what the registry wrote."""

    code = "tampered"
    http_status = 409


class StorageFullError(RegistryError):
    """The disk or the store has no room left; nothing was changed."""

    code = "storage-full"
    http_status = 507


class DamagedError(RegistryError):
    """`fsck` found what is missing, damaged or contradictory, or a backup is not whole."""

    code = "damaged"
    exit_code = 81
    http_status = 500


class SandboxError(RegistryError):
    """No sandbox works on this machine, or one cannot be made as asked."""

    code = "sandbox"
    exit_code = 82
    http_status = 503
