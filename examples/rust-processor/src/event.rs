//! The lines that come in and go out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::amount::Amount;

/// A transfer as it comes in; fields that the processor does not know are kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Transfer {
    /// Sequence number of the ledger.
    pub ledger: u64,
    /// `XLM` or `CODE:ISSUER`.
    pub asset: String,
    /// Sender.
    pub from: String,
    /// Receiver.
    pub to: String,
    /// Decimal with up to seven places.
    pub amount: String,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Transfer {
    /// Reads one line; the amount is checked as well.
    pub fn parse(line: &str) -> Result<(Transfer, Amount), String> {
        let transfer: Transfer = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let amount = transfer.amount.parse()?;
        Ok((transfer, amount))
    }
}

/// Totals of one asset over one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Always `transfer_window`.
    pub r#type: &'static str,
    /// First ledger of the window.
    pub first_ledger: u64,
    /// Last ledger of the window.
    pub last_ledger: u64,
    /// The asset.
    pub asset: String,
    /// Number of transfers.
    pub transfers: u64,
    /// Number of different accounts that sent or received.
    pub accounts: usize,
    /// Sum of the amounts.
    pub total: String,
    /// Largest amount.
    pub largest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive() {
        let line = r#"{"ledger":1,"asset":"XLM","from":"A","to":"B","amount":"1","memo":"hi","tx":{"n":1}}"#;
        let (transfer, amount) = Transfer::parse(line).unwrap();
        assert_eq!(amount, Amount(10_000_000));
        let again: Value = serde_json::to_value(&transfer).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(line).unwrap());
    }

    #[test]
    fn what_is_not_a_transfer_is_refused() {
        for line in [
            "",
            "null",
            "[]",
            "{",
            r#"{"ledger":-1,"asset":"XLM","from":"A","to":"B","amount":"1"}"#,
            r#"{"ledger":1,"asset":"XLM","from":"A","to":"B","amount":1}"#,
            r#"{"ledger":1,"asset":"XLM","from":"A","to":"B","amount":"much"}"#,
            r#"{"ledger":1,"asset":"XLM","from":"A","amount":"1"}"#,
        ] {
            assert!(Transfer::parse(line).is_err(), "{line} was accepted");
        }
    }
}
