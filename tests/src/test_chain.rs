//! A local chain with everything a server needs to be paid on it.

use alloy_primitives::{Address, B256, Bytes, U256};
use demo::chain::{ChainOptions, LocalChain};
use wire::payor::PaymentAddress;

/// The only token, at par, with six decimals.
pub const USDC: i64 = 1;
const MINTED: u64 = 1_000_000_000_000;

/// A chain that mines a block for each transaction, with the deposit factory and one token.
pub struct TestChain {
    pub chain: LocalChain,
    pub usdc: Address,
}

/// A payment that was sent, with what is needed to send it again.
#[derive(Clone, Debug)]
pub struct SentPayment {
    pub transaction: B256,
    pub raw: Bytes,
    pub amount: U256,
}

impl TestChain {
    /// # Panics
    ///
    /// If the chain does not start.
    pub async fn start() -> Self {
        Self::start_as(31337).await
    }

    /// The same with another chain id.
    ///
    /// # Panics
    ///
    /// If the chain does not start.
    pub async fn start_as(chain_id: u64) -> Self {
        let chain = LocalChain::start(ChainOptions::new(chain_id)).await.expect("the chain starts");
        chain.deploy_factory().await.expect("the factory is deployed");
        let usdc = chain.deploy_token("USD Coin", "USDC", 6).await.expect("the token is deployed");
        chain.mint(usdc, chain.accounts()[1], U256::from(MINTED)).await.expect("the payer gets tokens");
        Self { chain, usdc }
    }

    /// The `[[networks]]` of a configuration: paid after 2 confirmations, final after 4. Ends where more
    /// keys of the network may follow, or its token, see [`TestChain::token`].
    pub fn network(&self) -> String {
        format!(
            "[[networks]]\nname = \"ethereum\"\ntitle = \"Ethereum\"\nchain_id = {}\nrpc = [\"{}\"]\n\
             poll_ms = 50\nidle_poll_ms = 50\npaid_after = 2\nfinal_after = 4\nstart_block = 0\n",
            self.chain.chain_id(),
            self.chain.rpc_url()
        )
    }

    /// The account that sends sweeps, as a key of [`TestChain::network`].
    pub fn sweep_account(&self) -> String {
        format!("sweep_account = \"{}\"\n", self.chain.accounts()[5])
    }

    /// The network's token, to be written behind it.
    pub fn token(&self) -> String {
        format!(
            "[[networks.tokens]]\nid = {USDC}\nsymbol = \"USDC\"\nname = \"USD Coin\"\naddress = \"{}\"\n\
             decimals = 6\nprice = \"par\"\n",
            self.usdc
        )
    }

    /// Pays to a deposit address.
    ///
    /// # Panics
    ///
    /// If there is no address, or the chain refuses.
    pub async fn pay(&self, address: &PaymentAddress, amount: U256) -> SentPayment {
        let to = address.temp_address.as_deref().expect("there is an address").parse().expect("it is an address");
        let from = self.chain.accounts()[1];
        let transaction = self.chain.send_token(from, self.usdc, to, amount).await.expect("the chain takes payments");
        self.chain.mined(transaction).await.expect("the payment is mined");
        let raw = self.chain.raw_transaction(transaction).await.expect("the chain knows its transactions");
        SentPayment { transaction, raw, amount }
    }

    /// What a wallet holds.
    ///
    /// # Panics
    ///
    /// If the chain does not answer.
    pub async fn balance(&self, wallet: &str) -> U256 {
        let wallet = wallet.parse().expect("it is an address");
        self.chain.balance_of(self.usdc, wallet).await.expect("the chain answers")
    }
}
