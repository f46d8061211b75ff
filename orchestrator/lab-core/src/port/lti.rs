//! What is stored for launches by LTI. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{
    CourseId, Subject, Timestamp, TokenHash,
    entitlement::Giver,
    launch::lti::{
        Attempt, Invitation, LtiKey, LtiState, Registration, RegistrationId, RegistrationKey, RegistrationUse, Roster,
        SamePerson, Seen, Tried, Waiting,
    },
};
use async_trait::async_trait;

/// Refused launches that are kept, over all registrations: a day of a badly configured course, and a bound for who sends rubbish.
pub const LTI_ATTEMPTS_KEPT: u32 = 500;

/// Most registrations that [`LtiStore::lti_registration_find`] gives: two are enough to know that one would be a guess.
pub const LTI_FOUND_MAX: u32 = 2;

/// See the module's doc.
#[async_trait]
pub trait LtiStore: Send + Sync + 'static {
    /// Adds a registration, or changes the one of that id (which keeps its `created_at`). A conflict when another registration has its
    /// issuer and client id, or its key. Grades, line items and the last launch are a client's, not a name's
    /// ([`crate::launch::lti::Kind::is_same_client`]): those of another client are put aside under [`RegistrationId::former`] with the logins and
    /// lists of people forgotten, and what was put aside of this one is its own again.
    async fn lti_registration_put(&self, registration: &Registration) -> Result<(), StoreError>;
    /// The same, with what its launches may give, in one transaction: of one that is refused nothing is kept.
    async fn lti_registration_put_with(&self, registration: &Registration, giver: &Giver) -> Result<(), StoreError>;
    /// Forgets a registration with its secret, logins under way, and where it lists people. Whether it was there. What its launches gave stays,
    /// with its limits and its refused launches: one of the same name goes on with them. Its grades are put aside, as by
    /// [`LtiStore::lti_registration_put`]: only the same client goes on with those.
    async fn lti_registration_drop(&self, id: &RegistrationId) -> Result<bool, StoreError>;
    /// What is here by it.
    async fn lti_registration_use(&self, id: &RegistrationId) -> Result<RegistrationUse, StoreError>;
    /// One of its launches was taken; only the newest is kept.
    async fn lti_launched(&self, id: &RegistrationId, at: Timestamp) -> Result<(), StoreError>;
    /// When one of its launches was last taken.
    async fn lti_launched_at(&self, id: &RegistrationId) -> Result<Option<Timestamp>, StoreError>;
    /// When each registration that is there last worked, by id.
    async fn lti_seen(&self) -> Result<Vec<Seen>, StoreError>;
    async fn lti_registration_get(&self, id: &RegistrationId) -> Result<Option<Registration>, StoreError>;
    /// All of them, by id.
    async fn lti_registration_list(&self) -> Result<Vec<Registration>, StoreError>;
    /// Those a launch may mean, at most [`LTI_FOUND_MAX`].
    async fn lti_registration_find(&self, key: &RegistrationKey) -> Result<Vec<Registration>, StoreError>;

    /// Keeps an invitation; one of the same id that nobody answered is void then. A conflict when a registration has its id, or somebody
    /// waits by it.
    async fn lti_invitation_put(&self, invitation: &Invitation) -> Result<(), StoreError>;
    /// Counts a try of the invitation of a secret, if it can still be answered at `at`: of many at once
    /// [`crate::launch::lti::INVITATION_TRIES_MAX`] are good. One that is put anew begins anew.
    async fn lti_invitation_try(&self, secret: TokenHash, at: Timestamp) -> Result<Tried, StoreError>;
    /// All of them, by id.
    async fn lti_invitation_list(&self) -> Result<Vec<Invitation>, StoreError>;
    /// A platform came by it. Whether it was the first, and in time.
    async fn lti_invitation_answer(&self, secret: TokenHash, waiting: &Waiting) -> Result<bool, StoreError>;
    /// Makes a registration of who waits by it, and forgets the invitation, in one transaction; none when nobody waits. A conflict when
    /// another registration has its issuer and client id.
    async fn lti_invitation_approve(
        &self,
        id: &RegistrationId,
        at: Timestamp,
    ) -> Result<Option<Registration>, StoreError>;
    /// Forgets it, with who waits by it. Whether it was there.
    async fn lti_invitation_drop(&self, id: &RegistrationId) -> Result<bool, StoreError>;

    /// Keeps where a platform lists the people of a course; there is one of each registration and course.
    async fn lti_roster_put(&self, roster: &Roster) -> Result<(), StoreError>;
    /// Of a course, by registration; those of registrations that are gone are none.
    async fn lti_roster_list(&self, course: &CourseId) -> Result<Vec<Roster>, StoreError>;

    /// Keeps that two ids are one person; a repeat changes nothing. A conflict with what [`crate::launch::lti::same_person_problem`] says.
    async fn same_person_put(&self, same: &SamePerson) -> Result<(), StoreError>;
    /// Who launches as this id: itself, or who it was said to be.
    async fn same_person_of(&self, alias: &Subject) -> Result<Subject, StoreError>;
    /// All of them, by alias.
    async fn same_person_list(&self) -> Result<Vec<SamePerson>, StoreError>;
    /// The two are two again from now on. Whether they were one.
    async fn same_person_drop(&self, alias: &Subject) -> Result<bool, StoreError>;

    /// Keeps a login that was begun. A conflict when its state is there already.
    async fn lti_state_put(&self, state: &LtiState) -> Result<(), StoreError>;
    /// The login of a state, if it has not expired at `at`. Using it once is [`super::Store::launch_redeem`]'s.
    async fn lti_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<LtiState>, StoreError>;

    /// Adds a key pair if `after` is the newest one (none: there is none yet), and retires every other that has no end yet at
    /// `retire_at`. Whether it did: of several that rotate at once, one does.
    async fn lti_key_add(&self, key: &LtiKey, after: Option<&str>, retire_at: Timestamp) -> Result<bool, StoreError>;
    /// Every key pair that is not retired at `at`, newest first: that one signs.
    async fn lti_key_list(&self, at: Timestamp) -> Result<Vec<LtiKey>, StoreError>;

    /// Writes a refused launch down; the oldest go beyond [`LTI_ATTEMPTS_KEPT`].
    async fn lti_attempt_add(&self, attempt: &Attempt) -> Result<(), StoreError>;
    /// Newest first.
    async fn lti_attempt_list(&self) -> Result<Vec<Attempt>, StoreError>;
}
