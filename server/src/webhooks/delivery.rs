//! One try to deliver one event.

use std::{error::Error, time::Duration};

use domain::{
    signature::sign_webhook,
    time::{UnixMillis, UnixSeconds},
};
use reqwest::{Client, Response, StatusCode, header, redirect};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    resolver::{RefusedTarget, Targets},
    sealing::SigningSecrets,
};
use crate::{config::WebhooksConfig, sealing::Unopenable};

/// More of an answer is not read; the connection is closed instead.
const ANSWER_BYTES_AT_MOST: usize = 64 * 1024;

/// What is sent, but for when and the signature.
pub(super) struct Message {
    pub url: String,
    pub event_type: String,
    pub event_id: String,
    pub environment: String,
    pub body: Vec<u8>,
    pub secrets: SigningSecrets,
}

/// How a try went.
#[derive(Debug)]
pub(super) enum Outcome {
    Delivered(StatusCode),
    /// The receiver wants nothing more.
    Gone,
    Failed(Failure),
}

/// A try that failed; holds nothing of what the receiver said or of its address.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the answer was {status}")]
    Status {
        status: StatusCode,
        /// In seconds, as the receiver asked.
        retry_after: Option<i64>,
    },
    #[error("no answer in time")]
    Timeout,
    #[error("not sent: the target {0}")]
    Refused(#[from] RefusedTarget),
    #[error("not sent: the target is not a URL")]
    Url,
    #[error("not sent: the secret cannot be opened; give the endpoint a new one")]
    Secret(#[from] Unopenable),
    #[error("{0}")]
    Connection(String),
}

/// Sends events to receivers we do not trust.
pub(super) struct Sender {
    targets: Targets,
    timeout: Duration,
    /// For https, to anywhere but private networks that are not allowed.
    secure: Client,
    /// For http, to allowed private networks only.
    plain: Client,
}

impl Sender {
    /// # Errors
    ///
    /// If the system's root certificates cannot be had.
    pub(super) fn new(config: &WebhooksConfig) -> Result<Self, reqwest::Error> {
        Self::with_targets(config, Targets::new(config))
    }

    fn with_targets(config: &WebhooksConfig, targets: Targets) -> Result<Self, reqwest::Error> {
        let client = |is_plain| {
            Client::builder()
                .dns_resolver(targets.resolver(is_plain))
                .https_only(!is_plain)
                .redirect(redirect::Policy::none())
                // A proxy would resolve names itself, past our filter.
                .no_proxy()
                .user_agent(concat!("pepay/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            timeout: Duration::from_millis(config.timeout_ms),
            secure: client(false).build()?,
            plain: client(true).build()?,
            targets,
        })
    }

    /// Sends a message, signed now. One deadline covers connecting, sending and the answer.
    pub(super) async fn send(&self, message: Message, now: UnixMillis) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let response = match timeout_at(deadline, self.post(message, now)).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => return Outcome::Failed(failure),
            Err(_) => return Outcome::Failed(Failure::Timeout),
        };
        let status = response.status();
        let outcome = match status {
            status if status.is_success() => Outcome::Delivered(status),
            StatusCode::GONE => Outcome::Gone,
            status => {
                let retry_after = retry_after(&response, now.as_seconds());
                Outcome::Failed(Failure::Status { status, retry_after })
            }
        };
        // Only a connection that was read to its end can be used again. The status has been given, so
        // what goes wrong from here on changes nothing.
        let _rest_is_slow = timeout_at(deadline, read_rest(response)).await;
        outcome
    }

    async fn post(&self, message: Message, now: UnixMillis) -> Result<Response, Failure> {
        let url: Url = message.url.parse().map_err(|_| Failure::Url)?;
        // Addresses in place of names never meet the resolver, and the rules may have changed since
        // the URL was set.
        self.targets.check(&url)?;
        let client = if url.scheme() == "http" { &self.plain } else { &self.secure };
        let sign = |secret: &str| sign_webhook(secret, now, &message.body);
        let signature = sign(&message.secrets.current);
        let previous = message.secrets.previous.as_deref().map(sign);
        let mut request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Pepay-Event", message.event_type)
            .header("X-Pepay-Event-ID", message.event_id)
            .header("X-Pepay-Timestamp", now.to_string())
            .header("X-Pepay-Signature", signature)
            .header("X-Pepay-Network-Environment", message.environment);
        if let Some(previous) = previous {
            request = request.header("X-Pepay-Signature-Previous", previous);
        }
        request.body(message.body).send().await.map_err(|error| Failure::Connection(causes(&error.without_url())))
    }
}

async fn read_rest(mut response: Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        if ANSWER_BYTES_AT_MOST < bytes {
            return;
        }
    }
}

/// `Retry-After` in seconds from now, given so or as a date (RFC 9110, section 10.2.3).
fn retry_after(response: &Response, now: UnixSeconds) -> Option<i64> {
    patience(response.headers().get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

fn patience(text: &str, now: UnixSeconds) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(date.as_secs()).ok()?.checked_sub(now.0)
}

fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::tls;

    fn message(url: &str) -> Message {
        Message {
            url: url.to_owned(),
            event_type: "test.ping".to_owned(),
            event_id: "evt_1-1".to_owned(),
            environment: "devnet".to_owned(),
            body: b"{}".to_vec(),
            secrets: SigningSecrets { current: "whsec_1".to_owned(), previous: None },
        }
    }

    fn config(allowed: &[&str]) -> WebhooksConfig {
        let allow_private_networks = allowed.iter().map(|network| network.parse().unwrap()).collect();
        WebhooksConfig { allow_private_networks, timeout_ms: 2_000, ..WebhooksConfig::default() }
    }

    /// Something that counts who connects, answers 200 and hangs up.
    async fn listen(address: &str) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let _request = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _sent = stream.write_all(answer).await;
            }
        });
        (port, count)
    }

    /// Every way we know to spell an address that is not public.
    fn spellings() -> Vec<String> {
        let mut hosts: Vec<String> =
            ["localhost", "LOCALHOST", "localhost.", "①②⑦.0.0.1", "127。0。0。1", "%31%32%37.0.0.1"]
                .map(str::to_owned)
                .to_vec();
        for address in
            ["127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "10.0.0.1", "169.254.169.254", "192.168.1.1"]
        {
            let address: Ipv4Addr = address.parse().unwrap();
            let [a, b, c, d] = address.octets();
            let (number, tail) = (address.to_bits(), u32::from(c) << 8 | u32::from(d));
            let (high, low) = (number >> 16, number & 0xffff);
            hosts.extend([
                address.to_string(),
                format!("{address}."),
                number.to_string(),
                format!("{number:#x}"),
                format!("{number:#X}"),
                format!("0{number:o}"),
                format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
                format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
                format!("{a}.{b}.{tail}"),
                format!("{a}.{}", number & 0x00ff_ffff),
                format!("000{a:o}.{b}.{c}.{d}"),
                format!("[::ffff:{address}]"),
                format!("[::ffff:{high:x}:{low:x}]"),
                format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
                format!("[::{address}]"),
                format!("[::ffff:0:{address}]"),
                format!("[64:ff9b::{address}]"),
                format!("[64:ff9b::{high:x}:{low:x}]"),
                format!("[64:ff9b:1::{address}]"),
                format!("[2002:{high:x}:{low:x}::1]"),
                format!("[2001::{high:x}:{low:x}]"),
                format!("[2001:0:{high:x}:{low:x}::]"),
                format!("[fe80::5efe:{address}]"),
            ]);
        }
        hosts.extend(
            [
                "[::]",
                "[::1]",
                "[0:0:0:0:0:0:0:1]",
                "[fe80::1]",
                "[fe80::1%25lo]",
                "[fe80::1%lo]",
                "[fc00::1]",
                "[fd00::1]",
            ]
            .map(str::to_owned),
        );
        hosts.extend(
            ["[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]", "[3fff::1]", "[5f00::1]"].map(str::to_owned),
        );
        hosts
    }

    #[tokio::test]
    async fn nothing_connects_to_an_address_that_is_not_public() {
        tls::install();
        let (port, on_v4) = listen("0.0.0.0:0").await;
        // A machine without IPv6 has nothing to connect to there.
        let has_v6 = TcpListener::bind(format!("[::1]:{port}")).await.is_ok();
        let on_v6 = if has_v6 { listen(&format!("[::1]:{port}")).await.1 } else { Arc::default() };
        let sender = Sender::new(&config(&[])).unwrap();
        let mut urls = Vec::new();
        for host in spellings() {
            urls.extend([format!("http://{host}:{port}/hook"), format!("https://{host}:{port}/hook")]);
        }
        for rest in ["user@127.0.0.1", "user:password@127.0.0.1", "shop.example@127.0.0.1", "127.0.0.1:80@127.0.0.1"] {
            urls.push(format!("http://{rest}:{port}/hook"));
        }
        for url in
            ["ftp://127.0.0.1", "ws://127.0.0.1", "file:///etc/passwd", "unix:/run/x", "//127.0.0.1", "https://", ""]
        {
            urls.push(url.to_owned());
        }
        urls.push(format!("https://127.0.0.1:{port}/#part"));
        urls.push(format!("https:127.0.0.1:{port}"));
        urls.push(format!("https:\\\\127.0.0.1:{port}"));
        assert!(200 <= urls.len(), "{}", urls.len());
        for url in &urls {
            let outcome = sender.send(message(url), UnixMillis(1)).await;
            let is_refused = match &outcome {
                Outcome::Failed(Failure::Refused(_) | Failure::Url) => true,
                // A name is refused once its addresses are known, which those of some spellings are not everywhere.
                Outcome::Failed(Failure::Connection(text)) => {
                    text.contains("no public address") || text.contains("dns error") || text.contains("https")
                }
                _ => false,
            };
            assert!(is_refused, "{url}: {outcome:?}");
        }
        assert_eq!((on_v4.load(Ordering::SeqCst), on_v6.load(Ordering::SeqCst)), (0, 0));
    }

    /// The name is what an attacker's own name server says, and says something else at each look.
    #[tokio::test]
    async fn a_name_that_moves_to_a_private_address_is_not_followed_there() {
        tls::install();
        let (port, inside) = listen("127.0.0.2:0").await;
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        drop(listener.unwrap());
        let outside = listen(&format!("127.0.0.1:{port}")).await.1;
        let config = config(&["127.0.0.1/32"]);
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let (public, private) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let targets = Targets::new(&config).with_names(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 => vec![public],
            1 => vec![private, public],
            _ => vec![private],
        });
        let sender = Sender::with_targets(&config, targets).unwrap();
        let url = format!("http://moving.example:{port}/hook");
        for is_delivered in [true, true, false, false] {
            let outcome = sender.send(message(&url), UnixMillis(1)).await;
            assert_eq!(matches!(outcome, Outcome::Delivered(_)), is_delivered, "{outcome:?}");
        }
        assert_eq!(looks.load(Ordering::SeqCst), 4, "each connection asks again");
        assert_eq!((outside.load(Ordering::SeqCst), inside.load(Ordering::SeqCst)), (2, 0));
    }

    #[test]
    fn a_receiver_asks_for_patience_in_seconds_or_until_a_date() {
        let now = UnixSeconds(784_111_777 - 100);
        for (text, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("-5", Some(-5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(100)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(100)),
            ("Sun Nov  6 08:49:37 1994", Some(100)),
            ("Sun, 06 Nov 1994 08:46:37 GMT", Some(-80)),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999", None),
            ("Sun, 06 Nov 1066 08:49:37 GMT", None),
        ] {
            assert_eq!(patience(text, now), expected, "{text}");
        }
    }
}
