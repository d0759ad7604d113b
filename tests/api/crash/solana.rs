//! Orders that are paid on Solana, to one wallet.

use alloy_primitives::{
    U256,
    utils::{format_units, parse_units},
};
use e2e::{ServerProcess, SolanaChain, SolanaOptions};
use pepay::solana::{SolanaAddress, associated_token_account, programs};
use serde_json::{Value, json};

use super::{Network, Order, Sent};

const DECIMALS: u8 = 6;
/// Forks are of blocks that are not final, which they are after 31 of them.
const FORKED_SLOTS: u64 = 25;

pub struct Solana {
    chain: SolanaChain,
    mint: SolanaAddress,
    wallet: SolanaAddress,
    /// Where the newest payment is.
    paid_in: u64,
}

impl Network for Solana {
    const NAME: &'static str = "solana";
    const TOKEN: i64 = 1;
    /// Each reading that is recorded passes them; the wallet is read again and again.
    const PLACES: &'static [(&'static str, u64)] = &[
        ("solana.before_record", 12),
        ("arrivals.after_orphaning", 12),
        ("arrivals.after_transfers", 12),
        ("arrivals.after_cursors", 12),
        ("arrivals.after_balances", 12),
        ("arrivals.after_refold", 12),
        ("solana.after_record", 12),
    ];

    async fn start() -> Self {
        let chain = SolanaChain::start_as(&SolanaOptions { tick_ms: 200, ..SolanaOptions::default() }).await;
        let mint = chain.create_mint(DECIMALS).await;
        let (payer, wallet) = (chain.wallet("payer").await, chain.wallet("merchant").await);
        chain.airdrop(payer, 100_000_000_000).await;
        chain.mint_to(mint, payer, 1_000_000_000_000).await;
        chain.slots(2).await;
        Self { chain, mint, wallet, paid_in: 0 }
    }

    async fn config(&self) -> String {
        self.chain.network(Self::TOKEN, self.mint).await
    }

    fn prepare(&self, server: &ServerProcess) {
        server.run_good(&["merchant", "set-solana-wallet", "1", &self.wallet.to_string()]);
    }

    /// All of it is known by its amount, which is a little more; a part by what its memo says.
    async fn pay(&mut self, order: &Order, units: U256) -> Sent {
        let mut payment = json!({ "recipient": self.wallet, "mint": self.mint });
        let mut units = units;
        if units == order.units() {
            let asked = order.address.as_ref().unwrap().estimated_token_amount.as_ref().unwrap();
            payment["amount"] = json!(asked);
            units = parse_units(asked, DECIMALS).unwrap().get_absolute();
        } else {
            payment["amount"] = json!(format_units(units, DECIMALS).unwrap());
            payment["memo"] = json!(order.created.as_ref().unwrap().invoice_id);
        }
        let paid = self.chain.pay("payer", payment).await;
        assert_eq!(paid.err, None);
        self.paid_in = paid.slot.unwrap();
        // The next one that is equal would be the same transaction.
        self.chain.slots(1).await;
        Sent { transaction: paid.signature.to_string(), units }
    }

    async fn pass(&mut self, blocks: u64) {
        self.chain.slots(blocks).await;
    }

    /// Where the newest payment is there is nothing that another's block hash is of.
    async fn reorganise(&mut self, depth: u64) -> usize {
        let head = self.chain.freeze(true).await;
        let from = if head < self.paid_in + FORKED_SLOTS { self.paid_in } else { head - depth };
        let dropped = self.chain.drop_after(from).await;
        self.chain.slots(depth).await;
        for payment in &dropped {
            let options = json!({ "encoding": "base64", "skipPreflight": true });
            self.paid_in = self.chain.slot("processed").await;
            self.chain.call::<Value>("sendTransaction", json!([payment.transaction, options])).await;
            let statuses: Value = self.chain.call("getSignatureStatuses", json!([[payment.signature]])).await;
            assert_eq!(statuses["value"][0]["err"], Value::Null, "it is there again");
            assert!(statuses["value"][0].is_object(), "it is there again");
        }
        self.chain.freeze(false).await;
        dropped.len()
    }

    async fn finalize(&mut self) {
        self.chain.finalize().await;
    }

    /// It is there at once.
    async fn check_wallet(&self, _server: &ServerProcess, orders: &[Order]) {
        let expected = orders.iter().fold(U256::ZERO, |sum, order| sum + order.paid());
        assert_ne!(expected, U256::ZERO);
        let account = associated_token_account(self.wallet, self.mint, programs::TOKEN);
        assert_eq!(self.chain.token_balance(account).await.map(U256::from), Some(expected));
    }
}
