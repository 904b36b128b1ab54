//! Two replicas that lead, while they, the API server, etcd, the lease and the source fail at random and users change their minds. What
//! holds whatever happens: the primary runs what was live or a template that proved itself; nothing that a user asked for is lost; nobody
//! who waits is told that it is over; all runs end, and nothing is left of them; no process ends by itself.

mod kubelet;
mod replicas;
mod schedule;
mod sink;
mod source;
mod stage;
mod told;
mod usage;
mod users;
mod watching;
mod world;

use std::{collections::BTreeMap, time::Instant};

use self::{
    schedule::Schedule,
    stage::{Outcome, Stage},
};
use crate::support::{control_plane::api_server, results::row};

/// As many schedules as are tried to make a failing one shorter.
const MOST_ATTEMPTS: usize = 24;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One schedule, always the same; `COALMINE_SCHEDULES` says how many, `COALMINE_SEED` the first one's seed, `COALMINE_USERS` how many users
/// each has, and `COALMINE_EVENTS` (such as `0,3,7`) which of its events alone happen. With `COALMINE_SHRINK` a schedule that fails is played
/// again with less and less.
#[test]
#[ignore = "needs a control plane of its own"]
fn whatever_fails_no_template_is_lost_and_none_is_live_unproven() {
    let _row = row(
        "random requests while replicas are killed, paused and cut off, the lease is lost, and API server, etcd and source fail",
        "kubectl, both ways, and patches",
        "nothing lost, nothing unproven live, all runs end",
    );
    let first = number("COALMINE_SEED").unwrap_or(1);
    let count = number("COALMINE_SCHEDULES").unwrap_or(1);
    let users = number("COALMINE_USERS").unwrap_or(6);
    let mut stage = Stage::new(api_server());
    let mut failed = Vec::new();
    let mut phases: BTreeMap<String, usize> = BTreeMap::new();
    for seed in first..first + count {
        let mut schedule = Schedule::random(seed, usize::try_from(users).expect("not as many"));
        if let Ok(chosen) = std::env::var("COALMINE_EVENTS") {
            let chosen: Vec<usize> = chosen.split(',').map(|number| number.parse().expect("numbers of events")).collect();
            schedule = schedule.of(&chosen);
        }
        let outcome = play(&mut stage, &schedule);
        for phase in outcome.phases {
            *phases.entry(phase).or_default() += 1;
        }
        if outcome.violations.is_empty() {
            continue;
        }
        failed.push(seed);
        println!("seed {seed} with {users} users fails:\n{}", schedule.lines());
        if std::env::var_os("COALMINE_SHRINK").is_some() {
            let shortest = shrink(&mut stage, &schedule);
            println!("the shortest that fails of seed {seed}:\n{}", shortest.lines());
        }
    }
    println!("{count} schedules from seed {first}, {users} users each: {phases:?}");
    assert!(failed.is_empty(), "schedules of these seeds fail: {failed:?}; see above, and {:?}", stage.logs());
}

fn play(stage: &mut Stage, schedule: &Schedule) -> Outcome {
    let began = Instant::now();
    let outcome = stage.play(schedule);
    let (events, seconds) = (schedule.events.len(), began.elapsed().as_secs());
    println!("seed {}: {events} events, {seconds} s, {} violations", schedule.seed, outcome.violations.len());
    outcome
}

/// Leaves out ever smaller parts, as long as what is left still fails.
fn shrink(stage: &mut Stage, schedule: &Schedule) -> Schedule {
    let mut kept: Vec<usize> = (0..schedule.events.len()).collect();
    let (mut part, mut attempts) = (kept.len().div_ceil(2), 0);
    while part > 0 && attempts < MOST_ATTEMPTS {
        let mut from = 0;
        while from < kept.len() && attempts < MOST_ATTEMPTS {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + part).min(kept.len()));
            attempts += 1;
            if play(stage, &schedule.of(&fewer)).violations.is_empty() { from += part } else { kept = fewer }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    println!("COALMINE_EVENTS={}", kept.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
    schedule.of(&kept)
}
