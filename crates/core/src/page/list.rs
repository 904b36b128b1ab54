//! The first page: all that is held, waits or was decided, of all namespaces or one, of all phases or one.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    filter::Filter,
    layout::Page,
    row::{Counts, Row, Selection},
};
use crate::{
    api::{annotations::Phase, quantity::format_count},
    view::age,
};

/// `note` is what else must be known of this list, such as that it is not whole.
pub fn list(selection: &Selection<'_>, filter: &Filter, note: Option<&str>, now: Timestamp) -> String {
    let page = Page { title: "Canaries", up: "", events: Some(format!("events{}", namespace_of(filter))) };
    page.with(&html! {
        h1 { "Canaries" @if let Some(namespace) = &filter.namespace { " in " (namespace) } }
        p #sentence .sentence data-sentence { (sentence(&selection.counts)) }
        @if let Some(note) = note { p .note { (note) } }
        (phases(selection, filter))
        (namespaces(selection, filter))
        @if selection.rows.is_empty() {
            p .note { (nothing(selection, filter)) }
        } @else {
            (table(&selection.rows, now))
        }
        (pages(selection, filter))
    })
}

fn namespace_of(filter: &Filter) -> String {
    Filter { phase: None, ..filter.clone() }.query(1).replace("./", "")
}

/// What is to be seen in one sentence.
fn sentence(counts: &Counts) -> String {
    let on_trial = counts.of(Phase::Held) + counts.of(Phase::Running);
    let kept_out = counts.of(Phase::Rejected) + counts.of(Phase::Inconclusive);
    let all = [
        (on_trial, "is on trial", "are on trial"),
        (counts.of(Phase::AwaitingApproval), "waits for approval", "wait for approval"),
        (kept_out, "is kept out", "are kept out"),
        (counts.invalid, "has annotations that can't be read", "have annotations that can't be read"),
        (counts.idle, "more is opted in", "more are opted in"),
    ];
    let of_some = all.into_iter().filter(|(count, ..)| *count > 0);
    let mut parts: Vec<String> =
        of_some.map(|(count, one, several)| format!("{} {}", format_count(count as f64), if count == 1 { one } else { several })).collect();
    if on_trial == 0 {
        parts.insert(0, "Nothing is on trial".to_owned());
    }
    parts.join(", ") + "."
}

fn nothing(selection: &Selection<'_>, filter: &Filter) -> &'static str {
    if selection.total > 0 {
        "There is no such page."
    } else if filter.phase.is_some() || filter.namespace.is_some() {
        "Nothing is in this phase here."
    } else {
        "Nothing was held yet. To opt a Deployment in: kubectl annotate deploy/NAME canary.enabled=true"
    }
}

fn phases(selection: &Selection<'_>, filter: &Filter) -> Markup {
    let counts = &selection.counts;
    let at = |phase: Option<Phase>| Filter { phase, ..filter.clone() }.query(1);
    html! {
        nav .filter aria-label="Phases" {
            ul {
                li { a #phase-all href=(at(None)) aria-current=[filter.phase.is_none().then_some("true")] {
                    "All " span .count { (counts.shown()) } } }
                @for phase in Phase::ALL.into_iter().filter(|phase| counts.of(*phase) > 0 || filter.phase == Some(*phase)) {
                    li { a id={ "phase-" (phase.as_str()) } href=(at(Some(phase))) aria-current=[(filter.phase == Some(phase)).then_some("true")] {
                        (phase.as_str()) " " span .count { (counts.of(phase)) } } }
                }
            }
        }
    }
}

fn namespaces(selection: &Selection<'_>, filter: &Filter) -> Markup {
    let at = |namespace: Option<&str>| Filter { namespace: namespace.map(str::to_owned), ..filter.clone() }.query(1);
    html! {
        @if filter.namespace.is_some() || selection.namespaces.len() > 1 {
            nav .filter aria-label="Namespaces" {
                details #namespaces open[filter.namespace.is_some()] {
                    summary #namespaces-summary { "Namespaces" }
                    ul {
                        li { a #namespace-all href=(at(None)) aria-current=[filter.namespace.is_none().then_some("true")] { "All" } }
                        @for (namespace, count) in &selection.namespaces {
                            li { a id={ "namespace-" (namespace) } href=(at(Some(namespace)))
                                aria-current=[(filter.namespace.as_deref() == Some(*namespace)).then_some("true")] {
                                (namespace) " " span .count { (count) } } }
                        }
                    }
                    @if selection.more_namespaces > 0 {
                        p .note { "And " (selection.more_namespaces) " more: write ?namespace=NAME behind the address." }
                    }
                }
            }
        }
    }
}

fn table(rows: &[&Row], now: Timestamp) -> Markup {
    html! {
        div .scroll role="group" aria-label="Deployments" tabindex="0" {
            table {
                caption .unseen { "Deployments" }
                thead { tr {
                    @for name in ["Deployment", "Phase", "Since", "Change", "Message"] { th scope="col" { (name) } }
                } }
                tbody { @for row in rows { (line(row, now)) } }
            }
        }
    }
}

fn line(row: &Row, now: Timestamp) -> Markup {
    let place = format!("{}/{}", row.namespace, row.name);
    html! {
        tr {
            th scope="row" { a id={ "row-" (place) } href=(place) { (row.namespace) "/" wbr; (row.name) } }
            td { (phase(row.phase)) }
            td .time { @if let Some(since) = row.since { time datetime=(since.to_string()) { (age(Some(since), now)) } } @else { "-" } }
            td .change { (row.change) }
            td .message { (row.message) }
        }
    }
}

/// The phase in its colour, and in words all the same.
pub(super) fn phase(phase: Option<Phase>) -> Markup {
    let kind = match phase {
        Some(Phase::Promoted) => "good",
        Some(Phase::Rejected) => "bad",
        Some(Phase::Inconclusive | Phase::AwaitingApproval) => "warn",
        Some(Phase::Held | Phase::Running) => "busy",
        _ => "quiet",
    };
    html! { span class={ "phase " (kind) } { (phase.map_or("-", Phase::as_str)) } }
}

fn pages(selection: &Selection<'_>, filter: &Filter) -> Markup {
    html! {
        @if selection.pages > 1 {
            nav .filter aria-label="Pages" {
                ul {
                    @if filter.page > 1 { li { a #page-before rel="prev" href=(filter.query(filter.page - 1)) { "Before" } } }
                    li { "Page " (filter.page) " of " (selection.pages) }
                    @if filter.page < selection.pages { li { a #page-after rel="next" href=(filter.query(filter.page + 1)) { "After" } } }
                }
            }
        }
    }
}
