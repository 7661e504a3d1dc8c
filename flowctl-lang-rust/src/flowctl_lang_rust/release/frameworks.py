"""Apple's frameworks, which only come with macOS' SDK: zig brings the system library and nothing else of it."""

from __future__ import annotations

import re

MACOS_REMEDY = "set SDKROOT to a macOS SDK (on a Mac: `xcrun --show-sdk-path`), or use a macOS worker"
MACOS_HINT = f"{MACOS_REMEDY[0].upper()}{MACOS_REMEDY[1:]}."

_NOT_FOUND = re.compile(r"""unable to find (?:framework|dynamic system library) ['"]([^'"]+)""")
"""zig's words; the quotes differ between its versions."""
_KNOWN = frozenset(
    (
        *("core-foundation-sys", "core-graphics", "core-graphics-types", "core-text", "core-video-sys"),
        *("coreaudio-sys", "coremidi", "fsevent-sys", "io-kit-sys", "IOKit-sys", "metal", "cocoa", "objc-sys"),
        *("security-framework-sys", "system-configuration-sys"),
    )
)
_PLAIN = frozenset(("objc2-encode", "objc2-exception-helper", "objc2-proc-macros"))


def links_frameworks(crate: str) -> bool:
    """True for the name of a crate that is known to link against a framework."""
    return crate in _KNOWN or (crate.startswith("objc2-") and crate not in _PLAIN)


def missing_library(output: str) -> str | None:
    """The framework, or library of the system, that zig says it did not find."""
    found = _NOT_FOUND.search(output)
    return found.group(1) if found else None
