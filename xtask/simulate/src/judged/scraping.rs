//! How series come to be written down, by scrapers and stores as they are found: late, twice, with gaps, under other labels. Never what is in them.

/// The default is a Prometheus that sees every pod at once and forgets nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scraping {
    /// Each page has two targets, which differ by a label.
    pub twins: bool,
    /// One process serves its page at two ports.
    pub two_ports: bool,
    /// No page is asked in between, in seconds since the canary is Ready.
    pub gap: Option<(f64, f64)>,
    /// Samples can be read so many seconds after they were taken.
    pub lag: f64,
    /// The canary's page is not asked before.
    pub discovered_at: f64,
    /// The canary's process ends and begins again, and counts from zero.
    pub restarts_at: Option<f64>,
    /// The source answers nothing in between.
    pub unavailable: Option<(f64, f64)>,
    /// Pods are known by their address alone.
    pub by_address: bool,
    /// What counted before goes on under another label: a new version of the scrape configuration.
    pub relabelled_at: Option<f64>,
}

impl Scraping {
    /// Whether this scrape is made at all.
    pub(super) fn asks(&self, is_canary: bool, at: f64) -> bool {
        let is_in_gap = self.gap.is_some_and(|(from, until)| (from..until).contains(&at));
        let is_discovered = !is_canary || at >= self.discovered_at;
        is_discovered && !is_in_gap
    }

    pub(super) fn is_silent(&self, at: f64) -> bool {
        self.unavailable.is_some_and(|(from, until)| (from..until).contains(&at))
    }
}
