//! The sources of metrics by name, and what each can do. A source that is added is one variant here, with its row in each table; an edge says
//! how it is asked (`docs/sources.md`).

use serde::Deserialize;

/// A source of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    #[default]
    Prometheus,
    Datadog,
    /// The pods' own metrics pages.
    Pages,
}

/// What a source can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table: each is a question that is asked by itself")]
pub struct Abilities {
    /// It has histograms, so that a limit on latency can be held against them.
    pub latency: bool,
    /// It answers queries of a user's own, as checks ask them.
    pub queries: bool,
    /// Counters are found without being named: presets can be read.
    pub discovery: bool,
    /// It knows what was before the run; else the run's own beginning must do, and is measured as it goes on.
    pub past: bool,
}

impl Origin {
    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Datadog => "Datadog",
            Self::Pages => "the pods' own metrics pages",
        }
    }

    /// The same with its verb.
    pub fn has(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus has",
            Self::Datadog => "Datadog has",
            Self::Pages => "the pods' own metrics pages have",
        }
    }

    /// Where something was read.
    pub fn place(self) -> &'static str {
        match self {
            Self::Prometheus => "from Prometheus",
            Self::Datadog => "from Datadog",
            Self::Pages => "on the pods' own metrics pages",
        }
    }

    /// As the annotations spell it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Datadog => "datadog",
            Self::Pages => "pages",
        }
    }

    pub fn abilities(self) -> Abilities {
        match self {
            Self::Prometheus => Abilities { latency: true, queries: true, discovery: true, past: true },
            Self::Datadog => Abilities { latency: false, queries: true, discovery: false, past: true },
            Self::Pages => Abilities { latency: true, queries: false, discovery: true, past: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back() {
        for origin in [Origin::Prometheus, Origin::Datadog, Origin::Pages] {
            assert_eq!(serde_json::from_value::<Origin>(origin.key().into()).unwrap(), origin);
        }
    }
}
