//! Rights as types, so that a handler's signature says which one it needs.

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
            #[allow(dead_code, reason = "a right may still wait for the operation that takes it")]
            pub enum $name {}

            impl Right for $name {
                const RIGHT: access::Right = access::Right::$name;
            }
        )+
    };
}

rights!(
    CreateInvoices,
    ReadInvoices,
    CancelInvoices,
    ManageSettings,
    ManageWebhooks,
    ManageWallets,
    OverrideReceiver,
    OperateNetworks,
);
