"""zig as the C compiler of releases: for each platform a target, on any host.

The wheel `ziglang` (extra `[cross]`) brings zig with musl, glibc's stubs of any version, and macOS' libSystem. Of what
Go's own library links on macOS two frameworks and libresolv are missing: stubs of them are written here.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from flowctl_core.errors import PlanError
from flowctl_core.models import BuildContext, Material, Platform, SourceTree, ToolRequirement

OLDEST_GLIBC = "2.17"
"""The glibc that programs are linked against with `x-libc: gnu`: CentOS 7 has it, and all that came later."""
_MACOS = "12.0"
"""The oldest macOS that current Go supports."""
_LIBC = re.compile(r"musl|gnu(\.\d+\.\d+)?")
_LINUX = {
    "386": "x86-linux-{0}",
    "amd64": "x86_64-linux-{0}",
    "arm": "arm-linux-{0}eabi{1}",
    "arm64": "aarch64-linux-{0}",
    "loong64": "loongarch64-linux-{0}",
    "ppc64le": "powerpc64le-linux-{0}",
    "riscv64": "riscv64-linux-{0}",
    "s390x": "s390x-linux-{0}",
}
_OTHERS = {
    "darwin/amd64": f"x86_64-macos.{_MACOS}",
    "darwin/arm64": f"aarch64-macos.{_MACOS}",
    "windows/amd64": "x86_64-windows-gnu",
    "windows/arm64": "aarch64-windows-gnu",
}
_GO_FRAMEWORKS = ("CoreFoundation", "Security")
_GO_ON_MAC = ("crypto/x509/internal/macos/*.go", "internal/syscall/unix/*_darwin.go")
"""Where Go's library says what it takes from which of macOS' libraries."""
_IMPORT = re.compile(r'^//go:cgo_import_dynamic \S+ (\w+) "(/[^"]+)"', re.MULTILINE)
_FRAMEWORK = "/System/Library/Frameworks/{0}.framework/Versions/A/{0}"

REQUIREMENT = ToolRequirement(
    name="zig",
    version=">=0.14",
    version_command=("version",),
    bundled_in=("ziglang:ziglang/zig",),
    install_hint="pip install 'flowctl-lang-go[cross]'",
    optional=True,
)


def libc(source: SourceTree) -> str:
    """`musl` or `gnu.<version>`, as `spec.build.x-libc` of component.yaml asks, or empty. Raises PlanError."""
    asked = source.extra("x-libc")  # noqa: S610 - not Django's
    if asked is None:
        return ""
    if not isinstance(asked, str) or not _LIBC.fullmatch(asked):
        raise PlanError(
            f"component.yaml: build.x-libc is {asked!r}",
            hint="Write musl (static), gnu, or gnu.2.28 for that glibc and newer; without it both are tried.",
        )
    return f"gnu.{OLDEST_GLIBC}" if asked == "gnu" else asked


def on_mac(platform: Platform) -> bool:
    """True where the system's own compiler is used: for macOS, on macOS."""
    return platform.os == "darwin" and Platform.host().os == "darwin"


def target(platform: Platform, libc: str) -> str | None:
    """zig's name of a platform; None where it has none that Go can be linked with."""
    name, _, version = libc.partition(".")
    form = _LINUX.get(platform.arch) if platform.os == "linux" else _OTHERS.get(f"{platform.os}/{platform.arch}")
    if form is None:
        return None
    soft = platform.variant == "v5"
    return form.format(name, "" if soft else "hf") + (f".{version}" if version and platform.os == "linux" else "")


def reasons(platform: Platform, frameworks: list[str], pkg_config: list[str]) -> list[tuple[str, str]]:
    """Why a program with C in it cannot be built for a platform on this host, each with what would help."""
    found = []
    if not on_mac(platform) and target(platform, "musl") is None:
        found.append((f"C cannot be compiled for {platform} here: zig has no such target", _worker(platform)))
    foreign = [name for name in frameworks if name not in _GO_FRAMEWORKS]
    if platform.os == "darwin" and foreign and not on_mac(platform):
        found.append(
            (f"the program links Apple's {', '.join(foreign)}, which only macOS has", "Build it on a macOS worker")
        )
    if pkg_config and not on_mac(platform):
        found.append(
            (
                f"`#cgo pkg-config` asks for {', '.join(pkg_config)}, and this machine has such libraries only for "
                "itself",
                "Put the library's C sources beside the Go code, or build in a container (build.container.dockerfile)",
            )
        )
    return found


def environment(context: BuildContext, platform: Platform, libc: str) -> dict[str, str]:
    """What makes Go compile C with zig. Raises ToolchainError when zig is missing."""
    if on_mac(platform):
        arch = {"amd64": "x86_64", "arm64": "arm64"}.get(platform.arch, platform.arch)
        return {"CC": f"clang -arch {arch}", "CXX": f"clang++ -arch {arch}", **_FLAGS}
    name = target(platform, libc)
    # -s: also where Go only looks at what cgo compiled, so that zig builds its C library once, not twice.
    flags = f"-target {name} -s"
    if platform.os == "darwin":
        stubs = _stubs(context)
        flags += f" {_word(f'-F{stubs}')} {_word(f'-L{stubs}')}"
    program = _word(str(context.tool("zig").path))
    cache = context.environment.get("ZIG_GLOBAL_CACHE_DIR") or str(context.work_dir / "zig")
    return {
        "CC": f"{program} cc {flags}",
        "CXX": f"{program} c++ {flags}",
        "AR": f"{program} ar",
        "ZIG_GLOBAL_CACHE_DIR": cache,
        "ZIG_LOCAL_CACHE_DIR": cache,
        **_FLAGS,
    }


_FLAGS = {f"CGO_{name}": "-O2" for name in ("CFLAGS", "CXXFLAGS", "FFLAGS", "LDFLAGS")}
"""Go's own default without `-g`: to zig the `-g` that comes last undoes the `-s` for which it was asked to strip."""


_C_TROUBLE = re.compile(r"running \S*zig\S* failed|^\S+\.(c|cc|cpp|cxx|h|hpp):\d+|undefined symbol|cgo failed", re.M)


def complains(output: str) -> bool:
    """True when a build failed over C, where another C library may be the answer."""
    return _C_TROUBLE.search(output) is not None


def materials(context: BuildContext) -> tuple[Material, ...]:
    """zig, where it was found."""
    found = context.tools.get("zig")
    if found is None:
        return ()
    purl = f"pkg:pypi/ziglang@{found.version}" if found.origin == "ziglang" else ""
    return (Material(name="zig", version=found.version, purl=purl, digest=found.digest),)


def _worker(platform: Platform) -> str:
    return f"Build it on a worker that runs {platform.os}, or without C: CGO_ENABLED=0"


def _stubs(context: BuildContext) -> Path:
    """A folder with the libraries that Go's own links on macOS and zig does not have.

    A `.tbd` (TAPI text, version 4) lists what a library exports and where it lies on the machine that has it. Which
    functions Go takes from where, its own source says: `//go:cgo_import_dynamic`.
    """
    symbols: dict[str, set[str]] = {_FRAMEWORK.format(name): set() for name in _GO_FRAMEWORKS}
    root = context.run([str(context.tool("go").path), "env", "GOROOT"], on_line=lambda _: None).stdout.strip()
    for pattern in _GO_ON_MAC:
        for file in sorted((Path(root) / "src").glob(pattern)):
            for symbol, library in _IMPORT.findall(file.read_text(encoding="utf-8")):
                if not library.startswith("/usr/lib/libSystem"):
                    symbols.setdefault(library, set()).add(f"_{symbol}")
    texts = {_stub_name(library): _tbd(library, sorted(found)) for library, found in symbols.items()}
    place = context.work_dir / f"macos-{sha256(''.join(texts.values()).encode()).hexdigest()[:16]}"
    if place.is_dir():
        return place
    new = Path(tempfile.mkdtemp(dir=context.work_dir, prefix=".new-"))
    for name, text in texts.items():
        (new / name).parent.mkdir(exist_ok=True)
        (new / name).write_text(text, encoding="utf-8")
    try:
        new.rename(place)
    except OSError:  # another call was quicker, with the same files
        shutil.rmtree(new, ignore_errors=True)
    return place


def _stub_name(library: str) -> str:
    """Where a linker looks: `Security.framework/Security.tbd`, `libresolv.tbd` for /usr/lib/libresolv.9.dylib."""
    name = library.rpartition("/")[2]
    return f"{name}.framework/{name}.tbd" if ".framework/" in library else f"{name.partition('.')[0]}.tbd"


def _tbd(library: str, symbols: list[str]) -> str:
    targets = "[ x86_64-macos, arm64-macos ]"
    exports = f"exports:\n  - targets: {targets}\n    symbols: [ {', '.join(symbols)} ]\n" if symbols else ""
    return f"--- !tapi-tbd\ntbd-version: 4\ntargets: {targets}\ninstall-name: '{library}'\n{exports}...\n"


def _word(text: str) -> str:
    """One word in CC, as Go splits it (no escapes, quotes around the whole word)."""
    if not re.search(r"[\s'\"]", text):
        return text
    return f'"{text}"' if "'" in text else f"'{text}'"
