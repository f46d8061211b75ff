//! What stands on a statement, in one language.

use super::{Language, StatementFile};
use lab_core::{
    Timestamp,
    entitlement::{Bilingual, Sale},
    metering::{Flow, GrantLine, SessionLine, Statement, StatementOf, euros},
};

/// Lines and tables, as they are read.
pub(super) struct Sheet {
    pub language: Language,
    pub title: String,
    pub lines: Vec<(String, String)>,
    pub tables: Vec<Table>,
    /// Said at the end.
    pub note: String,
}

/// A table with its caption.
pub(super) struct Table {
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    pub total: Vec<String>,
}

/// Its heading, its width against the others', and whether it holds numbers.
pub(super) struct Column {
    pub head: String,
    pub weight: f32,
    pub number: bool,
}

/// Hours, minutes, seconds: what a person adds up, to the second.
fn time(secs: i64) -> String {
    let s = secs.abs();
    format!(
        "{}{}:{:02}:{:02}",
        if secs < 0 { "-" } else { "" },
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

/// A moment, UTC, to the minute.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..16) {
        Some(minute) => minute.replace('T', " "),
        None => text,
    }
}

struct Words(Language);

impl Words {
    fn say(&self, en: &str, fr: &str) -> String {
        match self.0 {
            Language::En => en.to_owned(),
            Language::Fr => fr.to_owned(),
        }
    }

    fn both(&self, text: &Bilingual) -> String {
        self.say(&text.en, &text.fr)
    }

    /// Who sold it and for what, in the seller's words.
    fn sale(&self, sale: &Sale) -> String {
        match (&sale.reseller, &sale.price) {
            (Some(reseller), Some(price)) => format!("{} ({reseller})", self.both(price)),
            (None, Some(price)) => self.both(price),
            (reseller, None) => reseller.clone().unwrap_or_default(),
        }
    }

    fn text(&self, head: (&str, &str), weight: f32) -> Column {
        let (head, number) = (self.say(head.0, head.1), false);
        Column { head, weight, number }
    }

    fn number(&self, head: (&str, &str)) -> Column {
        let (head, number) = (self.say(head.0, head.1), true);
        Column {
            head,
            weight: 1.0,
            number,
        }
    }

    /// Why seconds are not billed; the codes that have no words here are of failed starts.
    fn reasons(&self, codes: Option<&str>) -> String {
        let word = |code: &str| match code {
            "frozen" => self.say("stood still", "en pause"),
            "past-hold" => self.say("while it stopped", "pendant l’arrêt"),
            "sandbox-lost" => self.say("lost by us", "perdu par nous"),
            "out-of-memory" => self.say("memory ran out", "mémoire épuisée"),
            "out-of-disk" => self.say("disk was full", "disque plein"),
            "agent-lost" => self.say("lab's agent ended", "agent du TP arrêté"),
            "first-loss" => self.say("first within 24 h", "premier en 24 h"),
            "budget-spent" => self.say("no time was left", "plus de temps"),
            other => other.to_owned(),
        };
        let words: Vec<String> = codes.unwrap_or_default().split('+').map(word).collect();
        words.join(", ")
    }
}

/// The sheet of a statement.
pub(super) fn of(file: &StatementFile, language: Language) -> Sheet {
    let (w, s) = (Words(language), &file.statement);
    let whose = match &s.of {
        StatementOf::Learner(_) => w.say("learner", "apprenant"),
        StatementOf::Sponsor(_) => w.say("sponsor", "financeur"),
        StatementOf::Course(_) => w.say("course", "cours"),
        StatementOf::Site(_) => w.say("site", "site"),
    };
    let of = match s.site_kind {
        Some(kind) => format!("{} ({})", s.of.id(), w.both(&kind.name())),
        None => s.of.id().to_owned(),
    };
    let costs = s.sessions.iter().any(|line| line.cost_micro_eur.is_some());
    Sheet {
        language,
        title: format!("{} · {whose} {of}", w.say("Lab time statement", "Relevé de temps de TP")),
        lines: lines(file, &w, costs),
        tables: vec![grants(s, &w), sessions(s, &w, costs)],
        note: w.say(
            "Opening + given + refunded = used + expired + taken back + closing, for each grant and for all; what running labs hold is in opening and closing. Times are UTC, durations hours:minutes:seconds.",
            "Début + accordé + remboursé = utilisé + expiré + repris + fin, pour chaque droit et pour tous ; ce que réservent les TP en cours est compris dans début et fin. Heures UTC, durées en heures:minutes:secondes.",
        ),
    }
}

fn lines(file: &StatementFile, w: &Words, costs: bool) -> Vec<(String, String)> {
    let (s, t) = (&file.statement, &file.statement.totals);
    let mut lines = vec![
        (
            w.say("Period (until is not in it)", "Période (la fin n’en fait pas partie)"),
            format!("{} → {}", moment(s.period.from), moment(s.period.until)),
        ),
        (w.say("Learners", "Apprenants"), t.learners.to_string()),
        (w.say("Grants", "Droits"), t.grants.to_string()),
        (w.say("Labs run", "TP effectués"), t.sessions.to_string()),
        (w.say("Time given", "Temps accordé"), time(t.flow.given)),
        (w.say("Time used", "Temps utilisé"), time(t.flow.used)),
        (w.say("Time refunded", "Temps remboursé"), time(t.flow.refunded)),
        (w.say("Time left", "Temps restant"), time(t.flow.closing)),
        (w.say("Not billed", "Non facturé"), time(t.unbilled_seconds)),
    ];
    for (sale, codes) in sales(s) {
        let sold = w.say("Codes sold and redeemed", "Codes vendus et utilisés");
        lines.push((sold, format!("{codes} × {}", w.sale(sale))));
    }
    if costs {
        lines.push((
            w.say("Cost of machines", "Coût des machines"),
            format!("{} €", euros(t.cost_micro_eur)),
        ));
    }
    if !file.overhead.is_empty() {
        let sum: i64 = file.overhead.iter().map(|c| c.micro_eur).sum();
        let what = w.say(
            "Kept warm for nobody, whole installation (billed to no one)",
            "Tenu prêt, toute l’installation (facturé à personne)",
        );
        lines.push((what, format!("{} €", euros(sum))));
    }
    lines
}

/// What was sold of what was given in the period, with how many codes: prices have no arithmetic here, they are their sellers' words.
fn sales(s: &Statement) -> Vec<(&Sale, usize)> {
    let mut sold: Vec<(&Sale, usize)> = Vec::new();
    for sale in s
        .grants
        .iter()
        .filter(|g| g.flow.given > 0)
        .filter_map(|g| g.sale.as_ref())
    {
        match sold.iter_mut().find(|(known, _)| *known == sale) {
            Some((_, codes)) => *codes += 1,
            None => sold.push((sale, 1)),
        }
    }
    sold
}

fn flow(f: &Flow) -> Vec<String> {
    [f.opening, f.given, f.used, f.refunded, f.expired, f.revoked, f.closing]
        .map(time)
        .to_vec()
}

fn grants(s: &Statement, w: &Words) -> Table {
    let mut columns = vec![
        w.text(("Learner", "Apprenant"), 2.2),
        w.text(("Course", "Cours"), 1.6),
        w.text(("Plan", "Formule"), 1.3),
        w.text(("Source", "Origine"), 1.0),
        w.text(("Ends", "Jusqu’au"), 1.5),
    ];
    let flows = [
        ("Opening", "Début"),
        ("Given", "Accordé"),
        ("Used", "Utilisé"),
        ("Refunded", "Remboursé"),
        ("Expired", "Expiré"),
        ("Taken back", "Repris"),
        ("Closing", "Fin"),
    ];
    let sold = s.grants.iter().any(|g| g.sale.is_some());
    if sold {
        columns.push(w.text(("Sold for", "Vendu"), 1.6));
    }
    columns.extend(flows.map(|head| w.number(head)));
    let row = |g: &GrantLine| {
        let mut row = vec![
            g.grant.subject.to_string(),
            g.grant.course.to_string(),
            g.grant.plan.to_string(),
            g.grant.source.clone(),
            moment(g.voided_at.unwrap_or(g.grant.expires_at)),
        ];
        if sold {
            row.push(g.sale.as_ref().map_or_else(String::new, |sale| w.sale(sale)));
        }
        row.extend(flow(&g.flow));
        row
    };
    let mut total = vec![
        w.say("total", "total"),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
    ];
    total.extend(sold.then(String::new));
    total.extend(flow(&s.totals.flow));
    Table {
        caption: w.say("Grants", "Droits"),
        columns,
        rows: s.grants.iter().map(row).collect(),
        total,
    }
}

fn sessions(s: &Statement, w: &Words, costs: bool) -> Table {
    let mut columns = vec![
        w.text(("Requested", "Demandé"), 1.5),
        w.text(("Learner", "Apprenant"), 2.2),
        w.text(("Course", "Cours"), 1.6),
        w.text(("Lab", "TP"), 1.8),
        w.number(("Sandbox", "Machine")),
        w.number(("Billed", "Facturé")),
        w.number(("Others", "Autres")),
        w.number(("Unbilled", "Non facturé")),
        w.text(("Why", "Raison"), 1.6),
        w.number(("Refunded", "Remboursé")),
    ];
    if costs {
        columns.push(w.number(("Cost €", "Coût €")));
    }
    let row = |l: &SessionLine| {
        let mut row = vec![
            moment(l.requested_at),
            l.subject.to_string(),
            l.course.to_string(),
            l.lab.to_string(),
            time(l.sandbox_seconds),
            time(l.billed_seconds),
            time(l.elsewhere_seconds),
            time(l.unbilled_seconds),
            w.reasons(l.unbilled_reason.as_deref()),
            time(l.refunded_seconds),
        ];
        if costs {
            row.push(l.cost_micro_eur.map_or_else(String::new, euros));
        }
        row
    };
    let t = &s.totals;
    let blank = String::new;
    let mut total = vec![
        w.say("total", "total"),
        blank(),
        blank(),
        blank(),
        time(t.sandbox_seconds),
        time(t.billed_seconds),
        time(t.elsewhere_seconds),
        time(t.unbilled_seconds),
        blank(),
        time(t.flow.refunded),
    ];
    if costs {
        total.push(euros(t.cost_micro_eur));
    }
    Table {
        caption: w.say("Labs", "TP"),
        columns,
        rows: s.sessions.iter().map(row).collect(),
        total,
    }
}
