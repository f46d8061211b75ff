//! One grade on its way: asked for, sent, judged, written down.

use crate::{
    AppError, Metrics, Ports,
    launch::{
        lti::{Asked, Tokens, oauth_signature, unanswered},
        mint,
    },
    tasks::part_of,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use lab_core::{
    LabId,
    grading::{
        GIVE_UP_AFTER, Grade, GradeAddress, GradeRow, RETRY_AFTER_MAX, Verdict, ags, next_stamp, outcome, retry_within,
    },
    launch::lti::{Kind, OauthRequest, Registration},
    port::{GradeChange, GradeWrite, PlatformAnswer, PlatformRequest},
};
use sha1::{Digest, Sha1};
use std::{collections::HashMap, time::Duration};

/// The code of what the platform itself refused.
const REFUSED: &str = "refused";

/// What sends share.
pub(super) struct Sender {
    pub ports: Ports,
    metrics: Metrics,
    tokens: Tokens,
}

/// What a try came to, for the turn it is part of.
pub(super) enum Tried {
    /// The row is another one by now.
    NotNow,
    /// The platform said yes or no.
    Answered,
    /// It has to be tried again; not before the platform's own wish.
    Nothing { patience: Option<Duration> },
}

impl Sender {
    pub fn new(ports: Ports, metrics: Metrics) -> Self {
        Self {
            ports,
            metrics,
            tokens: Tokens::default(),
        }
    }

    /// For the grades of one registration, if it is still there.
    pub fn letters(&self, epoch: u64, registration: Option<Registration>) -> Letters<'_> {
        Letters {
            sender: self,
            epoch,
            registration,
            found: HashMap::new(),
        }
    }
}

/// Grades of one registration, in a turn.
pub(super) struct Letters<'a> {
    sender: &'a Sender,
    epoch: u64,
    registration: Option<Registration>,
    /// Line items that this turn found or made: the rows it was given do not know them yet.
    found: HashMap<(String, LabId), String>,
}

/// Where a score goes, and with which token.
struct Ags<'a> {
    asked: Asked<'a>,
    line_item: String,
}

impl Letters<'_> {
    /// Sends a row and writes down what came of it.
    pub async fn send(&mut self, row: &GradeRow) -> Result<Tried, AppError> {
        let Some(grade) = row.grade else {
            return Ok(Tried::NotNow);
        };
        let now = self.sender.ports.clock.now();
        if now.since(row.pending_since) > GIVE_UP_AFTER {
            let last = row.trouble.as_ref().map_or("", |t| t.detail.as_str());
            let verdict = Verdict::refused("given-up", format!("not taken for a week; last: {last}"));
            return self.write_down(row, grade, verdict).await;
        }
        let Some(registration) = self.registration.clone() else {
            let verdict = Verdict::refused("registration-gone", "the registration was removed");
            return self.write_down(row, grade, verdict).await;
        };
        let verdict = match (&registration.kind, &row.target.address) {
            (Kind::Platform { .. }, GradeAddress::Ags { .. }) => self.score(&registration, row, grade).await?,
            (Kind::Consumer { key, secret }, GradeAddress::Outcome { url, sourcedid }) => {
                if !self.begin(row).await?.1 {
                    return Ok(Tried::NotNow);
                }
                Some(self.outcome((key, secret), url, sourcedid, grade).await)
            }
            _ => Some(Verdict::refused(
                "registration-gone",
                "the registration is of another version of LTI now",
            )),
        };
        match verdict {
            Some(verdict) => self.write_down(row, grade, verdict).await,
            None => Ok(Tried::NotNow),
        }
    }

    /// The second that the score carries is written before it is sent, so that no later one carries it again, whatever dies meanwhile. The
    /// second, and whether the row is still what was read.
    async fn begin(&self, row: &GradeRow) -> Result<(i64, bool), AppError> {
        let stamp = next_stamp(self.sender.ports.clock.now(), row.stamp);
        let (id, revision) = (row.id, row.revision);
        Ok((stamp, self.write(GradeChange::Try { id, revision, stamp }).await?))
    }

    // --- LTI 1.3 ------------------------------------------------------------------------------------------------------

    async fn score(
        &mut self,
        registration: &Registration,
        row: &GradeRow,
        grade: Grade,
    ) -> Result<Option<Verdict>, AppError> {
        let GradeAddress::Ags { line_items, scopes, .. } = &row.target.address else {
            return Ok(None);
        };
        let known = line_items
            .as_ref()
            .and_then(|list| self.found.get(&(list.clone(), row.target.lab.clone())));
        let known = row.line_item.clone().or_else(|| known.cloned());
        let Some(scopes) = ags::scopes(scopes, known.is_some()) else {
            return Ok(Some(Verdict::refused(
                "no-scope",
                "the platform does not let us give scores here (scope `score`)",
            )));
        };
        let Some(asked) = Asked::of(registration, &scopes) else {
            return Ok(None);
        };
        let line_item = match known {
            Some(url) => url,
            None => match self
                .line_item(&asked, line_items.as_deref().unwrap_or_default(), row)
                .await?
            {
                Ok(url) => url,
                Err(verdict) => return Ok(Some(verdict)),
            },
        };
        let (stamp, ours) = self.begin(row).await?;
        if !ours {
            return Ok(None);
        }
        let to = Ags { asked, line_item };
        let user = row.target.user.as_str();
        let sent = self
            .ask(&to.asked, |token| {
                ags::score_request(&to.line_item, token, user, grade, stamp)
            })
            .await?;
        let verdict = sent.map_or_else(|verdict| verdict, |answer| ags::judge_score(&answer));
        if verdict != Verdict::Superseded {
            return Ok(Some(verdict));
        }
        if !ags::may_read_results(&scopes) {
            return Ok(Some(Verdict::later(
                "superseded",
                "the platform has something with a later time, and we may not read it",
            )));
        }
        self.superseded(&to, user, grade).await.map(Some)
    }

    /// The platform has something with a later time: is it this?
    async fn superseded(&self, to: &Ags<'_>, user: &str, grade: Grade) -> Result<Verdict, AppError> {
        let mut read = self
            .ask(&to.asked, |token| ags::results_request(&to.line_item, token, user))
            .await?;
        if matches!(&read, Ok(answer) if answer.status == 404) {
            read = self
                .ask(&to.asked, |token| ags::results_by_path(&to.line_item, token, user))
                .await?;
        }
        Ok(read.map_or_else(|verdict| verdict, |answer| ags::judge_results(&answer, user, grade)))
    }

    /// Finds the lab's line item, or makes it; and tells every row that waits for it.
    async fn line_item(
        &mut self,
        asked: &Asked<'_>,
        line_items: &str,
        row: &GradeRow,
    ) -> Result<Result<String, Verdict>, AppError> {
        let (lab, title, link) = (
            &row.target.lab,
            row.target.title.as_str(),
            row.target.resource_link.as_str(),
        );
        let found = match self.listed(asked, line_items, lab).await? {
            Ok(Some(url)) => url,
            Ok(None) => {
                let made = self
                    .ask(asked, |token| {
                        ags::line_item_create(line_items, token, lab, title, link)
                    })
                    .await?;
                match made.and_then(|answer| ags::read_line_item(&answer)) {
                    Ok(url) => url,
                    Err(verdict) => return Ok(Err(verdict)),
                }
            }
            Err(verdict) => return Ok(Err(verdict)),
        };
        let change = GradeChange::Found {
            registration: row.target.registration.clone(),
            line_items: line_items.to_owned(),
            lab: lab.clone(),
            line_item: found.clone(),
        };
        self.write(change).await?;
        self.found.insert((line_items.to_owned(), lab.clone()), found.clone());
        Ok(Ok(found))
    }

    /// The lab's line item in the platform's list, page by page: a platform that does not heed the filter may have it on a later one, and a
    /// second column would be made. `None`: on none of them.
    async fn listed(
        &self,
        asked: &Asked<'_>,
        line_items: &str,
        lab: &LabId,
    ) -> Result<Result<Option<String>, Verdict>, AppError> {
        let mut next: Option<String> = None;
        for _ in 0..ags::LINE_ITEM_PAGES_MAX {
            let page = |token: &str| match &next {
                None => ags::line_items_request(line_items, token, lab),
                Some(url) => ags::page_request(url, token),
            };
            let answer = match self.ask(asked, page).await? {
                Ok(answer) => answer,
                Err(verdict) => return Ok(Err(verdict)),
            };
            match ags::read_line_items(&answer, lab) {
                Ok(None) => {}
                found_or_failed => return Ok(found_or_failed),
            }
            match answer.next {
                None => return Ok(Ok(None)),
                Some(url) if ags::goes_on(line_items, &url) => next = Some(url),
                Some(_) => {
                    return Ok(Err(Verdict::refused(
                        "line-items-elsewhere",
                        "the platform's list of line items goes on at another host, which does not get our token",
                    )));
                }
            }
        }
        Ok(Err(Verdict::refused(
            "line-items-endless",
            "the lab has no column in the first thousand; choose the lab anew in the course, with a column of its own",
        )))
    }

    async fn ask(
        &self,
        asked: &Asked<'_>,
        request: impl Fn(&str) -> PlatformRequest,
    ) -> Result<Result<PlatformAnswer, Verdict>, AppError> {
        self.sender.tokens.ask(&self.sender.ports, asked, request).await
    }

    // --- LTI 1.1 ------------------------------------------------------------------------------------------------------

    async fn outcome(&self, (key, secret): (&str, &str), url: &str, sourcedid: &str, grade: Grade) -> Verdict {
        let ports = &self.sender.ports;
        let id = mint::uuid7(ports.clock.as_ref(), ports.entropy.as_ref()).to_string();
        let body = outcome::replace_result(&id, sourcedid, grade);
        let hash = STANDARD.encode(Sha1::digest(body.as_bytes()));
        let nonce = mint::secret(ports.entropy.as_ref());
        let params = outcome::oauth_params(key, &nonce, &hash, ports.clock.now());
        let request = OauthRequest {
            method: "POST",
            url,
            params: &params,
        };
        let Some(signature) = oauth_signature(&request, secret) else {
            return Verdict::refused("platform-address", "the address for results is not one of the web");
        };
        let request = PlatformRequest::post(url, outcome::CONTENT_TYPE, body)
            .header("authorization", outcome::authorization(&params, &signature));
        match ports.platform.send(&request).await {
            Ok(answer) => outcome::judge(&answer),
            Err(error) => unanswered(&error),
        }
    }

    // --- what came of it ----------------------------------------------------------------------------------------------

    async fn write_down(&self, row: &GradeRow, grade: Grade, verdict: Verdict) -> Result<Tried, AppError> {
        let ports = &self.sender.ports;
        let (id, revision, now) = (row.id, row.revision, ports.clock.now());
        let (label, change, tried) = match verdict {
            Verdict::Accepted => {
                let change = GradeChange::Sent {
                    id,
                    revision,
                    grade,
                    at: now,
                };
                ("sent", change, Tried::Answered)
            }
            Verdict::Refused { code, detail } => {
                // other reasons are ours: whether the platform answers is not known by them
                let tried = if code == REFUSED {
                    Tried::Answered
                } else {
                    Tried::NotNow
                };
                tracing::warn!(code, detail, registration = %row.target.registration, "a grade was refused");
                let change = GradeChange::Failed {
                    id,
                    revision,
                    code,
                    detail,
                };
                (code, change, tried)
            }
            Verdict::Later { .. } | Verdict::Token | Verdict::Superseded => {
                let (code, detail, after) = match verdict {
                    Verdict::Later { code, detail, after } => (code, detail, after),
                    _ => (
                        "token-refused",
                        "the platform takes none of its own tokens".to_owned(),
                        None,
                    ),
                };
                tracing::info!(code, detail, registration = %row.target.registration, "a grade has to wait");
                let patience = after.map(|d| d.min(RETRY_AFTER_MAX));
                let pause = part_of(retry_within(row.attempts.saturating_add(1)), ports.entropy.as_ref());
                let change = GradeChange::Later {
                    id,
                    revision,
                    code,
                    detail,
                    next_at: now.plus(pause.max(patience.unwrap_or_default())),
                };
                (code, change, Tried::Nothing { patience })
            }
        };
        self.write(change).await?;
        self.sender.metrics.grades_total.with_label_values(&[label]).inc();
        Ok(tried)
    }

    async fn write(&self, change: GradeChange) -> Result<bool, AppError> {
        let write = GradeWrite {
            epoch: self.epoch,
            change,
        };
        Ok(self.sender.ports.store.grade_write(&write).await?)
    }
}
