"""A component.yaml with a build command: no plugin, no toolchain but sh, every path of the local way."""

import json
import os
import subprocess
from pathlib import Path

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata:
  name: greeter
  version: v1.2.0
spec:
  type: source
  interface:
    outputEventTypes: [greeting.v1]
  build:
    native:
      command: [sh, make.sh]
      binary: out/greeter
"""
MAKE = """\
#!/bin/sh
set -e
mkdir -p out
{ echo '#!/bin/sh'; echo "echo $(cat word.txt)"; } > out/greeter
chmod +x out/greeter
echo ran >> ../runs
"""
FILES = {"component.yaml": COMPONENT, "make.sh": MAKE, "word.txt": "hello", ".gitignore": "out/\n"}


def runs(root: Path) -> int:
    log = root.parent / "runs"
    return len(log.read_text().splitlines()) if log.exists() else 0


def say(root: Path) -> str:
    return subprocess.run([root / "greeter"], capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def test_build_makes_a_runnable_program_and_reports_it(flowctl, tree) -> None:
    root = tree(FILES)
    report = flowctl.json("component", "build", str(root))
    assert {key: report[key] for key in ("component", "version", "platform", "profile", "cache", "link")} == {
        "component": "greeter",
        "version": "1.2.0",
        "platform": "linux/amd64" if os.uname().machine == "x86_64" else report["platform"],
        "profile": "dev",
        "cache": "miss",
        "link": "./greeter",
    }
    [launcher, script] = report["artifacts"]
    assert launcher["path"] == ".flowctl/bin/greeter"
    assert script["path"] == "out/greeter"
    assert launcher["digest"].startswith("sha256:") and len(launcher["digest"]) == 71
    assert launcher["size"] == (root / launcher["path"]).stat().st_size
    assert say(root) == "hello"


def test_up_to_date_runs_nothing_and_a_change_is_explained(flowctl, tree) -> None:
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    assert flowctl.json("component", "build", cwd=root)["cache"] == "fresh"
    assert runs(root) == 1
    (root / "word.txt").write_text("goodbye")
    report = flowctl.json("component", "build", "--explain", cwd=root)
    assert report["cache"] == "miss"
    assert report["explanation"] == ["changed word.txt"]
    assert say(root) == "goodbye"


def test_going_back_to_an_earlier_source_restores_it(flowctl, tree) -> None:
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    (root / "word.txt").write_text("goodbye")
    flowctl.ok("component", "build", cwd=root)
    (root / "word.txt").write_text("hello")
    assert flowctl.json("component", "build", cwd=root)["cache"] == "hit"
    assert runs(root) == 2
    assert say(root) == "hello"


def test_clean_removes_what_build_made_and_nothing_else(flowctl, tree) -> None:
    root = tree({**FILES, "notes.txt": "mine"})
    before = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    flowctl.ok("component", "build", cwd=root)
    removed = flowctl.json("component", "clean", cwd=root)["removed"]
    assert set(removed) == {"greeter", ".flowctl", "out/greeter"}
    after = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    assert after - before <= {"out"}
    assert before <= after
    assert "nothing to remove" in flowctl.ok("component", "clean", cwd=root)


def test_cleaned_but_cached_is_restored_without_the_tool(flowctl, tree) -> None:
    root = tree({**FILES, "component.yaml": COMPONENT.replace("[sh, make.sh]", "[special-tool, make.sh]")})
    tools = root.parent / "tools"
    tools.mkdir()
    (tools / "special-tool").symlink_to("/bin/sh")
    with_tool = f"{tools}:{flowctl.environment['PATH']}"
    first = flowctl.json("component", "build", cwd=root, PATH=with_tool)
    flowctl.ok("component", "clean", cwd=root)
    again = flowctl.json("component", "build", cwd=root)
    assert again["cache"] == "hit"
    assert again["artifacts"] == first["artifacts"]
    assert say(root) == "hello"
    flowctl.ok("component", "clean", cwd=root)
    error = flowctl.failure("component", "build", "--no-cache", cwd=root)
    assert error["code"] == "toolchain"
    assert "special-tool" in error["message"]


def test_no_cache_neither_reads_nor_writes(flowctl, tree) -> None:
    root = tree(FILES)
    flowctl.ok("component", "build", "--no-cache", cwd=root)
    assert flowctl.json("cache", "info")["entries"] == 0
    flowctl.ok("component", "clean", cwd=root)
    assert flowctl.json("component", "build", cwd=root)["cache"] == "miss"


def test_the_commands_own_words_are_shown_whole(flowctl, tree) -> None:
    root = tree({**FILES, "make.sh": "echo first; echo 'second: no such header' >&2; exit 3"})
    error = flowctl.failure("component", "build", cwd=root)
    assert error["code"] == "build" and error["exit_code"] == 32
    assert "exit code 3" in error["message"]
    assert "first" in error["output"] and "second: no such header" in error["output"]
    done = flowctl.run("component", "build", cwd=root)
    assert "second: no such header" in done.stderr and "error: the build command of greeter failed" in done.stderr


def test_a_failed_build_leaves_the_last_good_program(flowctl, tree) -> None:
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    (root / "make.sh").write_text("exit 1")
    flowctl.failure("component", "build", cwd=root)
    assert say(root) == "hello"


def test_a_command_that_makes_nothing_is_an_error(flowctl, tree) -> None:
    error = flowctl.failure("component", "build", cwd=tree({**FILES, "make.sh": "true"}))
    assert "did not make out/greeter" in error["message"]


def test_shell_commands_in_order_and_a_name_that_is_taken(flowctl, tree) -> None:
    spec = COMPONENT.replace("command: [sh, make.sh]", "commands: ['mkdir -p out', 'cp word.txt out/x', 'sh make.sh']")
    root = tree({**FILES, "component.yaml": spec, "greeter/readme.txt": "a folder with the component's name"})
    report = flowctl.json("component", "build", cwd=root)
    assert report["link"] is None
    assert any("only at .flowctl/bin/greeter" in warning for warning in report["warnings"])
    (root / "greeter" / "readme.txt").write_text("changed: it is an input")
    assert flowctl.json("component", "build", cwd=root)["cache"] == "miss"


def test_several_components_one_failing(flowctl, tree) -> None:
    good, _ = tree(FILES, "good"), tree({**FILES, "make.sh": "exit 9"}, "bad ü")
    done = flowctl.run("component", "build", "good", "bad ü", "-o", "json", cwd=good.parent)
    assert done.returncode == 32
    [first, second] = json.loads(done.stdout)
    assert (first["path"], first["cache"]) == ("good", "miss")
    assert (second["path"], second["error"]["code"]) == ("bad ü", "build")
    assert say(good) == "hello"


def test_git_never_sees_flowctls_files(flowctl, tree) -> None:
    root = tree({**FILES, ".gitignore": "out/\n/greeter\n"})
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    flowctl.ok("component", "build", cwd=root)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    assert status.stdout == ""


def test_a_declared_runtime_starts_the_binary(flowctl, tree) -> None:
    spec = COMPONENT.replace("binary: out/greeter", "binary: out/greeter\n      runtime: python")
    make = "mkdir -p out; echo 'import sys; print(sys.argv[1:])' > out/greeter"
    root = tree({**FILES, "component.yaml": spec, "make.sh": make})
    flowctl.ok("component", "build", cwd=root)
    done = subprocess.run([root / "greeter", "a b"], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "['a b']"
