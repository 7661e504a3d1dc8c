"""The arrows of the design: who may import whom (contracts in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint_imports(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    argv = [str(LINT_IMPORTS), "--no-logo", "--no-cache", *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True)


def test_the_arrows_hold() -> None:
    done = lint_imports()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("models/artifact.py", "import flowctl_core.runners.local"),
        ("detect/resolve.py", "import flowctl_core.store.files"),
        ("toolchains/find.py", "import flowctl_core.workflow"),
        ("hookspecs.py", "import flowctl_core.runners.local"),
    ],
)
def test_an_arrow_against_the_design_is_noticed(tmp_path: Path, where: str, line: str) -> None:
    """The contracts can fail: a copy of core with one wrong import breaks them."""
    import shutil
    import tomllib

    package = tmp_path / "flowctl_core"
    shutil.copytree(
        ROOT / "flowctl-core/src/flowctl_core", package, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
    )
    with (package / where).open("a") as file:
        file.write(f"\n{line}\n")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = [c for c in settings["contracts"] if c["id"] not in ("packages", "registry")]
    lines = ["[importlinter]", "root_package = flowctl_core", "exclude_type_checking_imports = True"]
    for contract in contracts:
        lines.append(f"[importlinter:contract:{contract['id']}]")
        for key, value in contract.items():
            if key != "id":
                text = "\n    ".join(["", *value]) if isinstance(value, list) else value
                lines.append(f"{key} = {text}")
    (tmp_path / ".importlinter").write_text("\n".join(lines) + "\n")
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
    assert str(Path(where).with_suffix("")).replace("/", ".") in done.stdout
