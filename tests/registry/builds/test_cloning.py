"""Fetching a commit from a real git server, in each way that confines git; and what hostile repositories try."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowctl_core.errors import CancelledError, FlowctlError, SourceError
from flowctl_core.store import git_commit
from flowctl_registry.builds.cloning import Cloned, CloneRequest, clone, list_tags
from flowctl_registry.builds.git_runs import SandboxedGit
from flowctl_registry.builds.git_url import parse
from flowctl_registry.errors import BadRequestError, TransientError
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.confinement import Sandbox
from flowctl_registry.sandbox.unconfined import Unconfined
from flowctl_registry.settings import Sources
from git_server import GitServer, Repository, git, never
from sandbox_box import has_bwrap

LOOPBACK = {"schemes": ("http",), "allow_private": ("127.0.0.0/8",), "clone_s": 30}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as running:
        yield running


@pytest.fixture(autouse=True)
def any_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, what was fetched belongs to the user of the sandbox; there an export reads it as that user."""
    for name, value in (("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", "*")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)


@dataclass
class Desk:
    """Clones into a folder of its own."""

    sandbox: Sandbox
    folder: Path
    server: GitServer
    log: bytearray = field(default_factory=bytearray)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def settings(self, **changes: object) -> Sources:
        return Sources.model_validate({**LOOPBACK, "ports": (self.server.port,), **changes})

    def git(self, settings: Sources) -> SandboxedGit:
        self.folder.mkdir(exist_ok=True)
        return SandboxedGit(self.sandbox, settings, self.folder, self.log.extend, self.cancelled)

    def clone(self, repository: Repository | str, ref: str | None = None, **more: object) -> Cloned:
        changes = {name: more.pop(name) for name in list(more) if name in Sources.model_fields}
        settings = self.settings(**changes)
        url = repository if isinstance(repository, str) else repository.url
        return clone(self.git(settings), settings, CloneRequest(url, ref, **more))  # type: ignore[arg-type]

    def files(self) -> dict[str, bytes]:
        """What an export would read of the clone."""
        found = git_commit.find_commit(self.folder)
        assert found is not None
        with git_commit.BlobReader() as reader:
            return {entry.path: reader.read(entry) for entry in git_commit.list_commit(found)}


def desk_of(kind: str, folder: Path, server: GitServer, give_up: Callable[[str], None]) -> Desk:
    if kind == "none":
        return Desk(Unconfined(), folder, server)
    if not has_bwrap():
        give_up("bwrap not found")
    return Desk(Bubblewrap(), folder, server)


@pytest.fixture(params=["bubblewrap", "none"])
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, server: GitServer, give_up: Callable[[str], None]
) -> Iterator[Desk]:
    yield desk_of(request.param, tmp_path / "clone", server, give_up)
    server.answer = None


@pytest.fixture
def walled(tmp_path: Path, server: GitServer, give_up: Callable[[str], None]) -> Iterator[Desk]:
    """Where only the sandbox protects."""
    yield desk_of("bubblewrap", tmp_path / "clone", server, give_up)
    server.answer = None


@pytest.fixture
def repository(server: GitServer, tmp_path: Path) -> Repository:
    return server.create(f"octo/{tmp_path.name}")


def test_a_tag_is_fetched_as_one_commit(desk: Desk, repository: Repository) -> None:
    repository.commit({"old": "x"})
    commit = repository.commit(
        {"component.yaml": "a", "bin/run": b"\0\xff", "here": "link:../../etc/passwd"}, tag="v1.0.0"
    )
    found = desk.clone(repository, "v1.0.0")
    assert (found.commit, found.tag, found.ref, found.time) == (commit, "v1.0.0", "refs/tags/v1.0.0", 1_700_000_000)
    assert (found.files, found.size, found.submodules) == (3, 19, 0)
    assert desk.files() == {"component.yaml": b"a", "bin/run": b"\0\xff", "here": b"../../etc/passwd"}
    assert {path.name for path in desk.folder.iterdir()} == {".git"}, "nothing is checked out"
    assert not any(path.is_symlink() for path in desk.folder.rglob("*"))
    assert git_commit.remote_address(desk.folder) == repository.url
    assert git(desk.folder, "-c", "safe.directory=*", "rev-list", "--count", "HEAD") == "1"


def test_refs_of_every_kind_are_found(desk: Desk, repository: Repository) -> None:
    first = repository.commit({"a": "1"}, branch="main")
    second = repository.commit({"a": "2"}, branch="feature/x")
    repository.tag("annotated", first, annotated=True)
    repository.tag("v0.9.0", first)
    repository.tag("v1.10.0", second, annotated=True)
    repository.tag("v1.9.0", first)
    repository.tag("v2.0.0-rc.1", first)
    repository.tag("mqtt/v7.0.0", first)
    repository.tag("v9", first)
    for ref, commit, tag in (
        ("main", first, None), ("feature/x", second, None), ("annotated", first, "annotated"), (first, first, None),
        ("refs/heads/main", first, None), ("refs/tags/annotated", first, "annotated"), (None, second, "v1.10.0"),
    ):  # fmt: skip
        found = desk.clone(repository, ref)
        assert (found.commit, found.tag) == (commit, tag), ref
    assert desk.clone(repository, tag_pattern="mqtt/v*").tag == "mqtt/v7.0.0"
    with pytest.raises(SourceError, match="no tag that names a version"):
        desk.clone(repository, tag_pattern="kafka/v*")
    tags = list_tags(desk.git(desk.settings()), parse(repository.url, desk.settings()))
    assert tags["annotated"] == first and tags["v1.10.0"] == second and len(tags) == 7


def test_a_branch_named_like_a_tag_changes_nothing(walled: Desk, repository: Repository) -> None:
    right = repository.commit({"a": "1"}, tag="v1.0.0")
    repository.commit({"a": "evil"}, branch="v1.0.0")
    repository.commit({"a": "evil"}, branch="refs/tags/v1.0.0")
    repository.commit({"a": "evil"}, branch="x", tag="x/refs/tags/v1.0.0")
    for ref in ("v1.0.0", "refs/tags/v1.0.0", None):
        found = walled.clone(repository, ref)
        assert (found.commit, found.ref) == (right, "refs/tags/v1.0.0")
    assert walled.clone(repository, "refs/heads/v1.0.0").commit != right


def test_a_webhook_does_not_say_which_commit_a_tag_is(walled: Desk, repository: Repository) -> None:
    @dataclass
    class Build:
        repository: str
        ref: str | None
        commit: str | None
        subdirectory: str = "."

    right = repository.commit({"a": "1"}, tag="v1.0.0")
    forged = repository.commit({"a": "of a fork"}, branch="fork")  # servers give commits of forks, too
    settings = walled.settings()
    for ref, commit in (("refs/tags/v1.0.0", right), (None, forged)):
        asked = CloneRequest.of(Build(repository.url, ref, forged), "v*")  # type: ignore[arg-type]
        assert clone(walled.git(settings), settings, asked).commit == commit
    asked = CloneRequest.of(Build(repository.url, "refs/tags/v9.0.0", forged), "v*")  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="no tag or branch"):
        clone(walled.git(settings), settings, asked)


def test_what_a_try_before_left_is_removed(walled: Desk, repository: Repository) -> None:
    repository.commit({"a": "1"}, tag="v1.0.0")
    walled.folder.mkdir()
    (walled.folder / ".git").mkdir()
    (walled.folder / ".git" / "config").write_text("[core]\n\tfsmonitor = touch /tmp/x\n")
    (walled.folder / "link").symlink_to("/etc")
    walled.clone(repository, "v1.0.0")
    walled.clone(repository, "v1.0.0")
    assert {path.name for path in walled.folder.iterdir()} == {".git"}
    assert "fsmonitor" not in (walled.folder / ".git" / "config").read_text()


def test_a_subdirectory_must_be_there(walled: Desk, repository: Repository) -> None:
    repository.commit({"sources/mqtt/component.yaml": "a", "file": "b"}, tag="v1.0.0")
    assert walled.clone(repository, "v1.0.0", subdirectory="sources/mqtt").files == 2
    for missing in ("sources/kafka", "file", "mqtt"):
        with pytest.raises(SourceError, match="no folder of the repository"):
            walled.clone(repository, "v1.0.0", subdirectory=missing)


def test_servers_that_give_no_single_commits_work_too(walled: Desk, repository: Repository) -> None:
    commit = repository.commit({"a": "1"}, tag="v1.0.0")
    later = repository.commit({"a": "2"})

    def old(handler: object) -> bool:
        if "Git-Protocol" in handler.headers:  # type: ignore[attr-defined]
            del handler.headers["Git-Protocol"]  # type: ignore[attr-defined]
        return False

    git(repository.path, "config", "uploadpack.allowTipSHA1InWant", "false")
    walled.server.answer = old
    assert walled.clone(repository, "v1.0.0").commit == commit
    assert walled.clone(repository, "main").commit == later


def submodule(at: str, commit: str, url: str, name: str = "sub") -> tuple[list[tuple[str, str, str, str]], str]:
    return [("160000", "commit", commit, at)], f'[submodule "{name}"]\n\tpath = {at}\n\turl = {url}\n'


def with_submodule(
    repository: Repository, at: str, commit: str, url: str, modules: str | None = None, tag: str = "v1.0.0"
) -> str:
    lines, text = submodule(at, commit, url)
    blob = git(repository.path, "hash-object", "-w", "--stdin", stdin=(text if modules is None else modules).encode())
    return repository.commit_tree([*lines, ("100644", "blob", blob, ".gitmodules")], tag=tag)


def test_submodules_come_at_the_commit_that_the_tree_names(
    desk: Desk, server: GitServer, repository: Repository
) -> None:
    inner, outer = server.create(f"{repository.path.stem}/inner"), server.create(f"{repository.path.stem}/outer")
    pinned = inner.commit({"deep": "pinned"})
    inner.commit({"deep": "newer"})
    middle = with_submodule(outer, "in", pinned, f"{inner.url}")
    with_submodule(repository, "lib/outer", middle, f"../../{repository.path.stem}/outer.git")
    found = desk.clone(repository, "v1.0.0", subdirectory="lib/outer")
    assert (found.submodules, found.files) == (2, 3)
    assert desk.files()["lib/outer/in/deep"] == b"pinned"


@pytest.mark.parametrize(
    "url",
    ["file:///etc", "/etc", "ext::sh -c id", "-u./x", "--upload-pack=id", "git@git.test:x", "ssh://git.test/x", "../../../../x",
     "http://user:secret-word@127.0.0.1/x", "http://127.0.0.1:1/x", "http://other.test/x", "$(id)", "http://[::1]/x"],
)  # fmt: skip
def test_submodules_elsewhere_are_refused(walled: Desk, repository: Repository, url: str) -> None:
    with_submodule(repository, "sub", "1" * 40, url)
    with pytest.raises(FlowctlError) as refused:
        walled.clone(repository, "v1.0.0", hosts=("127.0.0.1",))
    assert not isinstance(refused.value, TransientError)
    assert "sub" in refused.value.message
    assert "secret-word" not in str(refused.value) + walled.log.decode()


def test_submodules_without_an_end_are_refused(walled: Desk, repository: Repository) -> None:
    # A repository cannot name its own commit, but another one that names the next.
    commit = repository.commit({"a": "1"}, tag="v0.0.0")
    for _ in range(7):
        commit = with_submodule(repository, "again", commit, repository.url)
    with pytest.raises(SourceError, match="too deep"):
        walled.clone(repository, "v1.0.0")
    with pytest.raises(SourceError, match="more than 2 submodules"):
        walled.clone(repository, "v1.0.0", submodules=2)


@pytest.mark.parametrize(
    "modules", ["", "[submodule", '[submodule "x"]\n\tpath = other\n\turl = https://git.test/x\n', "link"]
)
def test_a_submodule_that_nobody_declares_is_refused(walled: Desk, repository: Repository, modules: str) -> None:
    lines, text = submodule("sub", "1" * 40, repository.url)
    blob = git(repository.path, "hash-object", "-w", "--stdin", stdin=(text if modules == "link" else modules).encode())
    mode = "120000" if modules == "link" else "100644"
    repository.commit_tree([*lines, (mode, "blob", blob, ".gitmodules")], tag="v1.0.0")
    with pytest.raises(SourceError, match="is not in"):
        walled.clone(repository, "v1.0.0")


TRICKS = (
    "..",
    ".",
    ".git",
    ".GIT",
    ".git ",
    ".git.",
    "GIT~1",
    ".g\u200cit",
    ".git:x",
    "../../../../tmp/x",
    "/etc/passwd",
    ".git/hooks/post-checkout",
    "a//b",
)


@pytest.mark.parametrize("name", TRICKS, ids=ascii)
def test_names_that_lead_elsewhere_are_refused(walled: Desk, repository: Repository, name: str) -> None:
    blob = git(repository.path, "hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\nid\n")
    repository.commit_tree([("100755", "raw", blob, name)], tag="v1.0.0")
    with pytest.raises(SourceError):
        walled.clone(repository, "v1.0.0")
    assert {path.name for path in walled.folder.iterdir()} == {".git"}
    assert not (walled.folder / ".git" / "hooks").exists()


def test_a_submodule_inside_gits_own_folder_is_refused(walled: Desk, repository: Repository) -> None:
    with_submodule(repository, ".git/modules/x", repository.commit({"a": "1"}), repository.url)
    with pytest.raises(SourceError):
        walled.clone(repository, "v1.0.0")


def test_links_lead_nowhere(walled: Desk, repository: Repository, tmp_path: Path) -> None:
    """A link and a submodule of the same name: whoever checked them out would write through the link."""
    target = tmp_path / "target"
    target.mkdir()
    inner = repository.commit({"file": "evil"})
    lines, text = submodule("Dir", inner, repository.url)
    modules = git(repository.path, "hash-object", "-w", "--stdin", stdin=text.encode())
    link = git(repository.path, "hash-object", "-w", "--stdin", stdin=str(target).encode())
    repository.commit_tree(
        [
            *lines,
            ("120000", "blob", link, "dir"),
            ("120000", "raw", link, "Dir"),
            ("100644", "blob", modules, ".gitmodules"),
        ],
        tag="v1.0.0",
    )
    with contextlib.suppress(SourceError):
        walled.clone(repository, "v1.0.0")
    assert list(target.iterdir()) == []
    assert not any(path.is_symlink() for path in walled.folder.rglob("*"))


def test_a_repository_configures_nothing(walled: Desk, repository: Repository, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    repository.commit(
        {
            ".gitattributes": "* filter=evil\n", ".gitconfig": f"[core]\n\tfsmonitor = touch {marker}\n", ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1/\n",
            "big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {repository.url}\n\tupdate = !touch {marker}\n[include]\n\tpath = /etc/passwd\n',
        },
        tag="v1.0.0",
    )  # fmt: skip
    assert walled.clone(repository, "v1.0.0").files == 5
    assert not marker.exists()
    assert walled.files()["big.bin"].startswith(b"version https://git-lfs")


def test_too_much_is_refused(walled: Desk, repository: Repository) -> None:
    repository.commit({f"file-{number}": str(number) for number in range(40)}, tag="v1.0.0")
    with pytest.raises(SourceError, match="more than 30 files"):
        walled.clone(repository, "v1.0.0", clone_files=30)
    repository.commit({"noise": os.urandom(3_000_000)}, tag="v2.0.0")
    with pytest.raises(SourceError, match="more than"):
        walled.clone(repository, "v2.0.0", clone_bytes=1_000_000)
    repository.commit({"zeros": b"\0" * 30_000_000}, tag="v3.0.0")  # a few kB on the network
    with pytest.raises(SourceError, match="more than 1000000 bytes"):
        walled.clone(repository, "v3.0.0", clone_bytes=1_000_000)


def test_a_tree_that_is_larger_than_any_disk_is_refused(walled: Desk, repository: Repository) -> None:
    tree = git(repository.path, "hash-object", "-w", "--stdin", stdin=b"x")
    kind, mode = "blob", "100644"
    for _ in range(12):  # 10^12 files
        lines = "".join(f"{mode} {kind} {tree}\tf{number}\n" for number in range(10))
        tree, kind, mode = git(repository.path, "mktree", stdin=lines.encode()), "tree", "040000"
    commit = git(repository.path, "commit-tree", "-m", "bomb", tree)
    repository.tag("v1.0.0", commit)
    with pytest.raises(SourceError, match="more than 2000 files"):
        walled.clone(repository, "v1.0.0", clone_files=2_000)


def test_private_addresses_are_out_of_reach(desk: Desk, repository: Repository) -> None:
    repository.commit({"a": "1"}, tag="v1.0.0")
    desk.server.requests.clear()
    for url in (repository.url, repository.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(SourceError) as refused:
            desk.clone(url, "v1.0.0", allow_private=())
        assert "sources" in (refused.value.hint or "")
    assert desk.server.requests == []


def test_a_redirect_leads_to_no_other_host(walled: Desk, repository: Repository) -> None:
    def elsewhere(handler: object) -> bool:
        handler.send_response(302)  # type: ignore[attr-defined]
        port = walled.server.port
        handler.send_header("Location", f"http://localhost:{port}{handler.path}")  # type: ignore[attr-defined]
        handler.send_header("Content-Length", "0")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        return True

    repository.commit({"a": "1"}, tag="v1.0.0")
    walled.server.answer = elsewhere
    with pytest.raises(SourceError):
        walled.clone(repository, "v1.0.0", hosts=("127.0.0.1",))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_is_not_public_fails_for_good(walled: Desk, repository: Repository, status: int) -> None:
    walled.server.answer = answers(status)
    with pytest.raises(SourceError):
        walled.clone(repository, "v1.0.0")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(desk: Desk, repository: Repository, status: int) -> None:
    desk.server.answer = answers(status)
    with pytest.raises(TransientError):
        desk.clone(repository, "v1.0.0")


def test_a_server_that_is_away_is_asked_again(desk: Desk, tmp_path: Path) -> None:
    with GitServer(tmp_path / "gone") as gone:
        port = gone.port
    with pytest.raises(TransientError):
        desk.clone(f"http://127.0.0.1:{port}/x", "v1.0.0", ports=(port,))


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"001e# service=git-upload-pack\n0000" + b"ffff" * 100, b"\0" * 1000]
)
def test_garbage_is_no_repository(walled: Desk, repository: Repository, content: bytes) -> None:
    walled.server.answer = answers(200, content, "application/x-git-upload-pack-advertisement")
    with pytest.raises(FlowctlError):
        walled.clone(repository, "v1.0.0")


def answers(status: int, content: bytes = b"", kind: str = "text/plain") -> Callable[[object], bool]:
    def answer(handler: object) -> bool:
        handler.send_response(status)  # type: ignore[attr-defined]
        handler.send_header("Content-Type", kind)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", str(len(content)))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(content)  # type: ignore[attr-defined]
        return True

    return answer


def test_a_cancelled_build_ends_its_git(desk: Desk, repository: Repository) -> None:
    desk.server.answer = never
    timer = threading.Timer(0.5, desk.cancelled.set)
    timer.start()
    with pytest.raises(CancelledError):
        desk.clone(repository, "v1.0.0")
    timer.join()
    assert subprocess.run(["pgrep", "-f", repository.url], capture_output=True).returncode == 1, "no process is left"


def test_a_server_that_never_answers_is_given_up(walled: Desk, repository: Repository) -> None:
    walled.server.answer = never
    with pytest.raises(SourceError, match="clone_s"):
        walled.clone(repository, "v1.0.0", clone_s=1)


@pytest.mark.parametrize("ref", ["--upload-pack=id", "-x", "a b", "a..b"])
def test_options_are_no_refs(walled: Desk, repository: Repository, ref: str) -> None:
    with pytest.raises(BadRequestError):
        walled.clone(repository, ref)
