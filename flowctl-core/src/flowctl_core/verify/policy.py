"""What a policy says about a component and a signer."""

from __future__ import annotations

import re
from functools import lru_cache

from flowctl_core.models.policy import NamespaceRule, Policy, SignerRule
from flowctl_core.models.signing import SignerIdentity
from flowctl_core.verify.rejection import rejected


def rule_for(policy: Policy, component: str) -> NamespaceRule:
    """The rule with the longest pattern that matches, an exact name before all. Raises VerificationError (`identity`)
    when none does, or two with equal right: which one counts must not hang on their order."""
    matching = [rule for rule in policy.namespaces if _matches(rule.pattern, component)]
    if not matching:
        raise rejected("identity", f"the policy says nothing about {component}, so nobody may sign it")
    best = max(_weight(rule.pattern) for rule in matching)
    first, *others = (rule for rule in matching if _weight(rule.pattern) == best)
    if others:
        raise rejected(
            "identity", f"{first.pattern} and {others[0].pattern} of the policy match {component} with equal right"
        )
    return first


def _weight(pattern: str) -> tuple[bool, int, bool]:
    """Exact before patterns, then the longer text beside the stars, then `*` before `**`."""
    return "*" not in pattern, len(pattern.replace("*", "")), "**" not in pattern


def check_identity(rule: NamespaceRule, signer: SignerIdentity, what: str) -> None:
    """Raises VerificationError (`identity`) unless the rule names the signer."""
    if not any(_names(each, signer) for each in rule.signers):
        raise rejected(
            "identity", f"{told(signer)} signed {what}, and the policy does not let that one sign for {rule.pattern}"
        )


def told(signer: SignerIdentity) -> str:
    """The signer in words."""
    if signer.kind == "key":
        return f"the key {signer.key_name} ({signer.key_hint})"
    return f"{signer.identity} ({signer.issuer})"


def _names(rule: SignerRule, signer: SignerIdentity) -> bool:
    if rule.key is not None:
        return signer.kind == "key" and signer.key_name == rule.key
    if signer.kind != "certificate" or rule.issuer != signer.issuer or not signer.issuer:
        return False
    if rule.identity is not None:
        return rule.identity == signer.identity
    return rule.identity_pattern is not None and _matches(rule.identity_pattern, signer.identity)


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`**` is any text, `*` any without a slash; everything else is itself."""
    parts = re.split(r"(\*\*|\*)", pattern)
    words = {"**": "(?s:.)*", "*": "[^/]*"}
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts))
