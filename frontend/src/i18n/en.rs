//! The page in English.

/// The messages in English; amounts are thousandths of a dollar.
#[derive(Clone, Copy, Debug)]
pub struct English;

#[expect(clippy::unused_self, reason = "another language may carry its rules")]
impl English {
    pub fn document_title(self, merchant: &str, amount: u64) -> String {
        format!("Pay {} to {merchant}", self.dollars(amount))
    }

    pub fn payment_to(self, merchant: &str) -> String {
        format!("Payment to {merchant}")
    }

    pub fn pay_on(self, symbol: &str, network: &str) -> String {
        format!("Pay with {symbol} on {network}")
    }

    /// `$1,234.50`; a third decimal only where there is one.
    pub fn dollars(self, millis: u64) -> String {
        let decimals = match millis % 1000 {
            millis if millis % 10 == 0 => format!("{:02}", millis / 10),
            millis => format!("{millis:03}"),
        };
        format!("${}.{decimals}", grouped(&(millis / 1000).to_string()))
    }

    /// A plain decimal as dollars, with all its digits and at least cents.
    pub fn dollars_exactly(self, decimal: &str) -> String {
        let (whole, decimals) = decimal.split_once('.').unwrap_or((decimal, ""));
        format!("${}.{decimals:0<2}", grouped(whole))
    }

    pub fn test_network(self) -> &'static str {
        "Test network"
    }

    pub fn amount_due(self) -> &'static str {
        "Amount due"
    }

    pub fn paid_so_far(self) -> &'static str {
        "Paid so far"
    }

    pub fn still_to_pay(self) -> &'static str {
        "Still to pay"
    }

    pub fn time_left(self) -> &'static str {
        "Time left to pay"
    }

    pub fn pay_with(self) -> &'static str {
        "How would you like to pay?"
    }

    pub fn pay_the_rest(self) -> &'static str {
        "Pay the rest"
    }

    pub fn token_and_network(self) -> &'static str {
        "Choose a token, then its network"
    }

    pub fn no_tokens(self) -> &'static str {
        "There is nothing to pay with just now. Please try again in a few minutes."
    }

    pub fn go_on(self) -> &'static str {
        "Continue"
    }

    pub fn one_moment(self) -> &'static str {
        "One moment…"
    }

    pub fn change_token(self) -> &'static str {
        "Change token or network"
    }

    pub fn send_exactly(self) -> &'static str {
        "Send exactly"
    }

    pub fn on_network(self) -> &'static str {
        "On the network"
    }

    pub fn to_address(self) -> &'static str {
        "To this address"
    }

    pub fn copy_amount(self) -> &'static str {
        "Copy amount"
    }

    pub fn copy_address(self) -> &'static str {
        "Copy address"
    }

    pub fn copied(self) -> &'static str {
        "Copied"
    }

    pub fn press_copy(self) -> &'static str {
        "Selected: press Ctrl+C or ⌘C"
    }

    pub fn hold_to_copy(self) -> &'static str {
        "Selected: tap Copy"
    }

    pub fn how_do_you_pay(self) -> &'static str {
        "Where do you pay from?"
    }

    pub fn wallet_way(self) -> &'static str {
        "Scan or open in wallet"
    }

    pub fn exchange_way(self) -> &'static str {
        "I pay from an exchange"
    }

    pub fn request_qr(self, amount: &str, symbol: &str, network: &str) -> String {
        format!("QR code: send {amount} {symbol} on {network}")
    }

    pub fn address_qr(self) -> &'static str {
        "QR code: the address alone"
    }

    pub fn open_wallet(self) -> &'static str {
        "Open in wallet"
    }

    pub fn wallet_hint(self) -> &'static str {
        "The code holds address, amount and network. Check all three in your wallet before you confirm."
    }

    pub fn exchange_hint(self, network: &str) -> String {
        format!(
            "This code holds the address only. Choose {network} as the network, and enter the amount so that it arrives in full after the exchange's fee."
        )
    }

    pub fn only_this(self, symbol: &str, network: &str) -> String {
        format!("Send only {symbol} on {network} to this address. Anything else may be lost.")
    }

    pub fn rate(self, symbol: &str, rate: &str) -> String {
        format!("1 {symbol} = {}", self.dollars_exactly(rate))
    }

    pub fn rate_valid_for(self) -> &'static str {
        "Rate valid for"
    }

    pub fn rate_lapsed(self) -> &'static str {
        "This rate has lapsed"
    }

    pub fn renew(self) -> &'static str {
        "Get the current amount"
    }

    pub fn renewing(self) -> &'static str {
        "Getting the current rate. Please wait before you send anything."
    }

    pub fn renewed(self) -> &'static str {
        "The amount was updated to the current rate."
    }

    pub fn waiting(self) -> &'static str {
        "Waiting for your payment."
    }

    pub fn part_arrived(self, paid: u64, amount: u64) -> String {
        format!("{} of {} has arrived. Please send the rest.", self.dollars(paid), self.dollars(amount))
    }

    pub fn no_price(self) -> &'static str {
        "There is no reliable price for this token just now. Choose another one, or try again in a moment."
    }

    pub fn not_offered(self) -> &'static str {
        "This token cannot be used for this payment. Please choose another one."
    }

    pub fn found(self) -> &'static str {
        "Payment found"
    }

    pub fn confirming(self, confirmations: u32, required: u32) -> String {
        format!("Payment found. Confirming: {} of {required}.", confirmations.min(required))
    }

    pub fn confirmations(self, confirmations: u32, required: u32) -> String {
        format!("{} of {required} confirmations", confirmations.min(required))
    }

    pub fn confirming_hint(self) -> &'static str {
        "Nothing more to do: this page follows the network by itself. You may close it, the payment goes on."
    }

    pub fn time_is_up(self) -> &'static str {
        "Time is up"
    }

    pub fn checking(self) -> &'static str {
        "Time is up. Checking for payments that are on their way."
    }

    pub fn checking_hint(self) -> &'static str {
        "If you have already paid, leave this page open. Please do not send anything now."
    }

    pub fn paid(self) -> &'static str {
        "Paid"
    }

    pub fn paid_to(self, amount: u64, merchant: &str) -> String {
        format!("{} paid to {merchant}", self.dollars(amount))
    }

    pub fn paid_late(self) -> &'static str {
        "It arrived after the time to pay, and was accepted."
    }

    pub fn overpaid(self, by: u64, merchant: &str) -> String {
        format!("You sent {} more than was due. Ask {merchant} about a refund.", self.dollars(by))
    }

    pub fn expired(self) -> &'static str {
        "Expired"
    }

    pub fn expired_status(self) -> &'static str {
        "The time to pay is over."
    }

    pub fn over_hint(self, merchant: &str) -> String {
        format!("Please do not send anything to the address any more. If you already did, contact {merchant}.")
    }

    pub fn canceled(self) -> &'static str {
        "Canceled"
    }

    pub fn canceled_status(self) -> &'static str {
        "This payment was canceled."
    }

    pub fn payments(self) -> &'static str {
        "Payments"
    }

    pub fn on(self, amount: &str, symbol: &str, network: &str) -> String {
        format!("{amount} {symbol} on {network}")
    }

    pub fn transaction(self) -> &'static str {
        "Transaction"
    }

    pub fn view_transaction(self) -> &'static str {
        "View transaction"
    }

    pub fn credited(self) -> &'static str {
        "Confirmed"
    }

    pub fn late(self) -> &'static str {
        "Arrived late: the merchant decides"
    }

    pub fn unexpected(self) -> &'static str {
        "Not a token that was asked for: contact the merchant"
    }

    pub fn unpriced(self) -> &'static str {
        "Arrived, waiting for a price"
    }

    pub fn orphaned(self) -> &'static str {
        "Taken back by the network: waiting for it to return"
    }

    pub fn questions(self) -> &'static str {
        "Questions about this payment?"
    }

    pub fn check_again(self) -> &'static str {
        "Check again"
    }

    pub fn stale(self) -> &'static str {
        "No connection. What you see may be out of date; trying again."
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place != 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_cents_thousands_and_a_third_decimal_only_if_needed() {
        for (millis, expected) in [
            (20_000, "$20.00"),
            (12_500, "$12.50"),
            (49_999, "$49.999"),
            (7, "$0.007"),
            (0, "$0.00"),
            (1_000_000_000, "$1,000,000.00"),
            (123_456_780, "$123,456.78"),
        ] {
            assert_eq!(English.dollars(millis), expected);
        }
    }

    #[test]
    fn rates_keep_every_digit() {
        for (decimal, expected) in [("1", "$1.00"), ("3123.4", "$3,123.40"), ("0.999871", "$0.999871")] {
            assert_eq!(English.dollars_exactly(decimal), expected);
        }
    }

    #[test]
    fn confirmations_never_exceed_what_is_required() {
        assert_eq!(English.confirmations(5, 3), "3 of 3 confirmations");
    }
}
