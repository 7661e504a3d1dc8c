"""The tools that Rust needs: which versions the source declares, and what rustup would do about them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from flowctl_core.errors import PlanError, ToolchainError
from flowctl_core.models import BuildContext, SourceTree, ToolRequirement
from flowctl_lang_rust.manifest import Package, join, read_toml, table

INSTALL_HINT = (
    "Install Rust with rustup (https://rustup.rs), or on Debian and Ubuntu: apt install cargo rustc. "
    "An existing rustup installation: rustup update stable."
)
LINKER_HINT = "rustc links with a C compiler: apt install gcc libc6-dev; on macOS: xcode-select --install."

_EDITIONS = {"2018": "1.31", "2021": "1.56", "2024": "1.85"}
"""The first Rust that knows an edition."""
_LOCK_VERSIONS = {3: "1.53", 4: "1.78"}
"""The first cargo that reads a Cargo.lock of that version."""
_VERSION = re.compile(r"\d+(\.\d+){0,2}")
_PROFILE_SETTINGS = (
    *("CODEGEN_BACKEND", "CODEGEN_UNITS", "DEBUG", "DEBUG_ASSERTIONS", "INCREMENTAL", "LTO", "OPT_LEVEL"),
    *("OVERFLOW_CHECKS", "PANIC", "RPATH", "SPLIT_DEBUGINFO", "STRIP"),
)
_HOST_TRIPLES = (
    *(f"{arch}_UNKNOWN_LINUX_{libc}" for arch in ("X86_64", "AARCH64") for libc in ("GNU", "MUSL")),
    *(f"{arch}_APPLE_DARWIN" for arch in ("X86_64", "AARCH64")),
)

PASSTHROUGH = (
    *("AR", "CC", "CFLAGS", "CXX", "CXXFLAGS", "LDFLAGS", "LD_LIBRARY_PATH", "LIBRARY_PATH"),
    *("MACOSX_DEPLOYMENT_TARGET", "PKG_CONFIG_PATH", "PROTOC", "SDKROOT", "SOURCE_DATE_EPOCH"),
    *("RUSTC", "RUSTC_BOOTSTRAP", "RUSTC_LINKER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_WRAPPER"),
    *("RUSTDOCFLAGS", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL"),
    *("CARGO_BUILD_RUSTC", "CARGO_BUILD_RUSTC_WRAPPER", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"),
    *(f"CARGO_TARGET_{triple}_{name}" for triple in _HOST_TRIPLES for name in ("LINKER", "RUSTFLAGS", "RUNNER")),
    *(f"CARGO_PROFILE_{profile}_{name}" for profile in ("DEV", "RELEASE") for name in _PROFILE_SETTINGS),
)
"""Caller's variables that change what cargo makes; the Cargo Book's «Environment Variables» names them."""


def requirements(
    *, minimum: str = "", declared_in: str | None = None, channel: str | None = None, linker_optional: bool = False
) -> tuple[ToolRequirement, ...]:
    """cargo, rustc and a C linker. No Python wheel carries a Rust toolchain, so nothing is bundled.

    `channel`: what a rust-toolchain file pins. `linker_optional`: `cc` is not
    insisted on (the source configures a linker, or zig may link).
    """
    version = f">={minimum}" if minimum else ""
    declared_in = declared_in if minimum else None
    hint = f"rustup toolchain install {channel}" if channel else INSTALL_HINT
    return (
        *(
            ToolRequirement(name=name, version=version, declared_in=declared_in, install_hint=hint)
            for name in ("cargo", "rustc")
        ),
        ToolRequirement(name="cc", install_hint=LINKER_HINT, optional=linker_optional),
    )


CROSS_HINT = 'pip install "flowctl-lang-rust[cross]"'


def cross_tools(triples: Iterable[str] = ()) -> tuple[ToolRequirement, ...]:
    """What links for other platforms, all optional: zig behind cargo-zigbuild, else a cross gcc for a triple.

    Which of them a platform needs is known only when rustc has said which targets it has.
    """
    compilers = dict.fromkeys(name for triple in triples if (name := cross_compiler(triple)) is not None)
    return (
        ToolRequirement(
            name="zig",
            version=">=0.13",
            version_command=("version",),
            bundled_in=("ziglang:ziglang/zig",),
            install_hint=CROSS_HINT,
            optional=True,
        ),
        ToolRequirement(
            name="cargo-zigbuild",
            version=">=0.20",
            bundled_in=("cargo-zigbuild:../../../bin/cargo-zigbuild",),
            install_hint=CROSS_HINT,
            optional=True,
        ),
        *(
            ToolRequirement(name=name, install_hint=f"apt install {cross_package(name)}", optional=True)
            for name in compilers
        ),
    )


def cross_compiler(triple: str) -> str | None:
    """The gcc that Debian and its kin name after a gnu triple: `aarch64-linux-gnu-gcc`."""
    parts = triple.split("-")
    if len(parts) != 4 or parts[2] != "linux" or not parts[3].startswith("gnu"):
        return None
    arch = {"armv7": "arm", "i686": "i686", "riscv64gc": "riscv64"}.get(parts[0], parts[0])
    return f"{arch}-linux-{parts[3]}-gcc"


def cross_package(compiler: str) -> str:
    """Debian's package of a cross gcc."""
    return "gcc-" + compiler.removesuffix("-gcc").replace("_", "-")


def minimum_version(source: SourceTree, packages: Iterable[Package], lock: str | None) -> tuple[str, str | None]:
    """The lowest Rust that the packages accept and the file that says so; `("", None)` when nothing does.

    Looks at rust-version, the edition and the version of the lockfile.
    """
    claims: list[tuple[str, str]] = []
    for package in packages:
        if package.rust_version and _VERSION.fullmatch(package.rust_version):
            claims.append((package.rust_version, f"{package.manifest} rust-version"))
        if package.edition in _EDITIONS:
            claims.append((_EDITIONS[package.edition], f"{package.manifest} edition {package.edition}"))
    if lock is not None and source.exists(lock):
        version = _lock_version(source, lock)
        if version in _LOCK_VERSIONS:
            claims.append((_LOCK_VERSIONS[version], f"{lock} version {version}"))
    return max(claims, key=lambda claim: _key(claim[0]), default=("", None))


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _lock_version(source: SourceTree, path: str) -> int | None:
    try:
        version = read_toml(source, path).get("version")
    except PlanError:
        return None  # cargo names the fault in its own words
    return version if isinstance(version, int) else None


def pinned_channel(source: SourceTree, folder: str) -> tuple[str, str] | None:
    """The channel that a rust-toolchain file pins for a folder, and that file; the nearest one counts.

    Raises PlanError when the file is not TOML.
    """
    while True:
        for name in ("rust-toolchain", "rust-toolchain.toml"):  # rustup's own order
            path = join(folder, name)
            if source.exists(path):
                channel = _channel(source, path)
                return None if channel is None else (channel, path)
        if folder == ".":
            return None
        folder = join(folder, "..")


def _channel(source: SourceTree, path: str) -> str | None:
    text = source.read_text(path).strip()
    if not path.endswith(".toml") and "\n" not in text and "[" not in text:
        return text or None
    channel = table(read_toml(source, path), "toolchain").get("channel")
    return channel if isinstance(channel, str) and channel else None


def check_channel(context: BuildContext, channel: str, declared_in: str, folder: str) -> None:
    """Refuse a pinned channel that rustup does not have, before an older rustup downloads it unasked.

    A cargo that is not rustup's ignores the file; that is said as a warning. Raises ToolchainError.
    """
    environment = context.environment
    if environment.get("RUSTUP_TOOLCHAIN"):
        return
    home = Path(environment.get("RUSTUP_HOME") or Path(environment.get("HOME") or Path.home()) / ".rustup")
    if not _is_rustup_shim(context.tool("cargo").path):
        context.progress.warning(
            f"{declared_in} pins {channel}, which only rustup honours; {context.tool('cargo').path} is used as it is"
        )
        return
    if _overridden(home, context.source_root / folder):
        return
    try:
        installed = [entry.name for entry in (home / "toolchains").iterdir()]
    except OSError:
        return  # cargo itself says what is wrong
    if not any(name == channel or name.startswith(f"{channel}-") for name in installed):
        raise ToolchainError(
            f"{declared_in} pins Rust {channel}, which is not installed",
            hint=f"rustup toolchain install {channel}",
            output="installed toolchains: " + (", ".join(sorted(installed)) or "none"),
        )


def _is_rustup_shim(cargo: Path) -> bool:
    """rustup's shims are links (or copies) beside `rustup` itself."""
    return cargo.resolve().name == "rustup" or (cargo.parent / "rustup").exists()


def _overridden(home: Path, folder: Path) -> bool:
    """True when `rustup override` chose a toolchain for the folder, which outranks the file."""
    try:
        overrides = tomllib.loads((home / "settings.toml").read_text(encoding="utf-8")).get("overrides", {})
    except (OSError, ValueError):
        return False
    return isinstance(overrides, dict) and any(folder.resolve().is_relative_to(path) for path in overrides)
