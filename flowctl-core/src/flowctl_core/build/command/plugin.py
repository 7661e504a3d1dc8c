"""The `command` builder: `build.native.command` (argv) or `commands` (shell strings) of component.yaml."""

from __future__ import annotations

from pathlib import PurePosixPath

from flowctl_core.build.command import release
from flowctl_core.build.command.made import remove_made
from flowctl_core.build.command.run import TEST_COMMAND_HINT, build, run_tests
from flowctl_core.errors import NoTestsError, PlanError
from flowctl_core.hookspecs import hookimpl
from flowctl_core.models import (
    Artifact,
    BuildContext,
    BuildResult,
    CleanReport,
    DependencyReport,
    Detection,
    EntryPoint,
    Evidence,
    ImageFile,
    ImagePlan,
    Inputs,
    NativeBuild,
    Plan,
    PlanRequest,
    Platform,
    ReleaseResult,
    SourceTree,
    TestReport,
    ToolRequirement,
)

NAME = "command"
IMAGE_BASE = "gcr.io/distroless/cc-debian12"
"""For images, where component.yaml and the configuration name no other: libc, libstdc++, certificates, no shell."""


def _native(source: SourceTree) -> NativeBuild | None:
    native = source.component.native_build if source.component is not None else None
    return native if native is not None and (native.command or native.commands) else None


class CommandBuilder:
    """Builds what component.yaml says by the command that it gives."""

    contract = 1

    @hookimpl
    def flowctl_detect(self, source: SourceTree) -> Detection | None:
        """Mine when component.yaml gives a command, unless `--language` asks for a language's builder."""
        native = _native(source)
        if native is None or source.component is None or source.language not in (None, NAME):
            return None
        languages = source.component.languages
        return Detection(
            language=languages[0].name if languages else NAME,
            aliases=(NAME,),
            basis="component",
            confidence=1.0,
            evidence=(Evidence(path="component.yaml", reason="gives a native build command"),),
        )

    @hookimpl
    def flowctl_plan(self, source: SourceTree, request: PlanRequest) -> Plan | None:
        """One entry point; every file of the tree is an input."""
        native = _native(source)
        if native is None:
            raise PlanError(
                "component.yaml gives no build command",
                hint="Add spec.build.native.command, or choose a language with --language.",
            )
        generated = tuple(path for path in (native.binary, *_declared_outputs(source)) if path)
        for path in generated:
            _require_inside(source, path)
        return Plan(
            component=request.name,
            version=request.version,
            language=request.language,
            profile=request.profile,
            platforms=request.platforms,
            entry_points=(EntryPoint(name=request.name, path=native.binary or request.name),),
            inputs=Inputs(),
            generated=generated,
            toolchain=tuple(_tools(native, source)),
            environment=native.environment,
            settings=request.settings,
            details={
                "command": list(native.command),
                "commands": list(native.commands),
                "binary": native.binary,
                "runtime": native.runtime,
                "outputs": list(_declared_outputs(source)),
            },
            limitations=release.limitations(request.platforms) if request.profile == "release" else (),
            warnings=tuple(_warnings(native)),
        )

    @hookimpl
    def flowctl_build(self, plan: Plan, context: BuildContext) -> BuildResult:
        """Run the command in the component's folder and take the binary that it made."""
        return build(plan, context)

    @hookimpl
    def flowctl_build_multiplatform(self, plan: Plan, context: BuildContext) -> ReleaseResult:
        """The same command, for the platform of this machine."""
        return release.build_release(plan, context)

    @hookimpl
    def flowctl_dependencies(self, plan: Plan, context: BuildContext) -> DependencyReport | None:
        """Unknown: only the command knows what it used."""
        return None

    @hookimpl
    def flowctl_image(self, plan: Plan, artifact: Artifact) -> ImagePlan:
        """A base with the C library: what the command made may need it."""
        return ImagePlan(base=IMAGE_BASE, files=(ImageFile(source=artifact.path, target="/app/component"),))

    @hookimpl
    def flowctl_clean(self, plan: Plan, context: BuildContext) -> CleanReport:
        """Remove what the command made; what was there before the first build stays."""
        return CleanReport(removed=remove_made(plan, context))

    @hookimpl
    def flowctl_test(self, plan: Plan, context: BuildContext) -> TestReport:
        """Run the configured test command; component.yaml has no field for one."""
        if not plan.settings.test_command:
            raise NoTestsError(
                f"no test command is known for {plan.component}, which is built by its own command",
                hint=TEST_COMMAND_HINT.format(language=plan.language),
            )
        return run_tests(plan, context)


def _declared_outputs(source: SourceTree) -> tuple[str, ...]:
    """`build.x-outputs`: further paths that the command makes and the program needs."""
    outputs = source.extra("x-outputs")  # noqa: S610 - not a database query
    return tuple(str(path) for path in outputs) if isinstance(outputs, list) else ()


def _require_inside(source: SourceTree, path: str) -> None:
    """What the command makes is copied, cached and removed by `clean`: all of it in the component's folder."""
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise PlanError(
            f"component.yaml says that the build command makes {path}, which is outside the component's folder",
            hint="Let the command make it in the component's folder, and name it relative to that folder.",
        )
    source.path(path)  # raises when a link on the way leads outside


def _tools(native: NativeBuild, source: SourceTree) -> list[ToolRequirement]:
    program = native.command[0] if native.command else "sh"
    if "/" in program or source.exists(program):
        return []
    packages = f" (component.yaml names: {', '.join(native.dependencies)})" if native.dependencies else ""
    hint = f"Install {program} and put it on PATH{packages}."
    return [ToolRequirement(name=program, version_command=(), declared_in="component.yaml", install_hint=hint)]


def _warnings(native: NativeBuild) -> list[str]:
    host = Platform.host()
    warnings = []
    for variable, value in (("GOOS", host.os), ("GOARCH", host.arch)):
        forced = native.environment.get(variable)
        if forced not in (None, value):
            warnings.append(f"component.yaml forces {variable}={forced}: the program will not run on this host, {host}")
    return warnings


plugin = CommandBuilder()
