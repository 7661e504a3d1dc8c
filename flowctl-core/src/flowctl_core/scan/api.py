"""Asks OSV's API (https://google.github.io/osv.dev/api/): which advisories hit which packages, then each of them.

Nothing that the API says is believed without looking: how many answers there are, that they end, their sizes and ids.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import stamina
from stamina.instrumentation import set_on_retry_hooks

import flowctl_core
from flowctl_core.errors import ScanError
from flowctl_core.models.scan import ScanDatabase
from flowctl_core.scan.advisory import Advisory, NotAnAdvisoryError, advisory_from
from flowctl_core.scan.database_files import MAX_ADVISORY
from flowctl_core.scan.ecosystems import OsvPackage

_BATCH = 1000
"""Queries in one question; OSV allows no more."""
_MAX_PAGES = 100
_MAX_ADVISORIES = 20_000
_AT_ONCE = 8
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}")
_HINT = "Try again later, or name a local database (--database, build.scan.database)."


@dataclass(frozen=True)
class Patience:
    """How long to wait."""

    connect_s: float = 5.0
    read_s: float = 20.0
    """For the next bytes of an answer."""
    total_s: float = 180.0
    """For everything that a scan asks."""
    attempts: int = 3
    """For each question; a refused connection, a stalled one, 429 and 5xx are asked again."""


@dataclass(frozen=True)
class ApiAnswers:
    """What the API knows."""

    advisories: list[list[Advisory]]
    """Of each package that was asked for, by id; withdrawn ones left out."""
    database: ScanDatabase


class _AgainError(Exception):
    """The server is busy or broken at the moment."""


def ask_api(base: str, packages: Sequence[OsvPackage], patience: Patience | None = None) -> ApiAnswers:
    """Ask for all packages. Raises ScanError when the API cannot be reached or does not keep to its protocol."""
    with _Api(base, patience or Patience()) as api:
        ids: list[list[str]] = []
        for start in range(0, len(packages), _BATCH):
            ids += api.affecting(packages[start : start + _BATCH])
        wanted = sorted({advisory_id for found in ids for advisory_id in found})
        if len(wanted) > _MAX_ADVISORIES:
            raise api.lies(f"names {len(wanted)} advisories")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            known = dict(zip(wanted, pool.map(api.advisory, wanted), strict=True))
        standing = {advisory_id: advisory for advisory_id, advisory in known.items() if not advisory.withdrawn}
        return ApiAnswers(
            [[standing[advisory_id] for advisory_id in sorted(set(found)) if advisory_id in standing] for found in ids],
            ScanDatabase(
                kind="api",
                location=api.location,
                newest=max((advisory.modified_utc for advisory in known.values()), default="") or None,
                digest=_digest(known.values()),
            ),
        )


def _digest(advisories: Any) -> str:
    total = hashlib.sha256()
    for advisory in advisories:
        total.update(advisory.stored().encode() + b"\0")
    return f"sha256:{total.hexdigest()}"


class _Api:
    """One scan's conversation with the API."""

    def __init__(self, base: str, patience: Patience) -> None:
        set_on_retry_hooks(())  # they would write log lines between what the user reads
        self._patience = patience
        self._deadline = time.monotonic() + patience.total_s
        try:
            self._base = httpx.URL(base.rstrip("/"))
        except httpx.InvalidURL as error:
            raise ScanError(f"'{base}' is no URL of OSV's API: {error}", hint="Mend build.scan.api.") from error
        self.location = str(self._base.copy_with(username=None, password=None, query=None, fragment=None))
        self._client = httpx.Client(
            timeout=httpx.Timeout(patience.read_s, connect=patience.connect_s),
            headers={"User-Agent": f"flowctl/{flowctl_core.__version__}", "Accept": "application/json"},
            limits=httpx.Limits(max_connections=_AT_ONCE),
        )

    def __enter__(self) -> _Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def lies(self, what: str) -> ScanError:
        """The error for an answer that breaks the protocol."""
        return ScanError(f"OSV's API at {self.location} {what}, which its protocol does not allow", hint=_HINT)

    def affecting(self, packages: Sequence[OsvPackage]) -> list[list[str]]:
        """Ids of advisories for each package: `POST /v1/querybatch`, asked again where an answer has more pages."""
        found: list[list[str]] = [[] for _ in packages]
        waiting = [(place, "") for place in range(len(packages))]
        for _ in range(_MAX_PAGES):
            if not waiting:
                return found
            body = {"queries": [_query(packages[place], token) for place, token in waiting]}
            answer = self._ask("POST", "/v1/querybatch", body)
            results = answer.get("results")
            if not isinstance(results, list) or len(results) != len(waiting):
                raise self.lies("answers with another number of results than was asked for")
            following: list[tuple[int, str]] = []
            for (place, _token), result in zip(waiting, results, strict=True):
                result = result or {}
                if not isinstance(result, dict) or not isinstance(result.get("vulns") or [], list):
                    raise self.lies("answers with results that are none")
                found[place] += [self._id(vulnerability) for vulnerability in result.get("vulns") or []]
                if result.get("next_page_token"):
                    following.append((place, str(result["next_page_token"])))
            waiting = following
        raise self.lies("never ends its list of advisories")

    def advisory(self, advisory_id: str) -> Advisory:
        """`GET /v1/vulns/{id}`."""
        answer = self._ask("GET", f"/v1/vulns/{quote(advisory_id, safe='')}")
        try:
            advisory = advisory_from(answer)
        except NotAnAdvisoryError as error:
            raise self.lies(f"gives for {advisory_id} what {error}") from error
        if advisory.id != advisory_id:
            raise self.lies(f"gives {advisory.id[:80]} for {advisory_id}")
        return advisory

    def _id(self, vulnerability: Any) -> str:
        advisory_id = vulnerability.get("id") if isinstance(vulnerability, dict) else None
        if not isinstance(advisory_id, str) or not _ID.fullmatch(advisory_id):
            raise self.lies("names an advisory without an id")
        return advisory_id

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            for attempt in stamina.retry_context(
                on=_may_pass,
                attempts=self._patience.attempts,
                timeout=max(0.0, self._deadline - time.monotonic()),
                wait_initial=0.2,
                wait_max=3.0,
            ):
                with attempt:
                    return self._once(method, path, body)
        except httpx.TransportError as error:
            what = str(error) or type(error).__name__
            raise ScanError(f"OSV's API at {self.location} cannot be reached: {what}", hint=_HINT) from error
        except _AgainError as error:
            raise ScanError(f"OSV's API at {self.location} {error}", hint=_HINT) from error
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, body: Any) -> dict[str, Any]:
        self._require_time()
        content = bytearray()
        with self._client.stream(method, f"{self._base}{path}", json=body) as response:
            if response.status_code == 429 or response.status_code >= 500:
                raise _AgainError(f"answers with status {response.status_code}")
            if response.status_code != 200:
                raise self.lies(f"answers {path} with status {response.status_code}")
            for piece in response.iter_bytes():
                content += piece
                if len(content) > MAX_ADVISORY:
                    raise self.lies(f"answers with more than {MAX_ADVISORY // 2**20} MiB")
                self._require_time()
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.lies("answers with what is no JSON") from error
        if not isinstance(answer, dict):
            raise self.lies("answers with what is no JSON object")
        return answer

    def _require_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise ScanError(f"OSV's API at {self.location} took longer than {self._patience.total_s:.0f} s", hint=_HINT)


def _may_pass(error: Exception) -> bool:
    """A host that nobody knows is no network at all: asking again would only keep people waiting."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return False
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, httpx.TransportError | _AgainError)


def _query(package: OsvPackage, token: str) -> dict[str, Any]:
    query: dict[str, Any] = {
        "package": {"name": package.name, "ecosystem": package.ecosystem.name},
        "version": package.version,
    }
    return {**query, "page_token": token} if token else query
