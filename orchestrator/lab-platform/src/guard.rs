//! Which addresses may be connected to.

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Resolves names, and leaves out what is not public. A name is resolved where it is connected to, once: what was checked is what is
/// asked, whatever the name says a moment later.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Lower case.
    private_hosts: Arc<Vec<String>>,
}

/// Said of an address that is ours, or nobody's.
#[derive(Debug, thiserror::Error)]
#[error("the address is in a private network")]
pub(crate) struct NotPublic;

/// Said of a name that has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name is not known")]
pub(crate) struct NameUnknown(#[source] std::io::Error);

impl Guard {
    /// `private_hosts` may be connected to wherever they are.
    pub fn new(private_hosts: Vec<String>) -> Self {
        let lower = private_hosts.into_iter().map(|h| h.to_ascii_lowercase()).collect();
        Self {
            private_hosts: Arc::new(lower),
        }
    }

    fn allows(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.private_hosts.contains(&host)
    }

    /// An address that is written as numbers is never resolved: it is checked here.
    pub(crate) fn check(&self, url: &Url) -> Result<(), NotPublic> {
        let host = url.host_str().unwrap_or_default();
        let written: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        match written {
            Some(ip) if !is_public(ip) && !self.allows(host) => Err(NotPublic),
            _ => Ok(()),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(NameUnknown)?;
            let allowed = guard.allows(name.as_str());
            let good: Vec<SocketAddr> = found.filter(|a| allowed || is_public(a.ip())).collect();
            if good.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is of the public internet: not this machine, not a private or shared network, not a link, not a documentation
/// range, not a multicast group, and not one of these inside an IPv6 address.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => public_v4(v4),
            None => public_v6(v6),
        },
    }
}

fn public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        // "this network", carriers' shared space, protocol assignments, benchmarks, reserved
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn public_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    let documentation = first == 0x2001 && ip.segments()[1] == 0x0db8;
    // global unicast is 2000::/3; all else is special or unassigned
    (0x2000..0x4000).contains(&first) && !documentation
}

/// The IPv4 address inside a mapped, translated (NAT64) or tunnelled (6to4) one.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let tail = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    if let Some(v4) = ip.to_ipv4_mapped() {
        return Some(v4);
    }
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(tail(high, low)),
        [0x2002, high, low, ..] => Some(tail(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for public in [
            "1.1.1.1",
            "193.48.0.1",
            "100.128.0.1",
            "2001:660::1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn an_address_in_numbers_is_checked_however_it_is_written() {
        let guard = Guard::new(vec!["10.0.0.7".into()]);
        let check = |url: &str| guard.check(&Url::parse(url).unwrap()).is_ok();
        assert!(
            check("https://lms.example.org/"),
            "a name is checked when it is resolved"
        );
        assert!(check("https://1.1.1.1/") && check("http://10.0.0.7:8080/"));
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://10.0.0.8/",
        ] {
            assert!(!check(url), "{url}");
        }
    }
}
