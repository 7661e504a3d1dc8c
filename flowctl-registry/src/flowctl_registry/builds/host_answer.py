"""The answer of the build host: what phases found, or the error as `flowctl` would have told it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from flowctl_core import errors
from flowctl_core.build_host import states as models
from flowctl_core.errors import BuildError, FlowctlError, StoreError, ToolTimeoutError
from flowctl_core.models.base import Frozen
from flowctl_registry.errors import TransientError
from flowctl_registry.sandbox.confinement import Outcome

States = dict[str, Any]
"""What phases found, by name (`export.json`, `build-linux-amd64.json`), as JSON."""

_MODELS: dict[str, type[Frozen]] = {
    "export": models.ExportState,
    "decide": models.DecideState,
    "fetch": models.FetchState,
    "test": models.TestState,
    "build": models.BuildState,
    "bases": models.BasesState,
    "assemble": models.AssembleState,
}
_NAME = re.compile(r"(?P<phase>[a-z]+)(-[a-z0-9-]+)?\.json")
_CLASSES: dict[str, type[FlowctlError]] = {
    known.code: known
    for known in vars(errors).values()
    if isinstance(known, type) and issubclass(known, FlowctlError) and known.__init__ is FlowctlError.__init__
}
_NETWORK_CODES = frozenset({"fetch", "image", "scan", "remote"})
_PASSING = re.compile(
    r"""connection\ (refused|reset|aborted|closed) | broken\ pipe | timed?[ -]?out | temporary\ failure
    | network\ is\ unreachable | no\ route\ to\ host | error\ sending\ request | dns\ error | cannot\ be\ reached
    | EAI_AGAIN | ECONN(RESET|REFUSED) | ETIMEDOUT | ENOTFOUND | unexpected\ eof | tls\ handshake | incomplete\ read
    | (^|\D)(429|500|502|503|504)(\D|$)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DISTRUST = re.compile(
    r"""UnknownIssuer | NotValidForName | InvalidCertificate | invalid\ peer\ certificate | x509: | ERR_TLS_CERT
    | certificate[\ _]verify[\ _]failed | certificate\ has\ expired | (self[-_ ]signed|DEPTH_ZERO_SELF_SIGNED)
    | unable\ to\ (get\ (local\ )?issuer|verify\ the\ first)\ certificate | UNABLE_TO_(GET_ISSUER|VERIFY)
    | server\ certificate\ verification\ failed | SSL\ certificate\ problem
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""How tools say that they do not trust a server's certificate, in the midst of words for a broken connection."""
_FORBIDDEN = re.compile(r"\(sandbox\.\w+\)|is not a public address|is this machine")
"""How the proxy refuses a host: no other try will help."""
_REACHED = {
    "cpu": "more processor time",
    "memory": "more memory",
    "processes": "more processes",
    "output": "more output",
    "disk": "more disk space",
}


def read_states(found: object) -> States:
    """What phases found, checked against the models. Raises BuildError when it is something else."""
    if not isinstance(found, dict):
        raise _broken("it has no states")
    checked: States = {}
    for name, state in found.items():
        match = _NAME.fullmatch(str(name))
        model = _MODELS.get(match["phase"]) if match is not None else None
        if model is None:
            raise _broken(f"{name} is no state")
        try:
            checked[name] = model.model_validate(state).model_dump(mode="json")
        except ValidationError as error:
            raise _broken(f"{name}: {error}") from error
    return checked


def failure_of(outcome: Outcome, answer: dict[str, Any] | None, tail: str, refused: Sequence[str]) -> FlowctlError:
    """Why there is no result: a limit, the phase's own error, or an end without an answer.

    `refused`: what the proxy did not let through.
    """
    if outcome.reached == "wall":
        return ToolTimeoutError(
            f"the build took longer than {outcome.wall_s:.0f} s, and was ended",
            hint=_hint("wall_s"),
            output=tail or None,
        )
    if outcome.reached in _REACHED:
        return BuildError(
            f"the build took {_REACHED[outcome.reached]} than builds may take here, and was ended",
            hint=_hint(f"{outcome.reached}…"),
            output=tail or None,
        )
    told = answer.get("error") if answer is not None else None
    if isinstance(told, dict) and isinstance(told.get("message"), str):
        return _told(told, refused)
    code = "killed" if outcome.exit_code is None else f"exit code {outcome.exit_code}"
    return BuildError(f"the build host ended without an answer ({code})", hint=_NO_ANSWER, output=tail or None)


_NO_ANSWER = "Something in the sandbox killed it: code of the source, or the system for want of memory."


def _hint(setting: str) -> str:
    return f"Make the build smaller, or ask the registry's operator for more (sandbox.{setting})."


def _told(told: dict[str, Any], refused: Sequence[str]) -> FlowctlError:
    message, code = str(told["message"]), str(told.get("code"))
    hint, output = (str(text) if (text := told.get(name)) is not None else None for name in ("hint", "output"))
    if code in _NETWORK_CODES and refused:
        output = "\n".join((*filter(None, (output,)), *refused))
    said = f"{message}\n{output or ''}"
    if code in _NETWORK_CODES and _PASSING.search(said) and not (_FORBIDDEN.search(said) or _DISTRUST.search(said)):
        return TransientError(message, hint=hint, output=output)
    if code == StoreError.code and "No space left" in said:
        return TransientError(message, hint="Free some space on the worker.", output=output)
    made: FlowctlError = _CLASSES.get(code, BuildError)(message, hint=hint, output=output)
    return made


def _broken(problem: str) -> BuildError:
    return BuildError(
        "the build host's answer is not what it should be",
        hint="Code of the source may have forged it.",
        output=problem,
    )
