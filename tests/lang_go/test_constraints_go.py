"""Build constraints, held to what go/build decides."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flowctl_lang_go.constraints import Target, evaluate

LINUX = Target("linux", "amd64", frozenset({"netgo"}))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("main.go", True),
        ("linux.go", True),
        ("windows.go", True),  # nothing before the underscore: no constraint
        ("poll_windows.go", False),
        ("poll_linux.go", True),
        ("poll_linux_arm64.go", False),
        ("poll_linux_amd64.go", True),
        ("poll_windows_amd64.go", False),
        ("poll_amd64.go", True),
        ("poll_unix.go", True),  # unix is no file suffix
        ("poll_windows_test.go", False),
        ("poll_linux_test.go", True),
        ("a_b_c.go", True),
    ],
)
def test_file_names(name: str, wanted: bool) -> None:
    assert LINUX.wants_name(name) is wanted


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("linux", True),
        ("!linux", False),
        ("linux && arm64", False),
        ("linux || windows", True),
        ("(darwin || linux) && !cgo", False),
        ("unix", True),
        ("gc", True),
        ("go1.18", True),
        ("ignore", False),
        ("netgo", True),
        ("!windows && !ignore", True),
        ("linux&&amd64", True),
        ("!(linux && amd64)", False),
        ("windows || !ignore && amd64", True),
        # What Go refuses is left to Go.
        ("linux &&", True),
        ("(windows", True),
        ("", True),
        ("(" * 5000, True),
    ],
)
def test_expressions(expression: str, value: bool) -> None:
    assert evaluate(expression, LINUX.has) is value


@pytest.mark.parametrize(
    ("comments", "wanted"),
    [
        (["// +build windows"], False),
        (["// +build linux,amd64 darwin"], True),
        (["// +build linux", "// +build !amd64"], False),
        (["//go:build linux", "// +build windows"], True),
        (["// a comment", "//go:build ignore"], False),
        (["//go:buildx ignore"], True),
    ],
)
def test_headers(comments: list[str], wanted: bool) -> None:
    assert LINUX.wants_header(comments) is wanted


def test_go_itself_decides_the_same(tmp_path: Path) -> None:
    if shutil.which("go") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("go is not on PATH")
    names = ["plain.go", "x_linux.go", "x_windows.go", "x_arm64.go", "x_linux_amd64.go", "y_unix.go", "linux.go"]
    expressions = [
        "linux",
        "!linux",
        "unix && amd64",
        "ignore",
        "cgo || windows",
        "go1.18 && gc",
        "(linux||darwin)&&!arm64",
    ]
    files = dict.fromkeys(names, "package p\n")
    files |= {f"e{i}.go": f"// licence\n\n//go:build {e}\n\npackage p\n" for i, e in enumerate(expressions)}
    files |= {"old.go": "// +build windows\n\npackage p\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "go.mod").write_text("module m\n\ngo 1.17\n")  # the old form counts below 1.18
    environment = {**os.environ, "GOOS": "linux", "GOARCH": "amd64", "CGO_ENABLED": "1", "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        ["go", "list", "-json=GoFiles", "."], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    target = Target("linux", "amd64")
    ours = [
        name
        for name, text in files.items()
        if target.wants_name(name)
        and target.wants_header([line for line in text.splitlines() if line.startswith("//")])
    ]
    assert sorted(ours) == sorted(json.loads(done.stdout)["GoFiles"])
