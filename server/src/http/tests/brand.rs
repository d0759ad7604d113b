//! How a merchant's pages look, and what of that gets through.

use serde_json::json;

use super::Server;
use crate::{
    brand::{Brand, Logo, version},
    store::StoreError,
};

const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x08\0\0\0\x08\x08\x06\0\0\0\0\0\0\0\0\0\0\0IEND\xaeB\x60\x82";

impl Server {
    async fn set_brand(&self, color: Option<&str>, radius: Option<u8>, logo: Option<&[u8]>) {
        let brand = Brand { color: color.map(str::to_owned), radius };
        let logo = logo.map(|bytes| Logo::read(bytes.to_vec()).unwrap());
        let (merchant, version) = (self.merchant, version(&brand, logo.as_ref()));
        let write = self.app.store.write(move |tx| {
            Box::pin(async move {
                tx.set_brand(merchant, &brand, logo.as_ref(), &version).await?;
                Ok::<_, StoreError>(())
            })
        });
        write.await.unwrap();
    }
}

/// The address in an attribute of a page.
fn address<'a>(html: &'a str, before: &str) -> &'a str {
    let start = html.find(before).unwrap_or_else(|| panic!("{before} in {html}")) + before.len();
    html[start..].split('"').next().unwrap()
}

#[tokio::test]
async fn a_page_without_a_brand_has_one_request_and_its_own_look() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let page = server.get(&invoice.page(), &[]).await;
    assert!(!page.text.contains("rel=\"stylesheet\"") && !page.text.contains("/pay/brand/"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("style-src 'self'"));
}

#[tokio::test]
async fn a_brand_is_files_of_ours_under_a_policy_that_stays_the_same() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let before = server.get(&invoice.page(), &[]).await;
    server.set_brand(Some("#ffee00"), Some(4), Some(PNG)).await;
    let page = server.get(&invoice.page(), &[]).await;
    let policy = "content-security-policy";
    assert_eq!(page.header(policy), before.header(policy));

    let style = server.get(address(&page.text, "rel=\"stylesheet\" href=\""), &[]).await;
    assert_eq!((style.status.as_u16(), style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(style.header("cache-control").contains("immutable"), "{:?}", style.headers);
    assert!(
        style.text.contains("--radius:4px") && !style.text.contains("--accent:#ffee00;--accent-strong:#ffe"),
        "{}",
        style.text
    );
    let logo_path = address(&page.text, "<img src=\"").to_owned();
    let logo = server.get(&logo_path, &[]).await;
    assert_eq!((logo.status.as_u16(), logo.header("content-type")), (200, "image/png"));
    assert_eq!(logo.header("x-content-type-options"), "nosniff");
    assert_eq!(logo.header(policy), "default-src 'none'; sandbox");
    let help = server.get(&invoice.page().replace("/pay?", "/pay/help?"), &[]).await;
    assert!(help.text.contains("rel=\"stylesheet\"") && help.text.contains(&logo_path), "{}", help.text);

    // Another look has another address, and the old one is gone.
    server.set_brand(None, Some(4), None).await;
    server.get(&logo_path, &[]).await.is_error(404, "NOT_FOUND", None);
    let page = server.get(&invoice.page(), &[]).await;
    assert!(!page.text.contains("/logo\"") && page.text.contains("rel=\"stylesheet\""), "{}", page.text);
}

#[tokio::test]
async fn what_is_no_brand_is_not_there() {
    let server = Server::start().await;
    for path in ["/pay/brand/1/x/style.css", "/pay/brand/9/x/logo", "/pay/brand/x/x/logo", "/pay/brand/1/%00/style.css"]
    {
        server.get(path, &[]).await.is_error(404, "NOT_FOUND", None);
    }
}
