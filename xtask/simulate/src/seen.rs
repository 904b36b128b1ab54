//! What a verdict must see, or must not be misled by: silence, pages that die, client errors, latency, few pods, long scrapes, pasts that mislead.

use std::time::Duration;

use crate::setup::Setup;
use crate::shape::{Crawler, Scaling, Shape, Sides, Slow};
use crate::situation::{Situation, Wrong};
use crate::statistics::Parameters;
use crate::steps::{Clustering, Step, episode, steady};

const FIVE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);
const BURSTS: Clustering = Clustering::Bursts { mean: 8.0 };

/// A thousand requests a second over ten pods and a canary, each scraped at its own moment every five seconds.
fn base() -> Setup {
    Setup { aligned: false, ..Setup::new(1000.0, FIVE, 0.001, 0.001) }
}

fn shaped(shape: Shape) -> Setup {
    Setup { shape, ..base() }
}

/// One rate until some moment, and another from then on.
fn then(rate: f64, from: f64, later: f64) -> Vec<Step> {
    vec![Step { from: f64::NEG_INFINITY, rate }, Step { from, rate: later }]
}

fn one_pod(rate: f64, clustering: Clustering) -> Setup {
    Setup { primary_pods: 1, clustering, requests_per_second: 200.0, primary: steady(rate), canary: steady(rate), ..base() }
}

fn every_minute(primary: f64, canary: f64) -> Setup {
    Setup { scrape: MINUTE, primary: steady(primary), canary: steady(canary), ..base() }
}

fn hangs() -> Shape {
    Shape { canary_load: then(1.0, 15.0, 0.0), ..Shape::default() }
}

fn client_errors(primary: f64, canary: f64) -> Shape {
    Shape { client_errors: Sides { primary: steady(primary), canary: steady(canary) }, ..Shape::default() }
}

fn slow(primary: f64, canary: f64, clustering: Clustering) -> Shape {
    let shares = Sides { primary: steady(primary), canary: steady(canary) };
    Shape { slow: Some(Slow { than_low: shares.clone(), than_high: shares, clustering }), ..Shape::default() }
}

/// The limit lies between two buckets: many are slower than the lower one, none than the upper one.
fn between_buckets(primary: f64, canary: f64) -> Shape {
    let low = Sides { primary: steady(primary), canary: steady(canary) };
    Shape {
        slow: Some(Slow { than_low: low, than_high: Sides::alike(&steady(0.0005)), clustering: Clustering::Independent }),
        ..Shape::default()
    }
}

/// A fifth of a new process' requests are slow, fewer with each second: compiled while it runs.
fn compiling(warm_up: Duration) -> Setup {
    let decaying: Vec<Step> = (0..48)
        .map(|step| f64::from(step) * 5.0)
        .map(|from| Step { from: if from > 0.0 { from } else { f64::NEG_INFINITY }, rate: 0.002 + 0.2 * (-from / 30.0).exp() })
        .collect();
    let shares = Sides { primary: steady(0.002), canary: decaying };
    let shape =
        Shape { slow: Some(Slow { than_low: shares.clone(), than_high: shares, clustering: Clustering::Independent }), ..Shape::default() };
    Setup { shape, warm_up, parameters: Parameters { bake: Duration::from_mins(4), ..Parameters::default() }, ..base() }
}

fn counters(count: usize, rate: f64) -> Setup {
    Setup { primary: steady(rate), canary: steady(rate), ..shaped(Shape { counters: count, ..Shape::default() }) }
}

/// All of them, each with what must not happen.
pub fn all() -> Vec<Situation> {
    let crawler = |requests_per_second: f64, stays: Duration| Shape {
        crawler: Some(Crawler { requests_per_second, stays }),
        ..client_errors(0.02, 0.02)
    };
    let scaled = |pods: usize, at: f64, primary_pods: usize| Setup {
        primary_pods,
        ..shaped(Shape { scaling: Some(Scaling { at, pods }), ..Shape::default() })
    };
    let unscraped = |from: f64| Shape { unscraped_from: Some(from), ..Shape::default() };
    let load = |steps: Vec<Step>| Shape { load: steps, ..Shape::default() };
    let uneven = |uneven: f64| Shape { uneven, ..Shape::default() };
    let independent = Clustering::Independent;
    vec![
        ("like the primary", base(), Wrong::Reject),
        ("hangs after 15 s", shaped(hangs()), Wrong::Promote),
        ("hangs after 15 s, uneven by 30 %", shaped(Shape { uneven: 0.3, ..hangs() }), Wrong::Promote),
        ("hangs after 15 s, one pod", Setup { shape: hangs(), ..one_pod(0.001, independent) }, Wrong::Promote),
        ("never answers", shaped(Shape { canary_load: steady(0.0), ..Shape::default() }), Wrong::Promote),
        ("all traffic stops after 15 s", shaped(load(then(1.0, 15.0, 0.0))), Wrong::Reject),
        ("all traffic pauses for 60 s", shaped(load(episode(1.0, 22.0, 82.0, 0.0))), Wrong::Reject),
        ("traffic grows fivefold in between", shaped(load(then(1.0, 22.0, 5.0))), Wrong::Reject),
        ("from 3 pods to 15", scaled(15, 22.0, 3), Wrong::Reject),
        ("from 15 pods to 3", scaled(3, 22.0, 15), Wrong::Reject),
        ("uneven by 10 %", shaped(uneven(0.1)), Wrong::Reject),
        ("uneven by 50 %", shaped(uneven(0.5)), Wrong::Reject),
        ("an even service, then uneven by 30 %, gets 20 %", Setup { canary_weight: 0.2, ..shaped(uneven(0.3)) }, Wrong::Reject),
        ("page dies after 16 s, fails from 22 s on", Setup { canary: then(0.001, 22.0, 1.0), ..shaped(unscraped(16.0)) }, Wrong::Promote),
        ("page dies after 50 s", shaped(unscraped(50.0)), Wrong::Either),
        ("page never answers", shaped(unscraped(0.0)), Wrong::Either),
        ("every answer not found", shaped(client_errors(0.02, 1.0)), Wrong::Promote),
        ("a fifth not found beside 2 %", shaped(client_errors(0.02, 0.2)), Wrong::Promote),
        ("all not found beside 40 %", shaped(client_errors(0.4, 1.0)), Wrong::Promote),
        ("2 % not found on both", shaped(client_errors(0.02, 0.02)), Wrong::Reject),
        ("40 % not found on both", shaped(client_errors(0.4, 0.4)), Wrong::Reject),
        ("a crawler, 50 a second, a minute at each pod", shaped(crawler(50.0, MINUTE)), Wrong::Reject),
        ("a crawler, 300 a second, 5 min at each pod", shaped(crawler(300.0, Duration::from_mins(5))), Wrong::Reject),
        ("one pod, 0.5 %", one_pod(0.005, independent), Wrong::Reject),
        ("one pod, 0.5 %, bursts of 8", one_pod(0.005, BURSTS), Wrong::Reject),
        ("one pod, at the limit, bursts of 8", one_pod(0.01, BURSTS), Wrong::Either),
        ("every 60 s, 0.5 %", every_minute(0.005, 0.005), Wrong::Reject),
        ("every 60 s, at the limit", every_minute(0.01, 0.01), Wrong::Either),
        ("every 60 s, fails from 50 s on", Setup { canary: then(0.001, 50.0, 1.0), ..every_minute(0.001, 0.001) }, Wrong::Promote),
        ("0.5 % slow on both", shaped(slow(0.005, 0.005, independent)), Wrong::Reject),
        ("0.5 % slow on both, together in bursts of 8", shaped(slow(0.005, 0.005, BURSTS)), Wrong::Reject),
        ("slow at the limit of 1 %", shaped(slow(0.005, 0.01, independent)), Wrong::Promote),
        ("slow at the limit, bursts of 8", shaped(slow(0.01, 0.01, BURSTS)), Wrong::Either),
        ("5 % slow beside 0.5 %", shaped(slow(0.005, 0.05, independent)), Wrong::Promote),
        ("limit between two buckets, 10 % beside 5 %", shaped(between_buckets(0.05, 0.1)), Wrong::Either),
        ("compiles for minutes", compiling(Duration::ZERO), Wrong::Nothing),
        ("compiles for minutes, warm-up 2 min", compiling(Duration::from_mins(2)), Wrong::Reject),
        ("two counters, 0.5 %", counters(2, 0.005), Wrong::Reject),
        ("four counters, 0.5 %", counters(4, 0.005), Wrong::Reject),
        ("four counters, at the limit", counters(4, 0.01), Wrong::Either),
        (
            "every page scraped twice, 0.5 %",
            Setup { shape: Shape { doubled: true, ..Shape::default() }, ..one_pod(0.005, independent) },
            Wrong::Reject,
        ),
        ("one pod of ten failed an hour ago", shaped(Shape { incident: true, ..Shape::default() }), Wrong::Reject),
        (
            "at the limit, one pod failed an hour ago",
            Setup { primary: steady(0.01), canary: steady(0.01), ..shaped(Shape { incident: true, ..Shape::default() }) },
            Wrong::Either,
        ),
    ]
    .into_iter()
    .map(|(name, setup, wrong)| Situation { name: name.to_owned(), setup, wrong })
    .collect()
}
