"""Which rule of a policy counts, and that what is half understood lets nobody in."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowctl_core.errors import TrustError, VerificationError
from flowctl_core.models.policy import Policy
from flowctl_core.models.signing import SignerIdentity
from flowctl_core.verify.policy import check_identity, rule_for
from flowctl_core.verify.policy_file import load_policy

ISSUER = "https://ci.example"


def policy(*patterns: str, **signer: str) -> Policy:
    signers = [signer or {"identity": "a@example.org", "issuer": ISSUER}]
    rules = [{"pattern": pattern, "signers": signers} for pattern in patterns]
    return Policy.model_validate({"schema": 1, "namespaces": rules})


@pytest.mark.parametrize(
    ("patterns", "counts"),
    [
        (("**", "platform/*", "platform/greeting"), "platform/greeting"),
        (("platform/*", "**"), "platform/*"),
        (("platform/**", "platform/*"), "platform/*"),
        (("platform/greet*", "platform/*"), "platform/greet*"),
        (("platform/greeting*", "platform/greeting"), "platform/greeting"),
    ],
)
def test_the_longest_pattern_counts_in_any_order(patterns: tuple[str, ...], counts: str) -> None:
    assert rule_for(policy(*patterns), "platform/greeting").pattern == counts
    assert rule_for(policy(*reversed(patterns)), "platform/greeting").pattern == counts


def test_two_with_equal_right_let_nobody_in() -> None:
    with pytest.raises(VerificationError, match="with equal right") as failure:
        rule_for(policy("platform/*", "*/greeting"), "platform/greeting")
    assert failure.value.check == "identity"


@pytest.mark.parametrize(
    "name", ["platform", "platform/a/b", "Platform/a", "xplatform/a", "", "platform-evil/a", "p/latform/a"]
)
def test_a_name_that_no_pattern_matches(name: str) -> None:
    with pytest.raises(VerificationError, match="says nothing about"):
        rule_for(policy("platform/*"), name)


def _may(rule: Policy, identity: str, issuer: str = ISSUER) -> bool:
    try:
        check_identity(
            rule.namespaces[0], SignerIdentity(kind="certificate", identity=identity, issuer=issuer), "a file"
        )
    except VerificationError as failure:
        assert failure.check == "identity"
        return False
    return True


@pytest.mark.parametrize(
    ("identity", "issuer", "may"),
    [
        ("a@example.org", ISSUER, True),
        ("A@example.org", ISSUER, False),
        ("a@example.org.evil", ISSUER, False),
        ("xa@example.org", ISSUER, False),
        ("a@exampleXorg", ISSUER, False),
        ("a@example.org", ISSUER + "/", False),
        ("a@example.org", "", False),
        ("", ISSUER, False),
    ],
)
def test_an_identity_is_compared_to_the_letter(identity: str, issuer: str, may: bool) -> None:
    assert _may(policy("**"), identity, issuer) is may


@pytest.mark.parametrize(
    ("identity", "may"),
    [
        ("https://ci.example/acme/a/release.yaml@refs/tags/v1", True),
        ("https://ci.example/acme/a/b/release.yaml@refs/tags/v1", False),
        ("https://ci.example/acme/a/release.yaml@refs/heads/main", False),
        ("https://ciXexample/acme/a/release.yaml@refs/tags/v1", False),
        ("https://ci.example/acme/a/release.yaml@refs/tags/v1\n", True),
        ("x\nhttps://ci.example/acme/a/release.yaml@refs/tags/v1", False),
    ],
)
def test_a_pattern_of_identities(identity: str, may: bool) -> None:
    rule = policy("**", identity_pattern="https://ci.example/acme/*/release.yaml@refs/tags/**", issuer=ISSUER)
    assert _may(rule, identity) is may


def test_a_star_in_an_identity_is_a_star() -> None:
    rule = policy("**", identity="*@example.org", issuer=ISSUER)
    assert not _may(rule, "a@example.org") and _may(rule, "*@example.org")


GOOD = "schema: 1\nnamespaces:\n- pattern: '**'\n  signers: [{identity: a, issuer: b}]\n"


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        (GOOD + "  transparancy: required\n", 5, "transparancy"),
        (GOOD + "  require: [provenence]\n", 5, "require[0]"),
        (GOOD + "  timestamp: require\n", 5, "timestamp"),
        (GOOD.replace("issuer: b", "isuer: b"), 4, "isuer"),
        (GOOD.replace("schema: 1", "schema: 2"), 1, "schema"),
        (GOOD + "keyz: {}\n", 5, "keyz"),
        (GOOD + "- pattern: '**'\n  signers: [{identity: a, issuer: b}]\n", 1, "twice"),
        (GOOD.replace("{identity: a, issuer: b}", ""), 4, "signers"),
        ("schema: 1\nnamespaces: []\n", 2, "namespaces"),
        (GOOD + "schema: 1\n", 5, "schema"),
    ],
)
def test_a_misspelt_policy_is_an_error_with_its_place(tmp_path: Path, text: str, where: int, says: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(GOOD)
    assert load_policy(file)[0].namespaces[0].pattern == "**"
    file.write_text(text)
    with pytest.raises(TrustError) as failure:
        load_policy(file)
    assert f"{file}:{where}: " in failure.value.message and says in failure.value.message
