//! Amounts with seven decimal places, kept as whole numbers so that totals are exact.

use std::fmt;
use std::str::FromStr;

const PLACES: usize = 7;
const SCALE: i128 = 10_000_000;

/// An amount in units of 10⁻⁷.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub i128);

impl Amount {
    /// The sum, or `None` when it leaves the range.
    pub fn plus(self, other: Amount) -> Option<Amount> {
        self.0.checked_add(other.0).map(Amount)
    }
}

impl FromStr for Amount {
    type Err = String;

    /// Reads `12`, `12.5` or `0.0000001`; no sign, no exponent.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not an amount with up to {PLACES} decimal places");
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > PLACES {
            return Err(wrong());
        }
        let whole: i128 = whole.parse().map_err(|_| wrong())?;
        let part: i128 = format!("{part:0<PLACES$}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(SCALE)
            .and_then(|units| units.checked_add(part))
            .map(Amount)
            .ok_or_else(wrong)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:0PLACES$}", self.0 / SCALE, self.0 % SCALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_seven_places() {
        for (text, shown) in [
            ("12", "12.0000000"),
            ("12.5", "12.5000000"),
            ("0.0000001", "0.0000001"),
            ("922337203685.4775807", "922337203685.4775807"),
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1.00000001",
            "1,5",
            "٣",
        ] {
            assert!(text.parse::<Amount>().is_err(), "{text} was accepted");
        }
        assert!("9".repeat(40).parse::<Amount>().is_err());
    }

    #[test]
    fn a_sum_that_overflows_is_noticed() {
        assert_eq!(Amount(i128::MAX).plus(Amount(1)), None);
    }
}
