"""Reading the client's policy. What cannot be read whole is an error: a policy that is half understood fails open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from flowctl_core.errors import SpecError, TrustError
from flowctl_core.models.policy import Policy
from flowctl_core.models.signing import TrustedKey, TrustMaterial

if TYPE_CHECKING:
    from flowctl_core.trust.client import TrustStore

_HINT = "docs/users/verifying.md describes the policy; `flowctl schema policy` prints its schema."


def policy_path() -> Path:
    """Where the policy is looked for: FLOWCTL_POLICY, else ~/.flowctl/policy.yaml."""
    return Path(os.environ.get("FLOWCTL_POLICY") or Path.home() / ".flowctl" / "policy.yaml")


def load_policy(file: Path, stores: Mapping[str, TrustStore] | None = None) -> tuple[Policy, TrustMaterial]:
    """The policy, and the keys and trusted roots that it names. Raises TrustError naming file, line and field.

    `stores`: trust repositories that are open already, by their address.
    """
    from flowctl_core.specfile.content import decode, read_bytes
    from flowctl_core.specfile.node import spell
    from flowctl_core.specfile.yaml_text import TextProblem, parse_yaml

    try:
        node, problems = parse_yaml(decode(read_bytes(file.resolve())))
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise TrustError(f"the policy {file} cannot be read: {why}", hint=_HINT) from None
    except SpecError as error:
        raise TrustError(error.message, hint=_HINT) from None
    except TextProblem as problem:
        raise TrustError(f"{file}:{problem.line or 1}: {problem.message}", hint=_HINT) from None
    if problems:
        raise TrustError("\n".join(f"{file}:{each.line}: {each.message}" for each in problems), hint=_HINT)
    try:
        policy = Policy.model_validate(node.data())
    except ValidationError as error:
        told = []
        for each in error.errors(include_url=False, include_context=False):
            where = tuple(each["loc"])
            named = f"{spell(where)}: " if where else ""
            told.append(f"{file}:{node.line_of(where)}: {named}{each['msg'].removeprefix('Value error, ')}")
        raise TrustError("\n".join(told), hint=_HINT) from None
    return policy, _material(policy, file, stores or {})


def _material(policy: Policy, file: Path, stores: Mapping[str, TrustStore]) -> TrustMaterial:
    keys = tuple(
        TrustedKey(
            name=name,
            public_key=key.public_key if key.public_key is not None else read_text(file.parent / (key.file or "")),
            valid_from=key.valid_from,
            valid_until=key.valid_until,
            revoked=key.revoked,
        )
        for name, key in policy.keys.items()
        if key.registry is None
    )
    keys += registry_keys(policy, stores)
    return TrustMaterial(keys=keys, trusted_roots=tuple(read_text(file.parent / each) for each in policy.trusted_roots))


def registry_keys(policy: Policy, stores: Mapping[str, TrustStore]) -> tuple[TrustedKey, ...]:
    """Keys that the policy names and a pinned trust repository keeps: they are replaced and revoked there."""
    from flowctl_core.trust.client import TrustStore

    found: list[TrustedKey] = []
    for registry in sorted({key.registry for key in policy.keys.values() if key.registry is not None}):
        names = {name for name, key in policy.keys.items() if key.registry == registry}
        try:
            with nullcontext(stores[registry]) if registry in stores else TrustStore(registry) as store:
                kept = tuple(key for key in store.material().keys if key.name in names)
        except TrustError as failure:  # frozen, rolled back, out of reach: which keys are good is not known
            raise TrustError(f"check signature cannot be made: {failure.message}", hint=failure.hint) from failure
        if missing := names - {key.name for key in kept}:
            raise TrustError(
                f"{registry} has no key {min(missing)}", hint=f"`flowctl trust show {registry}` lists its keys."
            )
        found += kept
    return tuple(found)


def read_text(path: Path) -> str:
    """A key's or root's file. Raises TrustError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no text"
        raise TrustError(f"{path} cannot be read: {told}", hint=_HINT) from None
