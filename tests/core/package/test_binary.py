"""What a file says of itself, against real binaries of this machine and hand-made headers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flowctl_core.errors import ArtifactError
from flowctl_core.models import Platform
from flowctl_core.package.binary import check_artifact, read_facts

AMD64 = Platform("linux/amd64")


def test_a_program_of_this_machine(tmp_path: Path) -> None:
    facts = read_facts(Path(shutil.which("ls") or "/bin/ls"))
    assert facts.format == "elf" and facts.arch == Platform.host().arch and not facts.static
    assert "libc.so.6" in facts.libraries and facts.interpreter is not None and "ld-linux" in facts.interpreter
    assert facts.glibc is not None and facts.glibc.startswith("2.")


@pytest.mark.requires_tool("gcc", "readelf")
def test_static_and_needed_glibc_agree_with_readelf(tmp_path: Path) -> None:
    (tmp_path / "m.c").write_text(
        '#include <stdio.h>\n#include <math.h>\nint main(int c,char**v){printf("%f",pow(c,c));}\n'
    )
    subprocess.run(["gcc", "-static", "-o", "static", "m.c", "-lm"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "-o", "dynamic", "m.c", "-lm"], cwd=tmp_path, check=True)
    assert read_facts(tmp_path / "static").static
    facts = read_facts(tmp_path / "dynamic")
    versions = subprocess.run(["readelf", "-V", "dynamic"], cwd=tmp_path, capture_output=True, text=True).stdout
    wanted = {tuple(map(int, word[6:].split("."))) for word in versions.split() if word.startswith("GLIBC_2")}
    assert facts.glibc == ".".join(map(str, max(wanted)))
    assert facts.libraries == ("libc.so.6", "libm.so.6")


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"])
def test_each_platform_takes_its_own_and_no_other(binary_for, tmp_path: Path, platform: str) -> None:
    wanted = Platform(platform)
    (tmp_path / "program").write_bytes(binary_for(wanted))
    facts = check_artifact(tmp_path / "program", wanted, "program")
    assert facts.arch == wanted.arch and facts.format == ("macho" if wanted.os == "darwin" else "elf")
    for other in {"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"} - {platform}:
        with pytest.raises(ArtifactError, match=f"was built for {platform}, not for {other}"):
            check_artifact(tmp_path / "program", Platform(other), "program")


def test_a_script_says_its_interpreter(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"#!/usr/bin/env python3.12\nPK\x03\x04")
    facts = check_artifact(tmp_path / "s", AMD64, "program")
    assert (facts.format, facts.interpreter) == ("script", "/usr/bin/env python3.12")
    with pytest.raises(ArtifactError, match="a script, not a library"):
        check_artifact(tmp_path / "s", AMD64, "library")


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF" + b"\xff" * 300, b"MZ\x90", b"PK\x03\x04" + b"\0" * 64, b"\xcf\xfa\xed\xfe"]
)
def test_broken_and_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(ArtifactError):
        check_artifact(tmp_path / "p", AMD64, "program")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_facts(tmp_path / "missing")
