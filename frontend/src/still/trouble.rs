//! Why there is another page than the one that was asked for, and what to do next.

use leptos::prelude::*;

use crate::{
    components::{Mark, WARNING},
    i18n::{self, Text},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The session and its signature do not belong together, or are not there.
    LinkBroken,
    /// The invoice ended too long ago.
    LinkOver,
    TooFast,
    TooLarge,
    /// The questions were answered in another way before.
    AnsweredBefore,
    NotHere,
    NotUnderstood,
    OurFault,
    /// The binary holds no page.
    NotBuilt,
}

impl Trouble {
    pub const ALL: [Self; 9] = [
        Self::LinkBroken,
        Self::LinkOver,
        Self::TooFast,
        Self::TooLarge,
        Self::AnsweredBefore,
        Self::NotHere,
        Self::NotUnderstood,
        Self::OurFault,
        Self::NotBuilt,
    ];

    pub(super) fn heading(self, t: Text) -> &'static str {
        match self {
            Self::LinkBroken => t.link_broken(),
            Self::LinkOver => t.link_over(),
            Self::TooFast => t.too_fast(),
            Self::TooLarge => t.too_large(),
            Self::AnsweredBefore => t.answered_before(),
            Self::NotHere => t.not_here(),
            Self::NotUnderstood => t.not_understood(),
            Self::OurFault => t.our_fault(),
            Self::NotBuilt => t.not_built(),
        }
    }

    fn hint(self, t: Text) -> &'static str {
        match self {
            Self::LinkBroken => t.link_broken_hint(),
            Self::LinkOver => t.link_over_hint(),
            Self::TooFast => t.too_fast_hint(),
            Self::TooLarge => t.too_large_hint(),
            Self::AnsweredBefore => t.answered_before_hint(),
            Self::NotHere => t.not_here_hint(),
            Self::NotUnderstood => t.not_understood_hint(),
            Self::OurFault => t.our_fault_hint(),
            Self::NotBuilt => t.not_built_hint(),
        }
    }
}

pub(super) fn view(trouble: Trouble, next: Option<String>) -> impl IntoView {
    let t = i18n::text();
    let words = if trouble == Trouble::AnsweredBefore { t.back_to_payment() } else { t.try_again() };
    view! {
        <div class="checkout checkout--still">
            <section class="stage outcome outcome--amiss" aria-labelledby="stage">
                <div class="outcome__mark">
                    <Mark path=WARNING />
                </div>
                <h1 id="stage">{trouble.heading(t)}</h1>
                <p>{trouble.hint(t)}</p>
                {next.map(|next| view! { <p><a class="button" href=next>{words}</a></p> })}
            </section>
        </div>
    }
}
