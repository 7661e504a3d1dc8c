"""Every error has an exit code of its own, and all of them are documented."""

import re
from pathlib import Path

from flowctl_core import errors

DOCS = Path(__file__).parents[3] / "docs"
KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.FlowctlError)]
BASES = (errors.FlowctlError, errors.DetectionError)


def test_every_error_class_has_a_code_of_its_own_name() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(0 < kind.exit_code < 128 or kind.exit_code == 130 for kind in KINDS)


def test_the_table_in_docs_has_every_error_with_its_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `([\w-]+)` \| (.+) \|$", (DOCS / "exit-codes.md").read_text("utf-8"), re.MULTILINE)
    documented = {code: int(number) for number, code, meaning in rows if meaning.endswith(".")}
    assert documented == {kind.code: kind.exit_code for kind in KINDS if kind not in BASES}
