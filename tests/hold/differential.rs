//! Whatever a client does, the end is what it would have been without Coalmine, only later, or not at all: random sequences of requests
//! to an opted-in Deployment, and to one that no Coalmine knows, which gets the requests that passed, and those whose template was
//! promoted when it was.

mod again;
mod clean_up;
mod files;
mod gates;
mod nulls;
mod random;
mod regressions;
mod step;
mod twice;
mod undo;

use std::sync::atomic::{AtomicU32, Ordering};

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::{object, template},
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use rstest::rstest;
use serde_json::Value;

use self::step::{Step, pause, send};
use crate::support::{
    namespace::{Namespace, Records, held, records},
    results::row,
};

/// Both Deployments.
struct Worlds {
    held: Namespace,
    plain: Namespace,
    /// The requests whose template is held: one, or what each applier that has a part in it stated last, and each time that it came again.
    pending: Vec<Pending>,
    promotions: u32,
    /// Revisions count.
    undoes: bool,
    /// The plain one has revisions that the other one does not: nothing can be undone in both alike any more.
    has_more_revisions: bool,
    /// Of the held one's namespace, by which nothing is promoted.
    frozen: bool,
}

/// A request that is made to the plain Deployment when the held template is promoted.
struct Pending {
    step: Step,
    /// It stated the live template while another one was held.
    is_live: bool,
}

impl Pending {
    fn held(step: &Step) -> Self {
        Self { step: step.clone(), is_live: false }
    }
}

impl Worlds {
    /// `None` when nothing can be created from the first file.
    fn begin(steps: &[Step]) -> Option<Self> {
        let worlds = Self {
            held: Namespace::new(),
            plain: Namespace::without_coalmine(),
            pending: Vec::new(),
            promotions: 0,
            undoes: steps.contains(&Step::Undo),
            has_more_revisions: false,
            frozen: false,
        };
        let created = [&worlds.held, &worlds.plain].map(|world| send(world, &steps[0], false).is_ok());
        assert_eq!(created[0], created[1], "Coalmine refuses nothing that is created");
        created[0].then_some(worlds)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Reject => {
                if self.phase().is_some_and(Phase::is_trying) {
                    self.held.judge(Phase::Rejected, "error rate 48.1%");
                }
            }
            Step::Promote => self.promote(),
            Step::Gate(gate) => self.gate(*gate),
            Step::Undo if self.has_more_revisions => {}
            Step::Undo => self.undo(),
            Step::CleanUp(manager) => self.clean_up(manager),
            Step::OwnAnnotations => self.around_the_template(step.clone()),
            Step::Scale(replicas) if self.held.app()["spec"]["replicas"] == *replicas => {}
            request => self.request(request),
        }
    }

    fn request(&mut self, step: &Step) {
        // What that left must be the same for both.
        if self.depends_on_pending(step) {
            self.promote();
            if self.depends_on_pending(step) {
                return;
            }
        }
        self.await_revisions();
        let before = self.held.app();
        if let Err(refused) = send(&self.held, step, false) {
            if clean_up::is_asked_for(&refused) {
                return;
            }
            let plain = send(&self.plain, step, true);
            assert!(plain.is_err(), "only Coalmine refuses {step:?}: {refused}");
            return;
        }
        let after = self.held.app();
        let annotation = |app: &Value| object::annotation(app, key::HELD).map(str::to_owned);
        let changes = self.would_change_the_template(step);
        if annotation(&after).is_some() && changes {
            // Held, or the held template again, which leaves a record of its own only if it says more.
            if self.pending.iter().any(|pending| pending.step == *step) {
                self.held_again(step);
            } else if annotation(&after) != annotation(&before) {
                self.held_now(&before, &after, step);
            }
            return;
        }
        if annotation(&after).is_none() {
            self.forget_pending();
        }
        send(&self.plain, step, false).expect("what passed with Coalmine passes without");
        let may_end = step.is_file() || *step == Step::OptOut || changes;
        assert!(annotation(&after).is_some() || annotation(&before).is_none() || may_end, "withdrawn by {step:?}");
        if annotation(&after).is_none() {
            self.compare("after a request that passed");
        }
        // Who states the live template takes its part of the held one back, and after the others' says what it leaves empty.
        if let Some(applier) = step.applier() {
            let said_so = self.pending.last().is_some_and(|pending| pending.is_live && pending.step == *step);
            self.pending.retain(|pending| pending.step.applier() != Some(applier));
            if annotation(&after).is_some() && (said_so || annotation(&after) != annotation(&before)) {
                self.pending.push(Pending { step: step.clone(), is_live: true });
            }
        }
    }

    /// An applier that states its part once more, after others did, says who owns what by it.
    fn held_again(&mut self, step: &Step) {
        if self.pending.last().map(|pending| &pending.step) != Some(step) {
            self.pending.push(Pending::held(step));
        }
    }

    /// Appliers come together, each with the last that it stated, where their parts can be merged; anything else stands alone.
    fn held_now(&mut self, before: &Value, after: &Value, step: &Step) {
        let together = held(after).expect("a held template").contributions;
        if step.is_change() {
            // It comes to all that is on trial. What was kept out gets no change, and a program's own wish is a whole one.
            let on_trial = held(before).filter(|_| object::phase(object::annotations(before)).is_some_and(Phase::is_trying));
            let is_own = on_trial.as_ref().is_some_and(|held| held.manager == "operator") && matches!(step, Step::Operate(_));
            if on_trial.is_none() || is_own {
                self.forget_pending();
            } else {
                assert!(!together.is_empty(), "{step:?} is made to what is on trial");
            }
        } else {
            let of_part = |applier: Option<&str>| together.iter().any(|part| Some(part.manager.as_str()) == applier);
            // What was changed in between was changed of what had been stated before.
            let changes = together.iter().any(|part| part.change);
            self.pending.retain(|Pending { step: pending, is_live }| {
                let has_part = of_part(pending.applier()) || (*is_live && !together.is_empty());
                let is_around = matches!(pending, Step::CleanUp(_) | Step::OwnAnnotations);
                is_around || ((changes || has_part) && (pending.applier().is_none() || pending.applier() != step.applier()))
            });
        }
        self.pending.push(Pending::held(step));
    }

    fn would_change_the_template(&self, step: &Step) -> bool {
        let merged = send(&self.plain, step, true).expect("what passed with Coalmine passes without");
        !template::same(object::template(&merged), object::template(&self.plain.app()))
    }

    fn promote(&mut self) {
        if !self.phase().is_some_and(Phase::is_trying) || !self.is_let() {
            return;
        }
        self.await_revisions();
        self.held.promote();
        let pending = std::mem::take(&mut self.pending);
        let steps: Vec<Step> = pending.iter().map(|pending| pending.step.clone()).collect();
        assert!(!steps.is_empty(), "a request that was held");
        // What was tried together is one revision. A paused Deployment can't be undone, so that there are two of that in the plain one.
        let with_undo = steps.len() > 1 && steps.contains(&Step::Undo);
        self.has_more_revisions |= with_undo;
        let together = self.undoes && steps.len() > 1 && !with_undo;
        if together {
            pause(&self.plain, true);
        }
        for step in &steps {
            if self.make_plainly(step) {
                continue;
            }
            if *step == Step::Undo {
                self.plain.await_seen();
                self.plain.kubectl.run(&["rollout", "undo", "deployment/app"]).succeeded();
            } else {
                send(&self.plain, step, false).expect("what could be promoted passes without Coalmine");
            }
        }
        if together {
            pause(&self.plain, false);
        }
        self.promotions += 1;
        self.state_the_rest(&pending);
        self.compare("after a promotion");
        for step in steps.iter().filter(|step| step.is_file() && !matches!(step, Step::Put(_))) {
            self.again(step);
        }
    }

    fn phase(&self) -> Option<Phase> {
        object::phase(object::annotations(&self.held.app()))
    }

    #[track_caller]
    fn compare(&self, when: &str) {
        let of = |namespace: &Namespace| {
            let records = records(&namespace.app());
            Records { last_applied: records.last_applied.map(|text| text.replace(&namespace.name, "NAMESPACE")), ..records }
        };
        let (left, right) = (of(&self.held), of(&self.plain));
        let first = template::first_difference(&left.spec, &right.spec, "spec").unwrap_or_else(|| "the records".to_owned());
        assert_eq!(left, right, "{when}: {first}");
    }

    /// Brings a hold that is left to its end, so that all records can be compared.
    fn end(&mut self) {
        if self.phase().is_some_and(Phase::is_kept_out) {
            self.held.kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.retry=again"]).succeeded();
            self.plain.kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.retry=again"]).succeeded();
        }
        self.open_gates();
        self.promote();
        self.compare("at the end");
        assert_eq!(held(&self.held.app()), None);
    }
}

fn run(steps: &[Step]) -> Option<Worlds> {
    let mut worlds = Worlds::begin(steps)?;
    for step in &steps[1..] {
        worlds.take(step);
    }
    worlds.end();
    Some(worlds)
}

/// Spread over four tests, which run side by side. The same forty each time, so that what fails was broken by a change; `COALMINE_SEQUENCES`
/// says how many others to try, and `COALMINE_SEED` which, to try those of a run before again.
#[rstest]
#[ignore = "needs a control plane"]
fn random_sequences_end_as_without_coalmine(#[values(1, 2, 3, 4)] part: u32) {
    let _row = row("random sequences of all of these", "kubectl, both ways, and patches", "as without Coalmine");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let wanted = number("COALMINE_SEQUENCES");
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let seed = number("COALMINE_SEED").unwrap_or_else(|| wanted.map_or(0, |_| now()));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed, part.into(), 0, 0].map(u64::to_le_bytes).concat());
    let (sequences, steps, promotions) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let config = Config {
        cases: u32::try_from(wanted.unwrap_or(40).div_ceil(4)).expect("not as many"),
        failure_persistence: None,
        max_shrink_iters: number("COALMINE_SHRINK").map_or(80, |most| u32::try_from(most).expect("not as many")),
        ..Config::default()
    };
    let result = TestRunner::new_with_rng(config, rng).run(&random::any_sequence(), |sequence| {
        let worlds = match std::panic::catch_unwind(|| run(&sequence)) {
            Ok(Some(worlds)) => worlds,
            Ok(None) => return Err(TestCaseError::reject("the first file is refused")),
            Err(_) => return Err(TestCaseError::fail("the two Deployments differ: see above")),
        };
        sequences.fetch_add(1, Ordering::Relaxed);
        let requests = sequence.iter().filter(|step| step.is_request()).count();
        steps.fetch_add(u32::try_from(requests).unwrap_or_default(), Ordering::Relaxed);
        promotions.fetch_add(worlds.promotions, Ordering::Relaxed);
        Ok(())
    });
    println!(
        "part {part} of seed {seed}: {} random sequences, {} requests, {} promotions",
        sequences.into_inner(),
        steps.into_inner(),
        promotions.into_inner()
    );
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
