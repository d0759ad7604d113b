//! What a credential opens: the scope and the rights of an API key, and what becomes of it in time.

use std::{fmt, str::FromStr};

use crate::time::UnixSeconds;

/// The text names nothing of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct UnknownName(&'static str);

/// Which half of the API a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Merchant,
    /// Opens nothing yet: this server has no commerce API.
    Commerce,
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "merchant",
            Self::Commerce => "commerce",
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Merchant, Self::Commerce].into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownName("scope"))
    }
}

/// Something a key can be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    CreateInvoices,
    /// Also lists, totals, events and streams.
    ReadInvoices,
    CancelInvoices,
    ManageSettings,
    ManageWebhooks,
    /// To say where money goes.
    ManageWallets,
    /// To say where the money of one invoice goes.
    OverrideReceiver,
    /// To say which nodes are believed about a chain; the operator's, never a merchant's own.
    OperateNetworks,
}

impl Right {
    pub const ALL: [Self; 8] = [
        Self::CreateInvoices,
        Self::ReadInvoices,
        Self::CancelInvoices,
        Self::ManageSettings,
        Self::ManageWebhooks,
        Self::ManageWallets,
        Self::OverrideReceiver,
        Self::OperateNetworks,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateInvoices => "invoices:create",
            Self::ReadInvoices => "invoices:read",
            Self::CancelInvoices => "invoices:cancel",
            Self::ManageSettings => "settings",
            Self::ManageWebhooks => "webhooks",
            Self::ManageWallets => "wallets",
            Self::OverrideReceiver => "receiver_override",
            Self::OperateNetworks => "rpc",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|right| right.as_str() == text).ok_or(UnknownName("right"))
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rights(u16);

impl Rights {
    pub const NONE: Self = Self(0);

    /// What a key can do unless something else was asked for. It cannot change where money or news of it go.
    pub const DEFAULT: Self = Self(
        Right::CreateInvoices.bit()
            | Right::ReadInvoices.bit()
            | Right::CancelInvoices.bit()
            | Right::ManageSettings.bit(),
    );

    /// What a merchant at the dashboard can do: everything but what is the operator's.
    pub const DASHBOARD: Self = Self(
        Self::DEFAULT.0 | Right::ManageWebhooks.bit() | Right::ManageWallets.bit() | Right::OverrideReceiver.bit(),
    );

    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

/// Names with a space between them.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, right) in self.iter().enumerate() {
            if index != 0 {
                f.write_str(" ")?;
            }
            f.write_str(right.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

impl FromStr for Rights {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

/// What became of a key. One whose time is over stays what it was; the time says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    Active,
    /// For good.
    Revoked,
    /// Until it is resumed.
    Suspended,
}

/// When what happened to a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLife {
    /// The first second in which it opens nothing any more; `None` if that never comes.
    pub expires_at: Option<UnixSeconds>,
    pub revoked_at: Option<UnixSeconds>,
    pub suspended_at: Option<UnixSeconds>,
}

impl KeyLife {
    pub fn status(&self) -> KeyStatus {
        match self {
            Self { revoked_at: Some(_), .. } => KeyStatus::Revoked,
            Self { suspended_at: Some(_), .. } => KeyStatus::Suspended,
            _ => KeyStatus::Active,
        }
    }

    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for right in Right::ALL {
            assert_eq!(right.as_str().parse(), Ok(right));
            assert_eq!(Rights::from_iter([right]).iter().collect::<Vec<_>>(), [right]);
        }
        for scope in [Scope::Merchant, Scope::Commerce] {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        for text in ["", "rpc ", "Settings", "invoices", "invoices:*", "*"] {
            assert!(text.parse::<Right>().is_err() && text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_has_what_was_put_in_and_reads_back_as_written() {
        let rights = Rights::from_iter([Right::OperateNetworks, Right::CreateInvoices, Right::CreateInvoices]);
        assert_eq!(rights.to_string(), "invoices:create rpc");
        assert_eq!("rpc  invoices:create".parse(), Ok(rights));
        assert_eq!("".parse(), Ok(Rights::NONE));
        assert!("invoices:create,rpc".parse::<Rights>().is_err());
        for right in Right::ALL {
            assert_eq!(rights.has(right), matches!(right, Right::OperateNetworks | Right::CreateInvoices));
        }
    }

    #[test]
    fn rights_are_shown_by_name_and_never_by_bit() {
        assert_eq!(Right::OverrideReceiver.to_string(), "receiver_override");
        let rights = Rights::from_iter([Right::ReadInvoices, Right::ManageWallets]);
        assert_eq!(format!("{rights:?}"), "Rights(invoices:read wallets)");
    }

    #[test]
    fn default_keys_move_no_money_and_the_dashboard_operates_nothing() {
        let default = "invoices:create invoices:read invoices:cancel settings";
        assert_eq!(Rights::DEFAULT.to_string(), default);
        assert_eq!(Rights::DASHBOARD.to_string(), format!("{default} webhooks wallets receiver_override"));
    }

    #[test]
    fn a_key_that_was_revoked_is_that_whatever_else_happened() {
        let at = Some(UnixSeconds(5));
        assert_eq!(KeyLife::default().status(), KeyStatus::Active);
        assert_eq!(KeyLife { suspended_at: at, ..KeyLife::default() }.status(), KeyStatus::Suspended);
        assert_eq!(KeyLife { suspended_at: at, revoked_at: at, ..KeyLife::default() }.status(), KeyStatus::Revoked);
    }

    #[test]
    fn a_key_expires_in_the_second_it_was_given() {
        let life = KeyLife { expires_at: Some(UnixSeconds(5)), ..KeyLife::default() };
        assert!(!life.is_expired(UnixSeconds(4)));
        assert!(life.is_expired(UnixSeconds(5)));
        assert!(!KeyLife::default().is_expired(UnixSeconds(i64::MAX)));
    }
}
