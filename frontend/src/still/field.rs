//! A field of a form, with what is wrong with what it was given.

use leptos::prelude::*;

use crate::i18n;

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As the form sends it.
    pub name: String,
    /// What is asked; the merchant's words or ours.
    pub label: String,
    pub hint: Option<String>,
    pub kind: FieldKind,
    pub is_required: bool,
    /// The most characters that it takes.
    pub most: u32,
    /// What was given before.
    pub value: String,
    pub fault: Option<Fault>,
}

/// What one of our own fields was given, and why it cannot be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub value: String,
    pub fault: Option<Fault>,
}

/// Where the receipt is to go.
pub fn email(given: Given, hint: Option<String>) -> Field {
    Field {
        name: "email".to_owned(),
        label: i18n::text().receipt_email().to_owned(),
        hint,
        kind: FieldKind::Email,
        is_required: false,
        most: 254,
        value: given.value,
        fault: given.fault,
    }
}

/// Letters of the longest name of a transaction: a signature on Solana.
const LONGEST_TRANSACTION: u32 = 88;

/// A transaction's hash or signature.
pub fn transaction(given: Given) -> Field {
    let t = i18n::text();
    Field {
        name: "tx_hash".to_owned(),
        label: t.transaction_paid().to_owned(),
        hint: Some(t.transaction_paid_hint().to_owned()),
        kind: FieldKind::Transaction,
        is_required: false,
        most: LONGEST_TRANSACTION,
        value: given.value,
        fault: given.fault,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    Email,
    Number,
    Transaction,
}

/// Why what was given cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Missing,
    TooLong { most: u32 },
    NotText,
    NotAnEmail,
    NotANumber,
    NotATransaction,
}

impl Fault {
    fn words(self) -> String {
        let t = i18n::text();
        match self {
            Self::Missing => t.missing().to_owned(),
            Self::TooLong { most } => t.too_long(most),
            Self::NotText => t.not_text().to_owned(),
            Self::NotAnEmail => t.not_an_email().to_owned(),
            Self::NotANumber => t.not_a_number().to_owned(),
            Self::NotATransaction => t.not_a_transaction().to_owned(),
        }
    }
}

/// The field with its label. The browser checks what it can before it sends, and so does the server.
pub fn view(field: Field) -> impl IntoView {
    let Field { name, label, hint, kind, is_required, most, value, fault } = field;
    let (kind, mode, completes) = match kind {
        FieldKind::Text => ("text", None, None),
        FieldKind::Email => ("email", Some("email"), Some("email")),
        FieldKind::Number => ("text", Some("decimal"), None),
        FieldKind::Transaction => ("text", None, Some("off")),
    };
    let (hint_id, fault_id) = (format!("{name}-hint"), format!("{name}-fault"));
    let described = [hint.as_ref().map(|_| hint_id.clone()), fault.map(|_| fault_id.clone())];
    let described: Vec<String> = described.into_iter().flatten().collect();
    let is_optional = (!is_required).then(|| view! { <span class="field__optional">{i18n::text().optional()}</span> });
    view! {
        <div class="field">
            <label for=name.clone()><bdi>{label}</bdi> " " {is_optional}</label>
            <input
                class="field__input"
                id=name.clone()
                name=name
                type=kind
                inputmode=mode
                autocomplete=completes
                maxlength=most.to_string()
                required=is_required
                value=value
                autofocus=fault.is_some()
                aria-invalid=fault.map(|_| "true")
                aria-describedby=(!described.is_empty()).then(|| described.join(" "))
            />
            {hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
            {fault.map(|fault| view! { <p class="field__fault" id=fault_id>{fault.words()}</p> })}
        </div>
    }
}
