//! Answers that are neither good nor the server's own errors, by comparison with the primary (statistics, section 4).
//!
//! They are the clients' fault until the canary has far more of them, or far fewer good answers, than the primary. Nothing here promotes.
//! Requests beyond what a pod has for sure are taken for those of one client that sticks to the canary and is the only one to fail there:
//! a crawler adds requests, a broken release does not. Taking them off only lowers the evidence.

use super::evenness::Evenness;
use super::evidence::{ABOVE, BELOW, ln_add_exp};
use super::process::{Observation, Process, cap, ln_start};
use super::silence::HOLDS;
use super::{Dispersion, Strength};

/// The tolerated multiple of the primary's share of client errors.
pub const RATIO: f64 = 3.0;
/// Below this share nothing is harm; the larger one while the canary warms up.
const FLOOR: f64 = 0.05;
const WARM_UP_FLOOR: f64 = 0.25;
/// The part of an ordinary pod's requests that a pod has for sure: at least, and while nothing is known.
const LEAST_SURE: f64 = 0.5;
const SURE_IF_UNKNOWN: f64 = 0.75;

/// Requests, and how many of them were answered with a client error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientCounts {
    pub requests: f64,
    pub client_errors: f64,
}

impl ClientCounts {
    fn good(self) -> f64 {
        self.requests - self.client_errors
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
    }

    fn sane(self) -> Self {
        let super::Counts { requests, errors } = super::Counts::new(self.requests, self.client_errors).sane();
        Self { requests, client_errors: errors }
    }

    /// Without what is beyond `sure` requests, as far as that can be client errors.
    fn without_excess(self, sure: f64) -> Self {
        let excess = if sure > 0.0 { (self.requests - sure).max(0.0).min(self.client_errors) } else { 0.0 };
        Self { requests: self.requests - excess, client_errors: self.client_errors - excess }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientLook {
    pub canary: ClientCounts,
    pub primary: ClientCounts,
    /// Requests of an ordinary pod of the primary: see [`super::typical`].
    pub ordinary: f64,
    pub warm_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientParameters {
    /// Chance that a canary that is no worse is ever rejected.
    pub alpha: f64,
    /// The limit of the error rate, if that is above the floor.
    pub limit: f64,
    /// Looks of the longest analysis.
    pub planned: usize,
    /// Of client errors.
    pub dispersion: Dispersion,
    pub evenness: Option<Evenness>,
}

impl ClientParameters {
    pub(crate) fn floor(&self) -> f64 {
        if self.limit > FLOOR { self.limit.min(1.0) } else { FLOOR }
    }

    /// Of the primary's pods none had less than the smallest part: the canary will have as much by itself.
    fn sure_part(&self) -> f64 {
        self.evenness.map_or(SURE_IF_UNKNOWN, |evenness| evenness.smallest.clamp(LEAST_SURE, 1.0))
    }
}

/// Natural logarithms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientEvidence {
    /// The canary's share of client errors is above the floor.
    pub ln_floor: f64,
    /// It is above [`RATIO`] times the primary's.
    pub ln_more: f64,
    /// The canary's share of good answers is below the primary's divided by [`RATIO`]. Beside a primary with many client errors three times as many is impossible.
    pub ln_good: f64,
}

impl ClientEvidence {
    /// Each of "more" and "fewer good ones" has the same null, that the canary is no worse, so their mean is an e-process; the smaller one of
    /// that and of "above the floor" is evidence against "not above the floor, or no worse".
    fn ln_harm(self) -> f64 {
        self.ln_floor.min(ln_add_exp(self.ln_more, self.ln_good) - 2.0_f64.ln())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientErrors {
    /// Without what may be one client's: what rejects.
    pub evidence: ClientEvidence,
    pub ln_harm: f64,
    /// With it: what holds.
    pub ln_plain: f64,
    /// The look, from 1 on, at which the evidence was enough to reject. It stays.
    pub rejected_at: Option<usize>,
    /// Nothing is promoted at present.
    pub holds: bool,
    pub against: Strength,
    /// All looks together.
    pub canary: ClientCounts,
    pub primary: ClientCounts,
    /// Requests of the canary that were taken for one client's.
    pub left_out: f64,
}

#[derive(Clone, Debug)]
struct Chain {
    floor: Process,
    more: Process,
    good: Process,
}

impl Chain {
    fn new(alpha: f64) -> Self {
        let cap = cap(alpha);
        Self { floor: Process::with_prior(&ABOVE, cap), more: Process::with_prior(&ABOVE, cap), good: Process::with_prior(&BELOW, cap) }
    }

    fn push(&mut self, ln_start: f64, canary: ClientCounts, primary: ClientCounts, floor: f64, dispersion: Dispersion) {
        let share = |canary_weight: f64, primary_weight: f64| {
            let weighted = canary_weight * canary.requests;
            if weighted > 0.0 { weighted / (weighted + primary_weight * primary.requests) } else { 0.0 }
        };
        self.floor.push_from(
            ln_start,
            Observation { hits: canary.client_errors, trials: canary.requests, probability: floor, dispersion: dispersion.scrape },
        );
        self.more.push_from(
            ln_start,
            Observation {
                hits: canary.client_errors,
                trials: canary.client_errors + primary.client_errors,
                probability: share(RATIO, 1.0),
                dispersion: dispersion.window,
            },
        );
        self.good.push_from(
            ln_start,
            Observation {
                hits: canary.good(),
                trials: canary.good() + primary.good(),
                probability: share(1.0, RATIO),
                dispersion: dispersion.window,
            },
        );
    }

    fn evidence(&self) -> ClientEvidence {
        ClientEvidence { ln_floor: self.floor.ln_evidence(), ln_more: self.more.ln_evidence(), ln_good: self.good.ln_evidence() }
    }
}

/// Folds looks, or the blocks that they were joined to.
#[derive(Clone, Debug)]
pub struct ClientErrorTest {
    parameters: ClientParameters,
    looks: usize,
    without_excess: Chain,
    plain: Chain,
    canary: ClientCounts,
    primary: ClientCounts,
    left_out: f64,
    rejected_at: Option<usize>,
}

impl ClientErrorTest {
    pub fn new(parameters: ClientParameters) -> Self {
        let parameters =
            ClientParameters { alpha: parameters.alpha.clamp(1e-12, 0.5), dispersion: parameters.dispersion.sane(), ..parameters };
        Self {
            parameters,
            looks: 0,
            without_excess: Chain::new(parameters.alpha),
            plain: Chain::new(parameters.alpha),
            canary: ClientCounts::default(),
            primary: ClientCounts::default(),
            left_out: 0.0,
            rejected_at: None,
        }
    }

    pub fn push(&mut self, look: &ClientLook) {
        let (canary, primary) = (look.canary.sane(), look.primary.sane());
        let floor = if look.warm_up { self.parameters.floor().max(WARM_UP_FLOOR) } else { self.parameters.floor() };
        let ln_start = ln_start(self.looks, self.parameters.planned);
        let kept = canary.without_excess(self.parameters.sure_part() * look.ordinary);
        self.without_excess.push(ln_start, kept, primary, floor, self.parameters.dispersion);
        self.plain.push(ln_start, canary, primary, floor, self.parameters.dispersion);
        self.looks += 1;
        self.canary.add(canary);
        self.primary.add(primary);
        self.left_out += canary.requests - kept.requests;
        if self.rejected_at.is_none() && self.against().is_enough() {
            self.rejected_at = Some(self.looks);
        }
    }

    pub fn result(&self) -> ClientErrors {
        let evidence = if self.looks > 0 { self.without_excess.evidence() } else { ClientEvidence::default() };
        let ln_plain = self.ln_harm(&self.plain);
        ClientErrors {
            evidence,
            ln_harm: self.ln_kept(),
            ln_plain,
            rejected_at: self.rejected_at,
            holds: ln_plain >= HOLDS.ln(),
            against: self.against(),
            canary: self.canary,
            primary: self.primary,
            left_out: self.left_out,
        }
    }

    fn against(&self) -> Strength {
        Strength::at_level(self.ln_kept(), self.parameters.alpha)
    }

    /// Leaving one client's requests out may only speak for the canary, never against it: the comparison with the primary alone doesn't promise that.
    fn ln_kept(&self) -> f64 {
        self.ln_harm(&self.without_excess).min(self.ln_harm(&self.plain))
    }

    /// A primary that says nothing is no comparison.
    fn ln_harm(&self, chain: &Chain) -> f64 {
        if self.primary.requests > 0.0 { chain.evidence().ln_harm() } else { 0.0 }
    }
}

/// All looks at once, as they are.
pub fn client_errors(looks: &[ClientLook], parameters: ClientParameters) -> ClientErrors {
    let mut test = ClientErrorTest::new(parameters);
    for look in looks {
        test.push(look);
    }
    test.result()
}
