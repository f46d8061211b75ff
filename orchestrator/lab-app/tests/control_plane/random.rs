//! Random days: whatever happens in whatever order, nothing leaks and the ledger is zero.

use super::kit::Desk;
use lab_core::{
    SessionId,
    port::{Clock, GoneCause},
    provisioning::EndReason,
};
use lab_testkit::Strike;
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Event {
    Click(u8),
    Ready(u8),
    Stop(u8),
    Lose(u8),
    Exit(u8),
    Fault(&'static str, bool),
    Pass(u16),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let operation = prop_oneof![
        Just("sandbox_ensure"),
        Just("sandbox_drop"),
        Just("sandbox_list"),
        Just("session_transition"),
        Just("settle"),
        Just("session_list"),
        Just("hold_extend"),
    ];
    prop_oneof![
        3 => (0..6_u8).prop_map(Event::Click),
        3 => (0..6_u8).prop_map(Event::Ready),
        2 => (0..6_u8).prop_map(Event::Stop),
        1 => (0..6_u8).prop_map(Event::Lose),
        1 => (0..6_u8).prop_map(Event::Exit),
        2 => (operation, any::<bool>()).prop_map(|(o, after)| Event::Fault(o, after)),
        2 => (1..1200_u16).prop_map(Event::Pass),
        1 => Just(Event::Restart),
    ]
}

/// One event, then whatever the control plane makes of it; an error of the store is its business, not the test's.
async fn apply(desk: &mut Desk, learners: &mut [Option<SessionId>; 6], event: Event) {
    match event {
        Event::Click(n) => learners[usize::from(n)] = Some(desk.click(&format!("learner-{n}"), 1800).await),
        Event::Ready(n) | Event::Lose(n) | Event::Exit(n) | Event::Stop(n) => {
            let Some(id) = learners[usize::from(n)] else { return };
            match event {
                Event::Ready(_) if desk.hubs.followed(id) => desk.hubs.says(id, |s| {
                    s.connected = true;
                    s.met = true;
                    s.ready_us = Some(5_000_000);
                    s.last_us = 6_000_000;
                }),
                Event::Lose(n) if n % 2 == 0 => desk.runtime.vanish(desk.session(id).await.sandbox),
                Event::Lose(_) => {
                    let sandbox = desk.session(id).await.sandbox;
                    desk.runtime.lose(sandbox, Some(137), GoneCause::OutOfMemory);
                }
                Event::Exit(_) if desk.hubs.followed(id) => desk.hubs.says(id, |s| s.exited = Some(1)),
                Event::Stop(_) => {
                    let session = desk.session(id).await;
                    let (store, now) = (desk.store.as_ref(), desk.clock.now());
                    let cause = "learner";
                    let _ = lab_app::provisioning::request_stop(store, session, EndReason::LearnerStopped, cause, now)
                        .await;
                }
                _ => {}
            }
        }
        Event::Fault(operation, after) => {
            let strike = if after { Strike::After } else { Strike::Before };
            desk.store.faults.once(operation, strike);
            desk.runtime.faults.once(operation, strike);
        }
        Event::Pass(secs) => desk.pass(Duration::from_secs(u64::from(secs))),
        Event::Restart => desk.restart(),
    }
    let _ = desk.meter.tick().await;
    let _ = desk.reconciler.settle().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn nothing_leaks_and_the_ledger_is_zero_whatever_happens(events in prop::collection::vec(event(), 1..60)) {
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        executor.block_on(async {
            let mut desk = Desk::new(3).await;
            let mut learners = [None; 6];
            for event in events {
                apply(&mut desk, &mut learners, event).await;
            }
            for operation in ["sandbox_ensure", "sandbox_drop", "sandbox_list", "session_transition", "settle", "session_list", "hold_extend"] {
                desk.store.faults.mend(operation);
                desk.runtime.faults.mend(operation);
            }
            // the dust settles: pauses after failures are at most half a minute
            for _ in 0..8 {
                desk.pass(Duration::from_secs(31));
                desk.settle().await;
            }
            desk.assert_sound().await;
        });
    }
}
