"""Every error a user can meet.

One base with a message (the problem), a hint (what to do), an exit code and an HTTP status; one subclass
a stage. The command line prints them in one place (`flowctl_core.cli.failure`), the registry answers with
RFC 9457 problem+json in another. Exit codes are stable and listed in docs/exit-codes.md.
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar, Literal

_FREE = "Free some space: `flowctl cache prune --all` removes flowctl's own cache."
_PERMISSION = "You have no permission to write there: change the owner or mode, or use another folder."
_HINTS = {
    errno.ENOSPC: f"The disk is full. {_FREE}",
    errno.EDQUOT: f"Your disk quota is used up. {_FREE}",
    errno.EFBIG: "The file is larger than the limit for files (`ulimit -f`) or than the file system allows.",
    errno.EROFS: "The file system is read-only. Copy the source to a folder that can be written to.",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.ENAMETOOLONG: "The path is too long. Move the source to a folder with a shorter path.",
    errno.EMFILE: "Too many files are open: raise `ulimit -n`, or build fewer components at once (--jobs).",
    errno.EIO: "The disk reports an error; look at the system's log.",
}
"""What to do about what a system refuses."""


VerificationCheck = Literal["digest", "signature", "tlog", "identity", "statement", "builder", "sbom"]
"""The seven checks of a verification, in their order (docs/users/signing.md)."""


class FlowctlError(Exception):
    """A problem the user can act on.

    `message` states the problem, `hint` says what to do about it, `output` is what a failed tool itself
    printed, shown whole. `code` names the class of error in JSON output.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, output: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.output = output

    def __str__(self) -> str:
        return self.message


class UsageError(FlowctlError):
    """The command line asks for something that does not exist or contradicts itself."""

    code = "usage"
    exit_code = 2
    http_status = 400


class SpecError(FlowctlError):
    """component.yaml, bundle.yaml or pipeline.yaml cannot be read or breaks a rule."""

    code = "spec"
    exit_code = 10
    http_status = 422


class ConfigError(FlowctlError):
    """The user's configuration file or an environment variable has a bad value."""

    code = "config"
    exit_code = 11
    http_status = 500


class SourceError(FlowctlError):
    """The source tree cannot be read: missing, not a folder, loops, leads outside itself."""

    code = "source"
    exit_code = 12
    http_status = 422


class DetectionError(FlowctlError):
    """Base of the three ways in which no builder is chosen."""

    code = "detection"
    exit_code = 20
    http_status = 422


class NothingDetectedError(DetectionError):
    """No builder recognised the source."""

    code = "nothing-detected"
    exit_code = 20


class AmbiguousDetectionError(DetectionError):
    """Two or more builders claim the source with equal right."""

    code = "ambiguous-detection"
    exit_code = 21


class DetectorCrashedError(DetectionError):
    """A builder's detection raised, so its answer is unknown."""

    code = "detector-crashed"
    exit_code = 22


class PlanError(FlowctlError):
    """The builder recognised the source but cannot say what to build (no program, several, …)."""

    code = "plan"
    exit_code = 23
    http_status = 422


class ToolchainError(FlowctlError):
    """A toolchain is missing or does not satisfy the version that the source declares."""

    code = "toolchain"
    exit_code = 30
    http_status = 422


class FetchError(FlowctlError):
    """Dependencies could not be brought in."""

    code = "fetch"
    exit_code = 31
    http_status = 502


class BuildError(FlowctlError):
    """The toolchain ran and failed, or did not make what the plan promised."""

    code = "build"
    exit_code = 32
    http_status = 422


class DependenciesMissingError(BuildError):
    """A build without network found a dependency missing: core fetches once and builds again."""

    code = "dependencies-missing"


class TestsFailedError(FlowctlError):
    """The project's own tests failed, or there were none."""

    __test__ = False

    code = "tests-failed"
    exit_code = 33
    http_status = 422


class NoTestsError(TestsFailedError):
    """The project has no tests: said, and not success by silence."""

    code = "no-tests"
    exit_code = 34


class InterfaceError(FlowctlError):
    """What was built does not offer what component.yaml or metadata.json declares."""

    code = "interface"
    exit_code = 35
    http_status = 422


class ToolTimeoutError(FlowctlError):
    """A tool ran longer than allowed; its whole process group was ended."""

    code = "timeout"
    exit_code = 36
    http_status = 504


class PlatformsFailedError(FlowctlError):
    """A release could not be built for every platform; what could be built is there."""

    code = "platforms-failed"
    exit_code = 37
    http_status = 422


class ArtifactError(FlowctlError):
    """What was built is not what its platform needs: another format or architecture, no executable at all."""

    code = "artifact"
    exit_code = 38
    http_status = 422


class NotReproducibleError(FlowctlError):
    """Built again, the release has other bytes."""

    code = "not-reproducible"
    exit_code = 39
    http_status = 409


class StoreError(FlowctlError):
    """A file could not be written: disk full, read-only folder, no permission."""

    code = "store"
    exit_code = 40
    http_status = 507

    @classmethod
    def of(cls, error: OSError, path: str | os.PathLike[str] | None = None, doing: str = "") -> StoreError:
        """What the system refused, for the user. `path` and `doing` ("written", …) where the error does not tell."""
        named = path if path is not None else error.filename
        reason = error.strerror or str(error)
        where = "" if named is None or isinstance(named, int) else os.fsdecode(named)
        what = f"{where} cannot be {doing}: {reason}" if where and doing else f"{where}: {reason}" if where else reason
        return cls(what, hint=_HINTS.get(error.errno or 0, "Check permissions and free disk space."))


class LockedError(FlowctlError):
    """Another flowctl process works on the same folder and did not finish in time."""

    code = "locked"
    exit_code = 41
    http_status = 409


class ImageError(FlowctlError):
    """A container image or its base cannot be had, is not what it claims, or breaks a rule of the format."""

    code = "image"
    exit_code = 42
    http_status = 502


class EngineError(FlowctlError):
    """The Docker engine is needed and is not there, or refused."""

    code = "engine"
    exit_code = 43
    http_status = 503


class ScanError(FlowctlError):
    """The vulnerability database cannot be read or asked."""

    code = "scan"
    exit_code = 44
    http_status = 502


class VulnerableError(FlowctlError):
    """The scan found what `--fail-on` does not allow."""

    code = "vulnerable"
    exit_code = 45
    http_status = 422


class RemoteError(FlowctlError):
    """A component registry cannot be reached, refuses, or does not have what was asked for."""

    code = "remote"
    exit_code = 46
    http_status = 502


class UnreachableError(RemoteError):
    """A component registry does not answer, or broke off: no network, a wrong address, a proxy, its certificate."""

    code = "unreachable"
    exit_code = 90


class UnauthorizedError(RemoteError):
    """A component registry wants to know who asks: there is no token, or one that is unknown, expired or revoked."""

    code = "unauthorized"
    exit_code = 91


class ForbiddenError(RemoteError):
    """A component registry knows who asks, and does not allow it."""

    code = "forbidden"
    exit_code = 92


class NotFoundError(RemoteError):
    """A component registry has nothing of that name, or does not show it to who asks."""

    code = "not-found"
    exit_code = 93


class ConflictError(RemoteError):
    """A component registry has something else under that name already, or is in a state that does not allow it."""

    code = "conflict"
    exit_code = 94


class BuildFailedError(RemoteError):
    """A build in a component registry failed or was cancelled there."""

    code = "build-failed"
    exit_code = 95


class PluginError(FlowctlError):
    """A plugin breaks the contract: unknown hook, wrong arguments, wrong answer, several providers."""

    code = "plugin"
    exit_code = 50
    http_status = 500


class VerificationError(FlowctlError):
    """An artifact, image or release is not what its signatures and the client's policy allow; nothing was trusted."""

    code = "verification"
    exit_code = 60
    http_status = 422

    def __init__(
        self, message: str, *, check: VerificationCheck, hint: str | None = None, output: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, output=output)
        self.check: VerificationCheck = check


class SigningError(FlowctlError):
    """A key cannot be read or used, or a signing service refuses or cannot be reached."""

    code = "signing"
    exit_code = 61
    http_status = 502


class TrustError(FlowctlError):
    """The policy, the trust root or the signed index is missing, malformed, expired, or older than what was seen."""

    code = "trust"
    exit_code = 62
    http_status = 502


class PipelineError(FlowctlError):
    """A pipeline that runs here ended with a component that failed."""

    code = "pipeline"
    exit_code = 80


class ComponentStartError(PipelineError):
    """A component of a pipeline could not be started."""

    code = "component-start"
    exit_code = 81


class InternalError(FlowctlError):
    """A fault in flowctl itself; please report it."""

    code = "internal"
    exit_code = 70  # sysexits.h: EX_SOFTWARE


class CancelledError(FlowctlError):
    """The user pressed Ctrl-C or the build was cancelled; every child process has been ended."""

    code = "cancelled"
    exit_code = 130
    http_status = 409
