"""How bad a vulnerability is, in words."""

from __future__ import annotations

from typing import Literal

Severity = Literal["critical", "high", "medium", "low", "unknown"]
"""CVSS's words, from a vector where there is one; `unknown` where the advisory does not say."""
Threshold = Literal["critical", "high", "medium", "low"]
"""The least severity that makes a command fail (`--fail-on`)."""

SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "unknown")
"""The worst first."""
