"""Addresses, refs and tags of repositories, as strangers write them: what is not plainly harmless is refused."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from flowctl_registry.errors import BadRequestError
from flowctl_registry.models.names import VERSION_PATTERN
from flowctl_registry.settings import Sources

_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_PATH = re.compile(r"(?:/[A-Za-z0-9_+~@=,.-]+)+/?")
_REF = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VERSION = re.compile(VERSION_PATTERN[1:-1])
_URL_HINT = "Write https://HOST/PATH, without user, password and options."


@dataclass(frozen=True)
class GitUrl:
    """An address that may be given to git."""

    text: str
    """Scheme and host in lower case, no user, no query."""
    host: str
    port: int
    key: str
    """Host and path in lower case, without `.git`: two addresses of one repository have the same."""

    def __str__(self) -> str:
        return self.text


def parse(text: str, settings: Sources) -> GitUrl:
    """Check an address. Raises BadRequestError, which never repeats a password."""
    if len(text) > 2_000 or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadRequestError("the repository's address has characters that do not belong there", hint=_URL_HINT)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadRequestError("the repository's address cannot be read", hint=_URL_HINT) from None
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    if scheme not in settings.schemes:
        allowed = ", ".join(f"{each}://" for each in settings.schemes)
        raise BadRequestError(
            f"repositories are fetched by {allowed} only", hint="The operator allows more: sources.schemes."
        )
    if "@" in parts.netloc:
        raise BadRequestError("the repository's address holds a user or password", hint=_URL_HINT)
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise BadRequestError("the repository's address has more than a path", hint=_URL_HINT)
    check_host(host)
    path = _checked_path(parts)
    port = port or _PORTS[scheme]
    if port not in settings.ports:
        raise BadRequestError(
            f"port {port} is not allowed for repositories", hint="The operator allows more: sources.ports."
        )
    if not any(fnmatch.fnmatchcase(host, glob.lower()) for glob in settings.hosts):
        raise BadRequestError(
            f"{host} is not on the list of hosts for repositories", hint="The operator allows more: sources.hosts."
        )
    shown = f"[{host}]" if ":" in host else host
    place = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    key = f"{place}{path.removesuffix('.git')}".lower()
    return GitUrl(f"{scheme}://{place}{path}", host, port, key)


def check_host(host: str) -> None:
    """A name or an address, written as such. Raises BadRequestError."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # 0x7f.1, 2130706433 and the like are addresses to resolvers, and names to lists of hosts
        last = host.rpartition(".")[2]
        if not _HOST.fullmatch(host) or last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
            raise BadRequestError("the address has no host that can be used", hint="Write https://HOST/PATH.") from None


def _checked_path(parts: SplitResult) -> str:
    path = parts.path.rstrip("/")
    names = unquote(path).split("/")
    if not _PATH.fullmatch(path) or any(name in (".", "..") or name.startswith("-") for name in names):
        raise BadRequestError("the path of the repository's address cannot be used", hint=_URL_HINT)
    return path


def resolve(base: GitUrl, text: str, settings: Sources) -> GitUrl:
    """A submodule's address: `../other` is relative to the repository's. Raises BadRequestError."""
    if text.startswith(("./", "../")):
        whole = urlsplit(base.text)
        names, rest = whole.path.strip("/").split("/"), text
        while rest.startswith(("./", "../")):
            first, _, rest = rest.partition("/")
            if first == ".." and not names:
                raise BadRequestError("a submodule's address leads above its server", hint="Write its whole address.")
            names = names[:-1] if first == ".." else names
        return parse(f"{whole.scheme}://{whole.netloc}/" + "/".join([*names, rest]), settings)
    return parse(text, settings)


def check_ref(ref: str) -> str:
    """A tag, branch, commit or `refs/…`, as git itself would take it. Raises BadRequestError."""
    parts = ref.split("/")
    if (
        len(ref) > 250
        or not _REF.fullmatch(ref)
        or ".." in ref
        or "@{" in ref
        or ref == "@"
        or any(not part or part.startswith(".") or part.endswith((".lock", ".")) for part in parts)
    ):
        raise BadRequestError("that is no tag, branch or commit", hint="Write v1.2.3, main, or all digits of a commit.")
    return ref


def is_commit(ref: str) -> bool:
    """All digits of a commit?"""
    return _COMMIT.fullmatch(ref) is not None


def check_subdirectory(path: str) -> str:
    """A folder of a repository, `.` is its top. Raises BadRequestError."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if (
        len(path) > 400
        or not path.isprintable()
        or "\\" in path
        or path.startswith("/")
        or any(part == ".." or part.startswith("-") or part.lower().rstrip(". ") == ".git" for part in parts)
    ):
        raise BadRequestError("that is no folder of a repository", hint="Write it relative to the top: sources/mqtt.")
    return "/".join(parts) or "."


def check_pattern(pattern: str) -> str:
    """A glob over tags: `v*`, `mqtt/v*`. Raises BadRequestError."""
    if not re.fullmatch(r"[A-Za-z0-9_@+./*?-]{1,200}", pattern) or pattern.startswith("-") or not _wild(pattern):
        raise BadRequestError(
            "that is no pattern of tags", hint="Write the tag's beginning and `*` for the version: v*, or mqtt/v*."
        )
    return pattern


def _wild(pattern: str) -> bool:
    return pattern.count("*") == 1 and "?" not in pattern


def version_of(tag: str, pattern: str) -> str | None:
    """The version that a tag names; None when the tag is none of the pattern's, or names no version (`v1`)."""
    begin, _, end = pattern.partition("*")
    if not (tag.startswith(begin) and tag.endswith(end) and len(tag) >= len(begin) + len(end)):
        return None
    named = tag[len(begin) : len(tag) - len(end)]
    if not begin or begin.endswith(("/", "-", "_")):
        named = named.removeprefix("v")
    return named if _VERSION.fullmatch(named) and len(named) <= 100 else None
