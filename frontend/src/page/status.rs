//! The one line that says how things stand, and the only one that is read out when it changes.

use super::words;
use crate::{
    part::{Part, part},
    session::PaymentSession,
};

pub fn status(session: PaymentSession) -> Part {
    let line = part("p", "")
        .with("role", "status")
        .with("aria-live", "polite")
        .text_following(move || words::line(session).status);
    let step = part("p", "status__step")
        .flag_following("hidden", move || words::line(session).step.is_empty())
        .text_following(move || words::line(session).step);
    part("div", "")
        .following("class", move || format!("status status--{}", words::line(session).look))
        .child(line)
        .child(step)
}
