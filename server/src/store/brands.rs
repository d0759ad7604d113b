//! How merchants' pages look.

use base64::{Engine, prelude::BASE64_STANDARD};
use domain::id::MerchantId;
use sqlx::any::AnyRow;

use super::{StoreError, Tx, row::Columns};
use crate::brand::{Brand, Logo, LogoKind};

/// A merchant's look without its logo, which pages fetch by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrandRecord {
    pub brand: Brand,
    pub has_logo: bool,
    /// Changes with whatever is in it.
    pub version: String,
}

impl Tx<'_> {
    /// A merchant's look; `None` for the page's own.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn brand(&mut self, merchant: MerchantId) -> Result<Option<BrandRecord>, StoreError> {
        let row = sqlx::query("SELECT color, radius, logo_type, version FROM brands WHERE merchant_id = $1")
            .bind(merchant.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        row.as_ref().map(read_brand).transpose()
    }

    /// A merchant's logo, if it has one.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn logo(&mut self, merchant: MerchantId) -> Result<Option<Logo>, StoreError> {
        let row = sqlx::query("SELECT logo_type, logo FROM brands WHERE merchant_id = $1 AND logo IS NOT NULL")
            .bind(merchant.0)
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns::of(&row, "brands");
        let content_type = columns.text("logo_type")?;
        let kind = LogoKind::of_content_type(&content_type);
        let kind = kind.ok_or_else(|| columns.corrupt("logo_type", content_type))?;
        let bytes = BASE64_STANDARD.decode(columns.text("logo")?);
        Ok(Some(Logo { kind, bytes: bytes.map_err(|_| columns.corrupt("logo", "(a picture)"))? }))
    }

    /// Replaces a merchant's look as a whole; `version` names what it is now. Fails for a merchant that does not exist.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn set_brand(
        &mut self,
        merchant: MerchantId,
        brand: &Brand,
        logo: Option<&Logo>,
        version: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO brands (merchant_id, color, radius, logo_type, logo, version) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (merchant_id) DO UPDATE SET color = excluded.color, radius = excluded.radius,
                logo_type = excluded.logo_type, logo = excluded.logo, version = excluded.version",
        )
        .bind(merchant.0)
        .bind(&brand.color)
        .bind(brand.radius.map(i64::from))
        .bind(logo.map(|logo| logo.kind.content_type()))
        .bind(logo.map(|logo| BASE64_STANDARD.encode(&logo.bytes)))
        .bind(version)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

pub(super) fn read_brand(row: &AnyRow) -> Result<BrandRecord, StoreError> {
    let columns = Columns::of(row, "brands");
    let radius = columns.optional_integer("radius")?;
    let radius = radius.map(|radius| u8::try_from(radius).map_err(|_| columns.corrupt("radius", radius.to_string())));
    Ok(BrandRecord {
        brand: Brand { color: columns.optional_text("color")?, radius: radius.transpose()? },
        has_logo: columns.optional_text("logo_type")?.is_some(),
        version: columns.text("version")?,
    })
}
