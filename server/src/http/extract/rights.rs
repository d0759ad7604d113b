//! Rights as types, so that a handler's signature says which one it needs. A right that is for a field, as
//! [`access::Right::OverrideReceiver`], has no type here: it is asked for with [`Merchant::has`](super::Merchant::has).

use domain::access;

/// What [`Merchant`](super::Merchant) can ask for: any one of some rights, mostly of one.
pub trait Right: Send + Sync + 'static {
    /// The one that a refusal names comes first.
    const ANY_OF: &'static [access::Right];
}

macro_rules! rights {
    ($($name:ident),+ $(,)?) => {
        $(
            #[doc = concat!("[`access::Right::", stringify!($name), "`]")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Right for $name {
                const ANY_OF: &'static [access::Right] = &[access::Right::$name];
            }
        )+
    };
}

rights!(CreateInvoices, ReadInvoices, CancelInvoices, ManageSettings, ManageWebhooks, ManageWallets, OperateNetworks,);

/// To read where webhooks go and what became of them: whoever may manage them may, and whoever may read all that they
/// tell of.
#[derive(Clone, Copy, Debug)]
pub enum ReadWebhooks {}

impl Right for ReadWebhooks {
    const ANY_OF: &'static [access::Right] = &[access::Right::ManageWebhooks, access::Right::ReadInvoices];
}
