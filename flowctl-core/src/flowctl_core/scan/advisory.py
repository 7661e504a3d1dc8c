"""An advisory in OSV's format (https://ossf.github.io/osv-schema/), as far as a scan reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError


class NotAnAdvisoryError(Exception):
    """The text is no advisory; str() says why."""


def _none_is_empty(value: Any) -> Any:
    return [] if value is None or value == "" else value


def _severity_word(value: Any) -> Any:
    """`severity` of a mapping that is otherwise each database's own affair, and not kept."""
    word = value.get("severity") if isinstance(value, dict) else value
    return word if isinstance(word, str) else None


_Texts = Annotated[tuple[str, ...], BeforeValidator(_none_is_empty)]
_SeverityWord = Annotated[str | None, BeforeValidator(_severity_word)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(_Part):
    """A point in a range; exactly one field is set."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(_Part):
    """Affected versions."""

    type: str
    events: Annotated[tuple[Event, ...], BeforeValidator(_none_is_empty)] = ()


class SeverityEntry(_Part):
    """A CVSS vector, or a word of a database."""

    type: str = ""
    score: str = ""


class Package(_Part):
    """What is affected."""

    ecosystem: str = ""
    name: str = ""


class Affected(_Part):
    """A package and its affected versions."""

    package: Package = Package()
    ranges: Annotated[tuple[Range, ...], BeforeValidator(_none_is_empty)] = ()
    versions: _Texts = ()
    severity: Annotated[tuple[SeverityEntry, ...], BeforeValidator(_none_is_empty)] = ()
    ecosystem_specific: _SeverityWord = None
    """Its `severity`."""
    database_specific: _SeverityWord = None
    """Its `severity`."""

    @property
    def ecosystem(self) -> str:
        """Without the release that some ecosystems append (`Debian:12`)."""
        return self.package.ecosystem.partition(":")[0]


class Advisory(_Part):
    """One vulnerability as one database describes it."""

    id: str = Field(min_length=1, max_length=256)
    modified: str = ""
    withdrawn: str | None = None
    aliases: _Texts = ()
    summary: str | None = None
    details: str | None = None
    severity: Annotated[tuple[SeverityEntry, ...], BeforeValidator(_none_is_empty)] = ()
    affected: Annotated[tuple[Affected, ...], BeforeValidator(_none_is_empty)] = ()
    database_specific: _SeverityWord = None
    """Its `severity`."""

    @property
    def headline(self) -> str:
        """The summary, else the first sentence of the details."""
        text = " ".join((self.summary or self.details or "").split())
        if not self.summary:
            text = text.partition(". ")[0]
        return text if len(text) <= _HEADLINE else text[: _HEADLINE - 1].rstrip() + "…"

    @property
    def modified_utc(self) -> str:
        """`modified` in UTC, so that texts compare as times do; empty where there is none (Go's has the year 1)."""
        try:
            moment = datetime.fromisoformat(self.modified)
            if moment.year < _FIRST_YEAR:
                return ""
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime(_TIME)
        except (ValueError, OverflowError):
            return ""

    def stored(self) -> str:
        """What a scan needs of it, as JSON for the index."""
        short = self.model_copy(update={"summary": self.headline, "details": None})
        return short.model_dump_json(exclude_defaults=True)


_HEADLINE = 240
_FIRST_YEAR = 1990
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def parse_advisory(content: bytes) -> Advisory:
    """The advisory in JSON text. Raises NotAnAdvisoryError."""
    try:
        return Advisory.model_validate_json(content)
    except ValidationError as error:
        raise _refusal(error) from error


def parse_yaml_advisory(content: bytes) -> Advisory:
    """The advisory in YAML text, as the databases of Python and OSS-Fuzz keep them. Raises NotAnAdvisoryError.

    All values are read as text: a version `1.10` is no number.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="base", pure=True).load(content.decode())
    except (YAMLError, ValueError, RecursionError) as error:
        raise NotAnAdvisoryError(f"is not YAML: {' '.join(str(error).split())}"[:300]) from error
    if isinstance(data, dict) and data.get("withdrawn") in ("", "~", "null"):
        del data["withdrawn"]
    return advisory_from(data)


def advisory_from(data: Any) -> Advisory:
    """The advisory in parsed data. Raises NotAnAdvisoryError."""
    if not isinstance(data, dict):
        raise NotAnAdvisoryError("is no JSON object")
    try:
        return Advisory.model_validate(data)
    except ValidationError as error:
        raise _refusal(error) from error


def _refusal(error: ValidationError) -> NotAnAdvisoryError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return NotAnAdvisoryError(f"is not JSON: {first['ctx']['error']}"[:300])
    place = ".".join(str(part) for part in first["loc"])
    return NotAnAdvisoryError(f"is no OSV advisory: {place + ': ' if place else ''}{first['msg']}")
