//! Means and variances of the samplers, against what they are by definition.

use coalmine_simulate::random::{Random, normal_tail};

const DRAWS: u32 = 100_000;

fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..DRAWS {
        let value = draw();
        sum += value;
        squares += value * value;
    }
    let mean = sum / f64::from(DRAWS);
    (mean, squares / f64::from(DRAWS) - mean * mean)
}

fn assert_near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{found}, not {expected}");
}

#[test]
fn poisson_counts_have_the_same_mean_and_variance() {
    let mut random = Random::new(1, 0);
    for expected in [0.05, 0.7, 5.0, 9.99, 10.01, 30.0, 1364.0, 136_400.0] {
        let (mean, variance) = moments(|| random.poisson(expected));
        assert_near(mean, expected, 0.05);
        assert_near(variance, expected, 0.08);
    }
    assert!(random.poisson(0.0) <= 0.0);
}

/// Whole distributions, not moments alone, on both sides of where the algorithm changes.
#[test]
fn poisson_counts_are_as_frequent_as_they_should() {
    let mut random = Random::new(2, 0);
    for mean in [9.0, 12.0] {
        let mut seen = [0_u32; 40];
        for _ in 0..DRAWS {
            let count = random.poisson(mean);
            if let Some(slot) = (0..40_u32).position(|slot| (f64::from(slot) - count).abs() < 0.5) {
                seen[slot] += 1;
            }
        }
        let mut probability = (-mean).exp();
        for (count, seen) in (0_u32..).zip(seen) {
            let expected = probability * f64::from(DRAWS);
            assert!((f64::from(seen) - expected).abs() < 5.0 * expected.sqrt() + 3.0, "{count} of {mean}: {seen}, not {expected}");
            probability *= mean / f64::from(count + 1);
        }
    }
}

#[test]
fn gamma_beta_geometric_and_normal() {
    let mut random = Random::new(3, 0);
    for shape in [0.33, 1.0, 11.1, 332.0] {
        let (mean, variance) = moments(|| random.gamma(shape));
        assert_near(mean, shape, 0.03);
        assert_near(variance, shape, 0.08);
    }
    let (mean, variance) = moments(|| random.beta(3.0, 7.0));
    assert_near(mean, 0.3, 0.02);
    assert_near(variance, 0.3 * 0.7 / 11.0, 0.05);
    let (mean, variance) = moments(|| random.geometric(8.0));
    assert_near(mean, 8.0, 0.02);
    assert_near(variance, 56.0, 0.05);
    let (mean, variance) = moments(|| random.normal());
    assert!(mean.abs() < 0.02);
    assert_near(variance, 1.0, 0.03);
    assert_near(normal_tail(0.0), 0.5, 1e-6);
    assert_near(normal_tail(1.959_963_985), 0.025, 1e-4);
}

#[test]
fn runs_and_experiments_have_streams_of_their_own() {
    let first = |experiment, run| Random::new(experiment, run).uniform().to_bits();
    assert_eq!(first(1, 1), first(1, 1));
    assert_ne!(first(1, 1), first(1, 2));
    assert_ne!(first(1, 1), first(2, 1));
}
