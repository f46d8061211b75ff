//! Staff who sign in at their organisation (OpenID Connect): which group is which role, and why somebody is refused.

mod fault;
mod groups;

pub use fault::{StaffFault, StaffNext, StaffRefusal};
pub use groups::{GROUPS_MAX, GroupRule, GroupRuleProblem, groups_of, rules_for};

use crate::{Subject, Timestamp, TokenHash};

/// Sign-ins that are begun from one address in a minute, of each replica: a school of 300 who all sign in through one address within the three
/// minutes before eight, and one in five of them twice. Each is a row for ten minutes, so that an address has 1,200 of them at most.
pub const SIGN_INS_A_MINUTE: u32 = 120;

/// A sign-in that was begun; secrets are hashes. That its state is used once is a row of `launch_used`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffState {
    pub state: TokenHash,
    pub nonce: TokenHash,
    /// Of what the browser keeps.
    pub browser: TokenHash,
    pub expires_at: Timestamp,
}

/// Longest `sub`: OpenID Connect's own limit.
const SUB_BYTES_MAX: usize = 255;

/// A person of a provider. No learning platform's people begin with `oidc:`, and a host holds no `#`.
pub fn staff_subject(issuer: &str, sub: &str) -> Option<Subject> {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let fits = (1..=SUB_BYTES_MAX).contains(&sub.len()) && sub.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    fits.then(|| Subject(format!("oidc:{}#{sub}", rest.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_by_their_provider() {
        let named = |sub: &str| staff_subject("https://login.example.org/realms/ens/", sub).map(|s| s.to_string());
        assert_eq!(named("42").as_deref(), Some("oidc:login.example.org/realms/ens#42"));
        for strange in ["", "a\nb", "é", &"x".repeat(256)] {
            assert_eq!(named(strange), None, "{strange:?}");
        }
    }
}
