"""The toolchain's head start changes no answer, begins only when it can be of use, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowctl_core.runners.process_tree import group_alive

pytestmark = pytest.mark.requires_tool("go", "sh")

COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: counter, version: v1.2.0}
spec: {type: source, languages: {go: {main: .}}}
"""
MAIN = 'package main\n\nimport "example.org/counter/word"\n\nfunc main() { println(word.Word) }\n'
FILES = {
    "component.yaml": COMPONENT,
    "go.mod": "module example.org/counter\n\ngo 1.21\n",
    "main.go": MAIN,
    "word/word.go": 'package word\n\nconst Word = "first"\n',
}
ASK = """\
import sys
from flowctl_core import head_start
from flowctl_core.noop import answer
print(answer(["component", "build"]) is not None)
begun = head_start.take()
print(begun is not None)
exec(sys.argv[1])
if begun is not None:
    print(begun.fits([]))
    begun.drop()
"""


@pytest.fixture
def go(flowctl, tmp_path: Path) -> Path:
    """A log of the builds that the real Go is asked for; while `<log>.slow` exists they wait."""
    log, folder = tmp_path / "go-builds", tmp_path / "bin"
    folder.mkdir()
    script = folder / "go"
    script.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = build ]; then echo $$ >> "{log}"; while [ -e "{log}.slow" ]; do sleep 0.05; done; fi\n'
        f'exec "{shutil.which("go")}" "$@"\n'
    )
    script.chmod(0o755)
    log.touch()
    flowctl.environment["PATH"] = f"{folder}:{flowctl.environment['PATH']}"
    return log


@pytest.fixture
def built(flowctl, tree, go: Path) -> Path:
    """Built, so that there is a stamp; no build is in the log."""
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    flowctl.ok("component", "build", cwd=root)
    go.write_text("")
    return root


def builds(go: Path) -> int:
    return len(go.read_text().splitlines())


def says(root: Path) -> str:
    return subprocess.run([root / "counter"], capture_output=True, text=True, check=True).stderr.strip()


def leftovers(root: Path) -> list[Path]:
    return list((root / ".flowctl").glob("staging-*"))


def begins(flowctl, root: Path, then: str = "pass") -> list[bool]:
    """Whether the quick way answers, whether a head start begins, and whether it still counts after `then`."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, then], cwd=root, env=flowctl.environment, capture_output=True, text=True, check=True
    )
    assert not leftovers(root)
    return [line == "True" for line in done.stdout.splitlines()]


CHANGES = {
    "a changed file": {"word/word.go": 'package word\n\nconst Word = "second"\n'},
    "a new file": {"word/more.go": "package word\n\nfunc init() { println(Word) }\n"},
    "a new file at the top": {"more.go": "package main\n\nfunc init() { println(1) }\n"},
    "nothing but times": {"main.go": MAIN},
    "a syntax error": {"word/word.go": "package word\n\nconst Word = \n"},
    "no program any more": {"main.go": MAIN.replace("package main", "package other")},
    "a missing module": {"main.go": MAIN.replace("example.org/counter/word", "example.org/none/word")},
    "another name": {"component.yaml": COMPONENT.replace("counter", "adder"), "word/word.go": "package word\n"},
    "another main": {
        "component.yaml": COMPONENT.replace("main: .", "main: ./cmd"),
        "cmd/main.go": "package main\n\nfunc main() { println(2) }\n",
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_answers_are_the_full_command_lines(flowctl, tree, built: Path, change: dict[str, str]) -> None:
    def build(*more: str, **environment: str) -> tuple[object, ...]:
        for path, text in change.items():
            (built / path).parent.mkdir(exist_ok=True)
            (built / path).write_text(text)
        done = flowctl.run("component", "build", "-o", "json", *more, cwd=built, **environment)
        document = json.loads(done.stdout)
        document.pop("duration_s", None)
        names = {path.name for path in built.iterdir()}
        return done.returncode, document, done.stderr, names, len(leftovers(built))

    quick = build()
    shutil.rmtree(built)  # the same place again, as programs hold the path of their source
    tree(FILES)
    elsewhere = {"FLOWCTL_CACHE_DIR": str(built.parent / "other cache")}
    flowctl.ok("component", "build", "--cache", cwd=built, **elsewhere)
    assert quick == build("--cache", **elsewhere)


def test_a_changed_file_is_built_once_by_the_head_start(flowctl, go: Path, built: Path) -> None:
    (built / "word/word.go").write_text('package word\n\nconst Word = "second"\n')
    assert begins(flowctl, built) == [False, True, True]
    go.write_text("")
    assert flowctl.json("component", "build", cwd=built)["cache"] == "miss"
    assert (builds(go), says(built), leftovers(built)) == (1, "second", [])


def test_what_was_not_seen_before_the_start_is_built_again(flowctl, go: Path, built: Path) -> None:
    (built / "word/more.go").write_text("package word\n\nconst More = 1\n")
    assert flowctl.json("component", "build", cwd=built)["cache"] == "miss"
    assert (builds(go), leftovers(built)) == (2, [])


def test_a_reverted_file_comes_from_the_cache(flowctl, go: Path, built: Path) -> None:
    for word, cache in (("second", "miss"), ("first", "hit")):
        (built / "word/word.go").write_text(f'package word\n\nconst Word = "{word}"\n')
        assert flowctl.json("component", "build", cwd=built)["cache"] == cache
        assert (says(built), leftovers(built)) == (word, [])
    (built / "word/word.go").write_text('package word\n\nconst Word = "third"\n')
    go.write_text("")
    assert flowctl.json("component", "build", cwd=built)["cache"] == "miss"
    assert builds(go) == 1, "the head start's command is remembered across a build that ran nothing"


EDITS = {
    "written again": "open('word/word.go', 'a').write('//')",
    "removed": "import os; os.unlink('word/word.go')",
    "a new file": "open('word/more.go', 'w').write('package word')",
    "a tool of another content": "open(begun.command.argv[0], 'a').write('#')",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_change_after_the_start_makes_it_worthless(flowctl, go: Path, built: Path, edit: str) -> None:
    (built / "word/word.go").write_text('package word\n\nconst Word = "second"\n')
    assert begins(flowctl, built, edit) == [False, True, False]


@pytest.mark.parametrize(
    ("path", "text"),
    [("component.yaml", COMPONENT + "# more\n"), ("go.mod", FILES["go.mod"] + "// more\n"), ("new.go", MAIN)],
)
def test_it_does_not_begin_when_more_than_a_source_file_changed(flowctl, built: Path, path: str, text: str) -> None:
    (built / path).write_text(text)
    (built / "word/word.go").write_text('package word\n\nconst Word = "second"\n')
    assert begins(flowctl, built) == [False, False]


def test_it_does_not_begin_while_another_process_builds_here(flowctl, built: Path) -> None:
    (built / "word/word.go").write_text('package word\n\nconst Word = "second"\n')
    with (built / ".flowctl" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert begins(flowctl, built) == [False, False]
    assert begins(flowctl, built) == [False, True, True]


def test_the_stamp_holds_no_secrets(flowctl, tree, go: Path) -> None:
    flowctl.environment["GOAUTH"] = "very-secret"
    root = tree(FILES)
    flowctl.ok("component", "build", cwd=root)
    [stamp] = (flowctl.home / "cache" / "stamps").iterdir()
    assert "GOAUTH" in json.loads(stamp.read_text())["early"]["inherited"]
    assert "very-secret" not in stamp.read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, None)])
def test_it_ends_with_flowctl(flowctl, go: Path, built: Path, number: signal.Signals, code: int | None) -> None:
    (built / "word/word.go").write_text('package word\n\nconst Word = "second"\n')
    slow = go.with_name(f"{go.name}.slow")
    slow.touch()
    process = flowctl.start("component", "build", cwd=built)
    deadline = time.monotonic() + 60
    while not go.read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child = int(go.read_text().split()[0])
    process.send_signal(number)
    process.communicate(timeout=60)
    assert code is None or process.returncode == code
    while group_alive(child):
        assert time.monotonic() < deadline, f"{child} still runs"
        time.sleep(0.01)
    slow.unlink()
    assert flowctl.json("component", "build", cwd=built)["cache"] == "miss"
    assert (says(built), leftovers(built)) == ("second", [])
