//! The page on which a teacher chooses labs for a course, and the one that takes the choice to the platform.
//!
//! Both languages are in the page, and a style shows the one whose button is checked: it works without a script. The script only
//! adds the search, and presses the second page's button.

use crate::{HttpSettings, headers::content_policy, origin::origin_of, page::html_styled};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use lab_app::launch::lti::Picker;
use lab_core::{
    entitlement::Bilingual,
    html::escape,
    lab::LabFile,
    launch::lti::{Language, points},
};

const STYLE: &str = "\
body:has(#lang-en:checked) [lang=fr],body:has(#lang-fr:checked) [lang=en]{display:none}[lang=en]{color:inherit}\
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}\
body{margin-top:1rem}fieldset{border:0;margin:0 0 1rem;padding:0}.languages{text-align:right}\
ul.labs{list-style:none;margin:0;padding:0}ul.labs>li{border:1px solid #bbb;border-radius:.3rem;margin:.5rem 0;padding:.6rem .8rem}\
ul.labs>li:has(input:checked){border-color:#0b57a4;box-shadow:inset .25rem 0 #0b57a4}ul.labs>li[hidden]{display:none}\
.lab{display:flex;gap:.6rem;align-items:baseline}.lab label{flex:1;min-width:0;overflow-wrap:anywhere}.facts{margin:.2rem 0 .2rem 1.7rem;color:#555}\
details{margin-left:1.7rem}summary{cursor:pointer;color:#0b57a4;padding:.2rem 0}\
input[type=search]{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #777;border-radius:.3rem}\
[role=alert]{border-left:.25rem solid #b3261e;padding:.4rem .8rem;background:#fdeceb}\
button{font:inherit;padding:.6rem 1rem;border:1px solid #0b57a4;border-radius:.3rem;background:#fff;color:#0b57a4;cursor:pointer;margin:0 .5rem .5rem 0}\
button.first{background:#0b57a4;color:#fff}:focus-visible{outline:.2rem solid #e08a00;outline-offset:.1rem}";

fn words(fr: &str, en: &str) -> String {
    format!(
        "<span lang=\"fr\">{}</span><span lang=\"en\">{}</span>",
        escape(fr),
        escape(en)
    )
}

fn both(text: &Bilingual) -> String {
    words(&text.fr, &text.en)
}

/// `n` things, in both languages.
fn count(n: usize, fr: [&str; 2], en: [&str; 2]) -> String {
    // French says one for none too
    let fr = if n < 2 { fr[0] } else { fr[1] };
    let en = if n == 1 { en[0] } else { en[1] };
    words(&format!("{n} {fr}"), &format!("{n} {en}"))
}

/// The page to choose from. `language`: which of the two is shown first.
pub(super) fn choose(settings: &HttpSettings, picker: &Picker, language: Language) -> Response {
    let multiple = picker.request.multiple;
    let labs: String = picker.labs.iter().map(|lab| entry(lab, multiple)).collect();
    let alert = if picker.nothing_chosen {
        format!(
            "<p role=\"alert\">{}</p>\n",
            words("Aucun lab n’est choisi.", "No lab is chosen.")
        )
    } else {
        String::new()
    };
    let legend = if multiple {
        words("Un ou plusieurs labs", "One or several labs")
    } else {
        words("Un lab", "One lab")
    };
    let list = if picker.labs.is_empty() {
        format!(
            "<p>{}</p>\n",
            words("Aucun lab n’est publié ici.", "No lab is published here.")
        )
    } else {
        format!(
            "<p id=\"searching\" hidden><label for=\"search\">{}</label><input type=\"search\" id=\"search\" autocomplete=\"off\"></p>\n\
             <p id=\"found\" role=\"status\"></p>\n\
             <fieldset><legend>{legend}</legend>\n<ul class=\"labs\">\n{labs}</ul>\n</fieldset>\n{}\
             <button class=\"first\">{}</button>\n",
            words("Chercher par titre ou nom", "Search by title or name"),
            column(picker.request.columns),
            words("Placer dans le cours", "Put into the course"),
        )
    };
    let checked = |l: Language| if l == language { " checked" } else { "" };
    let body = format!(
        "<body>\n<main>\n<form method=\"post\" action=\"/lti/choose\">\n<input type=\"hidden\" name=\"choice\" value=\"{}\">\n\
         <fieldset class=\"languages\"><legend class=\"unseen\">Langue · Language</legend>\n\
         <label><input type=\"radio\" name=\"lang\" id=\"lang-fr\" value=\"fr\"{}> Français</label>\n\
         <label><input type=\"radio\" name=\"lang\" id=\"lang-en\" value=\"en\"{}> English</label></fieldset>\n\
         <h1>{}</h1>\n{alert}{list}<button name=\"cancel\" value=\"1\">{}</button>\n</form>\n</main>\n\
         <script src=\"/lti/choose.js\"></script></body>",
        escape(&picker.ticket),
        checked(Language::Fr),
        checked(Language::En),
        words("Choisir un lab pour le cours", "Choose a lab for the course"),
        words("Annuler", "Cancel"),
    );
    let response = html_styled(StatusCode::OK, "Labs", STYLE, &body);
    // the form comes back with our origin: see `crate::origin`
    guarded(response, settings, &picker.request.return_url, "'self'", "same-origin")
}

/// Whether a column of the gradebook is made.
fn column(offered: bool) -> String {
    if !offered {
        return String::new();
    }
    format!(
        "<p class=\"lab\"><input type=\"checkbox\" name=\"column\" id=\"column\" value=\"1\" checked>\
         <label for=\"column\">{}</label></p>\n",
        words(
            "Créer une colonne au carnet de notes, sur les points du lab",
            "Make a gradebook column, out of the lab’s points"
        )
    )
}

/// A lab to choose, with what a teacher needs to know of it.
fn entry(lab: &LabFile, multiple: bool) -> String {
    let id = escape(lab.id.as_str());
    // not `required`: a browser that cannot show the choice, since the search hides it, would not say why it does nothing
    let kind = if multiple { "checkbox" } else { "radio" };
    let minutes = lab.time.planned.secs.div_ceil(60);
    let points_of_lab = usize::try_from(points(lab)).unwrap_or(usize::MAX);
    let checks: String = lab.checks.iter().map(check).collect();
    let nodes: Vec<String> = lab
        .nodes
        .iter()
        .map(|n| escape(n.label.as_deref().unwrap_or(&n.id)))
        .collect();
    let section = |title: String, inside: String| {
        if inside.is_empty() {
            return String::new();
        }
        format!("<p><strong>{title}</strong></p>\n{inside}\n")
    };
    let nodes = if nodes.is_empty() {
        String::new()
    } else {
        format!("<p>{}</p>", nodes.join(", "))
    };
    let checks = if checks.is_empty() {
        String::new()
    } else {
        format!("<ul>\n{checks}</ul>")
    };
    format!(
        "<li data-text=\"{} {} {id}\">\n<div class=\"lab\"><input type=\"{kind}\" name=\"lab\" id=\"lab-{id}\" value=\"{id}\" \
         aria-describedby=\"facts-{id}\">\
         <label for=\"lab-{id}\"><strong>{}</strong> <code>{id}</code></label></div>\n\
         <p class=\"facts\" id=\"facts-{id}\">{minutes} min · {} · {}</p>\n\
         <details><summary>{}<span class=\"unseen\"> {}</span></summary>\n<p>{}</p>\n{}{}</details>\n</li>\n",
        escape(&lab.title.fr),
        escape(&lab.title.en),
        both(&lab.title),
        count(lab.nodes.len(), ["nœud", "nœuds"], ["node", "nodes"]),
        count(points_of_lab, ["point", "points"], ["point", "points"]),
        words("Aperçu", "Preview"),
        both(&lab.title),
        both(&lab.summary),
        section(words("Nœuds", "Nodes"), nodes),
        section(words("Contrôles", "Checks"), checks),
    )
}

fn check(check: &lab_core::lab::Check) -> String {
    let points = usize::try_from(check.points).unwrap_or(usize::MAX);
    format!(
        "<li>{} ({})</li>\n",
        both(&check.title),
        count(points, ["point", "points"], ["point", "points"])
    )
}

/// Takes the answer to the platform: by script at once, by its button where there are none.
pub(super) fn send(settings: &HttpSettings, return_url: &str, token: &str) -> Response {
    let body = format!(
        "<body data-do=\"send\">\n<h1>Retour au cours…</h1>\n<p lang=\"en\">Back to the course…</p>\n\
         <form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"JWT\" value=\"{}\">\
         <button class=\"first\">Continuer · Continue</button></form>\n<script src=\"/lti/choose.js\"></script></body>",
        escape(return_url),
        escape(token),
    );
    let response = html_styled(StatusCode::OK, "Labs", STYLE, &body);
    // some doors before platforms take no form without an origin; it tells them no more than our host
    guarded(response, settings, return_url, &source(return_url), "strict-origin")
}

/// Forms go to `forms` alone, and the platform whose page this is may frame it, whatever the settings say of others.
fn guarded(
    mut response: Response,
    settings: &HttpSettings,
    return_url: &str,
    forms: &str,
    referrer: &'static str,
) -> Response {
    let framed_by = origin_of(return_url);
    let policy = content_policy(settings, forms, framed_by.as_deref());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
    response
}

/// An address as a policy names it: without its query, and without what would end the name.
fn source(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.replace(';', "%3B").replace(',', "%2C").replace('\'', "%27")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_adds_nothing_to_a_policy() {
        assert_eq!(
            source("https://lms.example.org/a;script-src,'x'?b=1;c"),
            "https://lms.example.org/a%3Bscript-src%2C%27x%27"
        );
    }

    #[test]
    fn counts_are_words_in_both_languages() {
        let shown = |n| count(n, ["nœud", "nœuds"], ["node", "nodes"]);
        assert_eq!(shown(0), words("0 nœud", "0 nodes"));
        assert_eq!(shown(1), words("1 nœud", "1 node"));
        assert_eq!(shown(2), words("2 nœuds", "2 nodes"));
    }
}
