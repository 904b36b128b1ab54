//! A small deterministic generator and the distributions that traffic needs. Same seed, same traffic, on every machine.
//!
//! Not for secrets. Counts are `f64`, as in the statistics.

/// xoshiro256++ (Blackman and Vigna, public domain).
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Random {
    /// A stream of its own for each run of each experiment.
    pub fn new(experiment: u64, run: u64) -> Self {
        let mut state = split_mix(&mut experiment.wrapping_add(1)) ^ run.wrapping_mul(0xd134_2543_de82_ef95);
        Self(std::array::from_fn(|_| split_mix(&mut state)))
    }

    /// This stream, and as many others as make `count` in all.
    pub fn split(mut self, count: usize) -> Vec<Self> {
        let mut streams: Vec<Self> = (1..count).map(|_| Self::new(self.next(), self.next())).collect();
        streams.insert(0, self);
        streams
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Above zero, below one.
    pub fn uniform(&mut self) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        ((self.next() >> 11) as f64 + 0.5) / STEPS
    }

    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    pub fn poisson(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            0.0
        } else if mean < 10.0 {
            self.small_poisson(mean)
        } else {
            self.large_poisson(mean)
        }
    }

    /// How many uniform factors keep a product above e^-mean.
    fn small_poisson(&mut self, mean: f64) -> f64 {
        let least = (-mean).exp();
        let (mut product, mut count) = (self.uniform(), 0.0);
        while product > least {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }

    /// Transformed rejection with squeeze (Hörmann 1993, PTRS).
    fn large_poisson(&mut self, mean: f64) -> f64 {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let ready = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let distance = 0.5 - u.abs();
            let count = ((2.0 * a / distance + b) * u + mean + 0.43).floor();
            if distance >= 0.07 && v <= ready {
                return count;
            }
            if count < 0.0 || (distance < 0.013 && v > distance) {
                continue;
            }
            let left = v.ln() + inverse_alpha.ln() - (a / (distance * distance) + b).ln();
            if left <= count * mean.ln() - mean - ln_factorial(count) {
                return count;
            }
        }
    }

    /// Marsaglia and Tsang 2000.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.uniform().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.gamma(a), self.gamma(b));
        if x + y > 0.0 { x / (x + y) } else { 0.0 }
    }

    /// One or more.
    pub fn geometric(&mut self, mean: f64) -> f64 {
        if mean <= 1.0 {
            return 1.0;
        }
        1.0 + (self.uniform().ln() / (1.0 - 1.0 / mean).ln()).floor()
    }

    /// A whole number from 0 to `below` - 1, as a float.
    pub fn pick(&mut self, below: f64) -> f64 {
        (self.uniform() * below).floor()
    }
}

fn ln_factorial(count: f64) -> f64 {
    const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_7;
    // Stirling's series needs a large argument: walk up to it.
    let (mut x, mut below) = (count + 1.0, 0.0);
    while x < 10.0 {
        below += x.ln();
        x += 1.0;
    }
    (x - 0.5) * x.ln() - x + HALF_LN_TWO_PI + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) - below
}

/// Chance that a standard normal is above `x`, for x >= 0 (Abramowitz and Stegun 26.2.17; seven digits).
pub fn normal_tail(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let polynomial = t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    polynomial * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
