//! The wall's task and its subscribers.

use crate::{
    AppError, Ports,
    terminal::{Glance, Hubs},
};
use futures_util::{StreamExt, stream};
use lab_core::{
    CourseId, LabDigest, PlanId, SessionId, Timestamp,
    entitlement::Feature,
    live::{Card, screen_text},
    port::{Session, SessionFilter},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

/// A card changes at most this often, as the protocol has it: what a learner sees is to be on the wall within a second, and
/// a turn of 500 ms leaves the other half for the picture and the way to the page.
const REFRESH: Duration = Duration::from_millis(500);

/// A picture that takes longer is shown at the next turn, or not at all.
const PICTURE_WITHIN: Duration = Duration::from_millis(400);

/// Pictures asked for at once: a class of 40 is done in three rounds, and an agent draws one in a few ms.
const PICTURES_AT_ONCE: usize = 16;

/// Updates on their way to one teacher; one is enough, as what is not taken is made new from the latest state.
const UPDATE_QUEUE: usize = 1;

/// What changed on a wall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WallUpdate {
    /// New or changed.
    pub cards: Vec<Card>,
    /// No longer there.
    pub gone: Vec<SessionId>,
}

type Cards = Arc<BTreeMap<SessionId, Arc<Card>>>;

/// The state of one course's wall, shared by its teachers.
struct Shared {
    cards: watch::Sender<Option<Cards>>,
}

/// See the module's doc.
pub struct Wall {
    ports: Ports,
    hubs: Arc<Hubs>,
    courses: Mutex<HashMap<CourseId, Weak<Shared>>>,
    /// Ends with the wall: no task outlives it.
    tasks: Mutex<JoinSet<()>>,
}

impl Wall {
    /// Nobody watches yet.
    pub fn new(ports: Ports, hubs: Arc<Hubs>) -> Arc<Self> {
        Arc::new(Self {
            ports,
            hubs,
            courses: Mutex::default(),
            tasks: Mutex::default(),
        })
    }

    /// First all cards of a course, then what changes, at most every 500 ms. Drop the receiver to stop.
    pub fn subscribe(&self, course: CourseId) -> mpsc::Receiver<WallUpdate> {
        let shared = self.shared(course);
        let (updates, receiver) = mpsc::channel(UPDATE_QUEUE);
        let mut tasks = self.tasks.lock().expect("no holder panics");
        while tasks.try_join_next().is_some() {}
        tasks.spawn(follow(shared, updates));
        receiver
    }

    fn shared(&self, course: CourseId) -> Arc<Shared> {
        let mut courses = self.courses.lock().expect("no holder panics");
        courses.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = courses.get(&course).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(Shared {
            cards: watch::Sender::new(None),
        });
        courses.insert(course.clone(), Arc::downgrade(&shared));
        let painter = Painter {
            ports: self.ports.clone(),
            hubs: self.hubs.clone(),
            course,
            labs: HashMap::new(),
            pictures: HashMap::new(),
        };
        let task = painter.run(Arc::downgrade(&shared));
        self.tasks.lock().expect("no holder panics").spawn(task);
        shared
    }
}

/// Sends one teacher the difference between what was sent and what is; a slow one skips states, never the last.
async fn follow(shared: Arc<Shared>, updates: mpsc::Sender<WallUpdate>) {
    let mut news = shared.cards.subscribe();
    let mut sent: Option<Cards> = None;
    loop {
        let Ok(permit) = updates.reserve().await else { return };
        let now = tokio::select! {
            now = next_state(&mut news, sent.is_none()) => now,
            () = updates.closed() => return,
        };
        let update = difference(sent.as_ref(), &now);
        if sent.is_none() || !update.cards.is_empty() || !update.gone.is_empty() {
            permit.send(update);
        }
        sent = Some(now);
    }
}

async fn next_state(news: &mut watch::Receiver<Option<Cards>>, first: bool) -> Cards {
    if first && let Ok(cards) = news.wait_for(Option::is_some).await {
        return cards.clone().unwrap_or_default();
    }
    // the sender lives as long as the follower's own handle on it
    let _ = news.changed().await;
    news.borrow_and_update().clone().unwrap_or_default()
}

fn difference(before: Option<&Cards>, now: &Cards) -> WallUpdate {
    let known = |id: &SessionId| before.and_then(|b| b.get(id));
    let cards = now
        .iter()
        .filter(|(id, card)| known(id) != Some(card))
        .map(|(_, card)| Card::clone(card))
        .collect();
    let gone = before
        .map(|b| b.keys().filter(|id| !now.contains_key(id)).copied().collect())
        .unwrap_or_default();
    WallUpdate { cards, gone }
}

/// What a card needs of a lab.
struct LabFacts {
    checks: u32,
    points: u32,
    first_terminal: String,
    terminals: Vec<String>,
}

/// The last picture of a session, and the output it shows.
struct Picture {
    output: u64,
    lines: Vec<String>,
}

struct Painter {
    ports: Ports,
    hubs: Arc<Hubs>,
    course: CourseId,
    labs: HashMap<LabDigest, Arc<LabFacts>>,
    pictures: HashMap<SessionId, Picture>,
}

impl Painter {
    /// Until nobody watches.
    async fn run(mut self, shared: Weak<Shared>) {
        let mut turn = interval(REFRESH);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            let painted = self.paint().await;
            let Some(shared) = shared.upgrade() else { return };
            match painted {
                Ok(cards) => {
                    shared.cards.send_if_modified(|old| {
                        let modified = old.as_ref() != Some(&cards);
                        *old = Some(cards);
                        modified
                    });
                }
                // the wall stands still as long as the store does
                Err(e) => tracing::warn!(code = e.code(), error = %e, "wall not refreshed"),
            }
        }
    }

    async fn paint(&mut self) -> Result<Cards, AppError> {
        let filter = SessionFilter {
            course: Some(self.course.clone()),
            live: true,
            ..SessionFilter::default()
        };
        let sessions = self.ports.store.session_list(&filter).await?;
        let plans = self.ports.store.plan_list().await?;
        let unseen: HashSet<PlanId> = plans
            .into_iter()
            .filter(|p| !p.has(Feature::Observe))
            .map(|p| p.id)
            .collect();
        for session in sessions.iter().filter(|s| s.state.is_usable()) {
            // its learner may be on another replica: whoever shows it follows its agent
            self.hubs.ensure(session.id);
        }
        let glances: Vec<_> = sessions
            .iter()
            .map(|s| self.hubs.glance(s.id).unwrap_or_default())
            .collect();
        self.take_pictures(&sessions, &glances, &unseen).await;
        let now = self.ports.clock.now();
        let mut cards = BTreeMap::new();
        for (session, mut glance) in sessions.iter().zip(glances) {
            if unseen.contains(&session.plan) {
                glance.last_command = None;
            }
            let lab = self.lab(&session.digest).await?;
            let picture = self.pictures.get(&session.id);
            cards.insert(session.id, Arc::new(card(session, glance, &lab, picture, now)));
        }
        self.pictures.retain(|id, _| cards.contains_key(id));
        Ok(Arc::new(cards))
    }

    /// New pictures of those sessions that have written since the last one. None of those whose plan is for nobody's eyes.
    async fn take_pictures(&mut self, sessions: &[Session], glances: &[Glance], unseen: &HashSet<PlanId>) {
        let due: Vec<_> = sessions
            .iter()
            .zip(glances)
            .filter(|(s, _)| !unseen.contains(&s.plan))
            .filter(|(s, g)| g.output > 0 && self.pictures.get(&s.id).is_none_or(|p| p.output != g.output))
            .map(|(s, g)| (s.id, g.terminal, g.output))
            .collect();
        let hubs = &self.hubs;
        let taken: Vec<_> = stream::iter(due)
            .map(|(id, terminal, output)| async move {
                let frame = timeout(PICTURE_WITHIN, hubs.screen(id, terminal))
                    .await
                    .ok()
                    .flatten()?;
                Some((
                    id,
                    Picture {
                        output,
                        lines: screen_text(frame.cols, frame.rows, &frame.screen),
                    },
                ))
            })
            .buffer_unordered(PICTURES_AT_ONCE)
            .collect()
            .await;
        self.pictures.extend(taken.into_iter().flatten());
    }

    async fn lab(&mut self, digest: &LabDigest) -> Result<Arc<LabFacts>, AppError> {
        if let Some(lab) = self.labs.get(digest) {
            return Ok(lab.clone());
        }
        let version = self
            .ports
            .store
            .lab_version(digest)
            .await?
            .ok_or_else(|| AppError::not_found("the lab version"))?;
        let terminals: Vec<_> = version.file.terminals.iter().map(|t| t.id.to_string()).collect();
        let lab = Arc::new(LabFacts {
            checks: version.file.checks.len() as u32,
            points: version.file.checks.iter().map(|c| c.points).sum(),
            first_terminal: terminals.first().cloned().unwrap_or_default(),
            terminals,
        });
        self.labs.insert(digest.clone(), lab.clone());
        Ok(lab)
    }
}

fn card(s: &Session, g: Glance, lab: &LabFacts, picture: Option<&Picture>, now: Timestamp) -> Card {
    let since = g.progress_at.or(s.ready_at).unwrap_or(s.requested_at);
    let passed = g.outcomes.iter().filter(|o| o.passed);
    Card {
        session: s.id,
        subject: s.subject.clone(),
        name: s.name.clone(),
        lab: s.lab.clone(),
        state: s.state.name().to_owned(),
        reason: s.state.reason().map(str::to_owned),
        terminal: lab
            .terminals
            .get(g.terminal as usize)
            .unwrap_or(&lab.first_terminal)
            .clone(),
        screen: picture.map(|p| p.lines.clone()).unwrap_or_default(),
        last_command: g.last_command,
        idle_s: idle_shown(now.since(since).as_secs()),
        checks_passed: passed.clone().count() as u32,
        checks_total: lab.checks,
        points: passed.map(|o| o.points).sum(),
        points_total: lab.points,
        away: g.away,
        viewers: g.viewers,
    }
}

/// Seconds without progress in steps a teacher can tell apart: 5 s in the first minute, then 30 s; a card that changes every
/// second would be sent every second.
fn idle_shown(secs: u64) -> u64 {
    let step = if secs < 60 { 5 } else { 30 };
    secs / step * step
}
