import pytest

from account_activity.config import ConfigError, read_config
from account_activity.transfer import InvalidTransfer, parse_transfer

GOOD = b'{"type":"transfer","ledger":7,"asset":"USDC","from":"A","to":"B","amount":"1.5","memo":"x"}'


def test_further_fields_do_no_harm():
    assert parse_transfer(GOOD).units == 15_000_000


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"amount":"1.5"', b'"amount":"-1"', "amount"),
        (b'"amount":"1.5"', b'"amount":"0.00000001"', "amount"),
        (b'"amount":"1.5"', b'"amount":"NaN"', "amount"),
        (b'"ledger":7', b'"ledger":"7"', "ledger"),
        (b'"from":"A"', b'"from":""', "from"),
        (b'"to":"B",', b"", "to"),
        (b"{", b"[", "JSON|expected|unexpected"),
        (GOOD, b"[]", "dictionary"),
        (b"USDC", b"\xff", "UTF-8|str"),
    ],
)
def test_what_is_no_transfer_says_why(old, new, reason):
    with pytest.raises(InvalidTransfer, match=reason):
        parse_transfer(GOOD.replace(old, new))


def test_settings_come_from_the_environment():
    config = read_config({"WINDOW": "25", "FLAG_ABOVE": "1000.5", "ON_INVALID": "", "HOME": "/"})
    assert (config.window, str(config.flag_above), config.on_invalid) == (25, "1000.5", "skip")


@pytest.mark.parametrize("name,value", [("WINDOW", "0"), ("WINDOW", "ten"), ("ON_INVALID", "stop")])
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(ConfigError, match=name):
        read_config({name: value})
