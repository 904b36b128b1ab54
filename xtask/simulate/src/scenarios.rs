//! Situations that rules based on one number get wrong: outages, repairs, late faults, uneven balancing, pods that differ.

use std::time::Duration;

use crate::random::normal_tail;
use crate::setup::Setup;
use crate::situation::{Situation, Wrong};
use crate::statistics::Parameters;
use crate::steps::{Step, episode, steady};

const SCRAPE: Duration = Duration::from_secs(15);

fn base() -> Setup {
    Setup { aligned: false, ..Setup::new(1000.0, SCRAPE, 0.001, 0.001) }
}

/// Both versions at the same rate.
fn alike(rate: f64) -> Setup {
    Setup { primary: steady(rate), canary: steady(rate), ..base() }
}

fn outage(seconds: f64) -> Setup {
    let steps = episode(0.001, 25.0, 25.0 + seconds, 0.5);
    Setup { primary: steps.clone(), canary: steps, ..base() }
}

/// Everything fails for a minute. Looked at as the controller does: when the canary was scraped, wherever in between the outage began.
fn total_outage(scrape: Duration) -> Setup {
    let steps = episode(0.001, 25.0, 85.0, 1.0);
    Setup { primary: steps.clone(), canary: steps, canary_last: true, scrape, ..base() }
}

/// A canary that begins to fail `after` some seconds of a bake of `bake`.
fn late_fault(scrape: Duration, after: f64, rate: f64, bake: Duration) -> Setup {
    let canary = vec![Step { from: f64::NEG_INFINITY, rate: 0.001 }, Step { from: after, rate }];
    Setup { canary, scrape, parameters: Parameters { bake, ..Parameters::default() }, ..base() }
}

/// Errors while the canary starts, judged with this much warm-up.
fn cold_start(warm_up: Duration) -> Setup {
    Setup { canary: vec![Step { from: f64::NEG_INFINITY, rate: 0.2 }, Step { from: 10.0, rate: 0.001 }], warm_up, ..base() }
}

/// Latency: the share of requests slower than 250 ms, log-normal with a median of 40 ms; the limit is 5 %.
fn latency(slower: f64) -> Setup {
    let share = |factor: f64| normal_tail((250.0_f64 / (40.0 * factor)).ln() / 0.8);
    Setup {
        primary: steady(share(1.0)),
        canary: steady(share(slower)),
        // A pod that is 5 % slower has an eighth more slow requests.
        pod_spread: 0.13,
        warm_up: Duration::from_secs(30),
        parameters: Parameters::default().with_limit(0.05),
        ..base()
    }
}

/// All of them, each with what must not happen.
pub fn all() -> Vec<Situation> {
    let minutes = Duration::from_mins;
    let five = Duration::from_secs(5);
    [
        ("like the primary", base(), Wrong::Reject),
        ("both at 50 % for 20 s", outage(20.0), Wrong::Reject),
        ("both at 50 % for 60 s", outage(60.0), Wrong::Reject),
        ("both at 50 % for 180 s", outage(180.0), Wrong::Reject),
        ("both at 100 %, seen first in the canary", total_outage(SCRAPE), Wrong::Reject),
        ("the same, scraped every 5 s", total_outage(five), Wrong::Reject),
        ("both at 3 % always", alike(0.03), Wrong::Either),
        ("the fix: 0.1 % beside 3 %", Setup { primary: steady(0.03), ..base() }, Wrong::Reject),
        ("worse than a bad primary: 5 %, 3 %", Setup { primary: steady(0.03), canary: steady(0.05), ..base() }, Wrong::Promote),
        ("14 % of requests, both 0.5 %", Setup { canary_weight: 1.628, ..alike(0.005) }, Wrong::Reject),
        ("20 % in its first 10 s", cold_start(Duration::ZERO), Wrong::Nothing),
        ("20 % in its first 10 s, warm-up 30 s", cold_start(Duration::from_secs(30)), Wrong::Reject),
        ("pods differ by 30 %, 0.5 %", Setup { pod_spread: 0.3, ..alike(0.005) }, Wrong::Reject),
        ("pods differ by 50 %, 0.5 %", Setup { pod_spread: 0.5, ..alike(0.005) }, Wrong::Reject),
        ("half of 0.5 % sticks to a pod for 60 s", Setup { sticky: Some(minutes(1)), ..alike(0.005) }, Wrong::Reject),
        ("half of 0.2 % sticks to a pod for 300 s", Setup { sticky: Some(minutes(5)), ..alike(0.002) }, Wrong::Reject),
        ("20 % of scrapes fail", Setup { missing: 0.2, ..base() }, Wrong::Reject),
        ("5 % after 40 s of 60 s, scraped every 5 s", late_fault(five, 40.0, 0.05, minutes(1)), Wrong::Promote),
        ("5 % after 90 s of 120 s", late_fault(SCRAPE, 90.0, 0.05, minutes(2)), Wrong::Promote),
        ("5 % after 180 s of 300 s", late_fault(SCRAPE, 180.0, 0.05, minutes(5)), Wrong::Promote),
        ("slow requests: as the primary", latency(1.0), Wrong::Reject),
        ("slow requests: all 1.5 times as slow", latency(1.5), Wrong::Nothing),
        ("slow requests: all twice as slow", latency(2.0), Wrong::Promote),
    ]
    .into_iter()
    .map(|(name, setup, wrong)| Situation { name: name.to_owned(), setup, wrong })
    .collect()
}
