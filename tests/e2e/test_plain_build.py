"""A build without options, which goes past the option parser, gives the same answers as one with options."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def answers(flowctl, root: Path, *arguments: str) -> tuple[int, object, str]:
    """Exit code, standard output and standard error, durations left out."""
    done = flowctl.run("component", "build", *arguments, cwd=root)
    if "json" in arguments:
        document = json.loads(done.stdout)
        document.pop("duration_s", None)
        return done.returncode, document, done.stderr
    first, *rest = done.stdout.splitlines() or [""]
    return done.returncode, [first.partition(" in ")[0], *rest], done.stderr


@pytest.mark.parametrize("form", [(), ("-o", "json")], ids=["table", "json"])
def test_a_build_of_new_source(flowctl, greeter, form) -> None:
    plain, full = greeter("plain source"), greeter("full source")
    assert answers(flowctl, plain.root, *form) == answers(flowctl, full.root, "--no-cache", *form)
    assert plain.runs == full.runs == 1


@pytest.mark.parametrize("form", [(), ("-o", "json")], ids=["table", "json"])
@pytest.mark.parametrize(
    "files",
    [
        {"make__sh": "echo broken; exit 3\n"},
        {"component__yaml": "kind: [\n"},
        {"component__yaml": "apiVersion: component.flowctl.io/v1\nkind: ComponentSpec\nmetadata: {name: a b}\n"},
    ],
    ids=["a failing command", "no YAML", "a bad name"],
)
def test_a_build_that_fails(flowctl, greeter, form, files) -> None:
    component = greeter(**files)
    plain = answers(flowctl, component.root, *form)
    assert plain == answers(flowctl, component.root, "--cache", *form)
    assert plain[0] != 0


@pytest.mark.parametrize("form", [(), ("-o", "json")], ids=["table", "json"])
def test_a_folder_that_holds_nothing(flowctl, tmp_path: Path, form) -> None:
    assert answers(flowctl, tmp_path, *form) == answers(flowctl, tmp_path, "--cache", *form)


def test_the_option_parser_is_not_imported(flowctl, greeter) -> None:
    code = (
        "import sys; from flowctl_core.__main__ import _run\n"
        "assert _run(['component', 'build', '-o', 'json']) == 0\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=greeter().root,
        env=flowctl.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["cache"] == "miss"
    assert {"typer", "click", "rich"}.isdisjoint(done.stderr.split())
