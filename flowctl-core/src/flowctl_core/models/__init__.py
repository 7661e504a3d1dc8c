"""Frozen models that stages and plugins exchange; one noun a module."""

from flowctl_core.models.artifact import (
    Artifact,
    ArtifactKind,
    Attestation,
    BuildResult,
    CleanReport,
    Dependency,
    DependencyReport,
    FetchReport,
    ImageFile,
    ImagePlan,
    PlatformOutcome,
    ReleaseResult,
    Subject,
)
from flowctl_core.models.base import Frozen
from flowctl_core.models.build_report import BuildReport, CacheOutcome
from flowctl_core.models.component import ComponentSpec, LanguageSpec, NativeBuild
from flowctl_core.models.context import BuildContext, Tool
from flowctl_core.models.detection import Candidate, Detection, DetectionReport, Evidence
from flowctl_core.models.event import Event, EventKind, Progress, Silent
from flowctl_core.models.plan import (
    EntryPoint,
    Inputs,
    LanguageSettings,
    Limitation,
    Plan,
    PlanRequest,
    Profile,
    ToolRequirement,
)
from flowctl_core.models.platform import Platform
from flowctl_core.models.process import Command, CompletedCommand, OnLine, Runner
from flowctl_core.models.report import Outcome, TestCase, TestReport
from flowctl_core.models.source import PRUNED, SourceTree

__all__ = [
    "PRUNED",
    "Artifact",
    "ArtifactKind",
    "Attestation",
    "BuildContext",
    "BuildReport",
    "BuildResult",
    "CacheOutcome",
    "Candidate",
    "CleanReport",
    "Command",
    "CompletedCommand",
    "ComponentSpec",
    "Dependency",
    "DependencyReport",
    "Detection",
    "DetectionReport",
    "EntryPoint",
    "Event",
    "EventKind",
    "Evidence",
    "FetchReport",
    "Frozen",
    "ImageFile",
    "ImagePlan",
    "Inputs",
    "LanguageSettings",
    "LanguageSpec",
    "Limitation",
    "NativeBuild",
    "OnLine",
    "Outcome",
    "Plan",
    "PlanRequest",
    "Platform",
    "PlatformOutcome",
    "Profile",
    "Progress",
    "ReleaseResult",
    "Runner",
    "Silent",
    "SourceTree",
    "Subject",
    "TestCase",
    "TestReport",
    "Tool",
    "ToolRequirement",
]
