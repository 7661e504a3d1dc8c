"""Scans against a directory of advisories: real ones, made ones, and files that are anything but."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import PluginError, ScanError
from flowctl_core.models import Dependency, ScanReport
from flowctl_core.scan import database_files
from flowctl_core.scan.index_sweep import sweep_indexes
from flowctl_core.scan.osv import ScanSettings, scan

from .conftest import Writer, depends, made_advisory

Settings = Callable[..., ScanSettings]
ALL = {"introduced": "0"}
NET, YAML2 = "pkg:golang/golang.org/x/net@v0.1.0", "pkg:golang/gopkg.in/yaml.v2@v2.2.2"
URLLIB3 = "pkg:pypi/urllib3@1.26.0"


def found(report: ScanReport) -> list[str]:
    return [finding.id for finding in report.findings]


def test_real_advisories_of_go_and_python(real_advisories: Path, settings: Settings) -> None:
    listed = depends(
        NET, URLLIB3, "pkg:golang/stdlib@go1.26.0", Dependency(purl=YAML2, parents=(NET,)), "pkg:pypi/idna@3.7"
    )
    report = scan(listed, settings(real_advisories))
    assert report.status == "scanned"
    assert report.packages == 5
    assert report.database is not None
    assert (report.database.location, report.database.advisories) == ("osv", 148)
    worst = report.findings[0]
    assert (worst.id, worst.severity, worst.score) == ("PYSEC-2023-192", "high", 8.1)
    assert worst.aliases == ("GHSA-v845-jxx5-vc9f", "CVE-2023-43804")
    assert worst.fixed == "1.26.17"
    by_id = {(finding.id, finding.package): finding for finding in report.findings}
    assert by_id["GO-2023-2102", NET].fixed == "0.17.0"
    assert by_id["GO-2020-0036", YAML2].introduced_by == (NET, YAML2)
    assert by_id["GO-2020-0036", YAML2].summary.startswith("Excessive resource consumption in YAML parsing")
    assert {finding.package for finding in report.findings} >= {NET, YAML2, URLLIB3}
    assert sum(number for _, number in report.counts) == len(report.findings)


def test_the_same_database_gives_the_same_report_wherever_it_is(
    real_advisories: Path, settings: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "osv"
    shutil.copytree(real_advisories, copy)
    for path in copy.rglob("*.json"):
        os.utime(path, (1, 1))
    listed = depends(NET, URLLIB3, YAML2)
    first = scan(listed, settings(real_advisories))
    assert scan(listed, settings(copy)) == first
    assert scan(depends(YAML2, URLLIB3, NET), settings(real_advisories)) == first
    assert str(tmp_path) not in first.model_dump_json()
    assert str(real_advisories.parent) not in first.model_dump_json()


def test_archives_as_osv_exports_them_say_the_same_as_files(
    real_advisories: Path, settings: Settings, tmp_path: Path
) -> None:
    loose, packed = tmp_path / "a" / "osv", tmp_path / "b" / "osv"
    shutil.copytree(real_advisories / "Go", loose / "Go")
    (packed / "Go").mkdir(parents=True)
    with zipfile.ZipFile(packed / "Go" / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((real_advisories / "Go").iterdir()):
            archive.write(path, path.name)
    listed = depends(NET, YAML2)
    report = scan(listed, settings(packed))
    assert report == scan(listed, settings(loose))
    assert len(report.findings) > 20
    shutil.copy(packed / "Go" / "all.zip", loose / "Go" / "all.zip")  # both: each advisory counts once
    assert scan(listed, settings(loose)) == report


def test_advisories_of_one_flaw_are_one_finding(database: Writer, settings: Settings) -> None:
    root = database(
        made_advisory("GHSA-aaaa", "p", ALL, {"fixed": "1.2.0"}, aliases=["CVE-1"], summary="From GitHub",
                      database_specific={"severity": "HIGH"}),
        made_advisory("PYSEC-2024-1", "p", ALL, {"fixed": "1.3.0"}, aliases=["CVE-1"]),
        made_advisory("CVE-1", "p", ALL, {"fixed": "1.1.0"}),
        made_advisory("GHSA-bbbb", "p", ALL, aliases=["CVE-2"]),
    )  # fmt: skip
    report = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    one, other = report.findings
    assert (one.id, one.aliases, one.severity) == ("PYSEC-2024-1", ("GHSA-aaaa", "CVE-1"), "high")
    assert (one.fixed, one.summary) == ("1.3.0", "From GitHub")
    assert (other.id, other.fixed, other.severity) == ("GHSA-bbbb", None, "unknown")
    assert (report.counts.high, report.counts.unknown) == (1, 1)


def test_the_shortest_way_in_is_told(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "deep", ALL))
    a, b, c, deep = (f"pkg:npm/{name}@1.0.0" for name in ("a", "b", "c", "deep"))
    report = scan(
        depends(a, b, Dependency(purl=c, parents=(a, deep)), Dependency(purl=deep, parents=(c, b, deep))),
        settings(root),
    )
    assert report.findings[0].introduced_by == (b, deep)


def test_what_nobody_is_known_to_want_is_found_all_the_same(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "lost", ALL))
    report = scan(depends(Dependency(purl="pkg:npm/lost@1.0.0", scope="test")), settings(root))
    assert (report.findings[0].introduced_by, report.findings[0].scope) == ((), "test")


def test_an_ecosystem_that_the_database_lacks_is_not_called_clean(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    report = scan(depends("pkg:npm/q@1.0.0", "pkg:pypi/q@1.0"), settings(root))
    assert (report.status, report.packages) == ("partly-scanned", 1)
    assert [(u.package, u.database_lacks_it) for u in report.unscanned] == [("pkg:pypi/q@1.0", True)]
    assert report.reason == (
        "1 of 2 dependencies cannot be looked up, pkg:pypi/q@1.0: the database has no advisories of PyPI"
    )
    assert report.warnings == (report.reason,)
    only = scan(depends("pkg:pypi/q@1.0"), settings(root))
    assert (only.status, only.packages) == ("not-scanned", 0)
    assert "no advisories of PyPI" in (only.reason or "")


@pytest.mark.parametrize(
    ("purl", "reason"),
    [
        ("pkg:npm/q", "its version is not known"),
        ("pkg:golang/example.org/m@(devel)", "'(devel)' is not a version that can be compared"),
        ("pkg:generic/openssl@3.0", "no advisories are published for packages of type 'generic'"),
    ],
)
def test_what_cannot_be_looked_up_is_listed(purl: str, reason: str, database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL), made_advisory("GO-1", "m", ALL, ecosystem="Go"))
    report = scan(depends(purl, "pkg:npm/q@1.0.0"), settings(root))
    assert report.status == "partly-scanned"
    assert [(u.reason, u.database_lacks_it) for u in report.unscanned] == [(reason, False)]


def test_without_network_and_database_nothing_is_called_clean(settings: Settings) -> None:
    report = scan(depends("pkg:npm/q@1.0.0"), settings(None, offline=True))
    assert (report.status, report.findings, report.database) == ("not-scanned", (), None)
    assert "no network" in (report.reason or "")


def test_a_component_without_dependencies_is_scanned(database: Writer, settings: Settings) -> None:
    report = scan(depends(), settings(database(made_advisory("GHSA-1", "p", ALL))))
    assert (report.status, report.packages) == ("scanned", 0)


@pytest.mark.parametrize("name", ["missing", "file", "empty"])
def test_a_database_that_is_none_is_an_error(name: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").write_text("{}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError) as caught:
        scan(depends("pkg:npm/q@1.0.0"), settings(tmp_path / name))
    assert str(tmp_path / name) in caught.value.message
    assert caught.value.hint


def test_a_purl_that_is_none_is_the_plugins_fault(database: Writer, settings: Settings) -> None:
    with pytest.raises(PluginError):
        scan(depends("left-pad 1.0"), settings(database(made_advisory("GHSA-1", "p", ALL))))


BROKEN = {
    "empty.json": b"",
    "binary.json": bytes(range(256)),
    "list.json": b"[]",
    "null.json": b"null",
    "deep.json": b"[" * 200_000,
    "nan.json": b'{"id": NaN}',
    "number-id.json": b'{"id": 5}',
    "versions.json": b'{"id": "X-1", "affected": [{"package": {"name": "p", "ecosystem": "npm"}, "versions": [[1]]}]}',
    "ranges.json": b'{"id": "X-1", "affected": [{"ranges": "all"}]}',
    "surrogate.json": b'{"id": "\\ud800"}',
    "cut.json": b'{"id": "X-1", "affec',
    "utf16.json": '{"id": "X-1"'.encode("utf-16"),
    "tabs.yaml": b"id: X\n\t- y",
    "bomb.yaml": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n".encode() for i in range(12))
    + b"id: X-1\naffected: *m\n",
}


def test_files_that_are_no_advisories_are_told_and_do_not_hide_the_others(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    for name, content in BROKEN.items():
        (root / "npm" / name).write_bytes(content)
    report = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert found(report) == ["GHSA-1"]
    assert report.status == "partly-scanned"
    assert report.database is not None
    assert report.database.unreadable_count == len(BROKEN)
    named = {line.partition(":")[0].removeprefix("npm/") for line in report.database.unreadable}
    assert named == set(BROKEN)
    assert report.reason == f"{len(BROKEN)} files of the database are no advisories"
    assert report.warnings == (report.reason,)


def test_a_huge_file_is_not_read_whole(database: Writer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    with (root / "npm" / "huge.json").open("wb") as file:
        file.truncate(2**40)  # a sparse terabyte
    report = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert report.database is not None
    assert report.database.unreadable == ("npm/huge.json: is larger than 32 MiB",)


def test_links_in_circles_are_walked_once(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    (root / "npm" / "up").symlink_to(root)
    (root / "npm" / "self").symlink_to("self")
    (root / "npm" / "again.json").symlink_to("again.json")
    (root / "npm" / "gone.json").symlink_to("nowhere.json")
    report = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert found(report) == ["GHSA-1"]
    assert report.database is not None
    assert report.database.unreadable_count == 2


def test_a_database_behind_links_is_read(database: Writer, settings: Settings, tmp_path: Path) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "npm").symlink_to(root / "npm")
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "linked"))) == ["GHSA-1"]


def test_a_pipe_is_not_waited_for(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    os.mkfifo(root / "npm" / "pipe.json")
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(root))) == ["GHSA-1"]


def test_names_with_spaces_and_odd_letters(database: Writer, settings: Settings, tmp_path: Path) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    odd = tmp_path / "a b" / "Größe \N{CRAB}"
    shutil.copytree(root, odd)
    (odd / "npm" / "GHSA-1.json").rename(odd / "npm" / os.fsdecode(b"\xff\xfe 1.json"))
    (odd / "npm" / os.fsdecode(b"\xff bad.json")).write_text("{}")
    report = scan(depends("pkg:npm/p@1.0.0"), settings(odd))
    assert found(report) == ["GHSA-1"]
    assert "\N{REPLACEMENT CHARACTER} bad.json" in report.model_dump_json()
    assert scan(depends("pkg:npm/p@1.0.0"), settings(odd)) == report


def archive(root: Path, *members: tuple[str, bytes], **more: Any) -> Path:
    (root / "npm").mkdir(parents=True, exist_ok=True)
    path = root / "npm" / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **more) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


GOOD = ("GHSA-1.json", json.dumps(made_advisory("GHSA-1", "p", ALL)).encode())


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, settings: Settings) -> None:
    archive(tmp_path / "db", GOOD, *((f"{n}.json", bytes(16 * 2**20)) for n in range(8)))
    with pytest.raises(ScanError, match=r"npm/all.zip of the vulnerability database would grow to 128 MiB"):
        scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))


def test_an_archive_that_lies_about_sizes_is_not_inflated_further(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "db", GOOD, ("liar.json", b" " * 10_000_000))
    content = path.read_bytes()
    true_size, said = (10_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert content.count(true_size) == 2
    path.write_bytes(content.replace(true_size, said))
    report = scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))
    assert found(report) == ["GHSA-1"]
    assert report.database is not None
    assert report.database.unreadable[0].startswith("npm/all.zip:liar.json: ")


def test_members_are_never_written_anywhere(tmp_path: Path, settings: Settings) -> None:
    archive(tmp_path / "db", ("../../../escaped.json", GOOD[1]), ("/etc/escaped.json", GOOD[1]))
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))) == ["GHSA-1"]
    assert not list(tmp_path.rglob("escaped.json"))


def test_a_broken_member_is_told_and_does_not_hide_the_others(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "db", GOOD, ("bad.json", os.urandom(500)))
    content = bytearray(path.read_bytes())
    place = content.index(b"bad.json") + 60
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    report = scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))
    assert (found(report), report.status) == (["GHSA-1"], "partly-scanned")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"not an archive at all", os.urandom(4096)], ids=["empty", "head", "text", "noise"]
)
def test_an_archive_that_is_none_is_an_error(content: bytes, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "db" / "npm").mkdir(parents=True)
    (tmp_path / "db" / "npm" / "all.zip").write_bytes(content)
    with pytest.raises(ScanError, match=r"npm/all\.zip .* cannot be read"):
        scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))


def test_a_cut_download_is_an_error(tmp_path: Path, settings: Settings) -> None:
    path = archive(tmp_path / "db", GOOD, ("more.json", os.urandom(4096)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ScanError):
        scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))


def read_counter(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read from now on."""
    read: list[str] = []
    original = database_files.read_entries

    def counting(root: Path, name: str) -> Any:
        read.append(name)
        return original(root, name)

    monkeypatch.setattr("flowctl_core.scan.index.read_entries", counting)
    return read


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were just written are believed to stay as their times say."""
    monkeypatch.setattr("flowctl_core.scan.index._RACY_S", -60.0)


def test_the_index_is_made_once_and_renewed_file_by_file(
    database: Writer, settings: Settings, monkeypatch: pytest.MonkeyPatch, believed: None
) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL), made_advisory("GHSA-2", "p", ALL))
    read = read_counter(monkeypatch)
    first = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert found(first) == ["GHSA-1", "GHSA-2"]
    assert sorted(read) == ["npm/GHSA-1.json", "npm/GHSA-2.json"]
    read.clear()
    assert scan(depends("pkg:npm/p@1.0.0"), settings(root)) == first
    assert read == []
    database(made_advisory("GHSA-3", "p", ALL))
    (root / "npm" / "GHSA-1.json").unlink()
    database(made_advisory("GHSA-2", "other-package", ALL))
    second = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert found(second) == ["GHSA-3"]
    assert sorted(read) == ["npm/GHSA-2.json", "npm/GHSA-3.json"]
    assert second.database != first.database


def test_a_file_that_was_just_written_is_read_again(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    path = root / "npm" / "GHSA-1.json"
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(root))) == ["GHSA-1"]
    times = path.stat()
    path.write_text(path.read_text().replace('"name": "p"', '"name": "q"'))  # as long as before
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(root))) == []


def index_file(settings: ScanSettings) -> Path:
    assert settings.cache_dir is not None
    (path,) = (settings.cache_dir / "osv").glob("*.sqlite")
    return path


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "other-format", "blobs"])
def test_a_damaged_index_is_made_anew(damage: str, database: Writer, settings: Settings, believed: None) -> None:
    root = database(*(made_advisory(f"GHSA-{n}", "p", ALL, summary="x" * 500) for n in range(50)))
    first = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    path = index_file(settings(root))
    if damage == "garbage":
        path.write_bytes(b"SQLite format 3\0" + os.urandom(8192))
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(
                "PRAGMA user_version = 99" if damage == "other-format" else "UPDATE advisories SET content = x'00'"
            )
        connection.close()
    assert scan(depends("pkg:npm/p@1.0.0"), settings(root)) == first


def test_where_no_index_can_be_kept_the_scan_works_without(
    database: Writer, settings: Settings, tmp_path: Path
) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    (tmp_path / "cache").write_text("a file where the cache should be")
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(root))) == ["GHSA-1"]
    assert found(scan(depends("pkg:npm/p@1.0.0"), ScanSettings(database=root))) == ["GHSA-1"]


def test_an_interrupted_index_is_whole_or_not_there(
    database: Writer, settings: Settings, monkeypatch: pytest.MonkeyPatch, believed: None
) -> None:
    root = database(*(made_advisory(f"GHSA-{n}", "p", ALL) for n in range(20)))
    original = database_files.read_entries

    def interrupted(root: Path, name: str) -> Any:
        if name.endswith("GHSA-7.json"):
            raise KeyboardInterrupt
        return original(root, name)

    with monkeypatch.context() as patch:
        patch.setattr("flowctl_core.scan.index.read_entries", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert len(scan(depends("pkg:npm/p@1.0.0"), settings(root)).findings) == 20


def test_what_takes_long_is_told(tmp_path: Path, settings: Settings) -> None:
    archive(tmp_path / "db", GOOD)
    notes: list[str] = []
    scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db", note=notes.append))
    assert notes == ["indexing the vulnerability database db (once, until it changes)"]


def test_other_ecosystems_count_but_are_not_kept(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL), made_advisory("DSA-1", "curl", ALL, ecosystem="Debian:12"))
    report = scan(depends("pkg:npm/p@1.0.0"), settings(root))
    assert report.database is not None
    assert report.database.advisories == 2


def test_the_newest_of_two_files_with_one_id_counts(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    (root / "old.json").write_text(
        json.dumps(made_advisory("GHSA-1", "p", ALL, modified="2020-01-01T00:00:00Z", withdrawn="2020-01-01T00:00:00Z"))
    )
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(root))) == ["GHSA-1"]
    (root / "new.json").write_text(
        json.dumps(made_advisory("GHSA-1", "p", ALL, modified="2025-01-01T00:00:00Z", withdrawn="2025-01-01T00:00:00Z"))
    )
    assert found(scan(depends("pkg:npm/p@1.0.0"), settings(root))) == []


def test_an_empty_archive_in_memory_is_no_database(tmp_path: Path, settings: Settings) -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "all.zip").write_bytes(empty.getvalue())
    with pytest.raises(ScanError, match="has no advisories"):
        scan(depends("pkg:npm/p@1.0.0"), settings(tmp_path / "db"))


def test_two_scans_at_once_make_one_index(database: Writer, settings: Settings) -> None:
    root = database(*(made_advisory(f"GHSA-{n}", "p", ALL) for n in range(200)))
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: scan(depends("pkg:npm/p@1.0.0"), settings(root)), range(4)))
    assert len(reports[0].findings) == 200
    assert reports == [reports[0]] * 4


def test_a_scan_that_was_killed_leaves_an_index_that_the_next_one_uses(
    database: Writer, settings: Settings, tmp_path: Path, believed: None
) -> None:
    root = database(*(made_advisory(f"GHSA-{n}", "p", ALL) for n in range(30)))
    script = f"""
import os, signal
from pathlib import Path
from flowctl_core.scan import index
read, original = [], index.read_entries
def killed(root, name):
    read.append(name)
    if len(read) == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(root, name)
index.read_entries = killed
index.open_index(Path({str(root)!r}), Path({str(tmp_path / "cache")!r}))
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert len(scan(depends("pkg:npm/p@1.0.0"), settings(root)).findings) == 30


def test_a_full_disk_slows_a_scan_and_fails_none(database: Writer, tmp_path: Path) -> None:
    root = database(*(made_advisory(f"GHSA-{n}", "p", ALL) for n in range(100)))
    script = f"""
import resource
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))  # to SQLite the same as a full disk
from flowctl_core.models import Dependency, DependencyReport
from flowctl_core.scan.osv import ScanSettings, scan
listed = DependencyReport(dependencies=(Dependency(purl="pkg:npm/p@1.0.0"),))
print(len(scan(listed, ScanSettings(database=Path({str(root)!r}), cache_dir=Path({str(tmp_path / "cache")!r}))).findings))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "100\n", "")


def test_indexes_that_nobody_uses_are_swept(database: Writer, settings: Settings) -> None:
    root = database(made_advisory("GHSA-1", "p", ALL))
    scan(depends("pkg:npm/p@1.0.0"), settings(root))
    path = index_file(settings(root))
    cache = path.parent.parent
    assert sweep_indexes(cache) == 0
    os.utime(path, (1, 1))
    scan(depends("pkg:npm/p@1.0.0"), settings(root))  # used again
    assert sweep_indexes(cache) == 0
    os.utime(path, (1, 1))
    assert sweep_indexes(cache) > 0
    assert not path.parent.exists()
    assert sweep_indexes(cache, everything=True) == 0
