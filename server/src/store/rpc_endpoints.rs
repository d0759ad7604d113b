//! Nodes that were added beside the operator's own.

use std::fmt;

use domain::{
    id::{MerchantId, RpcEndpointId},
    time::UnixSeconds,
};
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};

/// A node as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct RpcEndpointRecord {
    /// Who added it.
    pub merchant: MerchantId,
    pub id: RpcEndpointId,
    pub network: String,
    /// Sealed, since it may hold credentials; in the clear where an earlier version added it.
    pub url: String,
    /// Block 0 of the network.
    pub genesis: String,
    pub created_at: UnixSeconds,
}

impl fmt::Debug for RpcEndpointRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcEndpointRecord")
            .field("id", &self.id)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl Tx<'_> {
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn insert_rpc_endpoint(&mut self, endpoint: &RpcEndpointRecord) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO rpc_endpoints (merchant_id, endpoint_id, network, url, genesis, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(endpoint.merchant.0)
        .bind(endpoint.id.to_string())
        .bind(&endpoint.network)
        .bind(&endpoint.url)
        .bind(&endpoint.genesis)
        .bind(endpoint.created_at.0)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Everybody's, oldest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn all_rpc_endpoints(&mut self) -> Result<Vec<RpcEndpointRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM rpc_endpoints ORDER BY created_at, merchant_id, endpoint_id")
            .fetch_all(&mut *self.connection)
            .await?;
        rows.iter().map(read_rpc_endpoint).collect()
    }

    /// Those a merchant added, oldest first.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn rpc_endpoints(&mut self, merchant: MerchantId) -> Result<Vec<RpcEndpointRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM rpc_endpoints WHERE merchant_id = $1 ORDER BY created_at, endpoint_id")
            .bind(merchant.0)
            .fetch_all(&mut *self.connection)
            .await?;
        rows.iter().map(read_rpc_endpoint).collect()
    }

    /// Replaces a URL with itself, sealed otherwise, unless it was replaced meanwhile.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn reseal_rpc_endpoint(&mut self, was: &RpcEndpointRecord, url: &str) -> Result<bool, StoreError> {
        let done =
            sqlx::query("UPDATE rpc_endpoints SET url = $4 WHERE merchant_id = $1 AND endpoint_id = $2 AND url = $3")
                .bind(was.merchant.0)
                .bind(was.id.to_string())
                .bind(&was.url)
                .bind(url)
                .execute(&mut *self.connection)
                .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes one; `false` if this merchant has no such.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn delete_rpc_endpoint(&mut self, merchant: MerchantId, id: RpcEndpointId) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM rpc_endpoints WHERE merchant_id = $1 AND endpoint_id = $2")
            .bind(merchant.0)
            .bind(id.to_string())
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

fn read_rpc_endpoint(row: &AnyRow) -> Result<RpcEndpointRecord, StoreError> {
    let columns = Columns::of(row, "rpc_endpoints");
    Ok(RpcEndpointRecord {
        merchant: MerchantId(columns.integer("merchant_id")?),
        id: columns.parsed("endpoint_id")?,
        network: columns.text("network")?,
        url: columns.text("url")?,
        genesis: columns.text("genesis")?,
        created_at: UnixSeconds(columns.integer("created_at")?),
    })
}
