"""What commands print under `-o json` (and `-o yaml`), one model each.

Stable: a field never changes its meaning and is never taken away; later versions may add fields. The reference in
docs/reference/json-output.md is made from these models, and a test holds what the commands print to them. Not listed
here: `component build` prints a BuildReport, `component clean` a CleanReport, `plugin list` PluginRecords,
`cache info` a CacheInfo and `cache prune` a PruneReport.
"""

from __future__ import annotations

from typing import Literal

from pydantic import computed_field

from flowctl_core.errors import FlowctlError
from flowctl_core.models import BuildReport, DetectionReport, Evidence, TestReport
from flowctl_core.models.base import Frozen
from flowctl_core.models.release import ReleaseReport
from flowctl_core.models.scan import ScanReport
from flowctl_core.models.verification import VerificationReport
from flowctl_core.specfile.finding import Finding


class Failure(Frozen):
    """What went wrong, and what to do about it."""

    code: str
    """Class of the error, as the table of exit codes names it."""
    message: str
    """The problem."""
    hint: str | None
    """What to do about it."""
    output: str | None
    """What the failed tool itself printed, whole."""
    exit_code: int
    """Exit code of the command."""


class FailureDocument(Frozen):
    """Printed in place of a command's own document when it fails."""

    error: Failure
    """What went wrong."""

    @classmethod
    def of(cls, error: FlowctlError) -> FailureDocument:
        """The document for an error."""
        return cls(
            error=Failure(
                code=error.code,
                message=error.message,
                hint=error.hint,
                output=error.output,
                exit_code=error.exit_code,
            )
        )


class BuiltComponent(BuildReport):
    """One component of several that was built; `path` stands beside the fields of a single build."""

    path: str
    """Its folder, as it was named on the command line."""


class FailedComponent(FailureDocument):
    """One component of several that could not be built."""

    path: str
    """Its folder, as it was named on the command line."""


class LostDetection(Frozen):
    """A builder that recognised the source too, and lost."""

    builder: str
    """Name of the plugin."""
    language: str
    """Language that it recognised."""
    confidence: float
    """0 to 1, by its own measure."""
    because: str | None
    """Why it lost."""
    evidence: tuple[Evidence, ...]
    """Files that spoke for it."""


class DetectDocument(Frozen):
    """Which language a component is written in, and why."""

    language: str
    """Language of the winner."""
    confidence: float
    """0 to 1: around 0.9 for a manifest that declares a program, 0.2 for one that probably serves something else."""
    builder: str
    """Name of the plugin that builds it."""
    distribution: str
    """Distribution that the plugin comes from."""
    basis: str
    """`component` (component.yaml gives a command), `manifest`, or `files` (no manifest)."""
    root: str
    """Folder of the manifest, relative to the component."""
    evidence: tuple[Evidence, ...]
    """Files that speak for the language."""
    lost: tuple[LostDetection, ...]
    """Builders that recognised it too, and lost."""
    silent: tuple[str, ...]
    """Builders that did not recognise it."""

    @classmethod
    def of(cls, report: DetectionReport) -> DetectDocument:
        """The document for a detection."""
        winner = report.winner
        return cls(
            language=winner.detection.language,
            confidence=winner.detection.confidence,
            builder=winner.builder,
            distribution=winner.distribution,
            basis=winner.detection.basis,
            root=winner.detection.root,
            evidence=winner.detection.evidence,
            lost=tuple(
                LostDetection(
                    builder=lost.builder,
                    language=lost.detection.language,
                    confidence=lost.detection.confidence,
                    because=lost.lost_because,
                    evidence=lost.detection.evidence,
                )
                for lost in report.lost
            ),
            silent=report.silent,
        )


class CountedTests(TestReport):
    """A test report together with its sum."""

    __test__ = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        """Sum of passed, failed, skipped and errors."""
        return super().total


class TestDocument(Frozen):
    """Result of a component's own tests and of the check of its interface."""

    __test__ = False

    component: str
    """Name of the component."""
    version: str
    """Its version; `0.0.0` where nothing declares one."""
    language: str
    """Language it is written in."""
    ok: bool
    """True when tests ran, all of them passed, and the interface is as declared."""
    tests: CountedTests | None
    """What the test tool reported; null when the builder knows no tests."""
    interface: tuple[str, ...]
    """What is wrong with the interface."""
    error: Failure | None
    """Why the command fails; null when all is well."""


class ScanDocument(ScanReport):
    """Known vulnerabilities of what a component is made of; security-scan.json has the same fields from `status` on."""

    component: str
    """Name of the component."""
    version: str
    """Its version; `0.0.0` where nothing declares one."""
    language: str
    """Language it is written in."""
    error: Failure | None
    """Why the command fails; null when all is well."""


class VerificationDocument(VerificationReport):
    """What was verified, and how it ended."""

    error: Failure | None
    """The check that failed; null when all is well."""


class InitDocument(Frozen):
    """The component.yaml that was written."""

    path: str
    """The file."""
    component: str
    """Name written into it."""
    type: str
    """`source`, `processor` or `sink`."""
    language: str
    """Language that was detected."""


class ValidateDocument(Frozen):
    """Findings about component.yaml, the interface it declares, and metadata.json."""

    valid: bool
    """True when no finding is an error."""
    findings: tuple[Finding, ...]
    """Errors and warnings, in the order of the file."""


class ConfigValue(Frozen):
    """A value in use."""

    value: str | bool | int | float | tuple[str, ...] | None
    """The value; a secret is shown as asterisks."""
    origin: str
    """The file, `environment variable NAME`, `command line`, or `default`."""


class ConfigDocument(Frozen):
    """The configuration in use."""

    file: str | None
    """The file that was read; null when there is none."""
    values: dict[str, ConfigValue]
    """Dotted key to its value."""


class CommandState(Frozen):
    """The command itself."""

    version: str
    """Version of flowctl-core."""
    python: str
    """Version of the Python that runs it."""
    path: str
    """Where the command is."""
    foreign: str | None
    """Another program called flowctl that comes before it on PATH."""


class PluginState(Frozen):
    """An installed plugin."""

    name: str
    """Name of its entry point."""
    distribution: str
    """Distribution that it comes from."""
    version: str
    """Version of the distribution."""
    state: str
    """`active`, `broken` or `conflict`."""
    problem: str | None
    """Why it is not active."""


class ToolState(Frozen):
    """A tool that an installed builder may use."""

    builder: str
    """Name of the plugin that uses it."""
    tool: str
    """Name of the tool."""
    state: Literal["found", "missing"]
    """Whether a usable one is here."""
    optional: bool
    """True: some components need it, others do not."""
    version: str | None
    """Its version."""
    path: str | None
    """Where it is."""
    origin: str | None
    """`PATH`, or the distribution whose wheel carries it."""
    refused: tuple[str, ...]
    """Candidates that are not used, each with the reason."""
    hint: str | None
    """How to install a missing one."""


class EngineState(Frozen):
    """A program beside the toolchains."""

    engine: str
    """`git` or `docker`."""
    purpose: str
    """What flowctl uses it for."""
    version: str | None
    """Its version; null when it does not answer."""
    problem: str | None
    """Why it does not answer."""


class CacheState(Frozen):
    """The build cache."""

    path: str
    """Its folder."""
    writable: bool
    """False: builds cannot be kept in it."""


class DoctorDocument(Frozen):
    """What is here, which version, and what to install."""

    flowctl: CommandState
    """The command itself."""
    plugins: tuple[PluginState, ...]
    """Installed plugins."""
    toolchains: tuple[ToolState, ...]
    """Tools of all builders."""
    engines: tuple[EngineState, ...]
    """Other programs that flowctl uses."""
    cache: CacheState
    """The build cache."""


class ReleaseDocument(ReleaseReport):
    """A release, and what is wrong with it: a platform is missing, or `--fail-on` says no."""

    error: Failure | None = None
    """Set when the command fails although there is a release."""
