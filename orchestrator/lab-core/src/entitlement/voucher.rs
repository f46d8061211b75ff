//! Codes on paper that become grants. A code is kept nowhere: the store knows its keyed hash.

use super::Refusal;
use crate::{CourseId, GrantId, PlanId, SponsorId, Subject, Timestamp, TokenHash, VoucherBatchId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Digits of a code: no I, L, O, U, so that nothing on paper can be read two ways (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Digits of a code: 5 bits each make 80. A learner may be wrong [`GUESSES_MAX`] times an hour; a million learners who all guess for a
/// year try 2^37 codes, and among 100 000 vouchers hit one with a chance of 1 in 80 million.
pub const CODE_DIGITS: usize = 16;

/// Digits between two dashes.
const GROUP: usize = 4;

/// Wrong codes in [`GUESSES_WITHIN`] before whoever types them has to wait. Ten: a class reads codes from paper with its thumbs.
pub const GUESSES_MAX: u32 = 10;
/// See [`GUESSES_MAX`].
pub const GUESSES_WITHIN: Duration = Duration::from_hours(1);

/// Vouchers of one batch: 2.5 times the largest course, and 3 MiB of rows.
pub const BATCH_MAX: u32 = 20_000;

/// A code as it is hashed: 16 digits, upper case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Code(String);

impl std::fmt::Debug for Code {
    // worth money to whoever reads a log
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(…)")
    }
}

impl Code {
    /// A code of 80 random bits.
    pub fn of(random: [u8; 10]) -> Self {
        let mut wide = [0; 16];
        wide[6..].copy_from_slice(&random);
        let bits = u128::from_be_bytes(wide);
        let digit = |i: usize| char::from(DIGITS[(bits >> (5 * i) & 31) as usize]);
        Self((0..CODE_DIGITS).rev().map(digit).collect())
    }

    /// What a person typed: any case, with or without dashes and blanks, O for 0, I or L for 1. `None`: it can be no code.
    pub fn read(typed: &str) -> Option<Self> {
        let mut code = String::with_capacity(CODE_DIGITS);
        for c in typed
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '—' | '_' | '.'))
        {
            let digit = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            if code.len() == CODE_DIGITS || !digit.is_ascii() || !DIGITS.contains(&(digit as u8)) {
                return None;
            }
            code.push(digit);
        }
        (code.len() == CODE_DIGITS).then_some(Self(code))
    }

    /// What is hashed.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// As printed: `XXXX-XXXX-XXXX-XXXX`.
    pub fn printed(&self) -> String {
        let groups: Vec<&str> = (0..CODE_DIGITS / GROUP)
            .map(|g| &self.0[g * GROUP..(g + 1) * GROUP])
            .collect();
        groups.join("-")
    }
}

/// The id of the grant that a code gives: one code, one grant, whoever asks how often.
pub fn voucher_grant(code: TokenHash) -> GrantId {
    GrantId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &code.0))
}

/// Vouchers made together: what each of them gives, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherBatch {
    pub id: VoucherBatchId,
    /// For people: who it is for, e.g. `ESP Dakar, spring`.
    pub label: String,
    pub course: CourseId,
    pub plan: PlanId,
    /// Seconds that each voucher gives.
    pub seconds: i64,
    /// Days that the grant is valid from its redemption.
    pub valid_days: u32,
    /// See [`super::Grant::priority`].
    pub priority: i32,
    pub created_at: Timestamp,
    /// Until when it can be redeemed.
    pub expires_at: Timestamp,
    /// Id of the key that its codes were hashed with.
    pub key: String,
    /// Who pays for what its codes give.
    #[serde(default)]
    pub sponsor: Option<SponsorId>,
}

/// A batch with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherBatchState {
    pub batch: VoucherBatch,
    pub size: u32,
    pub redeemed: u32,
    /// When it was revoked, and why.
    pub revoked: Option<(Timestamp, String)>,
}

/// A code is typed for a learner.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// The code's hash under each key of the installation; none when what was typed can be no code.
    pub hashes: Vec<TokenHash>,
    pub subject: Subject,
    /// Who types, and whose wrong codes are counted: the learner, or whoever redeems for them.
    pub typed_by: Subject,
    /// Of the login that types.
    pub course: CourseId,
    pub at: Timestamp,
}

/// What became of a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    Granted {
        grant: GrantId,
        plan: PlanId,
        seconds: i64,
        expires_at: Timestamp,
        /// False: the same learner redeemed it before, and has what it gave.
        new: bool,
    },
    Refused(VoucherRefusal),
}

/// Why a code gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoucherRefusal {
    #[error("no voucher has this code")]
    Unknown,
    #[error("somebody else redeemed this voucher")]
    Used,
    #[error("this voucher could be redeemed until {at}")]
    Expired { at: Timestamp },
    #[error("this voucher was withdrawn")]
    Revoked,
    #[error("this voucher is for the course {course}")]
    OtherCourse { course: CourseId },
    #[error("the lab time of this trial is given out")]
    PotEmpty,
    #[error("you have a seat of this trial already")]
    Seated,
    #[error("the course {title} is over since {closed_at}; the code was not used")]
    CourseClosed {
        title: String,
        closed_at: Timestamp,
        /// What to write the time in.
        zone: Option<String>,
    },
    #[error("too many wrong codes; try again at {again_at}")]
    Guesses { again_at: Timestamp },
}

impl VoucherRefusal {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "voucher-unknown",
            Self::Used => "voucher-used",
            Self::Expired { .. } => "voucher-expired",
            Self::Revoked => "voucher-revoked",
            Self::OtherCourse { .. } => "voucher-other-course",
            Self::PotEmpty => "voucher-pot-empty",
            Self::Seated => "voucher-seated",
            Self::CourseClosed { .. } => "voucher-course-closed",
            Self::Guesses { .. } => "voucher-guesses",
        }
    }
}

impl VoucherRefusal {
    /// What a course's run has against a new redemption. A course that is over takes none: what the code gives could start nothing. Before a
    /// course opens its codes can be redeemed: people prepare.
    pub fn of_course(refusal: Option<Refusal>) -> Option<Self> {
        match refusal? {
            Refusal::CourseClosed { title, closed_at, zone } => Some(Self::CourseClosed { title, closed_at, zone }),
            _ => None,
        }
    }
}

/// The one rule of redemption, over what is stored. `by`: who redeemed it before. The order is what the learner can do least about first,
/// but for their own voucher: who redeemed it before it expired or was revoked keeps what it gave.
pub fn judge(
    batch: &VoucherBatchState,
    by: Option<&Subject>,
    who: (&Subject, &CourseId),
    at: Timestamp,
) -> Result<bool, VoucherRefusal> {
    let (subject, course) = who;
    match by {
        Some(by) if by == subject => return Ok(false),
        Some(_) => return Err(VoucherRefusal::Used),
        None => {}
    }
    if batch.revoked.is_some() {
        return Err(VoucherRefusal::Revoked);
    }
    if at >= batch.batch.expires_at {
        return Err(VoucherRefusal::Expired {
            at: batch.batch.expires_at,
        });
    }
    if batch.batch.course != *course {
        return Err(VoucherRefusal::OtherCourse {
            course: batch.batch.course.clone(),
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_printed_code_is_read_back_however_it_is_typed(random: [u8; 10], lower: bool, blanks: bool) {
            let code = Code::of(random);
            let mut typed = code.printed();
            prop_assert_eq!(typed.len(), CODE_DIGITS + 3);
            if blanks {
                typed = format!("  {} ", typed.replace('-', " "));
            }
            if lower {
                typed = typed.to_lowercase().replace('0', "o").replace('1', "l");
            }
            prop_assert_eq!(Code::read(&typed), Some(code));
        }

        #[test]
        fn two_random_numbers_make_two_codes(a: [u8; 10], b: [u8; 10]) {
            prop_assert_eq!(a == b, Code::of(a) == Code::of(b));
        }

        #[test]
        fn whatever_is_typed_is_a_code_or_nothing(typed in ".{0,40}") {
            if let Some(code) = Code::read(&typed) {
                prop_assert_eq!(Code::read(&code.printed()), Some(code));
            }
        }
    }

    #[test]
    fn a_code_is_not_in_a_debug_line() {
        let code = Code::of([7; 10]);
        assert!(!format!("{code:?}").contains(&code.digits()[..4]));
    }

    #[test]
    fn what_can_be_no_code_is_none() {
        for typed in [
            "",
            "ABCD",
            "ABCD-ABCD-ABCD-ABCU",
            "ABCD-ABCD-ABCD-ABCDA",
            "éééé-éééé-éééé-éééé",
        ] {
            assert_eq!(Code::read(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_voucher_is_judged_in_order() {
        let at = Timestamp::from_secs;
        let batch = VoucherBatch {
            id: VoucherBatchId(uuid::Uuid::nil()),
            label: "b".into(),
            course: "net".into(),
            plan: "Q".into(),
            seconds: 60,
            valid_days: 1,
            priority: 0,
            created_at: at(0),
            expires_at: at(100),
            key: "k".into(),
            sponsor: None,
        };
        let open = VoucherBatchState {
            batch,
            size: 1,
            redeemed: 0,
            revoked: None,
        };
        let gone = VoucherBatchState {
            revoked: Some((at(1), "lost".into())),
            ..open.clone()
        };
        let (ada, bob, net, web): (Subject, Subject, CourseId, CourseId) =
            ("ada".into(), "bob".into(), "net".into(), "web".into());
        assert_eq!(judge(&open, None, (&ada, &net), at(99)), Ok(true));
        assert_eq!(
            judge(&gone, Some(&ada), (&ada, &web), at(200)),
            Ok(false),
            "what was theirs stays theirs"
        );
        assert_eq!(judge(&open, Some(&bob), (&ada, &net), at(1)), Err(VoucherRefusal::Used));
        assert_eq!(judge(&gone, None, (&ada, &net), at(200)), Err(VoucherRefusal::Revoked));
        assert_eq!(
            judge(&open, None, (&ada, &net), at(100)),
            Err(VoucherRefusal::Expired { at: at(100) })
        );
        assert_eq!(
            judge(&open, None, (&ada, &web), at(1)),
            Err(VoucherRefusal::OtherCourse { course: net })
        );
    }
}
