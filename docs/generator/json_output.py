"""The documents that commands print under `-o json`."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel

from flowctl_core.cli import bundle_documents as b
from flowctl_core.cli import documents as d
from flowctl_core.dev.events import DevEvent
from flowctl_core.models import BuildReport, CleanReport
from flowctl_core.models import installation as i
from flowctl_core.models import remote_build as r
from flowctl_core.models import trust as t
from flowctl_core.models.catalog import ComponentInfo, SearchResult
from flowctl_core.models.explanation import Explanation
from flowctl_core.models.key import KeyReport
from flowctl_core.models.reproduction import ReproductionReport
from flowctl_core.models.signed import SigningReport
from flowctl_core.plugins.identity import PluginRecord
from flowctl_core.store.cache_entry import CacheInfo, PruneReport
from generator.models import meanings, models_in, nullable, step, table, words

DOCUMENTS: dict[str, tuple[str, type[BaseModel]]] = {
    "flowctl component build": ("", BuildReport),
    "flowctl component build A B": ("", d.BuiltComponent),
    "flowctl component build --release": ("Also with `--platforms` and `--as-registry`.", d.ReleaseDocument),
    "flowctl component reproduce": ("Exit code 39 when `reproduced` is false.", ReproductionReport),
    "flowctl component test": ("", d.TestDocument),
    "flowctl component detect": ("", d.DetectDocument),
    "flowctl component scan": ("`flowctl component sbom` prints CycloneDX JSON.", d.ScanDocument),
    "flowctl component sign": ("", SigningReport),
    "flowctl component clean": ("", CleanReport),
    "flowctl component init": ("", d.InitDocument),
    "flowctl dev": (
        "One such object a line, until the event `end`; a failure before the start is one line too.",
        DevEvent,
    ),
    "flowctl dev --check": ("Exit code 10 when `valid` is false.", d.ValidateDocument),
    "flowctl component validate": ("Exit code 10 when `valid` is false.", d.ValidateDocument),
    "flowctl component publish": ("Exit code 95 when the build failed.", r.PublishReport),
    "flowctl build list": ("", r.RemoteBuilds),
    "flowctl build show": ("Also of `cancel`, `retry`, and `flowctl why BUILD`.", r.RemoteBuild),
    "flowctl login": ("Also `logout` and `whoami`.", r.CallerReport),
    "flowctl bundle init": ("", b.BundleInitDocument),
    "flowctl bundle validate": ("Exit code 10 when `valid` is false.", b.BundleValidateDocument),
    "flowctl bundle info": ("", b.BundleInfoDocument),
    "flowctl bundle info NAMESPACE/NAME": ("", b.PublishedBundleDocument),
    "flowctl bundle build": ("Exit code of the first member that failed.", b.BundleBuildDocument),
    "flowctl bundle test": ("Exit code of the first member that failed.", b.BundleTestDocument),
    "flowctl bundle publish": ("", b.BundlePublishDocument),
    "flowctl bundle install": ("", b.BundleInstallDocument),
    "flowctl bundle list": ("", b.BundleListDocument),
    "flowctl bundle uninstall": ("", b.BundleRemovedDocument),
    "flowctl component install": ("Also `update`.", i.InstallReport),
    "flowctl component list": ("", i.ComponentList),
    "flowctl component outdated": ("", i.OutdatedReport),
    "flowctl component uninstall": ("", i.RemovedReport),
    "flowctl component versions": ("", i.VersionsReport),
    "flowctl component info": ("", ComponentInfo),
    "flowctl component search": ("", SearchResult),
    "flowctl verify": ("Exit code 60 when a check failed.", d.VerificationDocument),
    "flowctl why": ("", Explanation),
    "flowctl keys": ("Of `generate`, `list`, `export`, `rotate` and `revoke`.", KeyReport),
    "flowctl trust pin": ("", t.PinReport),
    "flowctl trust show": ("", t.TrustDocument),
    "flowctl trust init": (
        "Also `refresh`, `add-key`, `revoke-key`, `rotate`, `publish` and `yank`.",
        t.RepositoryReport,
    ),
    "flowctl plugin list": ("A list of these:", PluginRecord),
    "flowctl cache info": ("", CacheInfo),
    "flowctl cache prune": ("", PruneReport),
    "flowctl config show": ("", d.ConfigDocument),
    "flowctl doctor": ("Exit code 1 when something is missing or broken.", d.DoctorDocument),
    "Any command that fails": ("", d.FailureDocument),
}
"""Heading, a sentence about its shape, and the model."""

_SEVERAL = (
    "With several folders it is a list, in the order of the command line. The element of a component that was built "
    "has the fields above (without `explanation`) and `path`; that of one that failed has `path` and `error`."
)


def json_output() -> str:
    """One section for each document, nested fields spelled out."""
    sections = []
    for heading, (note, model) in DOCUMENTS.items():
        about = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
        intro = [part for part in (about, note) if part]
        if model is d.BuiltComponent:
            intro = [_SEVERAL]
        inherited = set(BuildReport.model_fields) if model is d.BuiltComponent else set()
        rows = [
            (f"`{path}`", kind, meaning)
            for path, kind, meaning in fields(model, "")
            if re.split(r"\W", path)[0] not in inherited
        ]
        sections.append(f"## {heading}\n\n{' '.join(intro)}\n\n{table(('Field', 'Type', 'Meaning'), rows)}")
    return "\n\n".join(sections)


def fields(model: type[BaseModel], prefix: str) -> list[tuple[str, str, str]]:
    """Dotted path, type in words, and meaning of every field, the nested ones too."""
    found = []
    meaning = meanings(model)
    kinds: dict[str, Any] = {n: f.annotation for n, f in model.model_fields.items() if f.exclude is not True}
    kinds |= {name: computed.return_type for name, computed in model.model_computed_fields.items()}
    for name, kind in kinds.items():
        null = ", or null" if nullable(kind) else ""
        found.append((f"{prefix}{name}", f"{words(kind)}{null}", meaning.get(name, "")))
        for inner in dict.fromkeys(models_in(kind)):
            found.extend(fields(inner, f"{prefix}{name}{step(kind, inner)}."))
    return found
