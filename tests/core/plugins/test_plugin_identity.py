"""The digest is the same for the same wheel everywhere, and another one for other code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from flowctl_core.plugins.identity import distribution_digest
from flowctl_core.plugins.manager import load_plugins


def _append(record: Path, *lines: str) -> None:
    with record.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_what_differs_between_installations_does_not_count(install):
    metadata = install("alpha", {"alpha/__init__.py": "x = 1\n"}, {"a": "alpha:x"})
    before = distribution_digest(metadata, "alpha")
    _append(
        metadata / "RECORD",
        "alpha/__pycache__/__init__.cpython-311.pyc,,",
        "alpha-1.0.dist-info/INSTALLER,sha256=abc,4",
        "alpha-1.0.dist-info/REQUESTED,sha256=abc,0",
        "alpha-1.0.dist-info/direct_url.json,sha256=abc,40",
        "alpha-1.0.dist-info/uv_cache.json,sha256=abc,40",
        "../../../bin/alpha,sha256=holds-the-path-of-the-interpreter,200",
    )
    assert distribution_digest(metadata, "alpha") == before
    assert before.startswith("sha256:") and len(before) == 71


def test_the_order_of_record_does_not_count(install):
    metadata = install("alpha", {"alpha/__init__.py": "", "alpha/b.py": "1"}, {"a": "alpha:x"})
    before = distribution_digest(metadata, "alpha")
    record = metadata / "RECORD"
    record.write_text("\n".join(reversed(record.read_text().splitlines())) + "\n")
    assert distribution_digest(metadata, "alpha") == before


def test_other_code_and_other_files_count(install, tmp_path: Path):
    digests = set()
    for number, modules in enumerate(
        [{"a/__init__.py": ""}, {"a/__init__.py": "1"}, {"a/__init__.py": "", "a/data.bin": ""}, {"b/__init__.py": ""}]
    ):
        metadata = install("a", modules, {"a": "a:x"}, folder=tmp_path / str(number))
        digests.add(distribution_digest(metadata, "a"))
    assert len(digests) == 4


def test_a_name_with_a_comma_is_read_as_csv(install):
    metadata = install("a", {"a/__init__.py": ""}, {"a": "a:x"})
    before = distribution_digest(metadata, "a")
    _append(metadata / "RECORD", '"a/with, comma.txt",sha256=abc,1')
    after = distribution_digest(metadata, "a")
    _append(metadata / "RECORD", '"a/with, another.txt",sha256=abc,1')
    assert len({before, after, distribution_digest(metadata, "a")}) == 3


def test_an_editable_installation_is_read_from_its_sources(site: Path, install, builder_source, tmp_path: Path):
    package = site / "beta_builder"
    install(
        "beta",
        {"beta_builder/__init__.py": builder_source("beta")},
        {"beta": "beta_builder:plugin"},
        editable_from=tmp_path,
    )
    record = load_plugins().builder("beta")
    before = record.digest
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "x.pyc").write_bytes(b"")
    assert load_plugins().builder("beta").digest == before
    (package / "more.py").write_text("y = 2\n")
    changed = load_plugins().builder("beta").digest
    assert changed != before
    (package / "more.py").unlink()
    assert load_plugins().builder("beta").digest == before != ""


def test_an_edit_that_keeps_the_size_is_seen(site: Path, install, tmp_path: Path):
    metadata = install("gamma", {"gamma_pkg/__init__.py": "x = 1\n"}, {"g": "gamma_pkg:x"}, editable_from=tmp_path)
    before = distribution_digest(metadata, "gamma_pkg")
    file = site / "gamma_pkg" / "__init__.py"
    file.write_text("x = 2\n")
    os.utime(file, ns=(1, 1))
    assert distribution_digest(metadata, "gamma_pkg") != before


def test_a_distribution_without_record_is_read_from_its_files(install):
    metadata = install("delta", {"delta_pkg/__init__.py": "x = 1\n"}, {"d": "delta_pkg:x"})
    recorded = distribution_digest(metadata, "delta_pkg")
    (metadata / "RECORD").unlink()
    assert distribution_digest(metadata, "delta_pkg") not in ("", recorded)


def test_the_same_wheel_has_one_digest_in_two_environments(tmp_path: Path):
    """Really installed, by the installer that is here, into two folders at different depths."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    source = Path(__file__).parents[2] / "projects" / "flowctl-lang-sh"
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels)]
    copy = shutil.copytree(source, tmp_path / "source")
    subprocess.run([*build, str(copy)], check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    digests = []
    for target in (tmp_path / "one", tmp_path / "deeper" / "two"):
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
        subprocess.run(command, check=True, capture_output=True)
        (metadata,) = target.glob("*.dist-info")
        digests.append(distribution_digest(metadata, "flowctl_lang_sh"))
    assert digests[0] == digests[1] != ""
