//! Which address a request came from, seen past the operator's own proxies.
//!
//! Anybody can write anything into a forwarding header. It is read only if the connection comes from a listed
//! proxy, and from its right end, where that proxy wrote: the caller is the last address that no listed proxy
//! has. What stands left of it is the caller's own claim and is never looked at.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, header};
use ipnet::IpNet;

use crate::config::{ForwardedHeader, ServerConfig};

/// An address, as far as it tells callers apart: in IPv6, whoever has one address has all of its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallerAddress(IpAddr);

impl CallerAddress {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }
}

/// Who sent a request that came over a connection with `peer`.
///
/// An entry that is no address (`unknown`, a made-up name, something cut off) ends the search: the caller is
/// then taken to be the proxy that passed it on, and shares a limit with whoever else hides so behind it.
/// Nobody gets a limit of their own by sending something odd. If every entry is a listed proxy, the caller is
/// the first of them.
pub fn caller(peer: IpAddr, headers: &HeaderMap, server: &ServerConfig) -> IpAddr {
    let is_proxy = |address: &IpAddr| server.trusted_proxies.iter().any(|network: &IpNet| network.contains(address));
    let mut caller = peer.to_canonical();
    if !is_proxy(&caller) {
        return caller;
    }
    let name = match server.forwarded_header {
        ForwardedHeader::XForwardedFor => header::HeaderName::from_static("x-forwarded-for"),
        ForwardedHeader::Forwarded => header::FORWARDED,
    };
    // A header that came several times means the same as one list.
    for value in headers.get_all(name).iter().rev() {
        let Ok(list) = value.to_str() else { return caller };
        for entry in split(list, ',').into_iter().rev() {
            let hop = match server.forwarded_header {
                ForwardedHeader::XForwardedFor => parse_node(entry.trim()),
                ForwardedHeader::Forwarded => parse_element(entry),
            };
            let Some(hop) = hop else { return caller };
            caller = hop;
            if !is_proxy(&hop) {
                return caller;
            }
        }
    }
    caller
}

/// Whether a request says that somebody passed it on.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED)
}

/// The parts of a text between separators that stand in no quoted string.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (index, c) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && c == '\\' {
            is_escaped = true;
        } else if c == '"' {
            is_quoted = !is_quoted;
        } else if c == separator && !is_quoted {
            parts.push(&text[start..index]);
            start = index + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The `for` of one hop (RFC 7239, section 4).
fn parse_element(element: &str) -> Option<IpAddr> {
    let mut nodes = split(element, ';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    match node.strip_prefix('"') {
        Some(quoted) => parse_node(quoted.strip_suffix('"')?),
        None => parse_node(node),
    }
}

/// An address, with or without brackets and a port.
fn parse_node(node: &str) -> Option<IpAddr> {
    let address = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        IpAddr::V6(address.parse().ok().filter(|_| is_port)?)
    } else if let Ok(address) = node.parse() {
        address
    } else {
        let (address, port) = node.split_once(':')?;
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn server(forwarded_header: ForwardedHeader) -> ServerConfig {
        let trusted_proxies = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        ServerConfig { trusted_proxies, forwarded_header, ..ServerConfig::default() }
    }

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let headers = headers("x-forwarded-for", forwarded);
        let caller = caller(peer.parse().unwrap(), &headers, &server(ForwardedHeader::XForwardedFor));
        assert_eq!(caller, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
    }

    #[test]
    fn who_is_no_listed_proxy_is_the_caller_whatever_it_says() {
        check("203.0.113.5", &[], "203.0.113.5");
        check("203.0.113.5", &["198.51.100.7"], "203.0.113.5");
        check("203.0.113.5", &["198.51.100.7, 10.0.0.1"], "203.0.113.5");
        check("127.0.0.1", &["198.51.100.7"], "127.0.0.1");
        let nobody = ServerConfig::default();
        let headers = headers("x-forwarded-for", &["198.51.100.7"]);
        assert_eq!(caller("127.0.0.1".parse().unwrap(), &headers, &nobody), "127.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn the_caller_is_the_last_hop_that_is_no_listed_proxy() {
        check(PROXY, &["198.51.100.7"], "198.51.100.7");
        check(PROXY, &["198.51.100.7:4711"], "198.51.100.7");
        check(PROXY, &["192.0.2.1, 198.51.100.7"], "198.51.100.7");
        check(PROXY, &["192.0.2.1, 198.51.100.7, 10.9.9.9,10.0.0.2"], "198.51.100.7");
        check(PROXY, &["192.0.2.1", "198.51.100.7", "10.0.0.2"], "198.51.100.7");
        check("fd00::1", &["2001:db8::1"], "2001:db8::1");
        check("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7");
    }

    #[test]
    fn without_another_hop_the_caller_is_the_first_proxy() {
        check(PROXY, &[], PROXY);
        check(PROXY, &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
    }

    #[test]
    fn what_is_no_address_leaves_the_proxy_that_passed_it_on() {
        for odd in
            ["unknown", "", "_hidden", "198.51.100.7:x", "198.51.100.7:+80", "[2001:db8::1", "1.2.3", "999.1.1.1"]
        {
            check(PROXY, &[odd], PROXY);
            check(PROXY, &[&format!("192.0.2.1, {odd}")], PROXY);
            check(PROXY, &[&format!("192.0.2.1, {odd}, 10.0.0.7")], "10.0.0.7");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_bytes(b"198.51.100.7\xff").unwrap());
        let server = server(ForwardedHeader::XForwardedFor);
        assert_eq!(caller(PROXY.parse().unwrap(), &headers, &server), PROXY.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_the_one_that_the_proxy_writes() {
        let server = server(ForwardedHeader::Forwarded);
        let check = |values: &[&str], expected: &str| {
            let mut headers = headers("forwarded", values);
            // The other header is what the caller sent.
            headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.99"));
            let caller = caller(PROXY.parse().unwrap(), &headers, &server);
            assert_eq!(caller, expected.parse::<IpAddr>().unwrap(), "{values:?}");
        };
        check(&["for=198.51.100.7"], "198.51.100.7");
        check(&["For=192.0.2.1;proto=https, FOR=\"198.51.100.7:80\" ; by=10.0.0.1"], "198.51.100.7");
        check(&["for=\"[2001:db8::1]:4711\""], "2001:db8::1");
        check(&["for=192.0.2.1", "for=198.51.100.7, for=10.0.0.9"], "198.51.100.7");
        check(&["for=198.51.100.7;by=\"a,for=192.0.2.1\""], "198.51.100.7");
        for odd in ["for=_hidden", "proto=https", "", "for=192.0.2.1;for=192.0.2.2", "for=\"192.0.2.1"] {
            check(&[odd], PROXY);
        }
        check(&[], PROXY);
    }

    #[test]
    fn neighbours_in_ipv6_are_one_caller() {
        let of = |text: &str| CallerAddress::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("198.51.100.7"), of("198.51.100.8"));
        assert_eq!(of("::ffff:198.51.100.7"), of("198.51.100.7"));
    }
}
