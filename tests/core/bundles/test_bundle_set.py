"""A published bundle's two files: about the bundle that was asked for, and of the same members, or not believed."""

from __future__ import annotations

from typing import Any

import pytest

from flowctl_core.bundles.received import read_set
from flowctl_core.errors import VerificationError
from flowctl_core.install.request import Request
from flowctl_core.models.bundle_set import BUNDLE_PATH, MEMBERS_PATH, BundleSet, PinnedMember

DIGESTS = {"b": "sha256:" + "1" * 64, "a": "sha256:" + "0" * 64}
ONE = PinnedMember(namespace="demo", name="one", version="1.0.0", digests=DIGESTS)
SET = BundleSet(namespace="demo", name="suite", version="1.0.0", members=(ONE,))
YAML = (
    b"apiVersion: component.flowctl.io/v1\nkind: ComponentBundle\nmetadata: {name: suite}\n"
    b"spec: {components: [{name: one, version: 1.0.0}]}\n"
)


def read(members: bytes = SET.text(), yaml: bytes = YAML) -> BundleSet:
    return read_set(Request("demo", "suite"), "1.0.0", {MEMBERS_PATH: members, BUNDLE_PATH: yaml})[0]


def test_the_same_set_is_the_same_bytes() -> None:
    turned = ONE.model_copy(update={"digests": dict(reversed(DIGESTS.items()))})
    assert SET.model_copy(update={"members": (turned,)}).text() == SET.text()
    assert read() == SET


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "other"}, "the members are those of demo/other 1.0.0"),
        ({"namespace": "else"}, "the members are those of else/suite 1.0.0"),
        ({"version": "1.0.1"}, "the members are those of demo/suite 1.0.1"),
        ({"members": (ONE, ONE.model_copy(update={"name": "two"}))}, "names one, its members are one, two"),
        ({"members": ()}, "cannot be used"),
        ({"members": (ONE.model_copy(update={"name": "../up"}),)}, "cannot be used"),
        ({"members": (ONE.model_copy(update={"version": "../up"}),)}, "cannot be used"),
        ({"members": (ONE,) * 1001}, "cannot be used"),
    ],
)
def test_a_set_that_does_not_fit_is_not_believed(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(VerificationError, match="check statement failed") as caught:
        read(SET.model_copy(update=changed).text())
    assert said in caught.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"members": null}', b"[" * 100_000])
def test_what_is_no_set_at_all(content: bytes) -> None:
    with pytest.raises(VerificationError, match="cannot be used"):
        read(content)
    with pytest.raises(VerificationError, match="cannot be used"):
        read(yaml=content)
