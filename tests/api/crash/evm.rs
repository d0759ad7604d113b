//! Orders that are paid on an EVM network.

use alloy_primitives::U256;
use e2e::{SentPayment, ServerProcess, TestChain, USDC, WALLET};
use serde_json::Value;
use wire::invoice::InvoiceStatus;

use super::{Network, Order, Sent};

pub struct Evm {
    test: TestChain,
    sent: Vec<SentPayment>,
}

impl Network for Evm {
    const NAME: &'static str = "ethereum";
    const TOKEN: i64 = USDC;
    const PLACES: &'static [(&'static str, u64)] = &[
        ("scan.after_cursor", 12),
        ("scan.after_transfers", 12),
        ("scan.after_refold", 12),
        ("scan.after_orphaning", 12),
        ("watcher.before_record", 12),
        ("watcher.after_record", 12),
    ];

    async fn start() -> Self {
        Self { test: TestChain::start().await, sent: Vec::new() }
    }

    async fn config(&self) -> String {
        [self.test.network(), self.test.sweep_account(), self.test.token()].concat()
    }

    /// Every merchant has a wallet.
    fn prepare(&self, _server: &ServerProcess) {}

    async fn pay(&mut self, order: &Order, units: U256) -> Sent {
        let payment = self.test.pay(order.address.as_ref().unwrap(), units).await;
        let transaction = payment.transaction.to_string();
        self.sent.push(payment);
        Sent { transaction, units }
    }

    async fn pass(&mut self, blocks: u64) {
        self.test.chain.mine(blocks).await.unwrap();
    }

    async fn reorganise(&mut self, depth: u64) -> usize {
        let chain = &self.test.chain;
        let head = chain.block_number().await.unwrap();
        let mut dropped = Vec::new();
        for payment in &self.sent {
            let receipt = chain.receipt(payment.transaction).await.unwrap().expect("payments are mined");
            if head - depth < receipt.block_number {
                dropped.push((receipt.block_number, &payment.raw));
            }
        }
        dropped.sort();
        chain.reorg(depth).await.unwrap();
        for (_, raw) in &dropped {
            let transaction = chain.send_raw(raw).await.unwrap();
            chain.mined(transaction).await.unwrap();
        }
        dropped.len()
    }

    async fn finalize(&mut self) {
        self.pass(6).await;
    }

    /// The merchant gets exactly what was paid for invoices that are paid.
    async fn check_wallet(&self, server: &ServerProcess, orders: &[Order]) {
        let _sent: Value = server.ask(&["sweep", "--all"]);
        let paid = orders.iter().filter(|order| order.expected_status() == InvoiceStatus::Paid);
        let expected = paid.fold(U256::ZERO, |sum, order| sum + order.units());
        assert_ne!(expected, U256::ZERO);
        assert_eq!(self.test.balance(WALLET).await, expected);
    }
}
