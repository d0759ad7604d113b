//! Every message by name, with what it is told.

use super::{Language, catalog::messages, rules};

/// The messages in one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    language: Language,
}

/// Dollars for one of something, a plain decimal.
#[derive(Clone, Copy, Debug)]
pub struct Price<'a>(pub &'a str);

/// What a message is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument<'a> {
    /// A name, or an amount of tokens.
    Text(&'a str),
    /// Thousandths of a dollar.
    Dollars(u64),
    Price(Price<'a>),
    /// How many; the last of them decides on the form of the words.
    Count(u32),
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Argument<'_> {
    fn from(millis: u64) -> Self {
        Self::Dollars(millis)
    }
}

impl<'a> From<Price<'a>> for Argument<'a> {
    fn from(price: Price<'a>) -> Self {
        Self::Price(price)
    }
}

impl From<u32> for Argument<'_> {
    fn from(count: u32) -> Self {
        Self::Count(count)
    }
}

impl Text {
    pub(super) fn new(language: Language) -> Self {
        Self { language }
    }

    pub fn language(self) -> Language {
        self.language
    }

    /// Dollars from thousandths.
    pub fn dollars(self, millis: u64) -> String {
        let mut text = String::new();
        rules::push_dollars(self.language, &rules::spell_millis(millis), &mut text);
        text
    }

    fn message(self, key: Key) -> &'static str {
        self.language.messages().get(key)
    }

    fn filled(self, key: Key, arguments: &[Argument<'_>]) -> String {
        self.fill(self.message(key), arguments)
    }

    pub(super) fn fill(self, message: &str, arguments: &[Argument<'_>]) -> String {
        let count = arguments.iter().rev().find_map(|argument| match argument {
            Argument::Count(count) => Some(*count),
            _ => None,
        });
        let mut before = count.map_or(0, |count| rules::form(self.language, count));
        // A message without forms is its own first and only one.
        before = if message.contains('|') { before } else { 0 };
        let mut text = String::new();
        // By hand, letter by letter: searching and splitting text weighs several times this.
        let mut letters = message.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '|' if before == 0 => break,
                '|' => before -= 1,
                _ if before != 0 => {}
                '{' => {
                    let index = letters.next().map_or(0, |digit| digit as usize).wrapping_sub('0' as usize);
                    if let Some(argument) = arguments.get(index) {
                        self.push(*argument, &mut text);
                    }
                    letters.next();
                }
                letter => text.push(letter),
            }
        }
        text
    }

    fn push(self, argument: Argument<'_>, text: &mut String) {
        match argument {
            // Names and amounts of another script keep their own direction and leave the sentence alone.
            Argument::Text(said) if self.language.direction() == "rtl" => {
                text.push('\u{2068}');
                text.push_str(said);
                text.push('\u{2069}');
            }
            Argument::Text(said) => text.push_str(said),
            Argument::Dollars(millis) => rules::push_dollars(self.language, &rules::spell_millis(millis), text),
            Argument::Price(Price(decimal)) => {
                rules::push_dollars(self.language, &rules::spell_price(decimal), text);
            }
            Argument::Count(count) => text.push_str(&count.to_string()),
        }
    }
}

messages! {
    /// The document's title.
    document_title(amount: u64, merchant: &str);
    payment_to(merchant: &str);
    pay_on(symbol: &str, network: &str);
    test_network;
    amount_due;
    paid_so_far;
    still_to_pay;
    time_left;
    /// Time left that is longer than a day; `clock` is hours, minutes and seconds.
    days_and_clock(clock: &str, days: u32);
    pay_with;
    pay_the_rest;
    token_and_network;
    no_tokens;
    networks_of(symbol: &str);
    search;
    fees_low;
    fees_high;
    /// A network that could not be read just now.
    unsteady;
    /// Why a token cannot be chosen.
    unpriced_token;
    /// Why no token of a network can be chosen.
    unread_network;
    /// Why a token cannot be paid to a wallet that many payers pay to.
    untakeable_token;
    crowded_token;
    go_on;
    one_moment;
    change_token;
    send_exactly;
    on_network;
    to_address;
    copy_amount;
    copy_address;
    copied;
    compare_copy;
    /// Instead of a copy that the browser did not allow, with a keyboard.
    press_copy;
    /// The same on a touch screen.
    hold_to_copy;
    how_do_you_pay;
    wallet_way;
    exchange_way;
    request_qr(amount: &str, symbol: &str, network: &str);
    address_qr;
    open_wallet;
    your_wallet;
    /// The payer names no wallet.
    any_wallet;
    /// The payer's wallet is none of the list.
    other_wallet;
    wallet_hint;
    /// For wallets that read an address and nothing else.
    plain_hint(network: &str);
    exchange_hint(network: &str);
    exchange_window(merchant: &str);
    only_this(symbol: &str, network: &str);
    /// Why the amount has odd digits.
    marked_amount;
    /// The wallet has to make the account that the token goes to.
    opens_account(symbol: &str);
    rate(symbol: &str, rate: Price<'_>);
    rate_valid_for;
    proof(wallet: &str);
    /// After it, once that is so.
    proof_checked;
    no_proof;
    amiss;
    amiss_reason;
    amiss_hint(merchant: &str);
    rate_lapsed;
    renew;
    renew_first;
    /// A choice is on its way.
    quoting;
    renewing;
    renewed;
    waiting;
    part_arrived(paid: u64, amount: u64);
    no_price;
    not_offered;
    found;
    confirming;
    confirming_status(confirmations: u32, required: u32);
    confirmations(confirmations: u32, required: u32);
    /// Instead of the two above once it has all confirmations that it needs, and does not count yet.
    last_check;
    last_check_status;
    /// `time` is one of the two below.
    usually_left(time: &str);
    takes_seconds(seconds: u32);
    takes_minutes(minutes: u32);
    confirming_hint;
    time_is_up;
    checking;
    checking_said;
    checking_step;
    paid;
    paid_step;
    paid_to(amount: u64, merchant: &str);
    paid_late;
    overpaid(by: u64, merchant: &str);
    expired;
    expired_said;
    over_step(merchant: &str);
    canceled;
    canceled_said(merchant: &str);
    reorganised;
    reorganised_said;
    reorganised_step;
    network_behind(network: &str);
    network_behind_step;
    payment_behind_step;
    unexpected_said(amount: &str, symbol: &str, network: &str);
    unexpected_step(merchant: &str);
    offline;
    offline_step;
    session_invalid;
    session_invalid_said;
    session_invalid_step;
    suspended;
    suspended_said(merchant: &str);
    suspended_step(merchant: &str);
    write_to(merchant: &str);
    payments;
    on(amount: &str, symbol: &str, network: &str);
    transaction;
    view_transaction;
    credited;
    late(merchant: &str);
    unexpected(merchant: &str);
    unpriced;
    orphaned;
    questions;
    i_have_paid;
    receipt;
    back_to(merchant: &str);
    /// Beside it, while the page is about to go there.
    leaving(seconds: u32);
    stay;
    check_again;
}
