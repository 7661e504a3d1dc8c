from account_activity.config import Config
from account_activity.transfer import Transfer
from account_activity.windows import Windows, decimal


def transfer(ledger: int, sender: str, receiver: str, amount: str, asset: str = "USDC") -> Transfer:
    fields = {"ledger": ledger, "from": sender, "to": receiver, "amount": amount, "asset": asset}
    return Transfer.model_validate(fields)


def test_a_window_closes_when_a_later_transfer_arrives():
    windows = Windows(Config(window=10))
    assert list(windows.add(transfer(100, "A", "B", "10.5"))) == []
    assert list(windows.add(transfer(109, "A", "C", "0.0000001"))) == []
    closed = list(windows.add(transfer(110, "C", "A", "1")))
    assert [(r["account"], r["sent"], r["received"], r["partners"]) for r in closed] == [
        ("A", "10.5000001", "0.0000000", 2),
        ("B", "0.0000000", "10.5000000", 1),
        ("C", "0.0000000", "0.0000001", 1),
    ]
    assert {(r["first_ledger"], r["last_ledger"]) for r in closed} == {(100, 109)}
    assert [r["account"] for r in windows.close()] == ["A", "C"]
    assert list(windows.close()) == []


def test_late_transfers_are_counted_and_in_no_sum():
    windows = Windows(Config(window=10))
    list(windows.add(transfer(20, "A", "B", "1")))
    assert list(windows.add(transfer(19, "A", "B", "1"))) == []
    assert windows.late == 1
    assert [r["sent"] for r in windows.close()] == ["1.0000000", "0.0000000"]


def test_assets_are_kept_apart_and_a_transfer_to_oneself_counts_once():
    windows = Windows(Config())
    list(windows.add(transfer(1, "A", "A", "2", "EURC")))
    list(windows.add(transfer(1, "A", "B", "3", "USDC")))
    results = [(r["account"], r["asset"], r["transfers"], r["sent"]) for r in windows.close()]
    assert results == [("A", "EURC", 1, "2.0000000"), ("A", "USDC", 1, "3.0000000"), ("B", "USDC", 1, "0.0000000")]


def test_unusual_accounts_are_flagged_and_quiet_ones_left_out():
    windows = Windows(Config.model_validate({"flag_above": "5", "min_transfers": 2}))
    for receiver in "BCB":
        list(windows.add(transfer(1, "A", receiver, "2")))
    assert [(r["account"], r["flagged"]) for r in windows.close()] == [("A", True), ("B", False)]


def test_decimals_are_exact():
    assert decimal(1) == "0.0000001"
    assert decimal(123456789012345678) == "12345678901.2345678"
