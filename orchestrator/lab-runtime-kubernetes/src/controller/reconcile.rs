//! One look at one object: validate → build → apply → status.
//!
//! ```text
//!  to be deleted? ──yes──► delete the pod ──gone──► take the finalizer away; the garbage collector does the rest
//!     │ no
//!  valid? ──no──► status Pending/InvalidSpec; nothing is made, nothing is tried again until it changes
//!     │ yes
//!  had a pod? ──yes, and it is gone──► status Gone/PodDeleted: a new one would have an empty journal
//!     │ no
//!  finalizer ► Secrets ► NetworkPolicy ► Pod ► status ► events
//! ```
//! Each step may be the last that this process does: the next look, by whoever leads then, finds what is there and goes on.

use super::{
    apply::{FINALIZER, Writer},
    build::Wanted,
    error::ControllerError,
    events,
    metrics::Metrics,
    pod_view::PodFacts,
    settings::ControllerSettings,
    status::{self, NODE_LOST_AFTER, Observed},
    validate,
};
use crate::api::{LabSandbox, Phase, reason};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};

/// How long after its grace a pod of a dropped sandbox is taken off a node that does not remove it. A kubelet of two busy cores was seen to take 25 s
/// for twelve pods at once.
const FORCE_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// A deletion is looked at again after this, should the watch be slow to tell.
const DELETED_WITHIN: Duration = Duration::from_secs(30);

/// What every look needs.
pub(crate) struct Context {
    pub settings: ControllerSettings,
    pub writer: Writer,
    pub metrics: Arc<Metrics>,
}

/// What is known of one object. A look takes it, and gives it back with what it has seen, even when it failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub object: Option<Arc<LabSandbox>>,
    pub pod: Option<PodFacts>,
    /// How many pods of this name have gone: tells an answer from before that from one after.
    pub pods_gone: u32,
    /// Its `NetworkPolicy` is there.
    pub policy: bool,
    /// Fingerprint of its certificate: its Secrets are there.
    pub fingerprint: Option<String>,
    /// Code of the failure that its last event told: a failure that goes on is one event.
    pub told: Option<&'static str>,
}

/// When to look again.
pub(crate) type Next = Option<Duration>;

/// Looks, acts, and remembers in `known` what it saw. What failed is told on the object, for `kubectl describe`.
pub(crate) async fn reconcile(context: &Context, known: &mut Known) -> Result<Next, ControllerError> {
    let looked = look(context, known).await;
    match &looked {
        Ok(_) => known.told = None,
        Err(error) => tell_failure(context, known, error).await,
    }
    looked
}

async fn look(context: &Context, known: &mut Known) -> Result<Next, ControllerError> {
    let Some(object) = known.object.clone() else {
        // gone; what was made for it has it as owner
        return Ok(None);
    };
    let now = Timestamp::now();
    if object.metadata.deletion_timestamp.is_some() {
        return remove(context, known, &object, now).await;
    }
    if object.phase() == Phase::Gone {
        return Ok(None);
    }
    let spec = match validate::spec(&object, &context.settings.installation) {
        Ok(spec) => spec,
        Err(invalid) => {
            say(context, known, &object, &Observed::Invalid(invalid.to_string()), now).await?;
            return Ok(None);
        }
    };
    let wanted = Wanted {
        settings: &context.settings,
        object: &object,
        spec: &spec,
    };
    let provisioned = object
        .status
        .as_ref()
        .is_some_and(|s| status::is_true(s, "Provisioned"));
    if provisioned {
        keep(context, known, &wanted, now).await
    } else {
        provision(context, known, &wanted, now).await
    }
}

/// An object that has, or had, a pod.
async fn keep(
    context: &Context,
    known: &mut Known,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Next, ControllerError> {
    if known.pod.is_none() {
        // what we remember may be older than the pod; only the API server's own word ends a session
        known.pod = context
            .writer
            .pod_now(&wanted.object.name_any())
            .await?
            .filter(|p| is_of(p, wanted.object));
    }
    let Some(pod) = known.pod.clone() else {
        say(context, known, wanted.object, &Observed::PodDeleted, now).await?;
        return Ok(None);
    };
    if !known.policy {
        context.writer.policy(wanted).await?;
        known.policy = true;
    }
    say(context, known, wanted.object, &Observed::Pod(&pod, None), now).await?;
    // a pod that is being deleted on a node that is lost changes no more
    Ok(pod.deleting.map(|end| until(end + NODE_LOST_AFTER, now)))
}

/// An object that has no pod yet.
async fn provision(
    context: &Context,
    known: &mut Known,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Next, ControllerError> {
    if let Err(invalid) = validate::agent(&wanted.object.spec.agent) {
        say(
            context,
            known,
            wanted.object,
            &Observed::Invalid(invalid.to_string()),
            now,
        )
        .await?;
        return Ok(None);
    }
    let error = match make(context, known, wanted).await {
        Ok(pod) => {
            let fingerprint = known.fingerprint.clone();
            let observed = Observed::Pod(&pod, fingerprint.as_deref());
            say(context, known, wanted.object, &observed, now).await?;
            return Ok(None);
        }
        Err(error) => error,
    };
    if let Some(observed) = worth_saying(&error)
        && let Err(unsaid) = say(context, known, wanted.object, &observed, now).await
    {
        tracing::warn!(error = %unsaid, "cannot say why a sandbox waits; the next look says it");
    }
    Err(error)
}

/// What cannot be made, said so that who waits for it, and who can mend it, sees why. An API server that fails for a moment is no state of
/// the object: an event tells it ([`tell_failure`]).
fn worth_saying(error: &ControllerError) -> Option<Observed<'static>> {
    let reason = match error {
        ControllerError::Quota { .. } => reason::QUOTA_EXCEEDED,
        ControllerError::Refused { .. } | ControllerError::Inconsistent(_) => reason::REFUSED,
        _ => return None,
    };
    Some(Observed::Waiting {
        reason,
        message: error.to_string(),
    })
}

/// An event for what failed, unless the status says it (with an event of its own), or it will not concern anybody: who was only overtaken
/// looks again at once, and where no answer comes no event gets through.
async fn tell_failure(context: &Context, known: &mut Known, error: &ControllerError) {
    use ControllerError as E;
    let Some(object) = known.object.clone() else { return };
    let passing = matches!(
        error,
        E::Conflict { .. } | E::Expired { .. } | E::Unreachable(_) | E::NotLeader(_)
    );
    let in_status = worth_saying(error).is_some_and(|observed| {
        let Observed::Waiting { reason, .. } = observed else {
            return false;
        };
        object.status.as_ref().and_then(|s| s.reason.as_deref()) == Some(reason)
    });
    if passing || in_status || known.told == Some(error.code()) {
        return;
    }
    let told = events::of_failure(error);
    let event = events::event(&object, &told, &context.settings.identity, Timestamp::now());
    match context.writer.event(&event).await {
        Ok(()) => known.told = Some(error.code()),
        Err(untold) => tracing::warn!(%untold, %error, "a failure was not told; the next look tells it"),
    }
}

/// Makes what is missing, in the order that a crash between any two forgives.
async fn make(context: &Context, known: &mut Known, wanted: &Wanted<'_>) -> Result<PodFacts, ControllerError> {
    let writer = &context.writer;
    if !has_finalizer(wanted.object) {
        known.remember(writer.finalizer_add(wanted.object).await?);
    }
    if known.fingerprint.is_none() {
        known.fingerprint = Some(writer.secrets(wanted).await?);
    }
    // before the pod: it must not live a moment without
    if !known.policy {
        writer.policy(wanted).await?;
        known.policy = true;
    }
    if let Some(pod) = known.pod.clone().filter(|p| is_of(p, wanted.object)) {
        return Ok(pod);
    }
    let pod = writer.pod(wanted).await?;
    known.pod = Some(pod.clone());
    Ok(pod)
}

/// An object that is to be deleted.
async fn remove(
    context: &Context,
    known: &mut Known,
    object: &LabSandbox,
    now: Timestamp,
) -> Result<Next, ControllerError> {
    if !has_finalizer(object) {
        return Ok(None);
    }
    let name = object.name_any();
    let Some(pod) = known.pod.as_ref().filter(|p| is_of(p, object)) else {
        context.writer.finalizer_remove(object).await?;
        return Ok(None);
    };
    match pod.deleting {
        None => {
            context.writer.pod_delete(&name, &pod.uid, false).await?;
            Ok(Some(DELETED_WITHIN))
        }
        Some(end) if now >= end + FORCE_AFTER => {
            tracing::warn!(
                sandbox = name,
                node = pod.node,
                "a dropped pod is taken off a node that does not answer"
            );
            context.writer.pod_delete(&name, &pod.uid, true).await?;
            Ok(Some(DELETED_WITHIN))
        }
        Some(end) => Ok(Some(until(end + FORCE_AFTER, now))),
    }
}

/// Writes the status when there is something new to say, and tells what changed.
async fn say(
    context: &Context,
    known: &mut Known,
    object: &LabSandbox,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Result<(), ControllerError> {
    let new = status::next(object, observed, now);
    if !status::worth_writing(object.status.as_ref(), &new) {
        return Ok(());
    }
    known.remember(context.writer.status(object, &new).await?);
    let old = object.status.clone().unwrap_or_default();
    if new.phase >= Phase::Running
        && old.phase < Phase::Running
        && let Some(seconds) = new.ready_seconds
    {
        context.metrics.ready(seconds);
    }
    for told in events::of_change(&old, &new) {
        let event = events::event(object, &told, &context.settings.identity, now);
        // the status says it too, and stays
        if let Err(error) = context.writer.event(&event).await {
            tracing::warn!(%error, reason = told.reason, "an event was not told");
        }
    }
    Ok(())
}

impl Known {
    /// What is made: it differs after a look that got further than the one before, however that ended.
    pub fn progress(&self) -> impl PartialEq + use<> {
        let version = self.object.as_ref().and_then(|o| o.resource_version());
        (version, self.fingerprint.is_some(), self.policy, self.pod.is_some())
    }

    /// The object as an answer gave it.
    pub fn remember(&mut self, mut object: LabSandbox) {
        trim(&mut object);
        self.object = Some(Arc::new(object));
    }
}

/// Drops what is not looked at again: the agent's spec, some 10 KiB, is in the Secret once the object is provisioned.
pub(crate) fn trim(object: &mut LabSandbox) {
    object.metadata.managed_fields = None;
    object.metadata.annotations = None;
    if object
        .status
        .as_ref()
        .is_some_and(|s| status::is_true(s, "Provisioned"))
    {
        object.spec.agent = String::new();
    }
}

fn has_finalizer(object: &LabSandbox) -> bool {
    object.finalizers().iter().any(|f| f == FINALIZER)
}

fn is_of(pod: &PodFacts, object: &LabSandbox) -> bool {
    object.metadata.uid.as_ref() == Some(&pod.owner)
}

/// From now until then, and a little: a moment too early would be one look for nothing.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    let left = then.duration_since(now).unsigned_abs();
    (if then > now { left } else { Duration::ZERO }) + Duration::from_millis(100)
}
