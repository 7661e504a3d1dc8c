"""The client's policy: who may sign what (docs/users/verifying.md). An unknown word is an error."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Requirement = Literal["provenance", "sbom", "scan"]
Need = Literal["required", "optional"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyKey(_Strict):
    """A public key that the policy may name."""

    public_key: str | None = Field(None, description="PEM.")
    file: str | None = Field(None, description="PEM file, relative to the policy.")
    registry: str | None = Field(
        None,
        description="Pinned trust repository that keeps a key of this name.",
    )
    valid_from: datetime | None = Field(None, description="Not believed for what was signed before.")
    valid_until: datetime | None = Field(None, description="Not believed for what was signed after.")
    revoked: bool = Field(False, description="Never believed.")

    @model_validator(mode="after")
    def _one_source(self) -> PolicyKey:
        if sum(each is not None for each in (self.public_key, self.file, self.registry)) != 1:
            raise ValueError("give exactly one of public_key, file and registry")
        for moment in (self.valid_from, self.valid_until):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("say the time zone of valid_from and valid_until, such as 2026-01-31T00:00:00Z")
        return self


class SignerRule(_Strict):
    """One who may sign: a key, or an identity that an issuer vouches for."""

    key: str | None = Field(None, description="Name of a key under `keys`.")
    identity: str | None = Field(None, description="Subject of the certificate, exactly.")
    identity_pattern: str | None = Field(
        None, description="Subject with `*` for any characters but `/`, and `**` for any at all."
    )
    issuer: str | None = Field(None, description="OIDC issuer of the identity, exactly.")

    @model_validator(mode="after")
    def _one_kind(self) -> SignerRule:
        if sum(each is not None for each in (self.key, self.identity, self.identity_pattern)) != 1:
            raise ValueError("name exactly one of key, identity and identity_pattern")
        if (self.issuer is None) != (self.key is not None):
            raise ValueError("an identity counts only with its issuer, and a key has none")
        return self


class NamespaceRule(_Strict):
    """What holds for the components whose name the pattern matches."""

    pattern: str = Field(
        description="Name of a component, with `*` for any characters but `/` and `**` for any.", min_length=1
    )
    signers: tuple[SignerRule, ...] = Field(description="Who may sign; any one of them.", min_length=1)
    builders: tuple[str, ...] = Field(
        ("https://flowctl.dev/builder/local",), description="Builders that those signers may speak for."
    )
    require: tuple[Requirement, ...] = Field(
        ("provenance", "sbom"), description="Attestations that a release must have beside its signatures."
    )
    transparency: Need = Field("optional", description="Whether an entry of a transparency log must be there.")
    timestamp: Need = Field("optional", description="Whether a trusted time stamp must be there.")


class Policy(_Strict):
    """A policy file."""

    schema_version: Literal[1] = Field(alias="schema", description="1.")
    keys: dict[str, PolicyKey] = Field({}, description="Public keys, by the names that `signers` use.")
    trusted_roots: tuple[str, ...] = Field((), description="Files with Sigstore trusted roots, relative to the policy.")
    namespaces: tuple[NamespaceRule, ...] = Field(description="The longest pattern that matches counts.", min_length=1)

    @model_validator(mode="after")
    def _keys_exist(self) -> Policy:
        for rule in self.namespaces:
            for signer in rule.signers:
                if signer.key is not None and signer.key not in self.keys:
                    raise ValueError(f"there is no key {signer.key} under keys")
        patterns = [rule.pattern for rule in self.namespaces]
        if twins := {each for each in patterns if patterns.count(each) > 1}:
            raise ValueError(f"the pattern {min(twins)} stands there twice")
        return self
