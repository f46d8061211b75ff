//! A learning platform that says what a test wrote.

use async_trait::async_trait;
use lab_core::port::{Platform, PlatformAnswer, PlatformError, PlatformRequest, Unreached};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};
use tokio::sync::watch;

/// Answers by address; an address that nobody wrote an answer for does not answer.
#[derive(Debug, Default)]
pub struct FakePlatform {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<String, PlatformAnswer>,
    requests: Vec<PlatformRequest>,
    held: HashMap<String, watch::Receiver<()>>,
    /// Why an address does not answer; one without a reason leads into a private network.
    unreached: HashMap<String, Option<Unreached>>,
}

/// While it lives, an address answers nobody.
#[derive(Debug)]
pub struct Held {
    _until_dropped: watch::Sender<()>,
}

impl FakePlatform {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// From now on `url` answers this.
    pub fn answers(&self, url: &str, status: u16, body: impl Into<String>) {
        self.answers_whole(url, status, body.into(), None);
    }

    /// From now on `url` answers this page of a list, which goes on at `next`.
    pub fn answers_page(&self, url: &str, body: impl Into<String>, next: &str) {
        self.answers_whole(url, 200, body.into(), Some(next.to_owned()));
    }

    fn answers_whole(&self, url: &str, status: u16, body: String, next: Option<String>) {
        let answer = PlatformAnswer {
            status,
            body,
            retry_after: None,
            next,
        };
        self.state().answers.insert(url.to_owned(), answer);
    }

    /// From now on `url` does not answer.
    pub fn is_silent(&self, url: &str) {
        self.state().answers.remove(url);
    }

    /// From now on `url` does not answer, for this reason.
    pub fn is_unreached(&self, url: &str, why: Unreached) {
        self.is_silent(url);
        self.state().unreached.insert(url.to_owned(), Some(why));
    }

    /// From now on the name in `url` leads into a private network.
    pub fn is_private(&self, url: &str) {
        self.is_silent(url);
        self.state().unreached.insert(url.to_owned(), None);
    }

    /// Until what it gives is dropped, requests of `url` wait; what it answers then is what it is to answer then.
    pub fn holds(&self, url: &str) -> Held {
        let (held, wait) = watch::channel(());
        self.state().held.insert(url.to_owned(), wait);
        Held { _until_dropped: held }
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<PlatformRequest> {
        self.state().requests.clone()
    }
}

#[async_trait]
impl Platform for FakePlatform {
    async fn send(&self, request: &PlatformRequest) -> Result<PlatformAnswer, PlatformError> {
        let held = {
            let mut state = self.state();
            state.requests.push(request.clone());
            state.held.get(&request.url).cloned()
        };
        if let Some(mut held) = held {
            // an error is what it waits for: whoever held the address let go
            while held.changed().await.is_ok() {}
        }
        let state = self.state();
        if let Some(answer) = state.answers.get(&request.url) {
            return Ok(answer.clone());
        }
        let url = request.url.clone();
        match state.unreached.get(&url) {
            Some(None) => Err(PlatformError::Private { url }),
            why => Err(PlatformError::Unavailable {
                url,
                why: why.copied().flatten().unwrap_or(Unreached::Other),
                source: Box::new(crate::Planned),
            }),
        }
    }
}
