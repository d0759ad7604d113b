//! Where webhooks may go. A merchant chooses the address, so it must not be able to choose something
//! inside our own network.
//!
//! What counts is the address that is connected to, so names are filtered while they are resolved for
//! that very connection: a name that resolves to something else a moment later gains nothing.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::WebhooksConfig;

/// A place webhooks may not go to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedTarget {
    #[error("must be an https URL")]
    Scheme,
    #[error("must be https; http is for networks in webhooks.allow_private_networks only")]
    Plain,
    #[error("must not hold a user name, password or fragment")]
    Parts,
    #[error("{0} is not a public address, and not in webhooks.allow_private_networks")]
    Address(IpAddr),
    #[error("has no public address, and none in webhooks.allow_private_networks")]
    NoAddress,
}

/// The rule of where webhooks may go. Cheap to clone.
#[derive(Clone)]
pub struct Targets {
    allowed: Arc<[IpNet]>,
    /// Who says which addresses a name has.
    lookup: Lookup,
}

type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

impl Targets {
    pub fn new(config: &WebhooksConfig) -> Self {
        Self::allowing(&config.allow_private_networks)
    }

    /// The same rule for somebody else who is told where to go: only these private networks are allowed.
    pub(crate) fn allowing(private_networks: &[IpNet]) -> Self {
        let lookup: Lookup = Arc::new(|name| Box::pin(ask_the_system(name)));
        Self { allowed: private_networks.into(), lookup }
    }

    /// Checks what can be seen without resolving a name. For an address in place of a name, that is
    /// all there is to check.
    ///
    /// # Errors
    ///
    /// [`RefusedTarget`] says why webhooks must not go there.
    pub fn check(&self, url: &Url) -> Result<(), RefusedTarget> {
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(RefusedTarget::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(RefusedTarget::Parts);
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            // The only name that is private by definition (RFC 6761, section 6.3).
            Some(Host::Domain("localhost")) if !self.is_allowed(Ipv4Addr::LOCALHOST.into()) => {
                return Err(RefusedTarget::Address(Ipv4Addr::LOCALHOST.into()));
            }
            Some(Host::Domain(_)) if is_plain && self.allowed.is_empty() => return Err(RefusedTarget::Plain),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(RefusedTarget::Scheme),
        };
        if self.permits(address, is_plain) {
            return Ok(());
        }
        Err(if is_plain && is_public(address) { RefusedTarget::Plain } else { RefusedTarget::Address(address) })
    }

    /// A resolver that only gives addresses webhooks may go to; over plain http those are the allowed
    /// private ones.
    pub(crate) fn resolver(&self, is_plain: bool) -> Arc<dyn Resolve> {
        Arc::new(FilteringResolver { targets: self.clone(), is_plain })
    }

    fn permits(&self, address: IpAddr, is_plain: bool) -> bool {
        self.is_allowed(address) || (!is_plain && is_public(address))
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(&address))
    }
}

async fn ask_the_system(name: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.map(|address| address.ip()).collect())
}

struct FilteringResolver {
    targets: Targets,
    is_plain: bool,
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (targets, is_plain) = (self.targets.clone(), self.is_plain);
        Box::pin(async move {
            let found = (targets.lookup)(name.as_str().to_owned()).await?;
            let permitted: Vec<_> = found
                .into_iter()
                .filter(|address| targets.permits(*address, is_plain))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if permitted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, RefusedTarget::NoAddress).into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// What the IANA registry of special-purpose IPv4 addresses keeps from the public.
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 8),       // this network
    v4(10, 0, 0, 8),      // private
    v4(100, 64, 0, 10),   // shared by a provider's customers
    v4(127, 0, 0, 8),     // loopback
    v4(169, 254, 0, 16),  // link-local, and the cloud's metadata
    v4(172, 16, 0, 12),   // private
    v4(192, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 24),    // documentation
    v4(192, 88, 99, 24),  // 6to4 relays
    v4(192, 168, 0, 16),  // private
    v4(198, 18, 0, 15),   // benchmarks
    v4(198, 51, 100, 24), // documentation
    v4(203, 0, 113, 24),  // documentation
    v4(224, 0, 0, 4),     // multicast
    v4(240, 0, 0, 4),     // reserved, and broadcast
];

/// All that is public of IPv6. Whatever embeds an IPv4 address (mapped, compatible, NAT64) is outside,
/// as are loopback, link-local, site-local, unique-local and multicast addresses.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What is kept from the public within [`GLOBAL_V6`].
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),     // protocol assignments: Teredo, benchmarks, ORCHID
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4, which embeds an IPv4 address
    v6(0x3fff, 0, 20),     // documentation
];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
impl Targets {
    /// Names have the addresses that `lookup` says.
    pub(super) fn with_names(self, lookup: impl Fn(&str) -> Vec<IpAddr> + Clone + Send + Sync + 'static) -> Self {
        let lookup: Lookup = Arc::new(move |name| {
            let found = lookup(&name);
            Box::pin(async move { Ok(found) })
        });
        Self { lookup, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(allowed: &[&str]) -> Targets {
        let allow_private_networks = allowed.iter().map(|network| network.parse().unwrap()).collect();
        Targets::new(&WebhooksConfig { allow_private_networks, ..WebhooksConfig::default() })
    }

    fn check(targets: &Targets, url: &str) -> Result<(), RefusedTarget> {
        targets.check(&url.parse().unwrap())
    }

    /// Both the ends of each range and what lies just beside it.
    #[test]
    fn addresses_are_public_or_not() {
        let public = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 \
            169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 \
            192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 \
            203.0.114.0 223.255.255.255 2000:: 2001:200::1 2001:db7:ffff:: 2001:db9:: 2003:: \
            2606:4700:4700::1111 3ffe:ffff:: 3fff:1000:: 2001:4860:4860::8888";
        let not_public = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 \
            169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 \
            192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.7 \
            224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 \
            ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 1fff:ffff:: \
            2001::1 2001:0:4136:e378:: 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff:: 2001:db8::1 2002::1 \
            2002:7f00:1:: 2002:c0a8:101::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd12:3456::1 fe80::1 \
            febf::1 fec0::1 ff02::1 ffff::1";
        for address in public.split(' ') {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in not_public.split(' ') {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_refused_however_it_is_spelt() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "localhost",
            "LOCALHOST",
            "10.1.2.3",
            "169.254.169.254",
            "0xa9fea9fe",
            "192.168.0.1",
            "100.64.0.1",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00::1]",
            "[ff02::1]",
            "①②⑦.0.0.1",
        ] {
            let refused = check(&targets(&[]), &format!("https://{host}/hook"));
            assert!(matches!(refused, Err(RefusedTarget::Address(_))), "{host}: {refused:?}");
        }
    }

    #[test]
    fn what_is_public_needs_https() {
        assert_eq!(check(&targets(&[]), "https://shop.example/hook?x=1"), Ok(()));
        assert_eq!(check(&targets(&[]), "https://1.1.1.1/hook"), Ok(()));
        assert_eq!(check(&targets(&[]), "http://shop.example/hook"), Err(RefusedTarget::Plain));
        assert_eq!(check(&targets(&["10.0.0.0/8"]), "http://1.1.1.1/hook"), Err(RefusedTarget::Plain));
        assert_eq!(check(&targets(&[]), "ftp://shop.example/hook"), Err(RefusedTarget::Scheme));
        assert_eq!(check(&targets(&[]), "file:///etc/passwd"), Err(RefusedTarget::Scheme));
        assert_eq!(check(&targets(&[]), "https://user@shop.example/"), Err(RefusedTarget::Parts));
        assert_eq!(check(&targets(&[]), "https://:password@shop.example/"), Err(RefusedTarget::Parts));
        assert_eq!(check(&targets(&[]), "https://shop.example/#part"), Err(RefusedTarget::Parts));
    }

    #[test]
    fn only_the_private_networks_on_the_list_are_allowed() {
        let targets = targets(&["127.0.0.0/8", "fd00::/8"]);
        for url in ["http://127.0.0.1:3000/hook", "https://127.9.9.9/", "http://[fd00::1]/", "http://localhost:3000/"] {
            assert_eq!(check(&targets, url), Ok(()), "{url}");
        }
        for url in ["http://10.0.0.1/", "https://10.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"] {
            assert!(check(&targets, url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_gives_only_the_addresses_that_are_permitted() {
        let resolve = async |targets: Targets, is_plain: bool| {
            let addresses = targets.resolver(is_plain).resolve("localhost".parse().unwrap()).await;
            addresses.map(|addresses| addresses.map(|address| address.ip()).collect::<Vec<_>>())
        };
        for is_plain in [false, true] {
            let refused = resolve(targets(&[]), is_plain).await.unwrap_err();
            assert!(refused.to_string().contains("has no public address"), "{refused}");
            let allowed = resolve(targets(&["127.0.0.0/8"]), is_plain).await.unwrap();
            assert!(
                !allowed.is_empty() && allowed.iter().all(|address| *address == Ipv4Addr::LOCALHOST),
                "{allowed:?}"
            );
        }
    }
}
