"""Names, places and limits of a trust repository."""

from __future__ import annotations

import re

from flowctl_core.errors import TrustError

KEYS = "trust/keys.json"
"""Target: the trusted keys (TrustedKeys)."""
TRUSTED_ROOT = "trust/trusted_root.json"
"""Target: a Sigstore TrustedRoot; optional."""
TARGET_LIMIT = 5_000_000
"""Bytes of a target at most, as of a role's metadata."""
TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")
"""The roles of the specification."""
ONLINE = ("timestamp", "snapshot")
"""Roles whose keys are where the repository is served."""

_ROLE_PREFIX = "namespace-"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def check_name(name: str, what: str) -> str:
    """The name, which is safe in paths and patterns. Raises TrustError."""
    if not _NAME.fullmatch(name):
        raise TrustError(f"'{name}' is no {what}", hint="Letters, digits, dots, dashes and underscores make a name.")
    return name


def check_version(version: str) -> str:
    """The version. Raises TrustError."""
    if not _VERSION.fullmatch(version):
        raise TrustError(f"'{version}' is no version", hint="Write a version such as 1.2.0.")
    return version


def check_digest(digest: str) -> str:
    """`sha256:<hex>`, with the algorithm added where it is missing. Raises TrustError."""
    full = digest if ":" in digest else f"sha256:{digest}"
    if not _DIGEST.fullmatch(full):
        raise TrustError(f"'{digest}' is no SHA-256 digest", hint="Write sha256: and 64 hexadecimal digits.")
    return full


def role_of(namespace: str) -> str:
    """The delegated role that signs a namespace's index."""
    return _ROLE_PREFIX + check_name(namespace, "namespace")


def namespace_of(role: str) -> str:
    """The namespace of a delegated role."""
    return role.removeprefix(_ROLE_PREFIX)


def pattern_of(namespace: str) -> str:
    """The targets that a namespace's role may sign; `*` matches no slash."""
    return f"index/{namespace}/*.json"


def index_path(namespace: str, component: str) -> str:
    """The target with a component's index. Raises TrustError."""
    return f"index/{check_name(namespace, 'namespace')}/{check_name(component, 'component')}.json"
