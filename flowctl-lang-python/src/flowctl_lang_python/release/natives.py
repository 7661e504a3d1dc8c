"""Checks every compiled file in an executable against the platform that it is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from flowctl_core.errors import ArtifactError
from flowctl_core.models import Platform

if TYPE_CHECKING:
    import lief

_ELF = b"\x7fELF"
_MACHO = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")
_EXTENSION_MODULE = re.compile(r"\.(cpython-\d+[^/]*|abi3)\.so$")
_WHEEL = re.compile(r"^\.deps/(?P<wheel>[^/]+\.whl)/")

_ELF_MACHINES = {
    "amd64": "X86_64",
    "arm64": "AARCH64",
    "386": "I386",
    "arm": "ARM",
    "ppc64le": "PPC64",
    "s390x": "S390",
    "riscv64": "RISCV",
}
_MACHO_CPUS = {"amd64": "X86_64", "arm64": "ARM64"}


def check(executable: Path, platform: Platform, strict: frozenset[str]) -> int:
    """Number of compiled files, all for the platform; ArtifactError names those that are not.

    A ready-made wheel for any platform may carry libraries of several platforms as data: only its extension modules
    have to fit. In every other wheel, those in `strict` (built here) among them, and in the sources, every compiled
    file has to.
    """
    wrong, right = [], 0
    try:
        with ZipFile(executable) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    start = file.read(4)
                    if start != _ELF and start not in _MACHO:
                        continue
                    found = _platforms(start + file.read())
                if not found:
                    continue
                if platform.os in found and platform.arch in found[platform.os]:
                    right += 1
                elif _has_to_fit(entry.filename, strict):
                    wrong.append(f"{entry.filename} is for {_words(found)}")
    except (OSError, BadZipFile) as error:
        raise ArtifactError(f"the executable for {platform} cannot be read: {error}") from error
    if wrong:
        raise ArtifactError(
            f"the executable for {platform} would hold files for another platform",
            hint="The packages are labelled wrongly or come from this machine; build on a worker of that platform.",
            output="\n".join(wrong),
        )
    return right


def _has_to_fit(name: str, strict: frozenset[str]) -> bool:
    found = _WHEEL.match(name)
    if found is None or found["wheel"] in strict:
        return True
    return not found["wheel"].endswith("-any.whl") or _EXTENSION_MODULE.search(name) is not None


def _platforms(content: bytes) -> dict[str, tuple[str, ...]]:
    """Operating system to architectures; empty for what is neither ELF nor Mach-O after all (a Java class)."""
    import lief

    if content.startswith(_ELF):
        elf = lief.ELF.parse(content, _header_only())
        if elf is None:
            return {}
        machine = elf.header.machine_type.name
        return {"linux": tuple(arch for arch, name in _ELF_MACHINES.items() if name == machine) or (machine,)}
    universal = lief.MachO.parse(content, lief.MachO.ParserConfig.quick)
    if universal is None:
        return {}
    cpus = [binary.header.cpu_type.name for binary in universal]
    return {"darwin": tuple(next((a for a, name in _MACHO_CPUS.items() if name == cpu), cpu) for cpu in cpus)}


def _header_only() -> lief.ELF.ParserConfig:
    import lief

    config = lief.ELF.ParserConfig()
    for part in ("relocations", "dyn_symbols", "symtab_symbols", "symbol_versions", "notes", "overlay"):
        setattr(config, f"parse_{part}", False)
    return config


def _words(found: dict[str, tuple[str, ...]]) -> str:
    return ", ".join(f"{system}/{arch}" for system, arches in found.items() for arch in arches)
