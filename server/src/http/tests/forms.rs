//! What payers say: answers to the merchant's questions, the address for the receipt, and that they have paid; by the API
//! and by forms that need no script.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Answer, Created, Server, altered, request, usd};

const QUESTIONS: &str = "/api/v1/payments/invoice-questions";
const SUBMIT: &str = "/api/v1/payments/submit-form";
const EMAIL: &str = "/api/v1/payments/customer-email";

/// An invoice with a question of each kind; the first two must be answered.
async fn asking(server: &Server) -> Created {
    let question = |id: &str, text: &str, kind: &str, required: bool| json!({ "id": id, "question": text, "type": kind, "validation": { "required": required } });
    let questions = [
        question("glaze", "Which <b>glaze</b>?", "text", true),
        question("mail", "Whose mail?", "email", true),
        question("n", "How many?", "number", false),
    ];
    server.invoice(json!({ "questions": { "questions": questions } })).await
}

impl Server {
    async fn payor_post(&self, path: &str, invoice: &Created, body: &Value) -> Answer {
        let headers = [
            ("x-session-token", invoice.token.as_str()),
            ("x-signature", &invoice.signature),
            ("content-type", "application/json"),
        ];
        self.send(request(Method::POST, path, &headers, &body.to_string())).await
    }

    /// Sends a form as a browser without scripts does.
    async fn post_form(&self, path: &str, invoice: &Created, fields: &str) -> Answer {
        let form = format!("session={}&signature={}&lang=en&{fields}", invoice.token, invoice.signature);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
        self.send(request(Method::POST, path, &headers, &form)).await
    }

    async fn invoice_now(&self, invoice: &Created) -> Value {
        self.merchant_get(&format!("/api/v1/invoices/{}", invoice.id)).await.json()
    }
}

/// A page of ours, without a script, in a policy that lets none run.
#[track_caller]
fn is_still(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert!(answer.header("content-type").starts_with("text/html"), "{}", answer.text);
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self' 'sha256-"), "{policy}");
    assert!(policy.contains("trusted-types 'none'") && !policy.contains("script-src"), "{policy}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.header("cache-control").contains("no-store"));
    for never in ["<script", " style=", "panicked", "ApiError"] {
        assert!(!answer.text.contains(never), "{never}: {}", answer.text);
    }
}

#[tokio::test]
async fn questions_are_told_as_they_were_asked() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    let told = server.payor_get(QUESTIONS, &invoice).await.json();
    let entry = json!({
        "id": "glaze", "question": "Which <b>glaze</b>?", "type": "text", "validation": { "required": true },
    });
    assert_eq!((&told["has_questions"], &told["questions"]["questions"][0]), (&json!(true), &entry));
    let plain = server.invoice(json!({})).await;
    assert_eq!(server.payor_get(QUESTIONS, &plain).await.json(), json!({ "has_questions": false }));
}

#[tokio::test]
async fn answers_are_kept_once_and_shown_to_the_merchant() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    assert_eq!(server.invoice_now(&invoice).await.get("responses"), None);
    let answers = |glaze: &str| {
        json!({ "responses": [
            { "question_id": "mail", "response": " anna@Mail.example " },
            { "question_id": "glaze", "response": glaze },
        ] })
    };
    for _ in 0..2 {
        let answer = server.payor_post(SUBMIT, &invoice, &answers("Sage")).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "success": true })));
    }
    server.payor_post(SUBMIT, &invoice, &answers("Blue")).await.is_error(409, "QUESTIONS_ANSWERED", None);
    let expected = json!([
        { "question_id": "glaze", "response": "Sage" },
        { "question_id": "mail", "response": "anna@mail.example" },
    ]);
    assert_eq!(server.invoice_now(&invoice).await["responses"], expected);
}

#[tokio::test]
async fn answers_that_cannot_be_taken_are_named_and_none_is_kept() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    let one = |id: &str, response: Value| json!({ "question_id": id, "response": response });
    let good = || one("mail", json!("a@b.example"));
    for (responses, field) in [
        (json!([]), "responses"),
        (json!([one("glaze", json!("x"))]), "responses"),
        (json!([one("glaze", json!("x")), one("mail", json!("x"))]), "responses"),
        (json!([one("glaze", json!("x".repeat(256))), good()]), "responses"),
        (json!([one("glaze", json!(7)), good()]), "responses[0].response"),
        (json!([good(), one("size", json!("x"))]), "responses[1].question_id"),
        (json!([good(), good()]), "responses[1].question_id"),
    ] {
        let answer = server.payor_post(SUBMIT, &invoice, &json!({ "responses": responses })).await;
        answer.is_error(400, "VALIDATION_ERROR", Some(field));
    }
    assert_eq!(server.invoice_now(&invoice).await.get("responses"), None);
}

#[tokio::test]
async fn required_questions_come_before_the_choice_of_a_token() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    let choice = r#"{"network":"ethereum","tokenId":1}"#;
    server.choose_by_api(&invoice, choice).await.is_error(400, "QUESTIONS_UNANSWERED", None);
    let sent_on = server.post_form("/pay/choose", &invoice, "token=ethereum:1").await;
    assert_eq!(
        (sent_on.status.as_u16(), sent_on.header("location")),
        (303, format!("{}&lang=en", invoice.page()).as_str())
    );
    let answers = json!({ "responses": [
        { "question_id": "glaze", "response": "Sage" }, { "question_id": "mail", "response": "a@b.example" },
    ] });
    assert_eq!(server.payor_post(SUBMIT, &invoice, &answers).await.status, 200);
    assert_eq!(server.choose_by_api(&invoice, choice).await.status, 200);
}

#[tokio::test]
async fn an_email_is_kept_as_one_address_until_the_invoice_ends() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "expires_in": 60_000 })).await;
    assert_eq!(server.payor_get(EMAIL, &invoice).await.json(), json!({ "email": null, "has_email": false }));
    let kept = server.payor_post(EMAIL, &invoice, &json!({ "email": " Anna@Mail.EXAMPLE" })).await.json();
    assert_eq!((&kept["success"], &kept["email"]), (&json!(true), &json!("Anna@mail.example")));
    let told = json!({ "email": "Anna@mail.example", "has_email": true });
    assert_eq!(server.payor_get(EMAIL, &invoice).await.json(), told);
    assert_eq!(server.invoice_now(&invoice).await["customer_email"], "Anna@mail.example");
    for email in ["", "anna", "a@b", "a@b.example, c@d.example"] {
        let answer = server.payor_post(EMAIL, &invoice, &json!({ "email": email })).await;
        answer.is_error(400, "VALIDATION_ERROR", Some("email"));
    }
    server.clock.advance_seconds(61);
    let late = server.payor_post(EMAIL, &invoice, &json!({ "email": "b@mail.example" })).await;
    late.is_error(410, "INVOICE_EXPIRED", None);

    let preset = server.invoice(json!({ "customer_email": "c@mail.example" })).await;
    assert_eq!(server.payor_get(EMAIL, &preset).await.json()["email"], "c@mail.example");
    server.quote(&preset).await;
    server.pay(&preset, usd(20_000), 3).await;
    let paid = server.payor_post(EMAIL, &preset, &json!({ "email": "d@mail.example" })).await;
    paid.is_error(400, "INVOICE_ALREADY_PAID", None);
}

#[tokio::test]
async fn questions_are_a_page_that_needs_no_script_and_loses_nothing() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    let asked = server.get(&invoice.page(), &[("accept-language", "en")]).await;
    is_still(&asked, 200);
    for part in [
        "A few questions from",
        "Which &lt;b&gt;glaze&lt;/b&gt;?",
        "name=\"answer-0\"",
        "type=\"email\"",
        "/pay/questions",
    ] {
        assert!(asked.text.contains(part), "{part}: {}", asked.text);
    }
    assert!(!asked.text.contains("/pay/choose"), "{}", asked.text);

    let long = "x".repeat(256);
    let fields = format!("answer-0={long}&answer-1=nobody&answer-2=%3Cseven%3E&email=none&answer-9=x&other=y");
    let again = server.post_form("/pay/questions", &invoice, &fields).await;
    is_still(&again, 400);
    for part in [
        "Nothing you wrote is lost",
        "at most 255 characters",
        "not an e-mail address",
        "write a number",
        &format!("value=\"{long}\""),
        "value=\"nobody\"",
        "value=\"&lt;seven&gt;\"",
        "value=\"none\"",
        "aria-invalid=\"true\"",
        "aria-describedby=\"answer-0-fault\"",
    ] {
        assert!(again.text.contains(part), "{part}: {}", again.text);
    }
    assert_eq!(server.invoice_now(&invoice).await.get("responses"), None);
    let missing = server.post_form("/pay/questions", &invoice, "").await;
    is_still(&missing, 400);
    assert_eq!(missing.text.matches("Please answer this.").count(), 2, "{}", missing.text);

    let good = "answer-0=Sage&answer-1=a@b.example&answer-2=&email=anna@mail.example";
    let done = server.post_form("/pay/questions", &invoice, good).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, format!("{}&lang=en", invoice.page()).as_str()));
    let now = server.invoice_now(&invoice).await;
    assert_eq!(
        (&now["responses"][0]["response"], &now["customer_email"]),
        (&json!("Sage"), &json!("anna@mail.example"))
    );
    assert!(server.get(&invoice.page(), &[]).await.text.contains("/pay/choose"));

    // Another window that still shows the questions.
    let same = server.post_form("/pay/questions", &invoice, good).await;
    assert_eq!(same.status, 303);
    let other = server.post_form("/pay/questions", &invoice, "answer-0=Blue&answer-1=a@b.example").await;
    is_still(&other, 409);
    assert!(other.text.contains("answered already") && other.text.contains("Back to the payment"), "{}", other.text);
    assert_eq!(server.invoice_now(&invoice).await["responses"][0]["response"], "Sage");
}

#[tokio::test]
async fn questions_that_may_be_left_open_are_asked_once() {
    let server = Server::start().await;
    let question = json!({ "id": "1", "question": "Anything else?", "type": "text" });
    let invoice = server.invoice(json!({ "questions": { "questions": [question] } })).await;
    assert!(server.get(&invoice.page(), &[]).await.text.contains("Anything else?"));
    assert_eq!(server.post_form("/pay/questions", &invoice, "answer-0=").await.status, 303);
    assert!(server.get(&invoice.page(), &[]).await.text.contains("/pay/choose"));
    assert_eq!(server.invoice_now(&invoice).await["responses"], json!([]));
}

#[tokio::test]
async fn an_ended_invoice_asks_nothing_and_tells_how_it_ended() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    server.clock.advance_seconds(43_201);
    let late = server.post_form("/pay/questions", &invoice, "answer-0=Sage&answer-1=a@b.example").await;
    assert_eq!(late.status, 303);
    let page = server.get(&invoice.page(), &[("accept-language", "en")]).await;
    assert!(page.text.contains("Time is up") && !page.text.contains("answer-0"), "{}", page.text);
    assert_eq!(server.invoice_now(&invoice).await.get("responses"), None);
}

#[tokio::test]
async fn help_has_the_payment_looked_for_and_says_how_far_that_is() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    let help = invoice.page().replace("/pay?", "/pay/help?") + "&lang=en";
    server.quote(&invoice).await;
    let page = server.get(&help, &[]).await;
    is_still(&page, 200);
    for part in [
        "I have paid",
        "<option value=\"ethereum\" selected",
        "name=\"tx_hash\"",
        "shop@shop.example",
        "Back to the payment",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("http-equiv=\"refresh\""), "{}", page.text);

    for (fields, said) in [
        ("network=ethereum&tx_hash=0x12%22%3E", "it is 0x and 64 letters"),
        ("network=base", "on another network"),
        ("network=%3Ctron%3E", "on which network you paid"),
    ] {
        let refused = server.post_form("/pay/verify", &invoice, fields).await;
        is_still(&refused, 400);
        assert!(refused.text.contains(said), "{said}: {}", refused.text);
    }
    let kept = server.post_form("/pay/verify", &invoice, "network=ethereum&tx_hash=0x12%22%3E").await;
    assert!(kept.text.contains("value=\"0x12&quot;&gt;\""), "{}", kept.text);

    let asked = server.post_form("/pay/verify", &invoice, "network=ethereum&tx_hash=").await;
    assert_eq!((asked.status.as_u16(), asked.header("location")), (303, help.as_str()));
    let looking = server.get(&help, &[]).await;
    is_still(&looking, 200);
    for part in ["attempt 1 of 10", "Ethereum", "http-equiv=\"refresh\""] {
        assert!(looking.text.contains(part), "{part}: {}", looking.text);
    }
    let path = format!("/api/v1/invoice/{}/verify", invoice.id);
    assert_eq!(server.payor_get(&path, &invoice).await.json()["data"]["job_status"], "pending");

    let email = server.post_form("/pay/email", &invoice, "email=Anna@Mail.example").await;
    assert_eq!(email.status, 303);
    assert!(server.get(&help, &[]).await.text.contains("The receipt goes to Anna@mail.example."));
    let none = server.post_form("/pay/email", &invoice, "email=nobody").await;
    is_still(&none, 400);
    assert!(none.text.contains("value=\"nobody\"") && none.text.contains("not an e-mail address"), "{}", none.text);
}

#[tokio::test]
async fn a_receipt_has_rate_quote_transaction_and_settlement() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({ "description": "Two mugs" })).await;
    let receipt = invoice.page().replace("/pay?", "/pay/receipt?") + "&lang=en";
    let early = server.get(&receipt, &[]).await;
    is_still(&early, 200);
    assert!(early.text.contains("not paid yet") && early.text.contains("Back to the payment"), "{}", early.text);

    server.quote(&invoice).await;
    server.pay(&invoice, usd(20_000), 3).await;
    let page = server.get(&receipt, &[]).await;
    is_still(&page, 200);
    for part in [
        "Receipt",
        "Two mugs",
        &invoice.id.to_string(),
        "$20.00",
        "20 USDC on Ethereum",
        "1 USDC = $1.00",
        "20 USDC, good from ",
        " UTC",
        "https://explorer.example/tx/0x",
        "0x00000000000000000000000000000000000000aa",
        "On the way to the merchant",
        "shop@shop.example",
        "@media print",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let paid = server.get(&invoice.page(), &[("accept-language", "en")]).await;
    assert!(paid.text.contains("/pay/receipt?session="), "{}", paid.text);
}

#[tokio::test]
async fn the_way_back_is_shown_only_when_it_may_be_and_never_another_scheme() {
    let server = Server::start().await;
    let url = "https://shop.example/thanks?a=1&b=2";
    for (members, expected) in [
        (json!({ "payment_return_url": url }), json!(url)),
        (json!({ "payment_return_url": url, "payment_return_url_enabled": false }), Value::Null),
        (json!({}), Value::Null),
    ] {
        let invoice = server.invoice(members).await;
        assert_eq!(server.payor_get("/pay/snapshot", &invoice).await.json()["return_url"], expected);
        server.quote(&invoice).await;
        server.pay(&invoice, usd(20_000), 3).await;
        let page = server.get(&invoice.page(), &[]).await.text;
        let link = "href=\"https://shop.example/thanks?a=1&amp;b=2\"";
        assert_eq!(page.contains(link), expected.is_string(), "{page}");
    }
    // What an older version, or somebody with the database, may have left there.
    let invoice = server.invoice(json!({ "payment_return_url": url })).await;
    let (merchant, id) = (server.merchant.0, invoice.id.to_string());
    for scheme in ["http://shop.example/", "javascript:alert(1)", "HTTPS://shop.example/"] {
        sqlx::query("UPDATE invoices SET return_url = $3 WHERE merchant_id = $1 AND invoice_id = $2")
            .bind(merchant)
            .bind(&id)
            .bind(scheme)
            .execute(&mut server.connect().await)
            .await
            .unwrap();
        assert_eq!(server.payor_get("/pay/snapshot", &invoice).await.json()["return_url"], Value::Null, "{scheme}");
    }
}

#[tokio::test]
async fn a_fault_of_ours_is_a_page_with_a_way_on_and_says_nothing_of_its_cause() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    sqlx::query("ALTER TABLE invoices RENAME TO invoices_away").execute(&mut server.connect().await).await.unwrap();
    let page = server.get(&invoice.page(), &[]).await;
    let next = format!("href=\"{}\"", invoice.page().replace('&', "&amp;"));
    assert!(page.text.contains(&next) && page.text.contains("Try again"), "{}", page.text);
    let form = server.post_form("/pay/choose", &invoice, "token=ethereum%3A1").await;
    for answer in [page, form] {
        is_still(&answer, 500);
        for words in ["Something went wrong here", "Nothing you sent is lost"] {
            assert!(answer.text.contains(words), "{}", answer.text);
        }
        let text = answer.text.to_lowercase();
        for cause in ["invoices_away", "no such", "does not exist", "select ", ".rs:"] {
            assert!(!text.contains(cause), "{cause} is in {}", answer.text);
        }
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_link_or_a_form_there_is_a_page_that_says_what_to_do() {
    let server = Server::start().await;
    let (invoice, other) = (server.invoice(json!({})).await, server.invoice(json!({})).await);
    let broken = "This payment link does not work";
    let at = |path: &str, token: &str, signature: &str| format!("{path}?session={token}&signature={signature}&lang=en");
    for path in ["/pay", "/pay/help", "/pay/receipt"] {
        for (token, signature) in [
            (altered(&invoice.token, 9), invoice.signature.clone()),
            (invoice.token.clone(), altered(&invoice.signature, 3)),
            (invoice.token.clone(), other.signature.clone()),
            (invoice.token.clone(), String::new()),
            (invoice.token[..20].to_owned(), invoice.signature.clone()),
            ("%00%FF%3Cscript%3E".to_owned(), "x".to_owned()),
        ] {
            let answer = server.get(&at(path, &token, &signature), &[]).await;
            is_still(&answer, 401);
            assert!(answer.text.contains(broken) && answer.text.contains("open it again"), "{}", answer.text);
        }
        is_still(&server.get(path, &[]).await, 401);
    }
    for path in ["/pay/choose", "/pay/questions", "/pay/verify", "/pay/email"] {
        let foreign = Created { signature: other.signature.clone(), token: invoice.token.clone(), id: invoice.id };
        is_still(&server.post_form(path, &foreign, "token=ethereum:1").await, 401);
        let html = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        is_still(&server.send(request(Method::POST, path, &html, "")).await, 401);
        is_still(&server.send(request(Method::POST, path, &html, "%%%&=&&\u{0}")).await, 401);
        let large = server.post_form(path, &invoice, &format!("answer-0={}", "x".repeat(70_000))).await;
        is_still(&large, 413);
        assert!(large.text.contains("larger than this page takes"), "{}", large.text);
        // A form's address, opened as a page.
        let opened = server.get(&at(path, &invoice.token, &invoice.signature), &[("accept", "text/html")]).await;
        is_still(&opened, 405);
        assert!(opened.text.contains("There is nothing here"), "{}", opened.text);
    }
    for path in ["/pay/", "/pay/recei", "/pay/a/b", "/pa", "/nothing/here"] {
        let answer = server.get(path, &[("accept", "text/html,*/*")]).await;
        is_still(&answer, 404);
    }
    // Programs are told as programs are.
    server.get("/nothing/here", &[]).await.is_error(404, "NOT_FOUND", None);

    let arabic = server.get("/pay?session=x&lang=ar", &[]).await;
    is_still(&arabic, 401);
    assert!(arabic.text.contains("dir=\"rtl\"") && arabic.text.contains("رابط الدفع هذا لا يعمل"), "{}", arabic.text);

    server.clock.advance_seconds(43_200 + 30 * 86_400 + 1);
    let over = server.get(&at("/pay", &invoice.token, &invoice.signature), &[]).await;
    is_still(&over, 401);
    assert!(over.text.contains("no longer valid") && over.text.contains("ask the shop"), "{}", over.text);
}

#[tokio::test]
async fn a_choice_with_fields_that_say_nothing_is_a_page_too() {
    let server = Server::start().await;
    let invoice = server.invoice(json!({})).await;
    for fields in ["token=nonsense", "token=base:x", "network=base&token_id=y", "token=%00:1%00"] {
        let answer = server.post_form("/pay/choose", &invoice, fields).await;
        is_still(&answer, 400);
        assert!(answer.text.contains("could not be understood"), "{fields}: {}", answer.text);
    }
    // What is not on offer is said above the choice.
    let answer = server.post_form("/pay/choose", &invoice, "token=%3Cnone%3E:99").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("cannot be used for this payment"), "{}", answer.text);
}

#[tokio::test]
async fn two_windows_that_answer_at_once_keep_one_answer() {
    let server = Server::start().await;
    let invoice = asking(&server).await;
    let form = |glaze: &'static str| {
        let (server, invoice) = (&server, &invoice);
        async move {
            let fields = format!("answer-0={glaze}&answer-1=a@b.example");
            server.post_form("/pay/questions", invoice, &fields).await.status.as_u16()
        }
    };
    let mut statuses = <[u16; 2]>::from(tokio::join!(form("Sage"), form("Blue")));
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    let kept = server.invoice_now(&invoice).await["responses"][0]["response"].clone();
    assert!(kept == "Sage" || kept == "Blue", "{kept}");
}
