//! How often each of many may come.

use lab_core::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::Duration,
};

const MINUTE: Duration = Duration::from_mins(1);

/// Networks that are told apart at once: an entry is some 100 bytes, with its place in the order, so that all of them are a megabyte. Of more that
/// come within a minute, the one that was first seen longest ago is forgotten and counts from nought: who has so many addresses does not come
/// in faster than by all of them, and nobody else is kept out.
const NETWORKS_MAX: usize = 10_000;

/// A site of IPv6 (`/48`) has 65,536 networks, and one person may own it: together they come as often as so many of them. A company is counted
/// at its one address of IPv4 alike, and sixteen buildings of it are a lot.
const NETWORKS_A_SITE: u32 = 16;

/// Counts who came within a minute, in this process. Locked to count, and nothing else.
#[derive(Debug)]
pub(crate) struct Pace<K> {
    a_minute: u32,
    keys_max: usize,
    seen: Mutex<Seen<K>>,
}

#[derive(Debug)]
struct Seen<K> {
    /// Since when, and how often.
    counts: HashMap<K, (Timestamp, u32)>,
    /// Each entry's beginning, the oldest first: what is over, or too many, goes from the front.
    order: VecDeque<(Timestamp, K)>,
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self {
            counts: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Eq + Hash + Copy> Seen<K> {
    fn forget_first(&mut self) {
        if let Some((since, key)) = self.order.pop_front()
            && self.counts.get(&key).is_some_and(|(begun, _)| *begun == since)
        {
            self.counts.remove(&key);
        }
    }

    /// Counts one of `a_minute`; each step takes away what it adds, so that it takes no longer in a flood.
    fn step(&mut self, key: K, now: Timestamp, a_minute: u32, keys_max: usize) -> Result<(), Timestamp> {
        while self.order.front().is_some_and(|(since, _)| since.plus(MINUTE) <= now) {
            self.forget_first();
        }
        if let Some((since, count)) = self.counts.get_mut(&key)
            && now < since.plus(MINUTE)
        {
            if *count >= a_minute {
                return Err(since.plus(MINUTE));
            }
            *count += 1;
            return Ok(());
        }
        while self.order.len() >= keys_max {
            self.forget_first();
        }
        self.counts.insert(key, (now, 1));
        self.order.push_back((now, key));
        Ok(())
    }
}

impl<K: Eq + Hash + Copy> Pace<K> {
    /// Of keys of which there are only so many as somebody made.
    pub fn of_known(a_minute: u32) -> Self {
        Self {
            a_minute,
            keys_max: usize::MAX,
            seen: Mutex::default(),
        }
    }

    /// Counts one; when it is one too many, when there may be more.
    pub fn step(&self, key: K, now: Timestamp) -> Result<(), Timestamp> {
        let mut seen = self.seen.lock().expect("no holder panics");
        seen.step(key, now, self.a_minute, self.keys_max)
    }
}

/// The beginning of an address, and how many bits of it that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr, u8);

impl Network {
    /// Of IPv6 the 64 bits that a customer is given: the rest is theirs to choose.
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self::v6(v6, 64),
            v4 @ IpAddr::V4(_) => Self(v4, 32),
        }
    }

    /// The largest that one customer is usually given, of IPv6.
    fn site(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V6(v6) => Some(Self::v6(v6, 48)),
            IpAddr::V4(_) => None,
        }
    }

    fn v6(address: Ipv6Addr, bits: u8) -> Self {
        let kept = u128::MAX << (128 - u32::from(bits));
        Self(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept)), bits)
    }
}

impl Pace<Network> {
    /// Of addresses, of which anybody has as many as they like.
    pub fn of_addresses(a_minute: u32) -> Self {
        Self {
            keys_max: NETWORKS_MAX,
            ..Self::of_known(a_minute)
        }
    }

    /// [`Pace::step`] of the network that an address is in, and of its site.
    pub fn step_from(&self, address: IpAddr, now: Timestamp) -> Result<(), Timestamp> {
        let mut seen = self.seen.lock().expect("no holder panics");
        // a network that is too fast by itself counts no further for its site, or it would shut out its neighbours
        seen.step(Network::of(address), now, self.a_minute, self.keys_max)?;
        Network::site(address).map_or(Ok(()), |site| {
            let a_minute = self.a_minute.saturating_mul(NETWORKS_A_SITE);
            seen.step(site, now, a_minute, self.keys_max)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn nth(n: usize) -> IpAddr {
        IpAddr::V4(u32::try_from(n).unwrap().into())
    }

    /// Never more than may be, and the order knows every entry.
    fn assert_bounded(pace: &Pace<Network>) {
        let seen = pace.seen.lock().unwrap();
        assert!(seen.order.len() <= NETWORKS_MAX && seen.counts.len() <= seen.order.len());
    }

    #[test]
    fn who_is_too_fast_is_told_when_to_come_back_and_nobody_else() {
        let pace = Pace::of_known(3);
        for _ in 0..3 {
            assert_eq!(pace.step("a", at(1000)), Ok(()));
        }
        assert_eq!(pace.step("a", at(1000)), Err(at(1060)));
        assert_eq!(pace.step("b", at(1000)), Ok(()), "each has its own");
        assert_eq!(pace.step("a", at(1060)), Ok(()));
    }

    #[test]
    fn an_address_is_the_network_that_its_owner_chooses_in() {
        let pace = Pace::of_addresses(1);
        let from = |text: &str| pace.step_from(text.parse().unwrap(), at(0));
        assert_eq!(from("2001:db8:1:2::1"), Ok(()));
        assert_eq!(from("2001:db8:1:2:ffff::9"), Err(at(60)));
        assert_eq!(from("2001:db8:1:3::1"), Ok(()));
        assert_eq!(from("192.0.2.1"), Ok(()));
        assert_eq!(from("::ffff:192.0.2.1"), Err(at(60)), "the same one, written otherwise");
        assert_eq!(from("192.0.2.2"), Ok(()));
    }

    #[test]
    fn a_site_of_many_networks_comes_as_often_as_a_few_of_them() {
        let pace = Pace::of_addresses(2);
        let from = |site: u32, n: u32| pace.step_from(format!("2001:db8:{site}:{n:x}::1").parse().unwrap(), at(0));
        for n in 0..2 * NETWORKS_A_SITE {
            assert_eq!(from(1, n), Ok(()), "{n}");
        }
        assert_eq!(from(1, 0x1000), Err(at(60)));
        assert_eq!(from(2, 0), Ok(()), "another site");
        // one network that goes too fast does not shut out its neighbours
        for _ in 0..100 {
            let _ = from(3, 7);
        }
        assert_eq!(from(3, 8), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_and_keeps_nobody_out() {
        let pace = Pace::of_addresses(2);
        for n in 0..NETWORKS_MAX {
            assert_eq!(pace.step_from(nth(n), at(0)), Ok(()));
        }
        for n in NETWORKS_MAX..3 * NETWORKS_MAX {
            assert_eq!(pace.step_from(nth(n), at(1)), Ok(()), "who comes in the middle of it");
        }
        assert_bounded(&pace);
        // who is still known is counted on
        let last = nth(3 * NETWORKS_MAX - 1);
        assert_eq!(pace.step_from(last, at(2)), Ok(()));
        assert_eq!(pace.step_from(last, at(3)), Err(at(61)));
        assert_eq!(pace.step_from(last, at(61)), Ok(()));
        assert_eq!(pace.seen.lock().unwrap().counts.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn a_clock_that_is_set_back_lets_nothing_grow() {
        let pace = Pace::of_addresses(1);
        for n in 0..NETWORKS_MAX / 2 {
            assert_eq!(pace.step_from(nth(n), at(10_000)), Ok(()));
        }
        for minute in 0..10 {
            for n in NETWORKS_MAX / 2..NETWORKS_MAX {
                assert_eq!(pace.step_from(nth(n), at(60 * minute)), Ok(()));
            }
        }
        assert_bounded(&pace);
    }
}
