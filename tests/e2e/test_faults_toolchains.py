"""Tools that are missing, too old, broken or stuck: exit code 30, what was found where, what is needed."""

import os
import shutil
import time
from pathlib import Path

import pytest

RUST = {
    "Cargo.toml": '[package]\nname = "teller"\nversion = "0.1.0"\nedition = "2021"\nrust-version = "1.70"\n',
    "src/main.rs": "fn main() {}\n",
}
NEEDED_BY_SCRIPTS = ("sh", "bash", "env", "sleep", "cat", "uname", "mkdir", "mv", "chmod", "touch")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder that is all of PATH, with a shell's usual programs and no toolchain."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in NEEDED_BY_SCRIPTS:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def fake(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(0o755)
    return file


def failure(flowctl, root: Path, tools: Path) -> dict[str, str]:
    error = flowctl.failure("component", "build", cwd=root, PATH=str(tools), RUSTUP_HOME=str(tools / "no-rustup"))
    assert (error["code"], error["exit_code"]) == ("toolchain", 30), error
    return error


def test_a_missing_toolchain(flowctl, tree, tools: Path) -> None:
    error = failure(flowctl, tree(RUST), tools)
    assert "cargo" in error["message"] and "1.70" in error["message"] and "not found" in error["message"]
    assert "Cargo.toml" in error["message"], "it says who asks for it"
    assert "rustup" in error["hint"].lower(), "it says how to get it"


def test_a_toolchain_that_is_too_old(flowctl, tree, tools: Path) -> None:
    cargo = fake(tools, "cargo", "#!/bin/sh\necho 'cargo 1.10.0 (259324cd8 2016-05-20)'\n")
    fake(tools, "rustc", "#!/bin/sh\necho 'rustc 1.10.0 (cfcb716cf 2016-07-03)'\n")
    error = failure(flowctl, tree(RUST), tools)
    assert f"{cargo} is 1.10.0" in error["message"]
    assert "1.70" in error["message"] and "Cargo.toml" in error["message"]


def test_an_old_go_and_one_that_does_not_exist_yet(flowctl, tree, tools: Path) -> None:
    go = fake(tools, "go", "#!/bin/sh\necho 'go version go1.10 linux/amd64'\n")
    root = tree({"go.mod": "module example.com/teller\n\ngo 1.999\n", "main.go": "package main\n\nfunc main() {}\n"})
    error = failure(flowctl, root, tools)
    assert f"{go} is 1.10" in error["message"]
    assert "1.999" in error["message"] and "go.mod" in error["message"]


BROKEN = {
    "exits with an error": ("#!/bin/sh\necho 'no default toolchain' >&2\nexit 1\n", "no default toolchain"),
    "prints rubbish": ("#!/bin/sh\necho hello\n", "version"),
    "prints nothing": ("#!/bin/sh\n", "version"),
    "without its interpreter": ("#!/no/such/interpreter\n", "interpreter"),
    "not a program": ("\x7fELF and nothing else", "not a program"),
    "empty": ("", "not a program"),
    "kills itself": ("#!/bin/sh\nkill -SEGV $$\n", "-11"),
    "floods": ("#!/bin/sh\nexec cat /dev/zero | head -c 40000000\n", "version"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_toolchain(flowctl, tree, tools: Path, case: str) -> None:
    text, words = BROKEN[case]
    (tools / "head").symlink_to(shutil.which("head"))
    for name in ("cargo", "rustc"):
        fake(tools, name, text)
    error = failure(flowctl, tree(RUST), tools)
    assert str(tools / "cargo") in error["message"]
    if words == "not a program":
        words = "neither a program" if "neither a program" in error["message"] else "version"
    assert words in error["message"], error
    assert len(error["message"]) < 2000


def test_a_folder_and_a_file_without_right_to_start_are_passed_over(flowctl, tree, tools: Path) -> None:
    (tools / "cargo").mkdir()
    (tools / "rustc").write_text("#!/bin/sh\n")
    error = failure(flowctl, tree(RUST), tools)
    assert "cargo" in error["message"]


def test_a_tool_that_never_tells_its_version(flowctl, tree, tools: Path) -> None:
    for name in ("cargo", "rustc"):
        fake(tools, name, '#!/bin/sh\necho $$ >> "$0.pids"\nsleep 300 &\necho $! >> "$0.pids"\nwait\n')
    began = time.monotonic()
    error = failure(flowctl, tree(RUST), tools)
    assert time.monotonic() - began < 45
    assert f"{tools / 'cargo'} did not tell its version within 10 s" in error["message"]
    for file in tools.glob("*.pids"):
        for pid in file.read_text().split():
            assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_tool_of_a_build_command(flowctl, greeter) -> None:
    component = greeter()
    spec = (component.root / "component.yaml").read_text()
    component.write("component.yaml", spec.replace("[sh, make.sh]", "[no-such-tool, make.sh]"))
    error = flowctl.failure("component", "build", cwd=component.root)
    assert (error["code"], error["exit_code"]) == ("toolchain", 30)
    assert "no-such-tool is needed (component.yaml) and was not found" in error["message"]
    component.write("component.yaml", spec.replace("[sh, make.sh]", "[./make.sh]"))
    error = flowctl.failure("component", "build", cwd=component.root)
    assert (error["code"], error["exit_code"]) == ("toolchain", 30)
    assert "make.sh cannot be started" in error["message"] and "chmod +x" in error["hint"]


def test_a_tool_that_vanishes_leaves_the_last_program(flowctl, greeter, tools: Path) -> None:
    component = greeter()
    spec = (component.root / "component.yaml").read_text()
    component.write("component.yaml", spec.replace("[sh, make.sh]", "[own-sh, make.sh]"))
    (tools / "own-sh").symlink_to(shutil.which("sh"))
    path = f"{tools}{os.pathsep}{flowctl.environment['PATH']}"
    flowctl.ok("component", "build", cwd=component.root, PATH=path)
    (tools / "own-sh").unlink()
    done = flowctl.run("component", "build", cwd=component.root, PATH=path)
    assert done.returncode == 0 and "up to date" in done.stdout, "nothing changed: the tool is not needed"
    component.write("word.txt", "goodbye")
    error = flowctl.failure("component", "build", cwd=component.root, PATH=path)
    assert error["exit_code"] == 30
    assert component.say() == "hello"
    (tools / "own-sh").symlink_to(shutil.which("sh"))
    flowctl.ok("component", "build", cwd=component.root, PATH=path)
    assert component.say() == "goodbye"
