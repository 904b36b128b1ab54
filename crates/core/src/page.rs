//! How a person with a browser sees Deployments and their canaries: pages made from what the objects say, in the same words as the plugin's.
//! Asks nobody, acts on nothing, and works without a script. Whatever others wrote is text on it and never markup.

pub mod chart;
mod detail;
mod filter;
mod layout;
mod list;
mod pictures;
mod row;
#[cfg(test)]
mod tests;

pub use self::{
    detail::detail,
    filter::{Filter, is_name},
    layout::message,
    list::list,
    row::{Counts, Row, Selection, select},
};

/// Files that every page asks for. They stand beside the first page, so that all addresses are relative.
pub const SHEET: &str = include_str!("page/page.css");
pub const SCRIPT: &str = include_str!("page/page.js");
pub const ICON: &str = include_str!("page/icon.svg");

/// What a browser may do with these pages: nothing but show them.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                          frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
