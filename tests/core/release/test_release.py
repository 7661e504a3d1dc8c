"""A release from a git repository to `dist/`: what is there, what it says, and what happens when a part fails."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import (
    CancelledError,
    PlatformsFailedError,
    SourceError,
    StoreError,
    UsageError,
)
from flowctl_core.models import LanguageSettings, Platform

AMD64, ARM64, DARWIN = Platform("linux/amd64"), Platform("linux/arm64"), Platform("darwin/amd64")
EPOCH = 1709208000


def _info(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "dist/metadata/build-info.json").read_text())
    return document


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_release_has_the_layout_of_the_design(bench) -> None:
    report = bench.release()
    assert [(p.platform, p.state) for p in report.platforms] == [(AMD64, "built"), (ARM64, "built"), (DARWIN, "built")]
    files = _files(bench.root / "dist")
    assert {"binaries/words-linux-amd64", "binaries/words-linux-arm64", "binaries/words-darwin-amd64"} <= files.keys()
    metadata = {name for name in files if name.startswith("metadata/")}
    assert metadata == {
        f"metadata/{name}"
        for name in (
            "component.yaml", "metadata.json", "build-info.json", "sbom.cdx.json", "security-scan.json", "checksums",
        )
    }  # fmt: skip
    assert {"containers/manifest.json", "containers/oci/index.json", "containers/oci/oci-layout"} <= files.keys()
    assert os.access(bench.root / "dist/binaries/words-linux-amd64", os.X_OK)


def test_checksums_are_what_sha256sum_reads(bench) -> None:
    bench.release()
    done = subprocess.run(
        ["sha256sum", "--check", "metadata/checksums"], cwd=bench.root / "dist", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(_files(bench.root / "dist")) - 2  # not .gitignore, not itself


def test_the_record_says_what_made_it(bench) -> None:
    bench.release()
    info = _info(bench.root)
    assert (info["component"], info["version"], info["language"]) == ("words", "1.2.3", "words")
    assert info["source"]["commit"] == bench.git("rev-parse", "HEAD")
    assert info["source"]["dirty"] is False and info["source"]["epoch"] == EPOCH
    assert [plugin["distribution"] for plugin in info["plugins"]] == ["words-plugin"]
    assert info["platforms"][0]["materials"][0]["name"] == "word-runtime"
    assert info["environment"]["SOURCE_DATE_EPOCH"] == str(EPOCH)
    assert info["artifacts"][1]["facts"]["arch"] == "arm64" and info["artifacts"][1]["facts"]["static"] is True
    assert str(bench.root) not in json.dumps(info) and "/tmp" not in json.dumps(info)
    sbom = (bench.root / "dist/metadata/sbom.cdx.json").read_bytes()
    assert info["sbom"] == "sha256:" + hashlib.sha256(sbom).hexdigest()


def test_whose_code_ran_in_fetch_is_recorded_whether_it_ran_now_or_before(bench) -> None:
    for _ in range(2):
        bench.release()
        record = json.loads((bench.root / "dist/metadata/build-info.json").read_bytes())
        assert record["fetch_ran_code"] == ["verbs==1", "words==2"]
    assert bench.builder.fetches == 1


def test_variables_that_are_passed_through_are_recorded_by_digest_only(make_bench) -> None:
    bench = make_bench(environ={"WORD_STYLE": "secret style"})
    bench.release()
    text = (bench.root / "dist/metadata/build-info.json").read_text()
    assert "secret style" not in text
    assert _info(bench.root)["environment"]["WORD_STYLE"] == "sha256:" + hashlib.sha256(b"secret style").hexdigest()


def test_the_same_source_gives_the_same_bytes_elsewhere(make_bench) -> None:
    one = make_bench("here/words", home="one", jobs=1, environ={"USER": "ann", "LANG": "de_DE.UTF-8"})
    mask = os.umask(0o077)
    try:
        other = make_bench("over there/words", home="two", jobs=8, environ={"TZ": "Asia/Tokyo"})
        other.release()
    finally:
        os.umask(mask)
    one.release()
    assert _files(one.root / "dist") == _files(other.root / "dist")


def test_the_builder_works_on_an_export_and_never_on_the_tree(bench) -> None:
    bench.builder.leaves = "left-behind"
    before = {path.name for path in bench.root.iterdir()}
    bench.release()
    bench.builder.leaves = None
    export = bench.builder.contexts[AMD64].source_root
    assert export != bench.root and export.name == bench.root.name and (export / "left-behind").exists()
    assert {path.name for path in bench.root.iterdir()} == before | {"dist"}
    assert bench.git("status", "--porcelain") == ""
    bench.release()
    assert not (export / "left-behind").exists()


def test_fetching_is_remembered(bench) -> None:
    bench.release()
    bench.release()
    assert bench.builder.fetches == 1


def test_untracked_and_changed_files_are_part_of_a_tree_release_and_said(bench) -> None:
    (bench.root / "words.txt").write_text("changed\n")
    bench.release()
    assert b"changed" in (bench.root / "dist/binaries/words-linux-amd64").read_bytes()
    assert _info(bench.root)["source"]["dirty"] is True


def test_as_registry_builds_the_commit(bench) -> None:
    (bench.root / "words.txt").write_text("changed\n")
    report = bench.release(as_registry=True)
    assert b"hello" in (bench.root / "dist/binaries/words-linux-amd64").read_bytes()
    assert report.source.dirty is False
    assert any("words.txt" in warning and "no commit" in warning for warning in report.warnings)


def test_as_registry_takes_no_settings_of_the_user(make_bench) -> None:
    bench = make_bench(environ={"WORD_STYLE": "mine"})
    settings = {"words": LanguageSettings(build_args=("--loud",))}
    local = bench.engine.config.build.local.model_copy(update={"languages": settings})
    build = bench.engine.config.build.model_copy(update={"local": local})
    bench.engine = type(bench.engine)(
        **{**vars(bench.engine), "config": bench.engine.config.model_copy(update={"build": build})}
    )
    bench.release()
    assert _info(bench.root)["plan"]["settings"]["build_args"] == ["--loud"]
    bench.release(as_registry=True)
    assert _info(bench.root)["plan"]["settings"]["build_args"] == []
    assert b"mine" not in (bench.root / "dist/binaries/words-linux-amd64").read_bytes()


def test_as_registry_needs_a_commit(bench) -> None:
    with pytest.raises(SourceError):
        bench.release(as_registry=True, revision="no-such-tag")
    bench.git("checkout", "--quiet", "--orphan", "empty")
    with pytest.raises(SourceError, match="not in a git repository with a commit"):
        bench.release(as_registry=True)


def test_an_older_commit_can_be_built(bench) -> None:
    bench.git("tag", "v1")
    (bench.root / "words.txt").write_text("second\n")
    bench.git("commit", "--quiet", "--all", "--message", "second")
    bench.release(as_registry=True, revision="v1")
    assert b"hello" in (bench.root / "dist/binaries/words-linux-amd64").read_bytes()


def test_a_branch_that_looks_like_an_option_is_no_option(bench) -> None:
    with pytest.raises(SourceError):
        bench.release(as_registry=True, revision="--output=/tmp/x")


def test_one_failing_platform_does_not_hide_the_others(bench) -> None:
    bench.builder.failing = {ARM64}
    report = bench.release()
    states = {platform.platform: platform for platform in report.platforms}
    assert [platform.state for platform in report.platforms] == ["built", "failed", "built"]
    failed = states[ARM64]
    assert (failed.reason, failed.output, failed.hint) == (
        "words do not compile for linux/arm64", "line 7: syntax error", "Mend line 7.",
    )  # fmt: skip
    assert not (bench.root / "dist/binaries/words-linux-arm64").exists()
    assert _info(bench.root)["platforms"][1]["state"] == "failed"


def test_a_refused_platform_is_said_before_anything_is_fetched(bench) -> None:
    bench.builder.refused = {DARWIN}
    report = bench.release()
    assert [platform.state for platform in report.platforms] == ["built", "built", "refused"]
    assert (report.platforms[2].reason, report.platforms[2].hint) == ("no words for it", "pip install words")
    said = next(line for line in bench.said if "darwin/amd64" in line)
    assert said == "darwin/amd64 cannot be built here: no words for it; pip install words"
    assert DARWIN not in bench.builder.contexts


def test_nothing_possible_is_an_error_and_nothing_is_fetched(bench) -> None:
    bench.builder.refused = {AMD64, ARM64, DARWIN}
    with pytest.raises(PlatformsFailedError, match="no words for it") as caught:
        bench.release()
    assert caught.value.hint == "pip install words"
    assert bench.builder.fetches == 0
    assert not (bench.root / "dist").exists()


def test_when_no_platform_builds_the_old_release_stays(bench) -> None:
    bench.release()
    before = _files(bench.root / "dist")
    bench.builder.failing = {AMD64, ARM64, DARWIN}
    with pytest.raises(PlatformsFailedError, match="no platform could be built") as caught:
        bench.release()
    assert caught.value.output is not None and caught.value.output.count("line 7: syntax error") == 3
    assert _files(bench.root / "dist") == before
    assert sorted(path.name for path in bench.root.glob(".dist*")) == []


def test_a_file_of_another_architecture_goes_no_further(bench, binary_for) -> None:
    bench.builder.wrong = {ARM64: binary_for(AMD64)}
    report = bench.release()
    failed = report.platforms[1]
    assert failed.state == "failed"
    assert failed.reason == "words was built for linux/amd64, not for linux/arm64"
    assert not (bench.root / "dist/binaries/words-linux-arm64").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"MZ\x90\x00rest", "4d 5a 90 00"),
        (b"#!/bin/sh\necho\n", "where a native program was promised"),
    ],
)
def test_what_is_no_program_goes_no_further(bench, content: bytes, says: str) -> None:
    bench.builder.wrong = {AMD64: content}
    report = bench.release()
    assert report.platforms[0].state == "failed" and says in (report.platforms[0].reason or "")


def test_a_cancelled_release_leaves_the_old_one(bench) -> None:
    bench.release()
    before = _files(bench.root / "dist")
    bench.builder.cancel_at = ARM64
    with pytest.raises(CancelledError):
        bench.release()
    assert _files(bench.root / "dist") == before
    assert not list(bench.root.glob(".dist.*"))


def test_dist_of_the_source_itself_is_left_alone(bench) -> None:
    (bench.root / "dist").mkdir()
    (bench.root / "dist/page.html").write_text("mine")
    report = bench.release()
    assert report.directory == ".flowctl/dist"
    assert (bench.root / "dist/page.html").read_text() == "mine"
    assert any(".flowctl/dist" in line for line in bench.said)


def test_dist_that_the_plan_generates_is_left_alone(bench) -> None:
    bench.builder.makes_dist = True
    assert bench.release().directory == ".flowctl/dist"


def test_another_folder_can_be_named_and_is_never_overwritten(bench, tmp_path: Path) -> None:
    report = bench.release(dist=tmp_path / "out" / "release")
    assert Path(report.directory) == tmp_path / "out" / "release" and Path(report.directory).is_dir()
    bench.release(dist=tmp_path / "out" / "release")
    (tmp_path / "home-made").mkdir()
    (tmp_path / "home-made" / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="is no release of flowctl"):
        bench.release(dist=tmp_path / "home-made")
    assert (tmp_path / "home-made" / "thesis.txt").exists()


def test_platforms_come_from_the_command_line_first(bench) -> None:
    assert [p.platform for p in bench.release(platforms=(ARM64,)).platforms] == [ARM64]


def test_a_source_outside_git_has_a_settled_time(bench) -> None:
    import shutil

    shutil.rmtree(bench.root / ".git")
    report = bench.release()
    assert report.source.commit is None and report.source.epoch == 315532800


def test_source_date_epoch_counts_and_must_be_a_number(make_bench) -> None:
    bench = make_bench(environ={"SOURCE_DATE_EPOCH": "1700000000"})
    assert bench.release().source.epoch == 1700000000
    other = make_bench("other", environ={"SOURCE_DATE_EPOCH": "yesterday"})
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        other.release()


def test_a_component_in_a_subfolder_is_exported_alone(bench) -> None:
    (bench.root / "sub").mkdir()
    for name in ("words.txt", "component.yaml"):
        (bench.root / name).rename(bench.root / "sub" / name)
    (bench.root / "top.txt").write_text("of the repository")
    bench.git("add", "--all")
    bench.git("commit", "--quiet", "--message", "moved")
    top, bench.root = bench.root, bench.root / "sub"
    report = bench.release(as_registry=True)
    assert report.source.subdirectory == "sub"
    assert not (bench.builder.contexts[AMD64].source_root / "top.txt").exists()
    assert (top / "sub/dist/binaries/words-linux-amd64").is_file()
