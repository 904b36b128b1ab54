//! A glance at the pods' own pages beside another source, for what may not wait for it: where a page is that has what one reading reads, and
//! what it says was counted so far. Whatever can't be read so is left to the source.

use std::time::Duration;

use super::fetch::Fetcher;
use coalmine_core::judging::collecting::Read;
use coalmine_core::metrics::counting::Reading;
use coalmine_core::metrics::pages::{Page, Place, Wishes};
use coalmine_core::statistics::Counts;

/// Pages are looked at each second: one that takes longer is of no use here.
const WITHIN: Duration = Duration::from_secs(1);

/// What is looked for on pages of one namespace.
#[derive(Debug)]
pub struct Glance<'a> {
    fetcher: &'a Fetcher,
    namespace: &'a str,
    reading: Reading,
    wishes: Wishes,
}

impl<'a> Glance<'a> {
    pub fn new(fetcher: &'a Fetcher, namespace: &'a str, reading: Reading) -> Self {
        let wishes = Wishes::of_reading(&reading);
        Self { fetcher, namespace, reading, wishes }
    }

    /// The first of these places at which this pod's page has what the reading reads.
    pub async fn find(&self, address: &str, places: &[Place]) -> Option<Place> {
        for place in places {
            if self.page(address, place).await.is_some_and(|page| page.totals(&self.reading).is_some()) {
                return Some(place.clone());
            }
        }
        None
    }

    /// What a pod has counted so far, by its own page. A counter may be born with the first request: until then that is nothing.
    pub async fn read(&self, address: &str, place: &Place) -> Option<Counts> {
        Some(self.page(address, place).await?.totals(&self.reading).unwrap_or_default())
    }

    async fn page(&self, address: &str, place: &Place) -> Option<Page> {
        match self.fetcher.read(self.namespace, address, place, &self.wishes, WITHIN).await {
            (Read::Page(page), _) => Some(*page),
            (Read::Silent | Read::Refused(_), _) => None,
        }
    }
}
