//! An answer that is good for a moment, and one question at a time, however many ask.

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use std::sync::Mutex;

/// A page asks every few seconds; what it shows may be so many seconds old.
const GOOD_FOR_SECS: u64 = 2;

/// See the module's doc. An answer is good for `SECS`.
pub(super) struct Recent<T: Clone, const SECS: u64 = GOOD_FOR_SECS> {
    asked: Mutex<Option<(u64, Shared<BoxFuture<'static, T>>)>>,
}

impl<T: Clone, const SECS: u64> Default for Recent<T, SECS> {
    fn default() -> Self {
        Self {
            asked: Mutex::new(None),
        }
    }
}

impl<T: Clone + Send + Sync + 'static, const SECS: u64> Recent<T, SECS> {
    /// The answer to the last question, also one under way, when it was asked within `SECS` of `now_us` (monotonic); else that
    /// of a new one. The question should end by itself: as long as it does not, those who come in time wait for it.
    pub async fn get(&self, now_us: u64, ask: impl FnOnce() -> BoxFuture<'static, T> + Send) -> T {
        let answer = {
            let mut asked = self.asked.lock().expect("no holder panics");
            match asked.as_ref() {
                Some((at_us, answer)) if now_us.saturating_sub(*at_us) < SECS * 1_000_000 => answer.clone(),
                _ => {
                    let answer = ask().shared();
                    *asked = Some((now_us, answer.clone()));
                    answer
                }
            }
        };
        answer.await
    }

    /// The next one who asks gets a new answer.
    pub fn forget(&self) {
        *self.asked.lock().expect("no holder panics") = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    #[tokio::test]
    async fn many_who_ask_at_once_share_one_answer_for_two_seconds() {
        let (recent, asked) = (Recent::<_>::default(), Arc::new(AtomicU32::new(0)));
        let ask = || {
            let asked = asked.clone();
            async move {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::SeqCst)
            }
            .boxed()
        };
        let at = |us| recent.get(us, ask);
        let all = futures_util::future::join_all((0..50).map(|i| at(1_000_000 + i))).await;
        assert!(all.iter().all(|n| *n == 0), "{all:?}");
        assert_eq!(at(2_999_999).await, 0);
        assert_eq!(at(3_000_000).await, 1);
        recent.forget();
        assert_eq!(at(3_000_000).await, 2);
    }

    #[tokio::test]
    async fn who_goes_away_does_not_take_the_answer_along() {
        let recent = Recent::<_>::default();
        let (tell, told) = tokio::sync::oneshot::channel::<u32>();
        let mut first = Box::pin(recent.get(0, || async { told.await.unwrap_or(0) }.boxed()));
        assert!(futures_util::poll!(&mut first).is_pending());
        drop(first);
        tell.send(7).expect("the question is still open");
        assert_eq!(recent.get(1, || async { 0 }.boxed()).await, 7);
    }
}
