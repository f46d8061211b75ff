//! What the archive holds, explained in both languages on one page that needs nothing else.

use super::{super::people::PersonView, folder};
use lab_core::{SessionId, html::escape};
use std::fmt::Write as _;

/// A file, in French and in English.
const FILES: &[(&str, &str, &str)] = &[
    (
        "profile.json",
        "Qui vous êtes pour nous : identifiant, noms affichés, connexions, informations lues, droits au temps de laboratoire, codes utilisés, délais accordés, temps demandé et non accordé, et vos autres identifiants.",
        "Who you are to us: id, names shown, logins, notices read, rights to lab time, codes redeemed, extensions, time that was asked for and not given, and your other ids.",
    ),
    (
        "sessions.json",
        "Vos laboratoires : quand, lequel, comment il s’est terminé, ce qui a été compté.",
        "Your labs: when, which, how it ended, what was counted.",
    ),
    (
        "checks.csv",
        "Le dernier résultat de chaque vérification automatique.",
        "The last outcome of each automatic check.",
    ),
    (
        "grades.csv",
        "Les notes calculées à partir de ces vérifications, et quand chacune a été envoyée à la plateforme de votre cours.",
        "The grades that these checks are worth, and when each was sent to your course's platform.",
    ),
    (
        "ledger.csv",
        "Chaque mouvement de votre temps de laboratoire, en secondes. Les lignes d’un mouvement s’annulent.",
        "Every movement of your lab time, in seconds. The lines of one movement sum to zero.",
    ),
    (
        "access-log.csv",
        "Qui a regardé, rejoué ou exporté vos laboratoires, et quand.",
        "Who watched, replayed or exported your labs, and when.",
    ),
];

/// `index.html`. `problems`: recordings that could not be read whole, with the code of why.
pub(super) fn index(person: &PersonView, problems: &[(SessionId, &'static str)]) -> String {
    let mut page = String::from(HEAD);
    // writing to a string never fails
    for (language, title, intro) in [("fr", TITLE_FR, INTRO_FR), ("en", TITLE_EN, INTRO_EN)] {
        let _ = write!(page, "<main lang=\"{language}\"><h1>{title}</h1><p>{intro}</p>");
        let _ = write!(page, "<p><code>{}</code></p><dl>", escape(person.subject.as_str()));
        for (file, fr, en) in FILES {
            let text = if language == "fr" { fr } else { en };
            let _ = write!(page, "<dt><a href=\"{file}\">{file}</a></dt><dd>{text}</dd>");
        }
        let recordings = if language == "fr" { RECORDINGS_FR } else { RECORDINGS_EN };
        let _ = write!(page, "<dt>recordings/</dt><dd>{recordings}</dd></dl>");
        sessions(&mut page, person, language);
        for (session, code) in problems {
            let text = if language == "fr" {
                "n’a pas pu être lu en entier"
            } else {
                "could not be read whole"
            };
            let _ = write!(page, "<p><strong>{}: {text} ({code}).</strong></p>", folder(*session));
        }
        page.push_str("</main>");
    }
    page.push_str("</html>\n");
    page
}

fn sessions(page: &mut String, person: &PersonView, language: &str) {
    page.push_str("<ul>");
    for s in &person.sessions {
        let lab = escape(s.lab.as_str());
        let course = escape(s.course.as_str());
        let _ = write!(
            page,
            "<li><code>{}</code> {lab}, {course}, {}</li>",
            s.id, s.requested_at
        );
    }
    if person.sessions.is_empty() {
        page.push_str(if language == "fr" {
            "<li>Aucun laboratoire.</li>"
        } else {
            "<li>No lab.</li>"
        });
    }
    page.push_str("</ul>");
}

const HEAD: &str = "<!doctype html><html lang=\"fr\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
    <title>Labwire</title><style>body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}\
    dt{font-weight:600;margin-top:.75rem}code{overflow-wrap:anywhere}main+main{border-top:1px solid;margin-top:3rem}</style>";
const TITLE_FR: &str = "Vos données dans Labwire";
const TITLE_EN: &str = "Your data in Labwire";
const INTRO_FR: &str = "Cette archive contient tout ce que cette installation conserve sous l’identifiant ci-dessous. Les fichiers sont en \
    texte (JSON, CSV, UTF-8) ; les heures sont en temps universel. In English below.";
const INTRO_EN: &str = "This archive holds everything that this installation keeps under the id below. The files are text (JSON, CSV, UTF-8); \
    times are UTC.";
const RECORDINGS_FR: &str = "Un dossier par laboratoire dont l’enregistrement est encore conservé : chaque console au format asciicast v2 \
    (lisible par asciinema), et <code>journal.bin</code>, le journal tel qu’il a été enregistré.";
const RECORDINGS_EN: &str = "A folder for each lab whose recording is still kept: each console as asciicast v2 (asciinema plays it), and \
    <code>journal.bin</code>, the journal as it was recorded.";
