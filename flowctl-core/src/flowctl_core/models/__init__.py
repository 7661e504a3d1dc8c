"""Frozen models that stages and plugins exchange; one noun a module.

The typed documents of bundle.yaml, pipeline.yaml and metadata.json are loaded on first use: a build needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowctl_core.models.artifact import (
    Artifact,
    ArtifactFormat,
    ArtifactKind,
    Attestation,
    BuildResult,
    CleanReport,
    Dependency,
    DependencyReport,
    FetchReport,
    ImageFile,
    ImagePlan,
    Material,
    PlatformOutcome,
    ReleaseResult,
    Subject,
)
from flowctl_core.models.base import Frozen
from flowctl_core.models.build_report import BuildReport, CacheOutcome
from flowctl_core.models.cache_key import CacheKey
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

if TYPE_CHECKING:
    from flowctl_core.models.bundle import BundleSpec
    from flowctl_core.models.component_document import ComponentDocument
    from flowctl_core.models.metadata import MetadataSpec
    from flowctl_core.models.pipeline import PipelineSpec
    from flowctl_core.models.sbom import SbomInput, SbomTool
    from flowctl_core.models.scan import ScanFinding, ScanIgnore, ScanReport
    from flowctl_core.models.signing import BundleVerdict, SignerIdentity, SigningRequest, TrustedKey, TrustMaterial

__all__ = [
    "PRUNED",
    "Artifact",
    "ArtifactFormat",
    "ArtifactKind",
    "Attestation",
    "BuildContext",
    "BuildReport",
    "BuildResult",
    "BundleSpec",
    "BundleVerdict",
    "CacheKey",
    "CacheOutcome",
    "Candidate",
    "CleanReport",
    "Command",
    "CompletedCommand",
    "ComponentDocument",
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
    "Material",
    "MetadataSpec",
    "NativeBuild",
    "OnLine",
    "Outcome",
    "PipelineSpec",
    "Plan",
    "PlanRequest",
    "Platform",
    "PlatformOutcome",
    "Profile",
    "Progress",
    "ReleaseResult",
    "Runner",
    "SbomInput",
    "SbomTool",
    "ScanFinding",
    "ScanIgnore",
    "ScanReport",
    "SignerIdentity",
    "SigningRequest",
    "Silent",
    "SourceTree",
    "Subject",
    "TestCase",
    "TestReport",
    "Tool",
    "ToolRequirement",
    "TrustMaterial",
    "TrustedKey",
]

_ON_FIRST_USE = {
    "BundleVerdict": "signing",
    "SignerIdentity": "signing",
    "TrustMaterial": "signing",
    "TrustedKey": "signing",
    "SigningRequest": "signing",
    "BundleSpec": "bundle",
    "ComponentDocument": "component_document",
    "MetadataSpec": "metadata",
    "PipelineSpec": "pipeline",
    "SbomInput": "sbom",
    "SbomTool": "sbom",
    "ScanFinding": "scan",
    "ScanIgnore": "scan",
    "ScanReport": "scan",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _ON_FIRST_USE:
        return getattr(import_module(f"flowctl_core.models.{_ON_FIRST_USE[name]}"), name)
    raise AttributeError(f"module 'flowctl_core.models' has no attribute {name!r}")
