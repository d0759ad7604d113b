//! The payer's page as a payer uses it: what is on it is read from the page, and codes from pictures of it.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use serde_json::{Value, json};

use crate::{
    PATIENCE,
    chromium::Browser,
    outcome::{Failure, Outcome},
    payment_request::{self, PaymentRequest},
};

/// How often to look at the page, which tells nobody when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The code that is in sight when the page asks for a payment.
const REQUEST_CODE: &str = ".qr--request";
/// The code that is in sight instead when the payer's wallet reads nothing else, or the payer pays from an exchange.
const ADDRESS_CODE: &str = ".qr--address";

/// The page, open in a browser, by itself or inside a shop's frame.
pub struct CheckoutPage<'a> {
    browser: &'a Browser,
}

/// What the page asks for, as its text says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whole tokens, such as `24.9`.
    pub amount: String,
    /// Such as `USDC`.
    pub symbol: String,
    /// The network's name for people.
    pub network: String,
    /// Where to send it.
    pub address: String,
}

impl Asked {
    /// The amount in the token's smallest unit.
    ///
    /// # Errors
    ///
    /// When the page shows no plain decimal, or more decimals than the token has.
    pub fn base_units(&self, decimals: u8) -> Outcome<U256> {
        let (whole, fraction) = self.amount.split_once('.').unwrap_or((&self.amount, ""));
        let missing = usize::from(decimals).checked_sub(fraction.len());
        let missing = missing.ok_or_else(|| Failure::new(format!("{} has too many decimals", self.amount)))?;
        let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(U256::from_str_radix(&digits, 10)?)
        } else {
            Err(Failure::new(format!("{} is no amount", self.amount)))
        }
    }
}

impl<'a> CheckoutPage<'a> {
    /// Opens a payment URL by itself.
    ///
    /// # Errors
    ///
    /// When the browser does not get there, or it is another page.
    pub async fn open(browser: &'a Browser, payment_url: &str) -> Outcome<Self> {
        browser.go_to(payment_url).await?;
        let page = Self { browser };
        page.is_there().await?;
        Ok(page)
    }

    /// Goes on inside the frame of the shop's page that is open.
    ///
    /// # Errors
    ///
    /// When there is no frame, or another page in it.
    pub async fn in_frame(browser: &'a Browser) -> Outcome<Self> {
        browser.leave_frames().await?;
        browser.enter_frame("iframe").await?;
        let page = Self { browser };
        page.is_there().await?;
        Ok(page)
    }

    async fn is_there(&self) -> Outcome {
        self.until("the page to be there", async || {
            let found = self.browser.find("#app #stage").await?;
            Ok(found.map(drop))
        })
        .await
    }

    /// Waits until scripts have taken the page over.
    ///
    /// # Errors
    ///
    /// When they do not.
    pub async fn is_live(&self) -> Outcome {
        self.until("scripts to take the page over", async || {
            let app = self.browser.find("#app[data-live]").await?;
            Ok(app.map(drop))
        })
        .await
    }

    /// Picks a token on a network and waits until the page asks for it.
    ///
    /// # Errors
    ///
    /// When it is not on offer, or the page does not go on.
    pub async fn choose(&self, network: &str, token: u64) -> Outcome {
        self.pick(network, token).await?;
        self.confirm_choice().await
    }

    /// Picks a token on a network without going on.
    ///
    /// # Errors
    ///
    /// When it is not on offer.
    pub async fn pick(&self, network: &str, token: u64) -> Outcome {
        self.browser.click(&format!(r#"label:has(input[value="{network}:{token}"])"#)).await
    }

    /// Goes on with what was picked.
    ///
    /// # Errors
    ///
    /// When the page does not ask for a payment then.
    pub async fn confirm_choice(&self) -> Outcome {
        self.browser.click(".choose button").await?;
        self.asks_for_payment().await
    }

    /// Waits until the page asks for a payment.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn asks_for_payment(&self) -> Outcome {
        self.until("the page to ask for a payment", async || {
            let is_drawn = self.browser.draws(REQUEST_CODE).await?;
            Ok(is_drawn.then_some(()))
        })
        .await
    }

    /// What the page asks for, by its text.
    ///
    /// # Errors
    ///
    /// When it asks for nothing.
    pub async fn asked(&self) -> Outcome<Asked> {
        let part = async |selector: &str| {
            let text = self.browser.text(selector).await?;
            text.ok_or_else(|| Failure::new(format!("the page shows no {selector}")))
        };
        Ok(Asked {
            amount: part("#amount").await?,
            symbol: part(".amount__symbol").await?,
            network: part(".on-network").await?,
            address: part("#address").await?,
        })
    }

    /// What a wallet reads from the code in sight.
    ///
    /// # Errors
    ///
    /// When no code can be read from a picture of it, or it holds no payment request.
    pub async fn scan_request(&self) -> Outcome<PaymentRequest> {
        let picture = self.browser.picture_of(REQUEST_CODE).await?;
        payment_request::parse(&payment_request::scan(&picture)?)
    }

    /// The text that a wallet reads from the code in sight, which may be of any kind.
    ///
    /// # Errors
    ///
    /// When no code can be read from a picture of it.
    pub async fn scan_text(&self, code: &str) -> Outcome<String> {
        // Some codes are drawn by scripts alone, and only once the address was seen to.
        let dashes = format!("{code} path[stroke-dasharray*='1']");
        self.until("the code to be drawn", async || Ok(self.browser.find(&dashes).await?.map(|_| ()))).await?;
        payment_request::scan(&self.browser.picture_of(code).await?)
    }

    /// What the code for exchanges holds: an address and nothing else. It is then the one in sight.
    ///
    /// # Errors
    ///
    /// When no address can be read from a picture of it.
    pub async fn scan_address(&self) -> Outcome<Address> {
        self.browser.click("label[for=from-exchange]").await?;
        let picture = self.browser.picture_of(ADDRESS_CODE).await?;
        Ok(payment_request::scan(&picture)?.parse()?)
    }

    /// Waits until the page says that this browser has computed the address too.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn has_computed_the_address(&self) -> Outcome {
        self.until("the browser to have computed the address", async || {
            let is_said = self.browser.draws(".proof__check--done").await?;
            Ok(is_said.then_some(()))
        })
        .await
    }

    /// The heading of what the payer is to do or to see.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn heading(&self) -> Outcome<String> {
        Ok(self.browser.text("#stage").await?.unwrap_or_default())
    }

    /// The line that says how things stand.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn status(&self) -> Outcome<String> {
        Ok(self.browser.text("[role=status]").await?.unwrap_or_default())
    }

    /// Waits for a heading.
    ///
    /// # Errors
    ///
    /// When it does not come.
    pub async fn says(&self, heading: &str) -> Outcome {
        self.until(&format!("the page to say \u{201c}{heading}\u{201d}"), async || {
            let said = self.heading().await?;
            Ok((said == heading).then_some(()))
        })
        .await
    }

    /// Waits until a text is drawn somewhere on the page, in sight or for those who hear it.
    ///
    /// # Errors
    ///
    /// When it does not come.
    pub async fn shows(&self, text: &str) -> Outcome {
        self.until(&format!("the page to show \u{201c}{text}\u{201d}"), async || {
            let shown = self.browser.text("#app").await?.unwrap_or_default();
            Ok(shown.contains(text).then_some(()))
        })
        .await
    }

    /// Whether a text is on the page just now.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn shows_now(&self, text: &str) -> Outcome<bool> {
        Ok(self.browser.text("#app").await?.unwrap_or_default().contains(text))
    }

    /// Marks this very document, so that [`Self::is_the_same`] can tell it from one that was loaded later.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn remember(&self) -> Outcome {
        self.browser.script("window.rememberedByTest = true", json!([])).await.map(drop)
    }

    /// Whether it is still the document that was marked: nothing was loaded anew.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub async fn is_the_same(&self) -> Outcome<bool> {
        let remembered = self.browser.script("return window.rememberedByTest === true", json!([])).await?;
        Ok(remembered == Value::Bool(true))
    }

    /// Looks at the page until there is an answer. An error counts as none: a page that is being exchanged gives some.
    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Outcome<Option<T>>) -> Outcome<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let looked = look().await;
            if let Ok(Some(answer)) = looked {
                return Ok(answer);
            }
            if deadline < Instant::now() {
                let trouble = looked.err().map(|failure| format!(" ({failure})")).unwrap_or_default();
                let heading = self.heading().await.unwrap_or_default();
                let status = self.status().await.unwrap_or_default();
                return Err(Failure::new(format!(
                    "waited {} s for {what}{trouble}; the page says \u{201c}{heading}\u{201d} and \u{201c}{status}\u{201d}",
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_digit_by_digit() {
        let check = |amount: &str, decimals, expected: Option<u64>| {
            let text = String::new;
            let asked = Asked { amount: amount.to_owned(), symbol: text(), network: text(), address: text() };
            assert_eq!(asked.base_units(decimals).ok(), expected.map(U256::from), "{amount}");
        };
        check("24.9", 6, Some(24_900_000));
        check("7", 6, Some(7_000_000));
        check("0.000001", 6, Some(1));
        check("0.0000001", 6, None);
        check("1,000", 6, None);
        check("1e3", 6, None);
    }
}
