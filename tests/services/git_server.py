"""A git server on loopback, by git's own http-backend, and repositories to fill it with."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

Answer = Callable[[http.server.BaseHTTPRequestHandler], bool]
"""Answers a request in its own way; False: as a git server does."""
_COMMIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.test", "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.test", "GIT_COMMITTER_DATE": "1700000000 +0000",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
}  # fmt: skip


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Run git as somebody who commits always at the same time."""
    environment = {**os.environ, **_COMMIT_ENVIRONMENT}
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=stdin, capture_output=True, env=environment)
    assert done.returncode == 0, f"git {arguments}: {done.stderr.decode()}"
    return done.stdout.decode(errors="surrogateescape").strip()


@dataclass
class Repository:
    """A bare repository that the server has."""

    path: Path
    url: str

    def commit(self, files: dict[str, bytes | str], *, branch: str = "main", tag: str | None = None) -> str:
        """Commit exactly these files; a text that begins with `link:` is a link. Returns the commit."""
        lines = []
        for name, content in files.items():
            mode, data = "100644", content.encode() if isinstance(content, str) else content
            if isinstance(content, str) and content.startswith("link:"):
                mode, data = "120000", content.removeprefix("link:").encode()
            blob = git(self.path, "hash-object", "-w", "--stdin", stdin=data)
            lines.append((mode, "blob", blob, name))
        return self.commit_tree(lines, branch=branch, tag=tag)

    def commit_tree(
        self, lines: list[tuple[str, str, str, str]], *, branch: str = "main", tag: str | None = None
    ) -> str:
        """Commit `(mode, type, object, path)`s as they stand, names that git itself would refuse too."""
        commit = git(self.path, "commit-tree", "-m", "commit", self._tree(lines))
        git(self.path, "update-ref", f"refs/heads/{branch}", commit)
        if tag is not None:
            git(self.path, "update-ref", f"refs/tags/{tag}", commit)
        return commit

    def _tree(self, lines: list[tuple[str, str, str, str]]) -> str:
        here: list[tuple[str, str, str, str]] = []
        below: dict[str, list[tuple[str, str, str, str]]] = {}
        for mode, kind, sha, path in lines:
            first, slash, rest = path.partition("/")
            if slash and first not in (".", "..") and kind != "raw":
                below.setdefault(first, []).append((mode, kind, sha, rest))
            else:
                here.append((mode, "blob" if kind == "raw" else kind, sha, path))
        here += [("040000", "tree", self._tree(each), name) for name, each in below.items()]
        raw = b"".join(
            mode.lstrip("0").encode() + b" " + os.fsencode(name) + b"\0" + bytes.fromhex(sha)
            for mode, _kind, sha, name in sorted(
                here, key=lambda e: os.fsencode(e[3]) + (b"/" if e[1] == "tree" else b"")
            )
        )
        return git(self.path, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        if annotated:
            git(self.path, "tag", "-f", "-a", "-m", "tag", name, commit)
        else:
            git(self.path, "update-ref", f"refs/tags/{name}", commit)


@dataclass
class GitServer:
    """Serves bare repositories below a folder, while it is open."""

    folder: Path
    answer: Answer | None = None
    """What tests put in the way of requests."""
    requests: list[str] = field(default_factory=list)
    """Method and path of each."""

    def __enter__(self) -> GitServer:
        server = self

        class Handler(_Handler):
            owner = server

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def create(self, name: str) -> Repository:
        """A new, empty repository."""
        path = self.folder / f"{name}.git"
        path.mkdir(parents=True)
        git(path, "init", "-q", "--bare", "-b", "main")
        return Repository(path, f"{self.url}/{name}.git")


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: GitServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        self.owner.requests.append(f"{self.command} {self.path}")
        try:
            if self.owner.answer is None or not self.owner.answer(self):
                self._backend()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _backend(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.owner.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command, "PATH_INFO": url.path, "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "127.0.0.1", "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def never(handler: http.server.BaseHTTPRequestHandler) -> bool:
    """Takes requests and answers none."""
    time.sleep(30)
    return True
