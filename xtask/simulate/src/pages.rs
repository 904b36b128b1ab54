//! The pods' own pages as the source: read each second all at once, some of the primary's pods for all of them, and nothing known of the hour
//! before. The product reads less often after a while: that makes it slower, and not wrong more often.

use std::time::Duration;

use crate::setup::Setup;
use crate::shape::{Shape, Sides};
use crate::situation::{Situation, Wrong, percent};
use crate::steps::{Clustering, episode, steady};

/// Five times as many looks as in the product's ten minutes would say the same.
pub const DEADLINE: Duration = Duration::from_mins(3);
const EACH_SECOND: Duration = Duration::from_secs(1);
/// So many of ten are read.
const READ: usize = 8;
const ALL: f64 = 10.0;

const CLUSTERINGS: [(&str, Clustering); 3] = [
    ("independent", Clustering::Independent),
    ("beta-binomial", Clustering::BetaBinomial { correlation: 0.003 }),
    ("bursts of 8", Clustering::Bursts { mean: 8.0 }),
];

/// Of the requests of ten pods and a canary those that are seen.
fn pages(requests: f64, primary: f64, canary: f64) -> Setup {
    let seen = requests * (READ as f64 + 1.0) / (ALL + 1.0);
    let shape = Shape { forgets: true, ..Shape::default() };
    Setup { primary_pods: READ, shape, ..Setup::new(seen, EACH_SECOND, primary, canary) }
}

pub fn all() -> Vec<Situation> {
    let mut all = Vec::new();
    for (name, clustering) in CLUSTERINGS {
        for requests in [10.0, 100.0, 1000.0] {
            for rate in [0.001, 0.005, 0.01] {
                let setup = Setup { clustering, ..pages(requests, rate, rate) };
                let wrong = if rate < setup.parameters.limit { Wrong::Reject } else { Wrong::Either };
                all.push(Situation { name: format!("alike, {name:<13} {requests:>5}/s {:>6}", percent(rate)), setup, wrong });
            }
        }
        for rate in [0.02, 1.0] {
            let setup = Setup { clustering, ..pages(1000.0, 0.001, rate) };
            all.push(Situation { name: format!("worse, {name:<13}  1000/s {:>6}", percent(rate)), setup, wrong: Wrong::Promote });
        }
    }
    let failing = |share: f64| {
        let both = || episode(0.001, 5.0, 65.0, share);
        Setup { primary: both(), canary: both(), ..pages(1000.0, 0.001, 0.001) }
    };
    let clients = Shape { client_errors: Sides::alike(&steady(0.1)), forgets: true, ..Shape::default() };
    let others = [
        ("both fail half for a minute", failing(0.5)),
        ("both fail everything for a minute", failing(1.0)),
        ("a page in twenty fails", Setup { missing: 0.05, ..pages(1000.0, 0.001, 0.001) }),
        ("pods differ by half", Setup { pod_spread: 0.5, ..pages(1000.0, 0.002, 0.002) }),
        ("10 % client errors on both sides", Setup { shape: clients, ..pages(1000.0, 0.001, 0.001) }),
        (
            "pods' load differs by a third each minute",
            Setup { shape: Shape { uneven: 0.33, forgets: true, ..Shape::default() }, ..pages(1000.0, 0.001, 0.001) },
        ),
    ];
    all.extend(others.into_iter().map(|(name, setup)| Situation { name: name.to_owned(), setup, wrong: Wrong::Reject }));
    all
}
