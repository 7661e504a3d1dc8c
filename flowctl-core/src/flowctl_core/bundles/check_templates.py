"""Templates and the bundle's own configuration against what the members can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flowctl_core.bundles.claims import Claims, items, mapping, meant
from flowctl_core.bundles.folder import BundleFolder
from flowctl_core.specfile.check_config import check_schema, value_problems
from flowctl_core.specfile.finding import Finding
from flowctl_core.specfile.node import plain_scalar
from flowctl_core.specfile.problems import Path

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}")


def check_templates(bundle: BundleFolder, claims: tuple[Claims, ...]) -> Iterator[Finding]:
    """Order and configuration of each template, then configuration that holds for all members."""
    members = {claim.member.name: claim for claim in claims}
    body = mapping(bundle.loaded.data.get("spec"))
    shared = _variables(body)
    names: set[str] = set()
    for index, template in enumerate(items(body.get("templates"))):
        here: Path = ("spec", "templates", index)
        name = str(mapping(template).get("name"))
        if name in names:
            yield bundle.loaded.finding("error", (*here, "name"), f"the name '{name}' is given twice")
        names.add(name)
        yield from _template(bundle, here, mapping(template), members, shared)
    yield from _config(bundle, body, members)


def _template(
    bundle: BundleFolder, here: Path, template: dict[str, Any], members: dict[str, Claims], shared: set[str]
) -> Iterator[Finding]:
    steps: dict[str, tuple[Path, Claims, dict[str, Any]]] = {}
    for index, item in enumerate(items(template.get("components"))):
        path = (*here, "components", index)
        if len(mapping(item)) != 1:
            yield bundle.loaded.finding("error", path, "must be one component's name with its settings")
        for name, settings in mapping(item).items():
            if name in steps:
                yield bundle.loaded.finding("error", (*path, name), f"'{name}' is in this template already")
            steps.setdefault(name, ((*path, name), members[name], mapping(mapping(settings).get("config"))))
    given: set[str] = set()
    for path, claim, values in steps.values():
        wanted = {str(each.value) for each in claim.inputs}
        if wanted and claim.type != "source" and not wanted & given:
            yield _not_fed(bundle, path, claim, [other for _, other, _ in steps.values()])
        given.update(str(each.value) for each in claim.outputs)
        yield from _values(bundle, (*path, "config"), claim, values, shared)


def _not_fed(bundle: BundleFolder, path: Path, claim: Claims, others: list[Claims]) -> Finding:
    """A member takes what one before it in the template gives; this one does not."""
    wanted = [str(each.value) for each in claim.inputs]
    later = next(
        (o.member.name for o in others if o is not claim and any(str(g.value) in wanted for g in o.outputs)), None
    )
    rest = f"; put '{later}' before it" if later else ""
    types = " or ".join(wanted[:3]) + (" …" if len(wanted) > 3 else "")
    return bundle.loaded.finding("error", path, f"takes {types}, which nothing before it in this template gives{rest}")


def _values(
    bundle: BundleFolder, path: Path, claim: Claims, values: dict[str, Any], shared: set[str]
) -> Iterator[Finding]:
    """Keys that the member knows, values that it takes, and nothing that it needs left out."""
    schemas = _schemas(claim)
    if schemas is None:
        return
    for key, value in values.items():
        schema = schemas.get(key)
        if schema is None:
            near = meant(key, schemas)
            yield bundle.loaded.finding(
                "warning", (*path, key), f"'{claim.member.name}' declares no such configuration key{near}"
            )
            continue
        for inner, message in value_problems(schema, _expanded(value, schema)):
            yield bundle.loaded.finding("error", (*path, key, *inner), message)
    for key, schema in schemas.items():
        needed = schema.get("required") is True and schema.get("default") is None
        if needed and key not in values and key.upper() not in shared:
            yield bundle.loaded.finding("error", path, f"lacks '{key}', which '{claim.member.name}' requires")


def _config(bundle: BundleFolder, body: dict[str, Any], members: dict[str, Claims]) -> Iterator[Finding]:
    """The bundle's configuration keys make sense, and what they give by default suits every member that reads it."""
    variables: dict[str, tuple[Path, Any]] = {}
    for group, keys in mapping(body.get("config")).items():
        for key, schema in mapping(keys).items():
            path: Path = ("spec", "config", group, key)
            for severity, (place, message) in check_schema(path, mapping(schema)):
                yield bundle.loaded.finding(severity, place, message)
            variable = mapping(schema).get("env")
            if isinstance(variable, str):
                if variable in variables:
                    other = bundle.loaded.line_of(*variables[variable][0])
                    yield bundle.loaded.finding("error", (*path, "env"), f"{variable} is set in line {other} as well")
                variables[variable] = ((*path, "default"), mapping(schema).get("default"))
    environment = mapping(body.get("shared")).get("environment")
    for name, value in mapping(environment).items():
        variables.setdefault(name, (("spec", "shared", "environment", name), value))
    for name, (place, value) in variables.items():
        for claim in members.values() if value is not None else ():
            schema = (_schemas(claim) or {}).get(name.lower())
            for _, message in value_problems(schema, _expanded(value, schema)) if schema is not None else ():
                problem = f"{name} is no value for '{name.lower()}' of '{claim.member.name}': {message}"
                yield bundle.loaded.finding("error", place, problem)


def _variables(body: dict[str, Any]) -> set[str]:
    """What the bundle sets for all members."""
    environment = mapping(body.get("shared")).get("environment")
    names = set(mapping(environment)) | {str(e).partition("=")[0] for e in items(environment) if isinstance(e, str)}
    keys = [mapping(schema) for group in mapping(body.get("config")).values() for schema in mapping(group).values()]
    return names | {str(schema["env"]) for schema in keys if schema.get("env") is not None}


def _schemas(claim: Claims) -> dict[str, dict[str, Any]] | None:
    """The member's configuration keys; None where it has no component.yaml to declare them in."""
    if claim.member.loaded is None:
        return None
    return {key: schema for key, schema in claim.member.loaded.spec.config.items() if isinstance(schema, dict)}


def _expanded(value: Any, schema: dict[str, Any]) -> Any:
    """`${VAR:-default}` with its default, as the type that the key has; text whose value is known only later stays."""
    if not isinstance(value, str):
        return value
    matches = list(_VARIABLE.finditer(value))
    if any(match.group(2) is None for match in matches):
        return value
    text = _VARIABLE.sub(lambda match: match.group(2), value)
    if matches and schema.get("type") in ("integer", "number", "boolean"):
        return plain_scalar(text)
    if matches and schema.get("type") in ("array", "object"):
        return value  # the member itself reads it from text
    return text
