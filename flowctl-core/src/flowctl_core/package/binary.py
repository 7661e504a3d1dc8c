"""What a built file is, read from its own headers, and whether that is what its platform runs.

ELF by System V ABI and the LSB's symbol versions, Mach-O by Apple's loader.h; lief reads both.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.errors import ArtifactError
from flowctl_core.models import ArtifactKind, Platform
from flowctl_core.models.release import BinaryFacts

if TYPE_CHECKING:
    import lief

_ELF_ARCH = {
    "X86_64": "amd64",
    "AARCH64": "arm64",
    "I386": "386",
    "ARM": "arm",
    "RISCV": "riscv64",
    "PPC64": "ppc64le",
    "S390": "s390x",
    "LOONGARCH": "loong64",
}
_MACHO_ARCH = {"X86_64": "amd64", "ARM64": "arm64", "X86": "386"}
_OS_OF_FORMAT = {"elf": "linux", "macho": "darwin"}
_SCRIPT_HEAD = 256


def read_facts(path: Path) -> BinaryFacts:
    """The facts of one file. Raises ArtifactError when it is neither an executable nor a script."""
    try:
        with path.open("rb") as file:
            head = file.read(_SCRIPT_HEAD)
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}") from error
    if head.startswith(b"#!"):
        line = head.splitlines()[0][2:].strip().decode("utf-8", errors="replace")
        return BinaryFacts(format="script", interpreter=line)
    import lief

    lief.logging.disable()
    if head.startswith(b"\x7fELF"):
        elf = lief.ELF.parse(str(path), _elf_parser())
        if elf is not None:
            return _elf_facts(elf)
    elif lief.is_macho(str(path)):
        fat = lief.MachO.parse(str(path), lief.MachO.ParserConfig.quick)
        if fat is not None and fat.size:
            return _macho_facts(fat)
    kind = "is empty" if not head else f"begins with {head[:4].hex(' ')}"
    raise ArtifactError(f"{path.name} is no executable file: it {kind}")


def check_artifact(path: Path, platform: Platform, kind: ArtifactKind) -> BinaryFacts:
    """The facts of a file, when the platform can run it (a library: load it).

    Raises ArtifactError when it is for another system or architecture; such a file is never packaged.
    """
    facts = read_facts(path)
    if facts.format == "script":
        if kind == "library":
            raise ArtifactError(f"{path.name} is a script, not a library")
        return facts
    built_for = f"{_OS_OF_FORMAT[facts.format]}/{facts.arch}"
    if built_for != f"{platform.os}/{platform.arch}":
        raise ArtifactError(
            f"{path.name} was built for {built_for}, not for {platform}",
            hint="The build ignores the platform that it is asked for: does a script or a setting name another one?",
        )
    return facts


def _elf_parser() -> lief.ELF.ParserConfig:
    """Only what the facts need: a node binary has a hundred thousand symbols."""
    import lief

    config = lief.ELF.ParserConfig()
    config.parse_relocations = False
    config.parse_dyn_symbols = False
    config.parse_symtab_symbols = False
    config.parse_notes = False
    config.parse_overlay = False
    return config


def _elf_facts(elf: lief.ELF.Binary) -> BinaryFacts:
    arch = _ELF_ARCH.get(elf.header.machine_type.name, elf.header.machine_type.name.lower())
    if arch == "arm64" and elf.header.identity_data.name == "MSB":
        arch = "arm64be"
    libraries = tuple(sorted({str(name) for name in elf.libraries}))
    interpreter = str(elf.interpreter).rstrip("\0") if elf.has_interpreter else None
    return BinaryFacts(
        format="elf",
        arch=arch,
        static=not libraries and interpreter is None,
        libraries=libraries,
        glibc=_newest_glibc(elf),
        interpreter=interpreter,
    )


def _newest_glibc(elf: lief.ELF.Binary) -> str | None:
    found: list[tuple[int, ...]] = []
    for requirement in elf.symbols_version_requirement:
        for auxiliary in requirement.get_auxiliary_symbols():
            prefix, _, version = str(auxiliary.name).partition("_")
            if prefix == "GLIBC" and version.replace(".", "").isdigit():
                found.append(tuple(int(part) for part in version.split(".")))
    return ".".join(map(str, max(found))) if found else None


def _macho_facts(fat: lief.MachO.FatBinary) -> BinaryFacts:
    binary = fat.at(0)
    if binary is None:
        raise ArtifactError("a Mach-O file without any architecture")
    arches = {_macho_arch(fat.at(position)) for position in range(fat.size)}
    return BinaryFacts(
        format="macho",
        arch="+".join(sorted(arches)),
        libraries=tuple(sorted({str(library.name) for library in binary.libraries})),
        minimum_os=_minimum_os(binary),
    )


def _macho_arch(binary: lief.MachO.Binary | None) -> str:
    name = binary.header.cpu_type.name if binary is not None else "none"
    return _MACHO_ARCH.get(name, name.lower())


def _minimum_os(binary: lief.MachO.Binary) -> str | None:
    if binary.has_build_version and binary.build_version is not None:
        return ".".join(map(str, binary.build_version.minos[:2]))
    if binary.has_version_min and binary.version_min is not None:
        return ".".join(map(str, binary.version_min.version[:2]))
    return None
