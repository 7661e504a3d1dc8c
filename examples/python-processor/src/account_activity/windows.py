"""Sums over tumbling windows of ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from account_activity.config import Config
from account_activity.transfer import UNIT, Transfer


@dataclass
class Activity:
    """What one account did with one asset."""

    transfers: int = 0
    sent: int = 0
    received: int = 0
    partners: set[str] = field(default_factory=set)


class Windows:
    """Collects transfers; a window is handed out when a transfer of a later one arrives, and by `close`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._limit = int(config.flag_above * UNIT)
        self._number: int | None = None
        self._activity: dict[tuple[str, str], Activity] = {}
        self.late = 0
        """Transfers that came after their window was closed; they are in no sum."""

    def add(self, transfer: Transfer) -> Iterator[dict[str, object]]:
        """Count a transfer; yields the results of the window that it closes."""
        number = transfer.ledger // self._config.window
        if self._number is not None and number < self._number:
            self.late += 1
            return
        if number != self._number:
            yield from self.close()
            self._number = number
        sender = self._of(transfer.sender, transfer.asset)
        sender.transfers += 1
        sender.sent += transfer.units
        sender.partners.add(transfer.receiver)
        receiver = self._of(transfer.receiver, transfer.asset)
        receiver.received += transfer.units
        if receiver is not sender:
            receiver.transfers += 1
            receiver.partners.add(transfer.sender)

    def close(self) -> Iterator[dict[str, object]]:
        """Yield the results of the open window, accounts in name order, and forget it."""
        number, activity, self._activity = self._number, self._activity, {}
        if number is None:
            return
        first = number * self._config.window
        for (account, asset), seen in sorted(activity.items()):
            if seen.transfers < self._config.min_transfers:
                continue
            yield {
                "type": "account_activity",
                "first_ledger": first,
                "last_ledger": first + self._config.window - 1,
                "account": account,
                "asset": asset,
                "transfers": seen.transfers,
                "partners": len(seen.partners),
                "sent": decimal(seen.sent),
                "received": decimal(seen.received),
                "flagged": 0 < self._limit < seen.sent,
            }

    def _of(self, account: str, asset: str) -> Activity:
        return self._activity.setdefault((account, asset), Activity())


def decimal(units: int) -> str:
    """Units of 10⁻⁷ as a decimal with seven places."""
    return f"{units // UNIT}.{units % UNIT:07d}"
