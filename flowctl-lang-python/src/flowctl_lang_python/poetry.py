"""Poetry's own dependency spelling (`^1.2`, `~1.2`, tables) as standard requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)")


def version_specifier(constraint: str) -> str:
    """A PEP 440 specifier for a Poetry constraint; empty for `*` and for what PEP 440 cannot say (`||`)."""
    text = constraint.strip()
    if "|" in text:
        return ""
    parts = re.split(r"\s*,\s*|\s+(?=[<>=!~^])", text)
    return ",".join(filter(None, (_one(part.strip()) for part in parts)))


def _one(part: str) -> str:
    if part in ("", "*"):
        return ""
    if part.startswith(("^", "~")) and not part.startswith("~="):
        found = _RELEASE.match(part[1:].strip())
        if found is None:
            return ""
        numbers = [int(number) for number in found.group(1).split(".")]
        return f">={part[1:].strip()},<{_upper(numbers, caret=part[0] == '^')}"
    if part[0] in "<>=!~":
        return re.sub(r"^([<>=!~]+)\s+", r"\1", part)
    return f"=={part}"


def _upper(numbers: list[int], *, caret: bool) -> str:
    if caret:
        fixed = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        fixed = min(1, len(numbers) - 1)
    return ".".join(str(number) for number in [*numbers[:fixed], numbers[fixed] + 1])


def requirements(table: Mapping[str, Any], *, optional: bool = False) -> Iterator[str]:
    """PEP 508 requirements for a Poetry dependency table, without `python`.

    Optional dependencies (those that only extras bring) are left out unless `optional`. Paths are written
    with uv's `${PROJECT_ROOT}`: no absolute path gets into a plan.
    """
    for name, value in table.items():
        if name.lower() == "python":
            continue
        for form in value if isinstance(value, list) else [value]:
            if isinstance(form, str):
                yield name + version_specifier(form)
            elif isinstance(form, Mapping) and (optional or not form.get("optional")):
                yield _from_table(name, form)


def _from_table(name: str, form: Mapping[str, Any]) -> str:
    extras = f"[{','.join(form['extras'])}]" if form.get("extras") else ""
    if "git" in form:
        revision = form.get("rev") or form.get("tag") or form.get("branch")
        where = f" @ git+{form['git']}" + (f"@{revision}" if revision else "")
    elif "url" in form:
        where = f" @ {form['url']}"
    elif "path" in form:
        where = " @ file://${PROJECT_ROOT}/" + str(form["path"])
    else:
        where = version_specifier(str(form.get("version", "*")))
    markers = [str(form["markers"])] if form.get("markers") else []
    if form.get("python"):
        specifier = version_specifier(str(form["python"]))
        markers += [
            f"python_version {found.group(1)} '{found.group(2)}'"
            for found in re.finditer(r"([<>=!~]+)([\d.]+)", specifier)
        ]
    marker = " and ".join(f"({text})" if len(markers) > 1 else text for text in markers)
    return name + extras + where + (f" ; {marker}" if marker else "")
