//! `POST /api/v1/invoices`

use alloy_primitives::Address;
use axum::{
    Json,
    extract::{Extension, State},
    http::HeaderMap,
};
use domain::{access::Right, idempotency::Fingerprint, money::UsdMillis};
use serde_json::{Value, value::RawValue};
use url::Url;
use wire::{
    invoice::{CreateInvoiceRequest, CreatedInvoice, InvoiceStatus},
    money::{AmountError, Dollars, parse_invoice_amount},
};

use crate::{
    app::App,
    config::Config,
    email::is_plausible,
    http::{
        RequestId,
        canonical::canonical_json,
        error::{ApiError, invalid},
        error_codes::codes,
        extract::{CreationKey, IdempotencyKey, JsonBody, Merchant, rights::CreateInvoices},
    },
    invoicing::{self, CreateInvoice, Origin},
    session, view,
    wallet::merchant_wallet,
};

const ROUTE: &str = "/api/v1/invoices";
const MOST_TEXT_CHARACTERS: usize = 255;
const MOST_URL_CHARACTERS: usize = 2048;
/// For `metadata` and for `questions`, each as compact JSON.
const MOST_JSON_BYTES: usize = 512;
const MOST_QUESTIONS: usize = 5;
/// Thirty days and, if the request does not say, twelve hours.
const MOST_MILLIS: i64 = 2_592_000_000;
const DEFAULT_MILLIS: i64 = 43_200_000;

/// Creates an invoice; the same idempotency key returns the same invoice.
#[utoipa::path(
    post,
    path = "/api/v1/invoices",
    tag = "Invoices",
    params(IdempotencyKey),
    request_body = CreateInvoiceRequest,
    responses((
        status = 200,
        body = CreatedInvoice,
        headers(("Idempotent-Replayed" = String, description = "`true` if this answer was given before."))
    )),
    security(("merchant_key" = ["invoices:create"]), ("dashboard" = [])),
    extensions(("x-error-codes" = json!(codes![IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_CONFLICT, INVALID_AMOUNT_FORMAT, INVALID_AMOUNT_RANGE, RIGHT_REQUIRED])))
)]
pub async fn create_invoice(
    State(app): State<App>,
    merchant: Merchant<CreateInvoices>,
    CreationKey(key): CreationKey,
    Extension(RequestId(request_id)): Extension<RequestId>,
    body: JsonBody<CreateInvoiceRequest>,
) -> Result<(HeaderMap, Json<CreatedInvoice>), ApiError> {
    let receiver = receiver(&body.value, &app.config, merchant.has(Right::OverrideReceiver))?;
    let request = CreateInvoice { receiver, ..checked(body.value)? };
    let canonical = canonical_json(&body.bytes)?;
    let fingerprint = Fingerprint::of(&[b"POST", ROUTE.as_bytes(), canonical.as_bytes()]);
    let origin = Origin { route: ROUTE, key, fingerprint, request_id };
    let created = invoicing::create(&app, merchant.id, request, origin).await?;

    let mut headers = HeaderMap::new();
    if created.is_replay {
        headers.insert("idempotent-replayed", axum::http::HeaderValue::from_static("true"));
    }
    let invoice = &created.invoice;
    let credentials = session::credentials(&app, invoice);
    let answer = CreatedInvoice {
        invoice_id: invoice.id.to_string(),
        payment_url: session::payment_url(&app, &credentials),
        expires_at: invoice.terms.expires_at.0,
        session_token: credentials.session_token.clone(),
        signature: credentials.signature.clone(),
        payment_session_headers: credentials,
        id: invoice.id.to_string(),
        // As it was created: a repeated request gets the first answer.
        status: InvoiceStatus::Unpaid,
        amount_usd: Dollars { millis: invoice.terms.due.as_millis() },
        created_at: invoice.created.as_seconds().0,
        customer_id: invoice.customer_id.clone(),
        metadata: view::metadata(invoice),
    };
    Ok((headers, Json(answer)))
}

/// Where this invoice's money goes instead of the merchant's wallet, if the request says so. Naming an address
/// takes the right to do so, also where it is not to be used.
fn receiver(request: &CreateInvoiceRequest, config: &Config, may_override: bool) -> Result<Option<Address>, ApiError> {
    const ENABLE: &str = "receiver_override_enable";
    const ADDRESS: &str = "receiver_override_address";
    let missing =
        |field: &str| Err(ApiError::RightRequiredBy { field: field.to_owned(), right: Right::OverrideReceiver });
    match (&request.receiver_override_address, request.receiver_override_enable) {
        (Some(_), _) if !may_override => missing(ADDRESS),
        (None, Some(true)) if !may_override => missing(ENABLE),
        (None, Some(true)) => Err(invalid(ADDRESS, format!("{ADDRESS} is required with {ENABLE}"))),
        (None, _) => Ok(None),
        // What money must not go to is refused in any case, so that switching it on later holds no surprise.
        (Some(address), enable) => {
            let address = merchant_wallet(address, config)
                .map_err(|problem| invalid(ADDRESS, format!("{ADDRESS}: {problem}")))?;
            match enable {
                Some(true) => Ok(Some(address)),
                Some(false) => Ok(None),
                None => Err(invalid(ENABLE, format!("{ENABLE} must say whether {ADDRESS} is to be used"))),
            }
        }
    }
}

/// Checks every other field of a request.
fn checked(request: CreateInvoiceRequest) -> Result<CreateInvoice, ApiError> {
    let amount = request.amount_usd.as_deref().map(RawValue::get).ok_or(AmountError::Format)?;
    let due = UsdMillis::from_millis(parse_invoice_amount(amount)?);
    let expires_in_ms = request.expires_in.unwrap_or(DEFAULT_MILLIS);
    if !(1..=MOST_MILLIS).contains(&expires_in_ms) {
        return Err(invalid("expires_in", format!("expires_in must lie between 1 and {MOST_MILLIS} milliseconds")));
    }
    Ok(CreateInvoice {
        due,
        expires_in_ms,
        description: text("description", request.description)?,
        customer_id: text("customer_id", request.customer_id)?,
        customer_email: text("customer_email", request.customer_email)?.map(email).transpose()?,
        metadata: json("metadata", &Value::Object(request.metadata.unwrap_or_default()))?,
        title: text("invoice_title", request.invoice_title)?.filter(|title| !title.is_empty()),
        footer: text("invoice_footer", request.invoice_footer)?.filter(|footer| !footer.is_empty()),
        questions: request.questions.filter(|value| !value.is_null()).map(|value| questions(&value)).transpose()?,
        return_url: request.payment_return_url.map(return_url).transpose()?,
        return_url_enabled: request.payment_return_url_enabled.unwrap_or(true),
        receiver: None,
    })
}

fn text(field: &'static str, value: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    if MOST_TEXT_CHARACTERS < value.chars().count() {
        return Err(invalid(field, format!("{field} must have at most {MOST_TEXT_CHARACTERS} characters")));
    }
    // PostgreSQL cannot store it, and nobody means it.
    if value.contains('\0') {
        return Err(invalid(field, format!("{field} must not contain the character U+0000")));
    }
    Ok(Some(value))
}

fn email(email: String) -> Result<String, ApiError> {
    let is_plausible = is_plausible(&email);
    if is_plausible { Ok(email) } else { Err(invalid("customer_email", "customer_email must be an e-mail address")) }
}

pub(super) fn return_url(text: String) -> Result<String, ApiError> {
    const FIELD: &str = "payment_return_url";
    if MOST_URL_CHARACTERS < text.chars().count() {
        return Err(invalid(FIELD, format!("{FIELD} must have at most {MOST_URL_CHARACTERS} characters")));
    }
    // What a reader of URLs would drop without a word does not belong into one.
    let is_one_word = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    let is_https = is_one_word
        && Url::parse(&text).is_ok_and(|url| {
            url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none()
        });
    if is_https { Ok(text) } else { Err(invalid(FIELD, format!("{FIELD} must be an https:// address"))) }
}

fn json(field: &'static str, value: &Value) -> Result<String, ApiError> {
    let text = value.to_string();
    if MOST_JSON_BYTES < text.len() {
        return Err(invalid(field, format!("{field} must have at most {MOST_JSON_BYTES} bytes as JSON")));
    }
    Ok(text)
}

/// Questions are kept as sent: `{"questions":[{"id","question","type","validation":{"required"}}]}`.
fn questions(value: &Value) -> Result<String, ApiError> {
    let entries = value
        .get("questions")
        .and_then(Value::as_array)
        .ok_or_else(|| invalid("questions", "questions must be an object with a list named questions"))?;
    if MOST_QUESTIONS < entries.len() {
        return Err(invalid("questions", format!("questions must have at most {MOST_QUESTIONS} entries")));
    }
    let mut ids: Vec<&str> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let member = |name: &str| {
            let field = format!("questions.questions[{index}].{name}");
            let text = entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.ok_or_else(|| invalid(field.clone(), format!("{field} must be a text that is not empty")))
        };
        let id = member("id")?;
        member("question")?;
        member("type")?;
        if ids.contains(&id) {
            let field = format!("questions.questions[{index}].id");
            return Err(invalid(field.clone(), format!("{field} was used before")));
        }
        ids.push(id);
        let required = entry.get("validation").map(|validation| validation.get("required").unwrap_or(validation));
        if required.is_some_and(|required| !required.is_boolean()) {
            let field = format!("questions.questions[{index}].validation.required");
            return Err(invalid(field.clone(), format!("{field} must be true or false")));
        }
    }
    json("questions", value)
}

#[cfg(test)]
mod tests {
    use wire::deposit_address;

    use super::*;

    fn parse(json: &str) -> Result<CreateInvoice, ApiError> {
        checked(serde_json::from_str(json).unwrap())
    }

    #[track_caller]
    fn check(member: &str, expected_field: &str) {
        let json = format!(r#"{{"amount_usd":20,{member}}}"#);
        match parse(&json) {
            Err(ApiError::Invalid { field, message }) => {
                assert_eq!(field, expected_field, "{json}");
                assert!(message.contains(expected_field), "{message}");
            }
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn an_amount_alone_is_enough() {
        let request = parse(r#"{"amount_usd":49.999}"#).unwrap();
        assert_eq!(request.due.as_millis(), 49_999);
        assert_eq!(request.expires_in_ms, 43_200_000);
        assert_eq!(request.metadata, "{}");
        assert!(request.return_url_enabled);
        assert_eq!((request.title, request.questions, request.return_url), (None, None, None));
    }

    #[test]
    fn limits_are_inclusive() {
        let long = "ä".repeat(255);
        let metadata = format!(r#"{{"a":"{}"}}"#, "b".repeat(504));
        assert_eq!(metadata.len(), 512);
        let url = format!("https://shop.example/{}", "a".repeat(2027));
        assert_eq!(url.len(), 2048);
        for member in [
            format!(r#""description":"{long}""#),
            format!(r#""customer_id":"{long}","invoice_title":"{long}","invoice_footer":"{long}""#),
            format!(r#""metadata":{metadata}"#),
            format!(r#""payment_return_url":"{url}""#),
            r#""expires_in":1"#.to_owned(),
            r#""expires_in":2592000000"#.to_owned(),
            r#""customer_email":"a.b+c@mail.shop.example""#.to_owned(),
            r#""questions":{"questions":[{"id":"1","question":"Mail?","type":"email","validation":{"required":true}}]}"#
                .to_owned(),
            r#""description":null,"metadata":null,"questions":null,"unknown":[1e999]"#.to_owned(),
        ] {
            let json = format!(r#"{{"amount_usd":20,{member}}}"#);
            assert!(parse(&json).is_ok(), "{json}: {:?}", parse(&json));
        }
    }

    #[test]
    fn each_field_beyond_its_limit_is_named() {
        let long = "ä".repeat(256);
        for field in ["description", "customer_id", "invoice_title", "invoice_footer", "customer_email"] {
            check(&format!(r#""{field}":"{long}""#), field);
        }
        check(r#""description":"a\u0000b""#, "description");
        check(&format!(r#""metadata":{{"a":"{}"}}"#, "b".repeat(505)), "metadata");
        for text in ["0", "-1", "2592000001", "9223372036854775807"] {
            check(&format!(r#""expires_in":{text}"#), "expires_in");
        }
        for url in [
            "http://shop.example/",
            " https://shop.example/",
            "https://shop.example/\\n",
            "shop.example",
            "https://",
            "javascript:alert(1)",
            "https://a:b@shop.example/",
        ] {
            check(&format!(r#""payment_return_url":"{url}""#), "payment_return_url");
        }
        check(&format!(r#""payment_return_url":"https://shop.example/{}""#, "a".repeat(2028)), "payment_return_url");
        for email in
            ["", "a", "a@", "@b.example", "a@b", "a@b..example", "a b@c.example", "a@@b.example", "a@b.example\\n"]
        {
            check(&format!(r#""customer_email":"{email}""#), "customer_email");
        }
    }

    #[test]
    fn questions_of_another_shape_are_refused() {
        check(r#""questions":[]"#, "questions");
        check(r#""questions":{"questions":7}"#, "questions");
        check(r#""questions":"x""#, "questions");
        check(r#""questions":{"questions":[7]}"#, "questions.questions[0].id");
        check(r#""questions":{"questions":[{"id":"1","type":"email"}]}"#, "questions.questions[0].question");
        check(
            r#""questions":{"questions":[{"id":"1","question":"?","type":"email","validation":{"required":"yes"}}]}"#,
            "questions.questions[0].validation.required",
        );
        let question = |id: usize| format!(r#"{{"id":"{id}","question":"?","type":"email"}}"#);
        let list = |ids: &[usize]| ids.iter().map(|id| question(*id)).collect::<Vec<_>>().join(",");
        check(&format!(r#""questions":{{"questions":[{}]}}"#, list(&[1, 1])), "questions.questions[1].id");
        check(&format!(r#""questions":{{"questions":[{}]}}"#, list(&[1, 2, 3, 4, 5, 6])), "questions");
        check(
            &format!(r#""questions":{{"questions":[{{"id":"1","question":"{}","type":"email"}}]}}"#, "a".repeat(512)),
            "questions",
        );
    }

    fn receiver_of(members: &str, may_override: bool) -> Result<Option<Address>, ApiError> {
        let request = serde_json::from_str(&format!(r#"{{"amount_usd":20{members}}}"#)).unwrap();
        let config = toml::from_str(
            "environment = \"mainnet\"\n[[networks]]\nname = \"base\"\ntitle = \"Base\"\nchain_id = 8453\n\
             rpc = [\"https://rpc.example\"]\npaid_after = 1\nfinal_after = 1\n[[networks.tokens]]\nid = 1\n\
             symbol = \"USDC\"\nname = \"USD Coin\"\naddress = \"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913\"\n\
             decimals = 6\nprice = \"par\"\n",
        );
        receiver(&request, &config.unwrap(), may_override)
    }

    #[test]
    fn a_default_key_sets_no_receiver() {
        for (members, named) in [
            (r#","receiver_override_enable":true"#, "receiver_override_enable"),
            (r#","receiver_override_enable":true,"receiver_override_address":"0x1""#, "receiver_override_address"),
            (r#","receiver_override_address":"0x1""#, "receiver_override_address"),
        ] {
            let refused = receiver_of(members, false);
            let right = Right::OverrideReceiver;
            assert!(
                matches!(&refused, Err(ApiError::RightRequiredBy { right: r, field: f }) if *r == right && f == named),
                "{members}: {refused:?}"
            );
        }
        for members in ["", r#","receiver_override_enable":false"#, r#","receiver_override_address":null"#] {
            assert_eq!(receiver_of(members, false).unwrap(), None);
        }
    }

    #[test]
    fn a_receiver_is_an_address_that_was_clearly_asked_for() {
        const GOOD: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let with = |enable: &str, address: &str| {
            receiver_of(
                &format!(r#","receiver_override_enable":{enable},"receiver_override_address":"{address}""#),
                true,
            )
        };
        assert_eq!(with("true", GOOD).unwrap(), Some(GOOD.parse().unwrap()));
        assert_eq!(with("false", GOOD).unwrap(), None);
        let check = |refused: Result<Option<Address>, ApiError>, named: &str| {
            assert!(matches!(&refused, Err(ApiError::Invalid { field, .. }) if field == named), "{named}: {refused:?}");
        };
        check(with("null", GOOD), "receiver_override_enable");
        check(receiver_of(r#","receiver_override_enable":true"#, true), "receiver_override_address");
        for address in [
            "",
            "0x1",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed",
            "0x0000000000000000000000000000000000000000",
            // A precompiled contract, where tokens are burnt, our factory, a configured token, a known key.
            "0x0000000000000000000000000000000000000004",
            "0x000000000000000000000000000000000000dEaD",
            &deposit_address::FACTORY.to_checksum(None),
            &deposit_address::LOGIC.to_checksum(None),
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T",
        ] {
            check(with("true", address), "receiver_override_address");
            check(with("false", address), "receiver_override_address");
        }
    }
}
