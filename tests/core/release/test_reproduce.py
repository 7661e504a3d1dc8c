"""Building a release again says whether it has the same bytes, and if not, what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowctl_core.errors import SourceError
from flowctl_core.job import Options
from flowctl_core.models.reproduction import ReproductionReport
from flowctl_core.reproduce import reproduce


def _again(bench, dist: Path | None = None) -> ReproductionReport:
    return reproduce(bench.root, dist, bench.engine, Options(), bench)


def test_a_release_is_reproduced_from_its_commit(bench) -> None:
    bench.release()
    (bench.root / "words.txt").write_text("edited since\n")
    report = _again(bench)
    assert report.reproduced and report.differences == () and report.compared > 8
    releases = bench.engine.config.build.local.cache_dir / "releases"
    assert not list(releases.glob("again-*"))


def test_a_release_of_uncommitted_changes_is_reproduced_from_the_tree(bench) -> None:
    (bench.root / "words.txt").write_text("never committed\n")
    bench.release()
    assert _again(bench).reproduced
    (bench.root / "words.txt").write_text("and changed again\n")
    with pytest.raises(SourceError, match=r"is not the one that words 1\.2\.3 was built from"):
        _again(bench)


def test_the_settings_of_then_count(make_bench) -> None:
    bench = make_bench(environ={"WORD_STYLE": "loud"})
    bench.release()
    assert _again(bench).reproduced


def test_another_value_of_a_variable_is_named(make_bench) -> None:
    bench = make_bench(environ={"WORD_STYLE": "loud"})
    bench.release()
    bench.engine = type(bench.engine)(
        **{**vars(bench.engine), "environ": {**bench.engine.environ, "WORD_STYLE": "soft"}}
    )
    report = _again(bench)
    assert not report.reproduced
    assert "binaries/words-linux-amd64" in {difference.path for difference in report.differences}
    assert any("WORD_STYLE" in line for line in report.made_with)


def test_a_changed_byte_is_found(bench) -> None:
    bench.release()
    program = bench.root / "dist/binaries/words-linux-arm64"
    program.write_bytes(program.read_bytes() + b"x")
    report = _again(bench)
    assert [difference.path for difference in report.differences] == ["binaries/words-linux-arm64"]
    assert report.differences[0].expected != report.differences[0].found


def test_a_missing_and_an_added_file_are_found(bench) -> None:
    bench.release()
    (bench.root / "dist/binaries/words-linux-arm64").unlink()
    (bench.root / "dist/binaries/extra").write_text("?")
    found = {difference.path: difference for difference in _again(bench).differences}
    assert found["binaries/words-linux-arm64"].expected is None
    assert found["binaries/extra"].found is None


def test_without_a_release_there_is_nothing_to_reproduce(bench, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no release"):
        _again(bench)
    (tmp_path / "r" / "metadata").mkdir(parents=True)
    (tmp_path / "r" / "metadata" / "build-info.json").write_text('{"schema_version": 99}')
    with pytest.raises(SourceError, match="no record of a release"):
        _again(bench, tmp_path / "r")
