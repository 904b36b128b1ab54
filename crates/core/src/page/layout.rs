//! The frame of every page: head, landmarks, the link to the content, and the line that a screen reader reads out when there is news.

use maud::{DOCTYPE, Markup, html};

/// One page. `up` leads from it to the place where the list, the sheet and the script are: `""` or `"../"`.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    pub(super) up: &'static str,
    /// Where news comes from, relative; `None` where there is none.
    pub(super) events: Option<String>,
}

impl Page<'_> {
    pub(super) fn with(&self, content: &Markup) -> String {
        let Self { title, up, events } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Coalmine" }
                    link rel="icon" type="image/svg+xml" href={ (up) "icon.svg" };
                    link rel="stylesheet" href={ (up) "page.css" };
                    script src={ (up) "page.js" } defer {}
                }
                body data-events=[events.as_deref()] {
                    a #skip .skip href="#main" { "Skip to the content" }
                    header {
                        p .brand { a #home href=(if up.is_empty() { "./" } else { up }) { "Coalmine" } }
                        p #live .live {}
                        p #news .unseen role="status" aria-live="polite" {}
                    }
                    main #main tabindex="-1" { (content) }
                    footer { p { "This page shows what the objects say, and can change nothing." } }
                }
            }
        };
        page.into_string()
    }
}

/// A page with one sentence on it.
pub fn message(title: &str, sentence: &str, is_first: bool) -> String {
    let page = Page { title, up: if is_first { "" } else { "../" }, events: None };
    page.with(&html! { h1 { (title) } p .sentence { (sentence) } })
}
