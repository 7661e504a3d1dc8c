"""The no-op path gives the full command line's answers, and steps aside whenever anything could matter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: greeter, version: v1.2.0, owner: nobody}
spec:
  type: source
  build: {native: {command: [sh, make.sh], binary: out/greeter}}
"""
MAKE = "mkdir -p out; { echo '#!/bin/sh'; echo 'echo hi'; } > out/greeter; chmod +x out/greeter"
FILES = {
    "component.yaml": COMPONENT,
    "make.sh": MAKE,
    "src/a.txt": "a",
    "src/deep/b.txt": "b",
    ".gitignore": "out/\nignored/\n",
}
ASK = """\
import sys
from flowctl_core.noop import answer
text = answer(sys.argv[1:])
sys.stdout.write("FULL" if text is None else text)
"""


@pytest.fixture
def built(flowctl, tree):
    """A component that was built twice, so that its stamp is trusted."""
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    flowctl.ok("component", "build", cwd=root)
    assert asks(flowctl, root) != "FULL"
    return root


def asks(flowctl, root: Path, *arguments: str, **environment: str) -> str:
    """What the no-op path alone says; FULL when it leaves the answer to the full command line."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, "component", "build", *arguments],
        cwd=root,
        env={**flowctl.environment, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_both_paths_give_the_same_json(flowctl, built: Path) -> None:
    quick = json.loads(asks(flowctl, built, "-o", "json"))
    full = flowctl.json("component", "build", "--cache", cwd=built)
    assert quick.pop("duration_s") >= 0 and full.pop("duration_s") >= 0
    assert quick == full
    assert quick["cache"] == "fresh"


def test_both_paths_give_the_same_text_and_warnings(flowctl, built: Path) -> None:
    def words(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
        first, *rest = done.stdout.splitlines()
        return "\n".join([first.rsplit(" (", 1)[0], *rest]), done.stderr

    quick = flowctl.run("component", "build", cwd=built)
    full = flowctl.run("component", "build", "--cache", cwd=built)
    assert words(quick) == words(full)
    assert "owner" in quick.stderr, "the unknown field is warned about each time"


def test_the_no_op_path_imports_nothing_heavy(flowctl, built: Path) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from flowctl_core.noop import answer\n"
        "assert answer(['component', 'build']) is not None\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=built, env=flowctl.environment, capture_output=True, text=True, check=True
    )
    heavy = {"typer", "pydantic", "pluggy", "pathlib", "rich", "ruamel", "typing", "hashlib"}
    assert heavy.isdisjoint(done.stdout.split())


CHANGES = {
    "content of an input": lambda root: (root / "src/a.txt").write_text("aa"),
    "same length": lambda root: (root / "src/deep/b.txt").write_text("c"),
    "a new file": lambda root: (root / "src/deep/new.txt").write_text("n"),
    "a new empty folder": lambda root: (root / "src/folder").mkdir(),
    "a removed file": lambda root: (root / "src/a.txt").unlink(),
    "a renamed file": lambda root: (root / "src/a.txt").rename(root / "src/z.txt"),
    "a mode": lambda root: (root / "src/a.txt").chmod(0o755),
    "component.yaml": lambda root: (root / "component.yaml").write_text(COMPONENT.replace("v1.2.0", "v1.3.0")),
    "an ignore file": lambda root: (root / "src/.gitignore").write_text("deep/\n"),
    "the program was written to": lambda root: (root / "out/greeter").write_text("#!/bin/sh\n"),
    "the program is gone": lambda root: (root / ".flowctl/bin/greeter").unlink(),
    "the link is gone": lambda root: (root / "greeter").unlink(),
    "the link leads elsewhere": lambda root: ((root / "greeter").unlink(), (root / "greeter").symlink_to("make.sh")),
    "the record is gone": lambda root: (root / ".flowctl/state.json").unlink(),
}
STAMPS = {"damaged": b"{", "a list": b"[]", "not text": b"\xff\xfe", "empty": b"", "a number": b"1"}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_any_change_takes_the_full_path(flowctl, built: Path, change) -> None:
    change(built)
    assert asks(flowctl, built) == "FULL"


@pytest.mark.parametrize("content", STAMPS.values(), ids=STAMPS.keys())
def test_a_stamp_that_cannot_be_read_takes_the_full_path_and_is_replaced(flowctl, built: Path, content: bytes) -> None:
    [stamp] = (flowctl.home / "cache" / "stamps").iterdir()
    stamp.write_bytes(content)
    assert asks(flowctl, built) == "FULL"
    flowctl.ok("component", "build", cwd=built)
    assert asks(flowctl, built) != "FULL"


def test_an_ignored_file_does_not(flowctl, built: Path) -> None:
    (built / "out" / "other").write_text("scratch")
    assert asks(flowctl, built) != "FULL"


@pytest.mark.parametrize("name", ["PATH", "GOFLAGS", "FLOWCTL_CACHE_DIR", "HOME", "ANYTHING"])
def test_any_variable_takes_the_full_path(flowctl, built: Path, name: str) -> None:
    value = flowctl.environment.get(name, "") + ":/elsewhere"
    assert asks(flowctl, built, **{name: value}) == "FULL"


def test_a_configuration_file_that_appears_takes_the_full_path(flowctl, built: Path) -> None:
    (flowctl.home / ".flowctl").mkdir()
    (flowctl.home / ".flowctl" / "config.yaml").write_text("build: {local: {parallel_jobs: 1}}")
    assert asks(flowctl, built) == "FULL"


@pytest.mark.parametrize("arguments", [["--explain"], ["."], ["--no-cache"], ["-o", "yaml"], ["--language", "go"]])
def test_only_exact_command_lines_are_answered(flowctl, built: Path, arguments: list[str]) -> None:
    assert asks(flowctl, built, *arguments) == "FULL"


def test_another_folder_with_a_copied_stamp_takes_the_full_path(flowctl, built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(built), str(copy)], check=True)
    assert asks(flowctl, copy) == "FULL"
