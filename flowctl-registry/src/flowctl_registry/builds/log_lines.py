"""One stream of output on its way into a log: bytes in, whole lines without secrets out."""

from __future__ import annotations

import codecs

from flowctl_registry.builds.masking import Masks, plain

_LONGEST = 32_768
_TAIL = 2_048
"""What is kept back of a line without end, so that no secret is cut in two."""


class Lines:
    """Output of one try of a step for one platform."""

    def __init__(self, masks: Masks, limit: int) -> None:
        self._masks = masks
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._left = limit
        self._cut = 0

    def feed(self, data: bytes) -> str:
        """What can be shown now."""
        return self._shown(self._decoder.decode(data))

    def end(self) -> str:
        """What is left, and how much was cut off."""
        text = self._shown(self._decoder.decode(b"", final=True), last=True)
        if self._cut:
            text += f"[flowctl: {self._cut} more bytes of this step are not kept]\n"
            self._cut = 0
        return text

    def _shown(self, text: str, *, last: bool = False) -> str:
        if self._left <= 0 and not last:
            self._cut += len(text.encode())
            return ""
        self._rest += text
        end = len(self._rest) if last else max(self._rest.rfind("\n"), self._rest.rfind("\r", 0, -1)) + 1
        ready, self._rest = self._rest[:end], self._rest[end:]
        if len(self._rest) > _LONGEST:
            masked = self._masks(self._rest)
            ready, self._rest = ready + masked[:-_TAIL], masked[-_TAIL:]
        ready = self._masks(plain(ready))
        if last and ready and not ready.endswith("\n"):
            ready += "\n"
        return self._fitting(ready)

    def _fitting(self, text: str) -> str:
        data = text.encode()
        if len(data) <= self._left:
            self._left -= len(data)
            return text
        kept = data[: max(0, self._left)]
        self._left = 0
        self._cut += len(data) - len(kept)
        whole = kept.decode(errors="ignore")
        return whole + "\n[flowctl: the log of this step is cut off here]\n" if whole else ""
