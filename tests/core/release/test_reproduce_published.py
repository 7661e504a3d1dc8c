"""A version that a registry lists is built again from the repository and commit that its record names."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from flowctl_core.client.session import Patience, Session
from flowctl_core.client.versions import Reference, RegistryClient, parse_reference
from flowctl_core.connection import Connection, connect
from flowctl_core.errors import RemoteError, SourceError, UnreachableError, UsageError
from flowctl_core.job import Options
from flowctl_core.models import Platform
from flowctl_core.models.reproduction import ReproductionReport
from flowctl_core.reproduce_published import reproduce_published
from flowctl_core.store.git_checkout import check_out

NOWHERE, HASTE = Connection("http://127.0.0.1:9"), Patience(attempts=1)
WORDS = Reference("team", "words", "1.2.3")
BASE = "/v1/components/team/words/1.2.3"


@dataclass
class Site:
    """A registry with one version, and a git repository beside it, over HTTP."""

    url: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and `Authorization` of each request."""

    def publish(self, dist: Path) -> None:
        files = {p.relative_to(dist).as_posix(): p.read_bytes() for p in dist.rglob("*") if p.is_file()}
        files.pop(".gitignore", None)
        listed: dict[str, list[dict[str, object]]] = {"binaries": [], "containers": [], "metadata": []}
        for path, content in files.items():
            digest = f"sha256:{sha256(content).hexdigest()}"
            listed[path.partition("/")[0]].append({"path": path, "digest": digest, "size": len(content)})
            self.pages[f"{BASE}/files/{path}"] = content
        self.pages[BASE] = json.dumps({"version": "1.2.3", **listed}).encode()

    def push(self, repository: Path) -> None:
        for file in repository.rglob("*"):
            if file.is_file():
                self.pages[f"/git/words.git/{file.relative_to(repository).as_posix()}"] = file.read_bytes()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            made.asked.append((path, self.headers.get("Authorization")))
            content = made.pages.get(path)
            target = made.redirects.get(path)
            self.send_response(302 if target else 404 if content is None else 200)
            if target:
                self.send_header("Location", target)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def published(bench, site: Site, tmp_path: Path) -> Site:
    """The bench's release, as a registry built it."""
    bench.git("remote", "add", "origin", f"{site.url}/git/words.git")
    bench.release(as_registry=True)
    bare = tmp_path / "words.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(bench.root), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)
    site.push(bare)
    site.publish(bench.root / "dist")
    return site


def _again(bench, site: Site, **given: object) -> ReproductionReport:
    return reproduce_published(WORDS, Connection(site.url), bench.engine, Options(), bench, **given)


def test_the_published_digests_come_out_again(bench, published: Site) -> None:
    (bench.root / "words.txt").write_text("not what was published\n")
    report = _again(bench, published)
    assert report.reproduced and report.differences == () and report.compared > 8
    assert not list((bench.engine.config.build.local.cache_dir / "releases").glob("again-*"))


def test_another_published_digest_is_told(bench, published: Site) -> None:
    document = json.loads(published.pages[BASE])
    listed = next(file for file in document["binaries"] if file["path"].endswith("linux-arm64"))
    listed["digest"] = "sha256:" + "0" * 64
    published.pages[BASE] = json.dumps(document).encode()
    report = _again(bench, published)
    assert not report.reproduced
    assert [(one.path, one.expected) for one in report.differences] == [(listed["path"], listed["digest"])]


def test_the_source_may_be_a_repository_here(bench, published: Site) -> None:
    for path in [path for path in published.pages if path.startswith("/git/")]:
        del published.pages[path]
    with pytest.raises(SourceError, match="git fetch failed"):
        _again(bench, published)
    assert _again(bench, published, checkout=bench.root).reproduced


def test_signatures_that_the_registry_added_are_no_difference(bench, published: Site) -> None:
    document = json.loads(published.pages[BASE])
    extra = {"path": "metadata/registry.sigstore.json", "digest": "sha256:" + "1" * 64, "size": 5}
    document["metadata"].append(extra)
    published.pages[BASE] = json.dumps(document).encode()
    assert _again(bench, published).reproduced


def test_a_record_that_is_not_the_listed_one_is_refused(bench, published: Site) -> None:
    published.pages[f"{BASE}/files/metadata/build-info.json"] += b" "
    with pytest.raises(RemoteError, match="is not the file that the registry lists"):
        _again(bench, published)


def test_a_release_of_no_commit_is_refused(bench, published: Site) -> None:
    (bench.root / "words.txt").write_text("in no commit\n")
    bench.release()
    published.publish(bench.root / "dist")
    with pytest.raises(SourceError, match=r"team/words@1\.2\.3 was not built from a commit"):
        _again(bench, published)


@pytest.mark.parametrize(
    ("field_", "value"), [("component", "../../../escaped"), ("component", ".."), ("subdirectory", "../../escaped")]
)
def test_a_record_cannot_lead_out_of_the_workspace(bench, published: Site, field_: str, value: str) -> None:
    path = bench.root / "dist/metadata/build-info.json"
    record = json.loads(path.read_text())
    (record if field_ == "component" else record["source"])[field_] = value
    path.write_text(json.dumps(record))
    published.publish(bench.root / "dist")
    try:
        assert not _again(bench, published).reproduced
    except SourceError as error:
        assert "which is outside the repository" in error.message
    assert not list(bench.root.parent.rglob("escaped"))
    assert not list((bench.engine.config.build.local.cache_dir / "releases").glob("again-*"))


def test_a_component_without_a_file_has_its_name_from_the_record(bench, published: Site, tmp_path: Path) -> None:
    bench.git("rm", "--quiet", "component.yaml")
    bench.git("commit", "--quiet", "--message", "no file")
    bench.release(as_registry=True, platforms=(Platform("linux/amd64"),))
    published.publish(bench.root / "dist")
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    bench.root.rename(moved)
    report = _again(bench, published, checkout=moved)
    assert report.reproduced and report.component == "words"


def test_what_the_registry_does_not_have_is_told(bench, site: Site) -> None:
    with pytest.raises(RemoteError, match=r"has no team/words@1\.2\.3, or does not show it"):
        _again(bench, site)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 does not answer"), Session(NOWHERE, HASTE) as session:
        RegistryClient(session).version(WORDS)
    site.pages[BASE] = b"<html>"
    with pytest.raises(RemoteError, match="is no document of a registry"):
        _again(bench, site)


def test_a_token_is_not_given_to_where_the_registry_sends(site: Site) -> None:
    site.pages["/elsewhere"] = b'{"version": "1.2.3"}'
    site.redirects[BASE] = f"{site.url.replace('127.0.0.1', 'localhost')}/elsewhere"
    with Session(Connection(site.url, "flowctl_secret")) as session:
        assert RegistryClient(session).version(WORDS).version == "1.2.3"
    assert site.asked == [(BASE, "Bearer flowctl_secret"), ("/elsewhere", None)]


def test_only_tls_or_this_machine_is_asked() -> None:
    for url in ("http://registry.example.org", "file:///etc", "registry.example.org"):
        with pytest.raises(UsageError, match="is no registry that can be asked"):
            connect(url)


@pytest.mark.parametrize("text", ["words", "team/words", "team/words@", "../words@1.0", "team/words@1/2", "a/b/c@1"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no version of a component"):
        parse_reference(text)


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c touch% {mark}",
        "file:///etc",
        "/etc",
        "--upload-pack=touch {mark}",
        "https://example.org/a\nb",
        "-x@host:path",
    ],
)
def test_an_address_that_starts_programs_or_reads_files_is_refused(tmp_path: Path, address: str) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(SourceError, match="is no address and commit of a git repository"):
        check_out(address.format(mark=mark), "a" * 40, tmp_path / "there")
    assert not mark.exists() and not (tmp_path / "there").exists()
