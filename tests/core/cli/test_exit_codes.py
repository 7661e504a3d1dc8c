"""The documented table of exit codes is the one that the code has."""

from pathlib import Path

from flowctl_core import errors
from flowctl_core.cli.exit_codes import exit_code_table

DOCS = Path(__file__).parents[3] / "docs"


def test_the_table_in_docs_is_current() -> None:
    assert exit_code_table() in (DOCS / "exit-codes.md").read_text(encoding="utf-8")


def test_every_error_class_has_a_documented_code_of_its_own_name() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.FlowctlError)]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(0 < kind.exit_code < 128 or kind.exit_code == 130 for kind in kinds)
