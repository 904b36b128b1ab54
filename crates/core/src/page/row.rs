//! What is kept of each Deployment while somebody looks at a list, and which of them one page shows. Small: there may be ten thousand.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use super::filter::Filter;
use crate::standing::Standing;
use crate::{api::annotations::Phase, manifest::object, state::State, view, words::within};

/// The longest text of a cell, in characters.
const LONGEST: usize = 400;
/// How many namespaces are offered to choose from.
const NAMESPACES: usize = 200;

/// One opted-in Deployment in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Shared by all of one, where whoever keeps them sees to it.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub phase: Option<Phase>,
    pub since: Option<Timestamp>,
    pub change: Box<str>,
    pub message: Box<str>,
}

impl Row {
    /// `None` for a Deployment that is neither opted in nor held.
    pub fn of(primary: &Value) -> Option<Self> {
        let annotations = object::annotations(primary);
        if !object::is_opted_in(annotations) && !Standing::read(annotations).holds() {
            return None;
        }
        let state = State::of(primary, None);
        let is_idle = state.phase.is_none() && state.invalid.is_none();
        let cell = |text: String| if is_idle { Box::default() } else { within(&text, LONGEST).into_boxed_str() };
        let (change, message) = (cell(view::list::change(&state)), cell(view::list::message(&state)));
        Some(Self { namespace: state.namespace.into(), name: state.name.into(), phase: state.phase, since: state.since, change, message })
    }

    /// Nothing was ever held, and nothing is wrong.
    fn is_idle(&self) -> bool {
        self.phase.is_none() && self.message.is_empty()
    }

    /// What waits for somebody first, then what goes on, then what is kept out, then what ended.
    fn rank(&self) -> u8 {
        match self.phase {
            Some(Phase::AwaitingApproval) | None => 0,
            Some(Phase::Running) => 1,
            Some(Phase::Held) => 2,
            Some(Phase::Rejected) => 3,
            Some(Phase::Inconclusive) => 4,
            Some(_) => 5,
        }
    }
}

/// How many there are of each, in the namespace that is looked at.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub by_phase: BTreeMap<&'static str, usize>,
    pub idle: usize,
    pub invalid: usize,
}

impl Counts {
    pub fn of(&self, phase: Phase) -> usize {
        self.by_phase.get(phase.as_str()).copied().unwrap_or_default()
    }

    pub fn shown(&self) -> usize {
        self.by_phase.values().sum::<usize>() + self.invalid
    }
}

/// What one page shows.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    pub rows: Vec<&'a Row>,
    pub counts: Counts,
    /// Those of all pages.
    pub total: usize,
    pub pages: usize,
    /// Where something is to see, the most first.
    pub namespaces: Vec<(&'a str, usize)>,
    /// The number of further namespaces.
    pub more_namespaces: usize,
}

/// Chooses among all that whoever looks may see.
pub fn select<'a>(all: impl IntoIterator<Item = &'a Row>, filter: &Filter) -> Selection<'a> {
    let (mut counts, mut chosen, mut by_namespace) = (Counts::default(), Vec::new(), BTreeMap::<&str, usize>::new());
    for row in all {
        if !row.is_idle() {
            *by_namespace.entry(&row.namespace).or_default() += 1;
        }
        if filter.namespace.as_ref().is_some_and(|namespace| **namespace != *row.namespace) {
            continue;
        }
        match row.phase {
            Some(phase) => *counts.by_phase.entry(phase.as_str()).or_default() += 1,
            None if row.is_idle() => counts.idle += 1,
            None => counts.invalid += 1,
        }
        if !row.is_idle() && filter.phase.is_none_or(|phase| row.phase == Some(phase)) {
            chosen.push(row);
        }
    }
    chosen.sort_by_key(|row| (row.rank(), std::cmp::Reverse(row.since), &row.namespace, &row.name));
    let (total, limit) = (chosen.len(), filter.limit.max(1));
    let rows = chosen.into_iter().skip(filter.page.saturating_sub(1).saturating_mul(limit)).take(limit).collect();
    let mut namespaces: Vec<(&str, usize)> = by_namespace.into_iter().collect();
    namespaces.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let more_namespaces = namespaces.len().saturating_sub(NAMESPACES);
    namespaces.truncate(NAMESPACES);
    Selection { rows, counts, total, pages: total.div_ceil(limit).max(1), namespaces, more_namespaces }
}
