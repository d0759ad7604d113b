//! The contracts of `contracts/` on a local chain: their calls, typed, their committed bytecode, and
//! what the demo and tests do with them.

#![allow(missing_docs, reason = "the Solidity sources document them")]

use std::sync::OnceLock;

use alloy_primitives::{Address, B256, I256, U256, address, hex};
use alloy_sol_types::SolConstructor;
use serde::Deserialize;
use wire::deposit_address::FACTORY;

use super::{ChainError, LocalChain};

alloy_sol_types::sol! {
    contract DepositFactory {
        event Swept(address indexed merchant, address indexed deposit, address indexed asset, uint256 amount);
        event SweepFailed(address indexed merchant, address indexed deposit, address indexed asset, bytes reason);
        function logic() external view returns (address);
        function addressOf(address merchant, bytes32 salt) external view returns (address);
        function sweep(address merchant, bytes32[] calldata salts, address[] calldata assets) external;
    }

    contract DepositLogic {
        error OnlyFactory();
        error NoBalance(address asset);
        error SendFailed(address asset);
        function sweep(address asset) external returns (uint256 amount);
    }

    contract TestToken {
        event Transfer(address indexed from, address indexed to, uint256 value);
        constructor(string memory name, string memory symbol, uint8 decimals, bool silent);
        function decimals() external view returns (uint8);
        function symbol() external view returns (string memory);
        function balanceOf(address owner) external view returns (uint256);
        function mint(address to, uint256 value) external;
        function setFrozen(address holder, bool frozen) external;
        function transfer(address to, uint256 value) external returns (bool);
    }

    contract PriceFeed {
        constructor(int256 answer);
        function decimals() external view returns (uint8);
        function set(int256 answer, uint256 updatedAt) external;
        function latestRoundData() external view returns (
            uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound
        );
    }

    contract Spoof {
        function announce(address from, address to, uint256 value) external;
    }

    contract Payer {
        function payTokens(address token, address[] calldata to, uint256[] calldata values) external;
        function payNative(address[] calldata to, uint256[] calldata values) external payable;
        function payAndSweep(address factory, address merchant, bytes32 salt) external payable;
    }
}

/// The deterministic deployer that anvil, like most networks, has from the start.
const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");

impl LocalChain {
    /// Creates a contract and waits for it.
    ///
    /// # Errors
    ///
    /// When its constructor reverts, or takes too long.
    pub async fn deploy(&self, artifact: &Artifact, arguments: &[u8]) -> Result<Address, ChainError> {
        let creation_code = [artifact.creation_code(), arguments].concat();
        let transaction = self.send_transaction(self.accounts[0], None, U256::ZERO, &creation_code).await?;
        self.mined(transaction).await?.created.ok_or(ChainError::Answer("the deployment"))
    }

    /// Puts the deposit factory where [`FACTORY`] says, unless it is there.
    ///
    /// # Errors
    ///
    /// When the deployment fails, or ends at another address.
    pub async fn deploy_factory(&self) -> Result<(), ChainError> {
        if !self.code(FACTORY).await?.is_empty() {
            return Ok(());
        }
        let data = [B256::ZERO.as_slice(), DEPOSIT_FACTORY.creation_code()].concat();
        let transaction = self.send_transaction(self.accounts[0], Some(CREATE2_DEPLOYER), U256::ZERO, &data).await?;
        self.mined(transaction).await?;
        if self.code(FACTORY).await?.is_empty() {
            return Err(ChainError::Answer("the CREATE2 deployer"));
        }
        Ok(())
    }

    /// A token that anybody may mint.
    ///
    /// # Errors
    ///
    /// When the deployment fails.
    pub async fn deploy_token(&self, name: &str, symbol: &str, decimals: u8) -> Result<Address, ChainError> {
        self.deploy_any_token(name, symbol, decimals, false).await
    }

    /// The same, but `transfer` returns nothing, as in tokens older than the final standard.
    ///
    /// # Errors
    ///
    /// When the deployment fails.
    pub async fn deploy_silent_token(&self, name: &str, symbol: &str, decimals: u8) -> Result<Address, ChainError> {
        self.deploy_any_token(name, symbol, decimals, true).await
    }

    /// A token of six decimals that keeps a hundredth of what is transferred. [`LocalChain::mint`] and
    /// [`LocalChain::send_token`] do with it what they do with any.
    ///
    /// # Errors
    ///
    /// When the deployment fails.
    pub async fn deploy_fee_token(&self) -> Result<Address, ChainError> {
        self.deploy(&FEE_TOKEN, &[]).await
    }

    async fn deploy_any_token(
        &self,
        name: &str,
        symbol: &str,
        decimals: u8,
        silent: bool,
    ) -> Result<Address, ChainError> {
        let arguments =
            TestToken::constructorCall { name: name.to_owned(), symbol: symbol.to_owned(), decimals, silent };
        self.deploy(&TEST_TOKEN, &arguments.abi_encode()).await
    }

    /// A price feed; `price_e8` is dollars times 10^8. Its answer is fresh at every block until
    /// [`LocalChain::set_price`].
    ///
    /// # Errors
    ///
    /// When the deployment fails.
    pub async fn deploy_feed(&self, price_e8: i64) -> Result<Address, ChainError> {
        let answer = I256::try_from(price_e8).map_err(|_| ChainError::Answer("the price"))?;
        let arguments = PriceFeed::constructorCall { answer };
        self.deploy(&PRICE_FEED, &arguments.abi_encode()).await
    }

    /// Sets a feed's price and the time it claims, in epoch seconds, sensible or not.
    ///
    /// # Errors
    ///
    /// When the transaction fails.
    pub async fn set_price(&self, feed: Address, price_e8: i64, updated_at: u64) -> Result<(), ChainError> {
        let answer = I256::try_from(price_e8).map_err(|_| ChainError::Answer("the price"))?;
        let call = PriceFeed::setCall { answer, updatedAt: U256::from(updated_at) };
        let transaction = self.send_call(self.accounts[0], feed, U256::ZERO, &call).await?;
        self.mined(transaction).await.map(drop)
    }

    /// Makes tokens out of nothing and waits until they are there.
    ///
    /// # Errors
    ///
    /// When the transaction fails.
    pub async fn mint(&self, token: Address, to: Address, amount: U256) -> Result<(), ChainError> {
        let call = TestToken::mintCall { to, value: amount };
        let transaction = self.send_call(self.accounts[0], token, U256::ZERO, &call).await?;
        self.mined(transaction).await.map(drop)
    }

    /// Lets the issuer freeze or unfreeze a holder.
    ///
    /// # Errors
    ///
    /// When the transaction fails.
    pub async fn set_frozen(&self, token: Address, holder: Address, frozen: bool) -> Result<(), ChainError> {
        let call = TestToken::setFrozenCall { holder, frozen };
        let transaction = self.send_call(self.accounts[0], token, U256::ZERO, &call).await?;
        self.mined(transaction).await.map(drop)
    }

    /// Sweeps deposit addresses through the factory; the zero address means the native coin.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn sweep(
        &self,
        from: Address,
        merchant: Address,
        salts: &[B256],
        assets: &[Address],
    ) -> Result<B256, ChainError> {
        let call = DepositFactory::sweepCall { merchant, salts: salts.to_vec(), assets: assets.to_vec() };
        self.send_call(from, FACTORY, U256::ZERO, &call).await
    }

    /// A contract that pays from inside a call.
    ///
    /// # Errors
    ///
    /// When the deployment fails.
    pub async fn deploy_payer(&self) -> Result<Address, ChainError> {
        self.deploy(&PAYER, &[]).await
    }

    /// One transaction with several token payments, out of the payer contract's own balance.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn pay_tokens(
        &self,
        from: Address,
        payer: Address,
        token: Address,
        payments: &[(Address, U256)],
    ) -> Result<B256, ChainError> {
        let (to, values) = payments.iter().copied().unzip();
        let call = Payer::payTokensCall { token, to, values };
        self.send_call(from, payer, U256::ZERO, &call).await
    }

    /// Native coin that moves inside a call; the transaction itself names only the payer contract.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn pay_native_inside_call(
        &self,
        from: Address,
        payer: Address,
        payments: &[(Address, U256)],
    ) -> Result<B256, ChainError> {
        let sum = payments.iter().fold(U256::ZERO, |sum, (_, value)| sum.saturating_add(*value));
        let (to, values) = payments.iter().copied().unzip();
        self.send_call(from, payer, sum, &Payer::payNativeCall { to, values }).await
    }

    /// Native coin paid to a deposit address and swept in one transaction.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn pay_and_sweep(
        &self,
        from: Address,
        payer: Address,
        merchant: Address,
        salt: B256,
        value: U256,
    ) -> Result<B256, ChainError> {
        let call = Payer::payAndSweepCall { factory: FACTORY, merchant, salt };
        self.send_call(from, payer, value, &call).await
    }

    /// A contract that says tokens moved where none did.
    ///
    /// # Errors
    ///
    /// When the deployment fails.
    pub async fn deploy_spoof(&self) -> Result<Address, ChainError> {
        self.deploy(&SPOOF, &[]).await
    }

    /// Emits a false `Transfer`.
    ///
    /// # Errors
    ///
    /// When the chain refuses the transaction.
    pub async fn announce(&self, spoof: Address, from: Address, to: Address, value: U256) -> Result<B256, ChainError> {
        let call = Spoof::announceCall { from, to, value };
        self.send_call(self.accounts[0], spoof, U256::ZERO, &call).await
    }
}

/// A compiled contract, as `contracts/build.mjs` wrote it.
pub struct Artifact {
    json: &'static str,
    creation_code: OnceLock<Vec<u8>>,
}

impl Artifact {
    const fn new(json: &'static str) -> Self {
        Self { json, creation_code: OnceLock::new() }
    }

    /// What creates the contract; constructor arguments go behind it.
    pub fn creation_code(&self) -> &[u8] {
        #[derive(Deserialize)]
        struct File<'a> {
            #[serde(borrow)]
            bytecode: &'a str,
        }

        self.creation_code.get_or_init(|| {
            #[expect(clippy::expect_used, reason = "the text is part of this program")]
            let file: File<'_> = serde_json::from_str(self.json).expect("artifacts are JSON");
            #[expect(clippy::expect_used, reason = "the text is part of this program")]
            hex::decode(file.bytecode).expect("bytecode is hexadecimal")
        })
    }
}

/// The artifact of `DepositFactory`.
pub static DEPOSIT_FACTORY: Artifact = Artifact::new(include_str!("../../../contracts/artifacts/DepositFactory.json"));

/// The artifact of `TestToken`.
pub static TEST_TOKEN: Artifact = Artifact::new(include_str!("../../../contracts/artifacts/TestToken.json"));

/// The artifact of `FeeToken`.
pub static FEE_TOKEN: Artifact = Artifact::new(include_str!("../../../contracts/artifacts/FeeToken.json"));

/// The artifact of `PriceFeed`.
pub static PRICE_FEED: Artifact = Artifact::new(include_str!("../../../contracts/artifacts/PriceFeed.json"));

/// The artifact of `Spoof`.
pub static SPOOF: Artifact = Artifact::new(include_str!("../../../contracts/artifacts/Spoof.json"));

/// The artifact of `Payer`.
pub static PAYER: Artifact = Artifact::new(include_str!("../../../contracts/artifacts/Payer.json"));
