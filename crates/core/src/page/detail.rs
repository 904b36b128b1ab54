//! One Deployment: the sentence, what is known, the pictures, what the held template changes, and the last verdicts.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

use super::{
    layout::Page,
    list::phase,
    pictures::{self, Size},
};
use crate::{
    api::{
        annotations::METRICS,
        policy::Policy,
        quantity::{format_count, format_percentage},
    },
    hold::held::Held,
    manifest::object,
    run::{evidence::Look, history::Entry},
    standing::Standing,
    state::State,
    view::{
        diff,
        history::{HEADER, cells},
        status::{Objects, ending, evidence, facts},
    },
};

/// Of the facts: in the title and in the sentence.
const SAID_ELSEWHERE: [&str; 4] = ["Name", "Namespace", "Verdict", "Evidence"];

/// `None` for a Deployment that is neither opted in nor held.
pub fn detail(objects: &Objects, now: Timestamp) -> Option<String> {
    let state = State::of(&objects.primary, objects.namesake.as_ref());
    if !state.enabled && !state.holds() {
        return None;
    }
    let limit = Policy::of(object::annotations(&objects.primary)).unwrap_or_default().max_error_rate;
    let title = format!("{}/{}", state.namespace, state.name);
    let page = Page { title: &title, up: "../", events: Some(format!("{}/events", state.name)) };
    let looks = last_looks(&state);
    Some(page.with(&html! {
        nav aria-label="Where this is" .filter { ul {
            li { a #up href="../" { "All canaries" } }
            li { a #up-namespace href={ "../?namespace=" (state.namespace) } { (state.namespace) } }
        } }
        h1 { (state.namespace) "/" wbr; (state.name) " " (phase(state.phase)) }
        p #sentence .sentence data-sentence { (sentence(&state)) }
        section aria-labelledby="facts" { h2 #facts { "What is known" } (known(objects, &state, now)) }
        @if !looks.is_empty() {
            section aria-labelledby="counted" { h2 #counted { "What was counted" } (counted(looks, limit, "now")) }
        }
        section aria-labelledby="read" { h2 #read { "What is read" } (read(objects, &state)) }
        @if let Some(change) = change(objects) {
            section aria-labelledby="change" { h2 #change { "What the held template changes" } (change) }
        }
        section aria-labelledby="history" { h2 #history { "History" } (history(&state, limit, now)) }
    }))
}

/// The pictures of the trial that goes on; the history has those of earlier ones.
fn last_looks(state: &State) -> &[Look] {
    if state.holds() { &state.evidence } else { &[] }
}

/// How it stands, in the plugin's words.
fn sentence(state: &State) -> String {
    let is_trying = state.phase.is_some_and(crate::api::annotations::Phase::is_trying);
    match evidence(&state.evidence).filter(|_| is_trying) {
        Some(words) => format!("{}: {words}", ending(&State { message: None, ..state.clone() })),
        None if state.phase.is_none() => "Nothing was held yet; the next change of the template is tried first.".to_owned(),
        None => ending(state),
    }
}

fn known(objects: &Objects, state: &State, now: Timestamp) -> Markup {
    html! {
        dl {
            @for (name, value) in facts(objects, state, now).into_iter().filter(|(name, _)| !SAID_ELSEWHERE.contains(name)) {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

fn counted(looks: &[Look], limit: f64, id: &str) -> Markup {
    let is_now = id == "now";
    let size = if is_now { Size::Large } else { Size::Small };
    html! {
        div .pictures {
            @if let Some(svg) = pictures::rates(looks, limit, size) {
                figure { (PreEscaped(svg)) figcaption { "Failed requests of both, from look to look, and the limit." } }
            }
            @if let Some(svg) = pictures::evidence(looks, size) {
                figure { (PreEscaped(svg)) figcaption { "The evidence against the canary and for it; each decides at its line." } }
            }
        }
        @if let Some(svg) = pictures::needed(looks).filter(|_| is_now) {
            figure .bar { (PreEscaped(svg)) figcaption { (evidence(looks).unwrap_or_default()) } }
        }
        details id={ "numbers-" (id) } { summary id={ "summary-" (id) } { "The numbers" } (numbers(looks)) }
    }
}

/// What the pictures show, for whoever reads numbers.
fn numbers(looks: &[Look]) -> Markup {
    let ratio = |value: f64| if value >= 10.0 { format_count(value.round()) } else { format!("{value:.2}") };
    html! {
        div .scroll role="group" aria-label="Numbers" tabindex="0" { table {
            thead { tr {
                @for name in ["Time", "Canary", "Failed", "Primary", "Failed", "Against", "For", "Needed"] { th scope="col" { (name) } }
            } }
            tbody { @for look in looks { tr {
                th scope="row" { time datetime=(look.time.to_string()) { (look.time.strftime("%H:%M:%S").to_string()) " UTC" } }
                td { (format_count(look.canary.requests)) } td { (format_count(look.canary.failures)) }
                td { (format_count(look.primary.requests)) } td { (format_count(look.primary.failures)) }
                td { (ratio(look.against)) ":1" } td { (ratio(look.in_favour)) ":1" }
                td { (look.needed.map_or_else(|| "-".to_owned(), format_count)) }
            } } }
        } }
    }
}

/// What the user wrote about the series, and where the series that were found are named.
fn read(objects: &Objects, state: &State) -> Markup {
    html! {
        @if let Some(reads) = state.reads.as_ref().filter(|_| state.holds()) {
            p { "Now: " (reads.words) "." }
            @for query in &reads.queries { pre tabindex="0" role="group" aria-label="Query" { code { (query) } } }
        }
        @if let Some(written) = object::annotation(&objects.primary, METRICS) {
            p { "As " code { (METRICS) } " says:" }
            pre tabindex="0" role="group" aria-label=(METRICS) { code { (written) } }
        } @else {
            p { "Coalmine finds the series by itself. Which ones it chose, and why it waits, says:" }
        }
        pre tabindex="0" role="group" aria-label="Command" { code { "kubectl coalmine explain " (state.name) " -n " (state.namespace) } }
    }
}

fn change(objects: &Objects) -> Option<Markup> {
    let held = Held::decode(Standing::of(&objects.primary).held?).ok()?;
    let text = diff::unified(object::template(&objects.primary), &held.template).ok().filter(|text| !text.is_empty())?;
    let kind = |line: &str| match line.as_bytes().first() {
        Some(b'+') => "added",
        Some(b'-') => "taken",
        Some(b'@') => "place",
        _ => "same",
    };
    Some(html! {
        pre .diff tabindex="0" role="group" aria-label="Difference of the templates" {
            code { @for line in text.lines() { span class=(kind(line)) { (line) "\n" } } }
        }
    })
}

fn history(state: &State, limit: f64, now: Timestamp) -> Markup {
    html! {
        @if state.history.is_empty() { p .note { "There was no verdict yet." } }
        ol .history { @for (index, entry) in state.history.iter().enumerate() { li { (verdict(entry, index, limit, now)) } } }
    }
}

fn verdict(entry: &Entry, index: usize, limit: f64, now: Timestamp) -> Markup {
    let cells = cells(entry, now);
    let name = |header: &str| header[..1].to_owned() + &header[1..].to_lowercase();
    html! {
        h3 { (phase(Some(entry.phase))) " "
            @if let Some(time) = entry.time { time datetime=(time.to_string()) { (cells[0]) " ago" } } }
        p { (entry.message) }
        dl .inline {
            @for at in 2..7 { div { dt { (name(HEADER[at])) } dd { (cells[at]) } } }
            @if let (Some(requests), Some(failures)) = (entry.requests, entry.failures) {
                @if requests > 0.0 { div { dt { "Error rate" } dd { (format_percentage(failures / requests)) } } }
            }
        }
        @if entry.looks.len() > 1 { (counted(&entry.looks, limit, &index.to_string())) }
    }
}
