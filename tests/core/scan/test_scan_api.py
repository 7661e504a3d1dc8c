"""Scans by OSV's API, against a server on loopback: real advisories, and answers that nobody should believe."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import ScanError
from flowctl_core.models import Dependency
from flowctl_core.scan import api
from flowctl_core.scan.api import Patience, ask_api
from flowctl_core.scan.osv import ScanSettings, scan

from .conftest import depends, made_advisory
from .osv_server import package_of, real_data, serving

ALL = {"introduced": "0"}
QUICK = Patience(connect_s=2.0, read_s=0.3, total_s=2.0, attempts=2)
NET, YAML2 = "pkg:golang/golang.org/x/net@v0.1.0", "pkg:golang/gopkg.in/yaml.v2@v2.2.2"
SMALL = {name: made_advisory(name, "p", ALL) for name in ("GHSA-1", "GHSA-2", "GHSA-3")}


def test_the_api_and_a_directory_of_the_same_advisories_find_the_same(real_advisories: Path, tmp_path: Path) -> None:
    listed = depends(
        NET, "pkg:pypi/urllib3@1.26.0", "pkg:golang/stdlib@go1.21.0", Dependency(purl=YAML2, parents=(NET,)),
        "pkg:pypi/Jinja2@2.10", "pkg:pypi/idna@3.7", "pkg:npm/left-pad@1.3.0",
    )  # fmt: skip
    with serving(real_data(real_advisories)) as server:
        report = scan(listed, ScanSettings(api=server.url))
    local = scan(listed, ScanSettings(database=real_advisories))
    assert report.findings == local.findings
    assert report.counts == local.counts
    assert len(report.findings) > 30
    assert (report.status, report.packages) == ("scanned", 7)
    assert report.database is not None
    assert (report.database.kind, report.database.location) == ("api", server.url)
    assert report.database.newest
    assert report.database.digest.startswith("sha256:")
    asked = [body for path, body in server.asked if path == "/v1/querybatch"]
    assert len(asked) == 1
    assert {"package": {"name": "stdlib", "ecosystem": "Go"}, "version": "1.21.0"} in asked[0]["queries"]
    assert {"package": {"name": "gopkg.in/yaml.v2", "ecosystem": "Go"}, "version": "2.2.2"} in asked[0]["queries"]
    assert all(agent.startswith("flowctl/") for agent in server.agents)


def test_pages_are_followed(real_advisories: Path) -> None:
    data = real_data(real_advisories)
    with serving(data, page=3) as server:
        paged = ask_api(server.url, [package_of(NET), package_of("pkg:npm/left-pad@1.0.0"), package_of(YAML2)])
        asked = [body["queries"] for path, body in server.asked if path == "/v1/querybatch"]
    with serving(data) as server:
        whole = ask_api(server.url, [package_of(NET), package_of("pkg:npm/left-pad@1.0.0"), package_of(YAML2)])
    assert paged.advisories == whole.advisories
    assert len(whole.advisories[0]) > 12
    assert whole.advisories[1] == []
    assert [len(queries) for queries in asked[:2]] == [3, 1]  # only what has more pages is asked again
    assert asked[1][0]["page_token"] == "3"


def test_many_packages_are_asked_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_BATCH", 10)
    packages = [package_of(f"pkg:npm/{'p' if n == 23 else f'q{n}'}@1.0.0") for n in range(25)]
    with serving(SMALL) as server:
        answers = ask_api(server.url, packages)
        sizes = [len(body["queries"]) for path, body in server.asked if path == "/v1/querybatch"]
    assert sizes == [10, 10, 5]
    assert [place for place, found in enumerate(answers.advisories) if found] == [23]


def test_an_advisory_is_fetched_once_however_many_packages_it_hits() -> None:
    with serving(SMALL) as server:
        ask_api(server.url, [package_of("pkg:npm/p@1.0.0"), package_of("pkg:npm/p@2.0.0")])
        fetched = [path for path, _ in server.asked if path.startswith("/v1/vulns/")]
    assert sorted(fetched) == ["/v1/vulns/GHSA-1", "/v1/vulns/GHSA-2", "/v1/vulns/GHSA-3"]


def test_nothing_to_ask_asks_nothing() -> None:
    with serving(SMALL) as server:
        report = scan(depends("pkg:generic/openssl@3"), ScanSettings(api=server.url))
    assert server.asked == []
    assert report.status == "not-scanned"


def test_a_server_that_is_busy_for_a_moment_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), serving(SMALL, fails=2) as server:
        answers = ask_api(server.url, [package_of("pkg:npm/p@1.0.0")])
    assert len(answers.advisories[0]) == 3
    assert [record for record in caplog.records if "stamina" in record.name] == []  # people read standard error


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", "answers with status 500"),
        ("429", "answers with status 429"),
        ("403", "with status 403, which its protocol does not allow"),
        ("302", "with status 302, which its protocol does not allow"),
        ("html", "no JSON"),
        ("list", "no JSON object"),
        ("few-results", "another number of results than was asked for"),
        ("endless", "never ends its list of advisories"),
        ("no-id", "names an advisory without an id"),
        ("path-id", "names an advisory without an id"),
        ("unknown-id", "with status 404"),
        ("vulns-text", "results that are none"),
        ("results-numbers", "results that are none"),
        ("another", "gives GHSA-"),
        ("no-advisory", "is no OSV advisory"),
        ("stall", "cannot be reached"),
        ("cut", "cannot be reached"),
        ("huge", "more than 32 MiB"),
        ("drip", "took longer than 2 s"),
    ],
)
def test_what_an_api_must_not_do_is_never_taken_for_clean(
    fault: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_MAX_PAGES", 5)
    with serving(SMALL, fault=fault) as server:
        with pytest.raises(ScanError) as caught:
            ask_api(server.url, [package_of("pkg:npm/p@1.0.0")], QUICK)
        assert said in caught.value.message
        assert server.url in caught.value.message
        monkeypatch.setattr(api, "Patience", lambda: QUICK)
        report = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=server.url))
    assert (report.status, report.findings, report.reason) == ("not-scanned", (), caught.value.message)


def test_a_host_that_nobody_knows_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unknown(*arguments: object, **_: object) -> object:
        asked.append(arguments)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ScanError, match="cannot be reached"):
        ask_api("https://advisories.invalid", [package_of("pkg:npm/p@1.0.0")])
    assert len(asked) == 1


def test_an_api_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        report = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=url))
    assert report.status == "not-scanned"
    assert (report.reason or "").startswith(f"OSV's API at {url} cannot be reached: ")


@pytest.mark.parametrize("url", ["http://[bad", "http://user name", "http://\0", "https://nonexistent.invalid"])
def test_a_url_that_is_none(url: str) -> None:
    assert scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=url)).status == "not-scanned"


def test_passwords_in_the_url_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "Patience", lambda: QUICK)
    with serving(SMALL) as server:
        url = server.url.replace("http://", "http://me:hunter2@")
        good = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=url))
        server.fault = "html"
        bad = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=url))
    assert (good.status, bad.status) == ("scanned", "not-scanned")
    assert "hunter2" not in good.model_dump_json() + bad.model_dump_json()


def test_a_base_path_is_kept() -> None:
    with serving(SMALL) as server:
        report = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=f"{server.url}/mirror/"))
        assert server.asked[0][0] == "/mirror/v1/querybatch"
    assert report.status == "not-scanned"  # this server has nothing there


def test_withdrawn_advisories_count_for_nothing() -> None:
    data: dict[str, Any] = {"GHSA-1": made_advisory("GHSA-1", "p", ALL)}
    with serving(data) as server:
        server.advisories["GHSA-1"] = {**data["GHSA-1"], "withdrawn": "2024-05-01T00:00:00Z"}
        report = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=server.url))
    assert (report.status, report.findings) == ("scanned", ())


def test_what_the_api_says_counts_even_where_the_advisory_names_the_package_otherwise() -> None:
    data: dict[str, Any] = {"GHSA-1": made_advisory("GHSA-1", "p", ALL)}
    with serving(data) as server:
        server.advisories["GHSA-1"] = made_advisory("GHSA-1", "P.renamed", ALL)
        report = scan(depends("pkg:npm/p@1.0.0"), ScanSettings(api=server.url))
    assert [finding.id for finding in report.findings] == ["GHSA-1"]
