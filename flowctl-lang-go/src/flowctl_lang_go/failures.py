"""What Go's own words mean: the class of error and what to do about it."""

from __future__ import annotations

import re

from flowctl_core.errors import (
    BuildError,
    DependenciesMissingError,
    FetchError,
    FlowctlError,
    StoreError,
    ToolchainError,
)
from flowctl_core.models import CompletedCommand

_TIDY = "Run `go mod tidy` in the module's folder and commit go.mod and go.sum."
_UNTIDY = re.compile(
    r"missing go\.sum entry|updates to go\.(mod|work|sum) needed|no required module provides package|"
    r"import lookup disabled by -mod=readonly|go\.mod file indicates go .* but|is not in your go\.mod file"
)
_LOOKUP_OFF = re.compile(r"(?:(\S+@\S+): |(?:package )?(\S+): )?module lookup disabled by GOPROXY=off")
_MODULE = re.compile(r"(?<![\w/.@-])([\w.~-]+(?:/[\w.~!-]+)+@v[\w.+-]+)")


def build_failure(done: CompletedCommand, what: str) -> FlowctlError:
    """The error for a `go build`, `go list` or `go test` that ended badly."""
    output = done.output
    general = _general(done, what)
    if general is not None:
        return general
    if "module lookup disabled by GOPROXY=off" in output:
        return DependenciesMissingError(
            f"{what}: dependencies are not on this machine: {_missing(output)}",
            hint="Build without --offline once, so that they can be fetched.",
            output=output,
        )
    if "inconsistent vendoring" in output or "import lookup disabled by -mod=vendor" in output:
        return BuildError(
            f"{what}: the vendor folder does not match go.mod",
            hint="Run `go mod vendor` (in a workspace `go work vendor`) and commit the result.",
            output=output,
        )
    if _UNTIDY.search(output):
        return BuildError(f"{what}: go.mod or go.sum lacks entries", hint=_TIDY, output=output)
    if re.search(r'C compiler "[^"]*" not found|cgo: .*exec: |executable file not found in \$PATH', output):
        return BuildError(
            f"{what}: a tool that cgo needs is missing",
            hint="Install the program that is named below.",
            output=output,
        )
    return BuildError(f"{what} failed", output=output)


def fetch_failure(done: CompletedCommand, what: str, *, offline: bool) -> FlowctlError:
    """The error for a `go mod download` that ended badly."""
    output = done.stderr.strip() or done.output
    general = _general(done, what)
    if general is not None:
        return general
    if offline or "module lookup disabled by GOPROXY=off" in output:
        return FetchError(
            f"offline, and these modules are not on this machine: {_missing(output)}",
            hint="Run once with the network, or commit a vendor folder (`go mod vendor`).",
            output=output,
        )
    if "SECURITY ERROR" in output or "checksum mismatch" in output:
        hint = (
            "What was downloaded is not what go.sum recorded: find out who changed it before anything else; "
            "`go clean -modcache` helps only when the copy on this machine is damaged."
        )
        return FetchError(f"{what}: a module does not match its checksum", hint=hint, output=output)
    if _UNTIDY.search(output):
        return FetchError(f"{what}: go.mod or go.sum lacks entries", hint=_TIDY, output=output)
    if re.search(r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|proxyconnect", output):
        hint = "Check the network, GOPROXY and HTTPS_PROXY; --offline uses only what is on this machine."
        return FetchError(f"{what}: the module proxy cannot be reached", hint=hint, output=output)
    if re.search(r"404 Not Found|410 Gone|unknown revision|could not read Username|terminal prompts", output):
        hint = "Check the module's path and version in go.mod; for a private one set GOPRIVATE and git's credentials."
        return FetchError(f"{what}: a module was not found", hint=hint, output=output)
    return FetchError(f"{what} failed", output=output)


def _general(done: CompletedCommand, what: str) -> FlowctlError | None:
    """What can go wrong in any command."""
    output = done.output
    too_old = re.search(r"requires go >= ?([\d.]+\w*) \(running go ?([\d.]+\w*)", output)
    if too_old:
        return ToolchainError(
            f"Go {too_old[1]} or newer is needed, {too_old[2]} was used",
            hint="Install it: pip install 'flowctl-lang-go[toolchain]'; and let go.mod say `go "
            f"{too_old[1]}`, so that the right one is chosen.",
            output=output,
        )
    if "no space left on device" in output:
        return StoreError(
            f"{what}: the disk is full",
            hint="Free some space; `go clean -cache` empties Go's own build cache.",
            output=output,
        )
    return None


def _missing(output: str) -> str:
    """The modules that the output names, else the packages."""
    named = list(dict.fromkeys(_MODULE.findall(output)))
    if not named:
        found = (match[1] or match[2] or "" for match in _LOOKUP_OFF.finditer(output))
        named = list(dict.fromkeys(name for name in found if not re.search(r"^$|\.go:\d+", name)))
    shown = ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "")
    return shown or "see below"
