//! How often each of many may come.

use lab_core::Timestamp;
use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::Duration,
};

const MINUTE: Duration = Duration::from_mins(1);

/// Addresses that are told apart at once: an entry is some 50 bytes, so that all of them are half a megabyte. When more than so many come
/// within a minute, further ones wait until that minute is over: a flood, in which nobody signs in anyway.
const ADDRESSES_MAX: usize = 10_000;

/// Counts who came within a minute, in this process. Locked to count, and nothing else.
#[derive(Debug)]
pub(crate) struct Pace<K> {
    a_minute: u32,
    keys_max: usize,
    seen: Mutex<HashMap<K, (Timestamp, u32)>>,
}

impl<K: Eq + Hash> Pace<K> {
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
        if seen.len() >= self.keys_max && !seen.contains_key(&key) {
            seen.retain(|_, (since, _)| now < since.plus(MINUTE));
            if seen.len() >= self.keys_max {
                return Err(now.plus(MINUTE));
            }
        }
        let (since, count) = seen.entry(key).or_insert((now, 0));
        let over = since.plus(MINUTE);
        if over <= now {
            (*since, *count) = (now, 0);
        } else if *count >= self.a_minute {
            return Err(over);
        }
        *count += 1;
        Ok(())
    }
}

impl Pace<IpAddr> {
    /// Of addresses, of which anybody has as many as they like.
    pub fn of_addresses(a_minute: u32) -> Self {
        Self {
            keys_max: ADDRESSES_MAX,
            ..Self::of_known(a_minute)
        }
    }

    /// [`Pace::step`] of the network that an address is in.
    pub fn step_from(&self, address: IpAddr, now: Timestamp) -> Result<(), Timestamp> {
        self.step(network(address), now)
    }
}

/// Of IPv6 the 64 bits that a customer is given: the rest is theirs to choose.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
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
    fn a_flood_of_addresses_takes_no_more_memory_and_is_over_with_its_minute() {
        let pace = Pace::of_addresses(2);
        let nth = |n: usize| IpAddr::V4(u32::try_from(n).unwrap().into());
        for n in 0..ADDRESSES_MAX {
            assert_eq!(pace.step_from(nth(n), at(0)), Ok(()));
        }
        assert_eq!(pace.step_from(nth(ADDRESSES_MAX), at(59)), Err(at(119)));
        assert_eq!(pace.step_from(nth(7), at(59)), Ok(()), "who is known goes on");
        assert_eq!(pace.step_from(nth(ADDRESSES_MAX), at(60)), Ok(()));
        assert!(pace.seen.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
