//! Totals over windows of ledgers. A window closes when a later ledger arrives, or at the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::event::{Totals, Transfer};

#[derive(Default)]
struct Sum {
    transfers: u64,
    total: Amount,
    largest: Amount,
    accounts: BTreeSet<String>,
}

/// The open window.
pub struct Window {
    length: u64,
    number: Option<u64>,
    sums: BTreeMap<String, Sum>,
}

/// A transfer that belongs to a window that is closed already.
#[derive(Debug, PartialEq, Eq)]
pub struct Late;

impl Window {
    /// Windows of so many ledgers; window 0 begins with ledger 0.
    pub fn new(length: u64) -> Window {
        Window {
            length: length.max(1),
            number: None,
            sums: BTreeMap::new(),
        }
    }

    /// Adds a transfer; answers with the totals of the window that it closes, if it does.
    pub fn add(&mut self, transfer: &Transfer, amount: Amount) -> Result<Vec<Totals>, Late> {
        let number = transfer.ledger / self.length;
        let closed = match self.number {
            Some(open) if number < open => return Err(Late),
            Some(open) if number > open => self.close(),
            _ => Vec::new(),
        };
        self.number = Some(number);
        let sum = self.sums.entry(transfer.asset.clone()).or_default();
        sum.transfers += 1;
        sum.total = sum.total.plus(amount).unwrap_or(Amount(i128::MAX));
        sum.largest = sum.largest.max(amount);
        sum.accounts.insert(transfer.from.clone());
        sum.accounts.insert(transfer.to.clone());
        Ok(closed)
    }

    /// Totals of the open window, by asset; it is empty afterwards.
    pub fn close(&mut self) -> Vec<Totals> {
        let Some(number) = self.number else {
            return Vec::new();
        };
        let first_ledger = number * self.length;
        std::mem::take(&mut self.sums)
            .into_iter()
            .map(|(asset, sum)| Totals {
                r#type: "transfer_window",
                first_ledger,
                last_ledger: first_ledger.saturating_add(self.length - 1),
                asset,
                transfers: sum.transfers,
                accounts: sum.accounts.len(),
                total: sum.total.to_string(),
                largest: sum.largest.to_string(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(ledger: u64, asset: &str, to: &str) -> Transfer {
        Transfer {
            ledger,
            asset: asset.to_string(),
            from: "A".to_string(),
            to: to.to_string(),
            amount: String::new(),
            rest: Default::default(),
        }
    }

    #[test]
    fn a_later_ledger_closes_the_window() {
        let mut window = Window::new(10);
        assert_eq!(
            window.add(&transfer(10, "USDC", "B"), Amount(3)),
            Ok(vec![])
        );
        assert_eq!(
            window.add(&transfer(19, "USDC", "C"), Amount(5)),
            Ok(vec![])
        );
        let closed = window.add(&transfer(20, "XLM", "B"), Amount(1)).unwrap();
        assert_eq!(closed.len(), 1);
        assert_eq!((closed[0].first_ledger, closed[0].last_ledger), (10, 19));
        assert_eq!((closed[0].transfers, closed[0].accounts), (2, 3));
        assert_eq!(closed[0].total, "0.0000008");
        assert_eq!(closed[0].largest, "0.0000005");
    }

    #[test]
    fn a_late_transfer_changes_nothing() {
        let mut window = Window::new(10);
        window.add(&transfer(25, "USDC", "B"), Amount(1)).unwrap();
        assert_eq!(window.add(&transfer(19, "USDC", "B"), Amount(9)), Err(Late));
        assert_eq!(window.close()[0].transfers, 1);
    }

    #[test]
    fn assets_come_in_order_and_only_once() {
        let mut window = Window::new(10);
        for asset in ["XLM", "EURC", "USDC", "EURC"] {
            window.add(&transfer(1, asset, "B"), Amount(1)).unwrap();
        }
        let assets: Vec<String> = window
            .close()
            .into_iter()
            .map(|totals| totals.asset)
            .collect();
        assert_eq!(assets, ["EURC", "USDC", "XLM"]);
        assert_eq!(window.close(), []);
    }

    #[test]
    fn the_last_ledger_there_is_does_not_overflow() {
        let mut window = Window::new(10);
        window
            .add(&transfer(u64::MAX, "XLM", "B"), Amount(1))
            .unwrap();
        assert_eq!(window.close()[0].last_ledger, u64::MAX);
    }
}
