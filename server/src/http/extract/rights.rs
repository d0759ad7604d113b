//! Rights as types, so that a handler's signature says which one it needs. A right that is for a field, as
//! [`access::Right::OverrideReceiver`], has no type here: it is asked for with [`Merchant::has`](super::Merchant::has).

use domain::access;

/// A right that [`Merchant`](super::Merchant) can ask for.
pub trait Right: Send + Sync + 'static {
    const RIGHT: access::Right;
}

macro_rules! rights {
    ($($name:ident),+ $(,)?) => {
        $(
            #[doc = concat!("[`access::Right::", stringify!($name), "`]")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Right for $name {
                const RIGHT: access::Right = access::Right::$name;
            }
        )+
    };
}

rights!(CreateInvoices, ReadInvoices, CancelInvoices, ManageSettings, ManageWebhooks, ManageWallets, OperateNetworks,);
