"""Gives a wheel that was built here the same bytes wherever, whenever and by whomever it was built."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_START_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def normalise(wheel: Path) -> None:
    """Write a wheel again with its files in the order of their names, one date, and modes 644 and 755.

    What the files hold, and so RECORD, stays as it is. Dates and modes come from the clock and the umask otherwise.
    """
    draft = wheel.with_suffix(".new")
    with ZipFile(wheel) as before, ZipFile(draft, "w") as after:
        entries = [entry for entry in before.infolist() if not entry.is_dir()]
        # Metadata last, as the wheel specification recommends.
        for entry in sorted(entries, key=lambda entry: (".dist-info/" in entry.filename, entry.filename)):
            fresh = ZipInfo(entry.filename, _START_OF_ZIP)
            fresh.external_attr = (0o100755 if entry.external_attr >> 16 & 0o111 else 0o100644) << 16
            fresh.compress_type = ZIP_DEFLATED
            fresh.create_system = 3
            after.writestr(fresh, before.read(entry))
    draft.replace(wheel)
