//! A row of the outbox: where a grade goes, what it is, and how far it got.

use super::{Grade, GradeAddress};
use crate::{CourseId, LabId, Subject, Timestamp, launch::lti::RegistrationId};

/// What a learner's launch says of where the grade goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradeTarget {
    pub registration: RegistrationId,
    pub subject: Subject,
    pub course: CourseId,
    pub lab: LabId,
    /// The lab's title, for a line item that has to be made.
    pub title: String,
    /// The learner, in the platform's words.
    pub user: String,
    pub resource_link: String,
    pub address: GradeAddress,
}

impl GradeTarget {
    /// See [`GradeAddress::place`].
    pub fn place(&self) -> String {
        self.address.place(&self.resource_link, &self.lab)
    }
}

/// How far a grade got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GradeState {
    /// Nothing was checked yet.
    Idle,
    /// To be sent.
    Pending,
    /// In the gradebook.
    Sent,
    /// Refused for good, or given up.
    Failed,
}

impl GradeState {
    /// As stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// Back from [`GradeState::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Idle, Self::Pending, Self::Sent, Self::Failed]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// What the platform has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub grade: Grade,
    pub at: Timestamp,
}

/// Why a grade is not there yet, or never will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// From a closed set.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// One learner's grade at one place of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradeRow {
    pub id: i64,
    pub target: GradeTarget,
    /// Unknown as long as it has to be looked for or made; always unknown for LTI 1.1.
    pub line_item: Option<String>,
    pub grade: Option<Grade>,
    /// Grows whenever there is something (else) to send.
    pub revision: i64,
    pub state: GradeState,
    /// Tries of this revision that came to nothing.
    pub attempts: u32,
    /// With [`GradeState::Pending`]: not before.
    pub next_at: Timestamp,
    /// With [`GradeState::Pending`]: since when.
    pub pending_since: Timestamp,
    /// The second that the last score carried; 0 before the first.
    pub stamp: i64,
    pub sent: Option<Sent>,
    pub trouble: Option<Trouble>,
}

impl GradeRow {
    /// A row of a first launch, before anything was checked.
    pub fn new(id: i64, target: GradeTarget, at: Timestamp) -> Self {
        let line_item = match &target.address {
            GradeAddress::Ags { line_item, .. } => line_item.clone(),
            GradeAddress::Outcome { .. } => None,
        };
        Self {
            id,
            target,
            line_item,
            grade: None,
            revision: 0,
            state: GradeState::Idle,
            attempts: 0,
            next_at: at,
            pending_since: at,
            stamp: 0,
            sent: None,
            trouble: None,
        }
    }

    /// Takes what the learner's checks are worth now; whether there is something to send that was not there before.
    pub fn offer(&mut self, grade: Option<Grade>, at: Timestamp) -> bool {
        let Some(grade) = grade.filter(|g| self.grade != Some(*g)) else {
            return false;
        };
        self.grade = Some(grade);
        self.again(at);
        true
    }

    /// Takes a later launch to the same place: addresses may be others by now, and what was refused is tried again, since a launch is what
    /// people do after they mended something.
    pub fn launched(&mut self, target: &GradeTarget, grade: Option<Grade>, at: Timestamp) {
        self.target = target.clone();
        if !self.offer(grade, at) && self.state == GradeState::Failed {
            self.again(at);
        }
    }

    /// To be sent, from the beginning.
    pub fn again(&mut self, at: Timestamp) {
        self.revision += 1;
        self.state = GradeState::Pending;
        self.attempts = 0;
        self.next_at = at;
        self.pending_since = at;
        self.trouble = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> GradeRow {
        let target = GradeTarget {
            registration: RegistrationId("edx".into()),
            subject: "lms#u".into(),
            course: "net".into(),
            lab: "ospf".into(),
            title: "OSPF".into(),
            user: "u".into(),
            resource_link: "r".into(),
            address: GradeAddress::Outcome {
                url: "https://lms/o".into(),
                sourcedid: "s".into(),
            },
        };
        GradeRow::new(1, target, Timestamp(0))
    }

    #[test]
    fn a_grade_is_sent_once_and_a_newer_one_takes_its_place() {
        let mut row = row();
        assert!(!row.offer(None, Timestamp(1)) && row.state == GradeState::Idle);
        assert!(row.offer(Grade::new(0, 3), Timestamp(1)), "a zero is sent");
        assert!(!row.offer(Grade::new(0, 3), Timestamp(2)));
        row.attempts = 4;
        assert!(row.offer(Grade::new(2, 3), Timestamp(3)));
        assert_eq!((row.revision, row.attempts, row.pending_since), (2, 0, Timestamp(3)));
    }

    #[test]
    fn what_was_refused_is_tried_again_by_a_launch_only() {
        let mut row = row();
        row.offer(Grade::new(1, 3), Timestamp(1));
        row.state = GradeState::Failed;
        assert!(!row.offer(Grade::new(1, 3), Timestamp(2)));
        let mut target = row.target.clone();
        target.address = GradeAddress::Outcome {
            url: "https://lms/o".into(),
            sourcedid: "s2".into(),
        };
        row.launched(&target, Grade::new(1, 3), Timestamp(3));
        assert_eq!((row.state, &row.target), (GradeState::Pending, &target));
        row.state = GradeState::Sent;
        row.launched(&target, Grade::new(1, 3), Timestamp(4));
        assert_eq!(row.state, GradeState::Sent, "what is there is not sent again");
    }
}
