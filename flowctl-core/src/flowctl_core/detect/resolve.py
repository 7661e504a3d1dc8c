"""One winner out of all builders' answers: component.yaml, then manifests, then evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowctl_core.errors import AmbiguousDetectionError, DetectorCrashedError, NothingDetectedError
from flowctl_core.models import Candidate, Detection, DetectionReport

_BASIS_RANK = {"component": 2, "manifest": 1, "files": 0}
_CORE_LANGUAGES = {"go": "go", "golang": "go", "rust": "rust", "node": "node", "nodejs": "node"} | {
    "javascript": "node",
    "typescript": "node",
    "python": "python",
}


@dataclass(frozen=True)
class Answer:
    """What one builder said: a detection, None for «not mine», or how it crashed."""

    builder: str
    distribution: str
    detection: Detection | None = None
    crash: str | None = None


def resolve(
    answers: Sequence[Answer], *, where: str, language: str | None, preferred: str | None = None
) -> DetectionReport:
    """Choose the winner.

    `language` is what `--language` or component.yaml asks for; `preferred` names the builder (plugin or
    distribution) that the user's configuration sets for it.

    Raises NothingDetectedError, AmbiguousDetectionError (naming both distributions) or DetectorCrashedError: a
    crash only matters when no other builder has a manifest's worth of evidence, since its answer is unknown.
    """
    answered = [answer for answer in answers if answer.detection is not None]
    crashed = [answer for answer in answers if answer.crash is not None]
    silent = tuple(sorted(answer.builder for answer in answers if answer.detection is None and answer.crash is None))

    ranked = sorted(answered, key=_rank, reverse=True)
    lost: dict[str, str] = {}
    contenders = []
    for answer in ranked:
        reason = _excluded(answer, language, preferred)
        if reason:
            lost[answer.builder] = reason
        else:
            contenders.append(answer)

    best = contenders[0] if contenders else None
    if crashed and (best is None or _rank(best)[0] == _BASIS_RANK["files"]):
        raise _crash_error(crashed)
    if best is None:
        raise _nothing(where, language, answers, lost)
    equal = [answer for answer in contenders[1:] if _rank(answer) == _rank(best)]
    if equal:
        raise _ambiguous(where, [best, *equal])
    for answer in contenders[1:]:
        lost[answer.builder] = _why_lost(answer, best)
    return DetectionReport(
        winner=_candidate(best, None),
        lost=tuple(_candidate(answer, lost[answer.builder]) for answer in ranked if answer is not best),
        silent=silent,
    )


def _detected(answer: Answer) -> Detection:
    assert answer.detection is not None  # noqa: S101 - callers pass answered ones only
    return answer.detection


def _rank(answer: Answer) -> tuple[int, float]:
    detection = _detected(answer)
    return _BASIS_RANK[detection.basis], round(detection.confidence, 3)


def _candidate(answer: Answer, why: str | None) -> Candidate:
    return Candidate(
        builder=answer.builder, distribution=answer.distribution, detection=_detected(answer), lost_because=why
    )


def _excluded(answer: Answer, language: str | None, preferred: str | None) -> str | None:
    detection = _detected(answer)
    if language and detection.basis != "component" and language not in (detection.language, *detection.aliases):
        return f"the language asked for is {language}"
    if preferred and preferred not in (answer.builder, answer.distribution):
        return f"the configuration chooses {preferred}"
    return None


def _why_lost(answer: Answer, best: Answer) -> str:
    mine, winners = _detected(answer), _detected(best)
    if mine.basis != winners.basis:
        return f"{_basis_text(winners.basis)} outweighs {_basis_text(mine.basis)}"
    return f"confidence {mine.confidence:.2f} is below {winners.confidence:.2f} of {best.builder}"


def _basis_text(basis: str) -> str:
    return {"component": "the build command in component.yaml", "manifest": "a manifest", "files": "loose files"}[basis]


def _crash_error(crashed: Sequence[Answer]) -> DetectorCrashedError:
    names = ", ".join(f"{answer.builder} ({answer.distribution})" for answer in crashed)
    return DetectorCrashedError(
        f"detection crashed in {names}, so its answer is unknown",
        hint="Report this to the plugin's authors; meanwhile choose with --language, or uninstall the plugin.",
        output="\n\n".join(answer.crash or "" for answer in crashed),
    )


def _nothing(where: str, language: str | None, answers: Sequence[Answer], lost: dict[str, str]) -> NothingDetectedError:
    asked = ", ".join(sorted(answer.builder for answer in answers)) or "none installed"
    if language:
        package = _CORE_LANGUAGES.get(language)
        install = f"pip install flowctl-lang-{package}" if package else "`flowctl plugin list` shows what is installed"
        return NothingDetectedError(
            f"no installed builder builds {language} in {where} (asked: {asked})",
            hint=f"{install}; or give component.yaml a build.native.command.",
        )
    why = "".join(f"\n  {builder}: {reason}" for builder, reason in lost.items())
    return NothingDetectedError(
        f"no builder recognises {where} (asked: {asked}){why}",
        hint="Run in the component's folder, install the language's plugin (pip install flowctl-lang-…), "
        "or write a component.yaml with `flowctl component init`.",
    )


def _ambiguous(where: str, equal: Sequence[Answer]) -> AmbiguousDetectionError:
    claims = "; ".join(
        f"{answer.builder} ({answer.distribution}) by "
        + (", ".join(e.path for e in _detected(answer).evidence) or "its own judgement")
        for answer in equal
    )
    languages = sorted({_detected(answer).language for answer in equal})
    choose = (
        f"Choose with --language {' or --language '.join(languages)}"
        if len(languages) > 1
        else f"Choose with build.local.languages.{languages[0]}.builder in the configuration"
    )
    return AmbiguousDetectionError(
        f"equal claims on {where}: {claims}", hint=f"{choose}, or state spec.languages in component.yaml."
    )
