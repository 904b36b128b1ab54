//! The same traffic as a scraper writes it down: what each pod counted, and when its page was asked. Sums nothing up.

use super::{Drawn, Pod, Traffic};

/// One pod's page, asked once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scrape {
    pub(crate) pod: usize,
    pub(crate) is_canary: bool,
    /// Seconds since the canary is Ready.
    pub(crate) at: f64,
    /// Since the scrape before; nothing where the page did not answer.
    pub(crate) drawn: Option<Drawn>,
}

impl Traffic<'_> {
    /// The hour before, and the canary is Ready. Each pod is scraped at its own moment, as it will be from then on.
    pub(crate) fn start_with_past(&mut self) -> Vec<Scrape> {
        let windows = if self.setup.shape.forgets { Vec::new() } else { self.hour() };
        let primaries: Vec<usize> = (0..self.pods.len()).filter(|pod| !self.pods[*pod].is_canary).collect();
        self.start_by_pod();
        let rounds: Vec<Vec<Drawn>> = windows.into_iter().flatten().collect();
        let scrape = self.setup.scrape.as_secs_f64();
        let mut past = Vec::new();
        for (ago, drawn) in (0..rounds.len()).rev().zip(&rounds) {
            for (pod, drawn) in primaries.iter().zip(drawn) {
                past.push(Scrape { pod: *pod, is_canary: false, at: self.pods[*pod].scraped - scrape * ago as f64, drawn: Some(*drawn) });
            }
        }
        past
    }

    /// The next round: each pod that is there is scraped once.
    pub(crate) fn next_scraped(&mut self) -> Vec<Scrape> {
        let begin = self.now;
        let mut round = Vec::new();
        self.next_scrapes(true, |is_canary, pod, drawn| round.push(Scrape { pod, is_canary, at: begin, drawn }));
        let unscraped = self.setup.shape.unscraped_from.unwrap_or(f64::INFINITY);
        round.retain_mut(|scrape| {
            let pod = &self.pods[scrape.pod];
            scrape.at = begin + pod.phase;
            if scrape.is_canary && scrape.at > unscraped {
                scrape.drawn = None;
            }
            pod.is_there(scrape.at)
        });
        round
    }

    /// The pods that are there, by their numbers.
    pub(crate) fn pods_at(&self, at: f64) -> impl Iterator<Item = (usize, bool)> {
        self.pods.iter().enumerate().filter(move |(_, pod)| pod.is_there(at)).map(|(index, pod)| (index, pod.is_canary))
    }
}

impl Pod {
    fn is_there(&self, at: f64) -> bool {
        self.born <= at && at < self.gone
    }
}
