//! Courses: their runs, and who is in them.

use super::{FakeStore, state::State};
use async_trait::async_trait;
use lab_core::{
    CheckId, CourseId, LabId, SiteId, Subject, Timestamp,
    courses::{
        CLASSES_MAX, Completion, CourseClass, CourseRun, CourseSeries, ENROLMENTS_MAX, Enrolled, Enrolment, Extension,
        FORGOTTEN_MAX, IndicatorRule, LabGrade, Site, SiteKind, completed_at, plan_grant,
    },
    entitlement::{Bilingual, Grant, Plan, Refusal, source},
    port::{Course, CourseStore, EnrolRequest, Session, StoreError},
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct CourseTables {
    runs: BTreeMap<CourseId, CourseRun>,
    extensions: BTreeMap<(CourseId, Subject), Extension>,
    classes: BTreeMap<(CourseId, LabId, Timestamp), CourseClass>,
    pub sites: BTreeMap<SiteId, SiteKind>,
    brands: BTreeMap<SiteId, Bilingual>,
    pub enrolments: BTreeMap<(CourseId, Subject), Enrolment>,
    rules: BTreeMap<CourseId, IndicatorRule>,
    series: BTreeMap<String, Vec<CourseId>>,
}

impl CourseTables {
    /// Rows that name a person.
    pub fn of(&self, subject: &Subject) -> u64 {
        let names = |e: &&Enrolment| e.subject == *subject || e.coach.as_ref() == Some(subject);
        self.enrolments.values().filter(names).count() as u64
    }

    /// Theirs, by course.
    pub fn extensions_of(&self, subject: &Subject) -> Vec<Extension> {
        let all = self.extensions.values().filter(|e| e.subject == *subject);
        all.cloned().collect()
    }

    pub fn forget(&mut self, subject: &Subject) {
        self.enrolments.retain(|(_, s), _| s != subject);
        self.extensions.retain(|(_, s), _| s != subject);
        for e in self.enrolments.values_mut() {
            e.coach = e.coach.take().filter(|c| c != subject);
        }
    }
}

impl State {
    fn brand_of(&self, course: &CourseId, subject: &Subject) -> Option<Bilingual> {
        let tables = &self.courses;
        let listed = tables.enrolments.get(&(course.clone(), subject.clone()));
        let listed = listed.and_then(|e| e.site.clone()).map(SiteId);
        let theirs = self
            .grants
            .values()
            .filter(|g| g.course == *course && g.subject == *subject);
        let mut given: Vec<_> = theirs
            .filter_map(|g| Some((g.created_at, self.sites.get(&g.id)?.clone())))
            .collect();
        given.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let held = tables.runs.get(course).and_then(|run| run.site.clone()).map(SiteId);
        let sites = listed
            .into_iter()
            .chain(given.into_iter().map(|(_, site)| site))
            .chain(held);
        sites.into_iter().find_map(|site| tables.brands.get(&site).cloned())
    }

    fn completions(&self, course: &CourseId) -> Vec<Completion> {
        let ran: Vec<_> = self
            .sessions
            .values()
            .filter(|r| r.course == *course && !r.is_test_run())
            .collect();
        let each: BTreeSet<(&Subject, &LabId)> = ran.iter().map(|r| (&r.subject, &r.lab)).collect();
        let done = |(subject, lab): (&Subject, &LabId)| {
            let runs = || ran.iter().filter(|r| r.subject == *subject && r.lab == *lab);
            let mut passed: BTreeMap<CheckId, Timestamp> = BTreeMap::new();
            for (check, at) in runs().filter_map(|r| self.first_passes(r.id)).flatten() {
                let first = passed.entry(check.clone()).or_insert(*at);
                *first = (*first).min(*at);
            }
            let version = |r: &&Session| {
                let file = &self.labs.get(&r.digest)?.file;
                Some(file.checks.iter().map(|c| c.id.clone()).collect())
            };
            let versions: Vec<Vec<CheckId>> = runs().copied().filter_map(|r| version(&r)).collect();
            let (subject, lab) = (subject.clone(), lab.clone());
            completed_at(&versions, &passed).map(|at| Completion { subject, lab, at })
        };
        each.into_iter().filter_map(done).collect()
    }

    /// A run with the title that its course has now.
    fn run(&self, course: &CourseId) -> Option<CourseRun> {
        let run = self.courses.runs.get(course)?;
        Some(CourseRun {
            title: self.titles.get(course)?.title.clone(),
            ..run.clone()
        })
    }

    /// The zone of a course's run.
    pub fn course_zone(&self, course: &CourseId) -> Option<String> {
        self.courses.runs.get(course)?.zone.clone()
    }

    pub fn course_refusal(&self, course: &CourseId, subject: &Subject, at: Timestamp) -> Option<Refusal> {
        let extended = self.courses.extensions.get(&(course.clone(), subject.clone()));
        self.run(course)?.refusal(extended.map(|e| e.until), at)
    }

    pub fn enrolments_of(&self, subject: &Subject) -> Vec<Enrolment> {
        let all = self.courses.enrolments.values();
        all.filter(|e| e.subject == *subject).cloned().collect()
    }

    fn enrol(&mut self, request: &EnrolRequest) -> Result<Enrolled, StoreError> {
        self.may_enrol(request)?;
        let title = request.course.to_string();
        let id = request.course.clone();
        self.titles.entry(id.clone()).or_insert(Course { id, title });
        let mut done = Enrolled::default();
        let sites = request.sites.iter().map(|s| (s.id.clone(), s.kind));
        self.courses.sites.extend(sites);
        for person in &request.people {
            let key = (person.course.clone(), person.subject.clone());
            let known = self.courses.enrolments.get(&key);
            let row = Enrolment {
                enrolled_at: known.map_or(person.enrolled_at, |k| k.enrolled_at),
                ..person.clone()
            };
            match known {
                None => done.added += 1,
                Some(k) if *k == row => done.unchanged += 1,
                Some(_) => done.changed += 1,
            }
            self.courses.enrolments.insert(key, row);
            let plan = request
                .plans
                .iter()
                .find(|p| Some(&p.id) == person.plan.as_ref() && p.labs);
            if let Some(plan) = plan {
                done.grants += u32::from(self.grant_once(person, plan, request.at)?);
            }
        }
        Ok(done)
    }

    /// Everything that refuses a list, before anything is changed.
    fn may_enrol(&self, request: &EnrolRequest) -> Result<(), StoreError> {
        let conflict = |what, id: String, detail: String| Err(StoreError::Conflict { what, id, detail });
        for person in &request.people {
            if person.course != request.course {
                return conflict("enrolment", person.subject.to_string(), "of another course".into());
            }
            if let Some(plan) = &person.plan
                && (!request.plans.iter().any(|p| p.id == *plan) || !self.plans.contains_key(plan))
            {
                return Err(StoreError::NotFound {
                    what: "plan",
                    id: plan.to_string(),
                });
            }
        }
        let mut all: std::collections::BTreeSet<&Subject> = request.people.iter().map(|p| &p.subject).collect();
        let there = self.courses.enrolments.keys().filter(|(c, _)| *c == request.course);
        all.extend(there.map(|(_, s)| s));
        if all.len() > ENROLMENTS_MAX {
            let detail = format!("{} people; a course lists at most {ENROLMENTS_MAX}", all.len());
            return conflict("course", request.course.to_string(), detail);
        }
        Ok(())
    }

    fn grant_once(&mut self, person: &Enrolment, plan: &Plan, at: Timestamp) -> Result<bool, StoreError> {
        for forgotten in 0..FORGOTTEN_MAX {
            let id = plan_grant(&person.subject, &person.course, &plan.id, forgotten);
            match self.grants.get(&id) {
                Some(grant) if grant.subject == person.subject => return Ok(false),
                Some(_) => {}
                None => {
                    let grant = Grant::of_plan(plan, id, &person.subject, &person.course, source::ENROLMENT, at);
                    return self.grant_issue(&grant).map(|()| true);
                }
            }
        }
        Err(StoreError::Conflict {
            what: "enrolment",
            id: person.subject.to_string(),
            detail: "this person was forgotten too often".into(),
        })
    }
}

#[async_trait]
impl CourseStore for FakeStore {
    async fn run_put(&self, run: &CourseRun) -> Result<(), StoreError> {
        self.run("run_put", |s| {
            let (id, title) = (run.course.clone(), run.title.clone());
            s.titles.insert(id.clone(), Course { id, title });
            s.courses.runs.insert(run.course.clone(), run.clone());
            Ok(())
        })
    }
    async fn run_get(&self, course: &CourseId) -> Result<Option<CourseRun>, StoreError> {
        self.run("run_get", |s| Ok(s.run(course)))
    }
    async fn run_list(&self) -> Result<Vec<CourseRun>, StoreError> {
        self.run("run_list", |s| {
            Ok(s.courses.runs.keys().filter_map(|c| s.run(c)).collect())
        })
    }
    async fn extension_put(&self, extension: &Extension) -> Result<(), StoreError> {
        self.run("extension_put", |s| {
            let key = (extension.course.clone(), extension.subject.clone());
            s.courses.extensions.insert(key, extension.clone());
            Ok(())
        })
    }
    async fn extension_list(&self, course: &CourseId) -> Result<Vec<Extension>, StoreError> {
        self.run("extension_list", |s| {
            let all = s.courses.extensions.values();
            Ok(all.filter(|e| e.course == *course).cloned().collect())
        })
    }
    async fn class_put(&self, class: &CourseClass) -> Result<(), StoreError> {
        self.run("class_put", |s| {
            let key = (class.course.clone(), class.lab.clone(), class.starts_at);
            s.courses.classes.insert(key, class.clone());
            Ok(())
        })
    }
    async fn class_remove(&self, course: &CourseId, lab: &LabId, starts_at: Timestamp) -> Result<bool, StoreError> {
        self.run("class_remove", |s| {
            let key = (course.clone(), lab.clone(), starts_at);
            Ok(s.courses.classes.remove(&key).is_some())
        })
    }
    async fn class_list(&self, course: Option<&CourseId>, after: Timestamp) -> Result<Vec<CourseClass>, StoreError> {
        self.run("class_list", |s| {
            let all = s.courses.classes.values();
            let wanted = all.filter(|c| c.ends_at > after && course.is_none_or(|id| c.course == *id));
            let mut wanted: Vec<_> = wanted.cloned().collect();
            wanted.sort_by_key(|c| (c.starts_at, c.course.clone(), c.lab.clone()));
            wanted.truncate(CLASSES_MAX as usize);
            Ok(wanted)
        })
    }
    async fn site_put(&self, site: &Site) -> Result<(), StoreError> {
        self.run("site_put", |s| {
            s.courses.sites.insert(site.id.clone(), site.kind);
            Ok(())
        })
    }
    async fn site_list(&self) -> Result<Vec<Site>, StoreError> {
        self.run("site_list", |s| {
            let all = s.courses.sites.iter();
            Ok(all
                .map(|(id, kind)| Site {
                    id: id.clone(),
                    kind: *kind,
                })
                .collect())
        })
    }
    async fn brand_put(&self, site: &SiteId, brand: Option<&Bilingual>) -> Result<(), StoreError> {
        self.run("brand_put", |s| {
            match brand {
                Some(brand) => s.courses.brands.insert(site.clone(), brand.clone()),
                None => s.courses.brands.remove(site),
            };
            Ok(())
        })
    }
    async fn brand_list(&self) -> Result<Vec<(SiteId, Bilingual)>, StoreError> {
        self.run("brand_list", |s| Ok(s.courses.brands.clone().into_iter().collect()))
    }
    async fn brand_of(&self, course: &CourseId, subject: &Subject) -> Result<Option<Bilingual>, StoreError> {
        self.run("brand_of", |s| Ok(s.brand_of(course, subject)))
    }
    async fn enrol(&self, request: &EnrolRequest) -> Result<Enrolled, StoreError> {
        self.run("enrol", |s| s.enrol(request))
    }
    async fn enrolment_list(&self, course: &CourseId) -> Result<Vec<Enrolment>, StoreError> {
        self.run("enrolment_list", |s| {
            let all = s.courses.enrolments.values();
            Ok(all.filter(|e| e.course == *course).cloned().collect())
        })
    }
    async fn enrolments_of(&self, subject: &Subject) -> Result<Vec<Enrolment>, StoreError> {
        self.run("enrolments_of", |s| Ok(s.enrolments_of(subject)))
    }
    async fn known_in(&self, course: &CourseId) -> Result<Vec<Subject>, StoreError> {
        self.run("known_in", |s| {
            let listed = s.courses.enrolments.values().filter(|e| e.course == *course);
            let mut all: BTreeSet<Subject> = listed.map(|e| e.subject.clone()).collect();
            let given = s.grants.values().filter(|g| g.course == *course);
            all.extend(given.map(|g| g.subject.clone()));
            let ran = s.sessions.values().filter(|r| r.course == *course && !r.is_test_run());
            all.extend(ran.map(|r| r.subject.clone()));
            Ok(all.into_iter().collect())
        })
    }
    async fn course_grades(&self, course: &CourseId) -> Result<Vec<LabGrade>, StoreError> {
        self.run("course_grades", |s| {
            let ran = s.sessions.values().filter(|r| r.course == *course);
            let each: BTreeSet<(Subject, LabId)> = ran.map(|r| (r.subject.clone(), r.lab.clone())).collect();
            let grade = |(subject, lab): (Subject, LabId)| {
                let grade = s.worth(&subject, course, &lab)?;
                Some(LabGrade { subject, lab, grade })
            };
            Ok(each.into_iter().filter_map(grade).collect())
        })
    }
    async fn course_completions(&self, course: &CourseId) -> Result<Vec<Completion>, StoreError> {
        self.run("course_completions", |s| Ok(s.completions(course)))
    }
    async fn rule_put(&self, course: &CourseId, rule: &IndicatorRule) -> Result<(), StoreError> {
        self.run("rule_put", |s| {
            s.courses.rules.insert(course.clone(), rule.clone());
            Ok(())
        })
    }
    async fn rule_get(&self, course: &CourseId) -> Result<Option<IndicatorRule>, StoreError> {
        self.run("rule_get", |s| Ok(s.courses.rules.get(course).cloned()))
    }
    async fn series_put(&self, series: &CourseSeries) -> Result<(), StoreError> {
        self.run("series_put", |s| {
            if series.courses.is_empty() {
                s.courses.series.remove(&series.name);
            } else {
                s.courses.series.insert(series.name.clone(), series.courses.clone());
            }
            Ok(())
        })
    }
    async fn series_list(&self) -> Result<Vec<CourseSeries>, StoreError> {
        self.run("series_list", |s| {
            let series = |(name, courses): (&String, &Vec<CourseId>)| CourseSeries {
                name: name.clone(),
                courses: courses.clone(),
            };
            Ok(s.courses.series.iter().map(series).collect())
        })
    }
    async fn unenrol(&self, course: &CourseId, subject: &Subject) -> Result<bool, StoreError> {
        self.run("unenrol", |s| {
            let key = (course.clone(), subject.clone());
            Ok(s.courses.enrolments.remove(&key).is_some())
        })
    }
}
