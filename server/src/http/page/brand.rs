//! A merchant's look as files of ours: a style sheet of colours and numbers, and a picture. The content policy so stays the
//! same for everybody.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::id::MerchantId;

use crate::{app::App, http::error::ApiError, store::BrandRecord};

/// The address of the style sheet, if there is anything to it. The version in it names what it holds.
pub fn style_path(merchant: MerchantId, record: &BrandRecord) -> Option<String> {
    record.brand.css().map(|_| format!("/pay/brand/{merchant}/{}/style.css", record.version))
}

/// The address of the logo, if there is one.
pub fn logo_path(merchant: MerchantId, record: &BrandRecord) -> Option<String> {
    record.has_logo.then(|| format!("/pay/brand/{merchant}/{}/logo", record.version))
}

type Named = Result<Path<(i64, String)>, PathRejection>;

pub async fn serve_style(State(app): State<App>, named: Named) -> Result<Response, ApiError> {
    let (_, record) = named_brand(&app, named).await?;
    let css = record.brand.css().ok_or(ApiError::NotFound)?;
    Ok(for_ever(css.into_response(), "text/css; charset=utf-8"))
}

pub async fn serve_logo(State(app): State<App>, named: Named) -> Result<Response, ApiError> {
    let (merchant, _) = named_brand(&app, named).await?;
    let logo = app.store.reader().await?.tx().logo(merchant).await?.ok_or(ApiError::NotFound)?;
    Ok(for_ever(logo.bytes.into_response(), logo.kind.content_type()))
}

/// What is not the present look is nothing: nobody links to it any more.
async fn named_brand(app: &App, named: Named) -> Result<(MerchantId, BrandRecord), ApiError> {
    let Path((merchant, version)) = named.map_err(|_| ApiError::NotFound)?;
    let merchant = MerchantId(merchant);
    let record = app.store.reader().await?.tx().brand(merchant).await?;
    let record = record.filter(|record| record.version == version).ok_or(ApiError::NotFound)?;
    Ok((merchant, record))
}

/// Its address changes with what it is. Any origin may load it, as pages in sandboxed frames are of no origin; and should
/// somebody open it as a page, it is one that can do nothing.
fn for_ever(mut response: Response, content_type: &'static str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
