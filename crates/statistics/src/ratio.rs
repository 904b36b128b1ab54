//! The canary's value of a check as a multiple of the primary's, which may be zero (statistics, section 11).

/// Medians of the same steps, and the primary's 90th percentile in them. None is undecided: it neither fails nor passes.
///
/// A canary at or below `ignore_below` is never worse. Beside a primary that was zero half of the time its 90th percentile stands for it.
pub fn ratio(canary: f64, primary: f64, primary_p90: f64, ignore_below: f64) -> Option<f64> {
    if !(canary >= 0.0 && primary >= 0.0) {
        return None;
    }
    if canary <= ignore_below {
        return Some(if primary > 0.0 { (canary / primary).min(1.0) } else { 1.0 });
    }
    let usual = if primary > 0.0 { primary } else { primary_p90 };
    let beside = usual.max(ignore_below);
    (beside > 0.0).then(|| canary / beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_undecided() {
        assert_eq!(ratio(f64::NAN, 1.0, 1.0, 0.0), None);
        assert_eq!(ratio(1.0, f64::NAN, 1.0, 0.0), None);
        assert_eq!(ratio(1.0, 0.0, f64::NAN, 0.0), None);
    }
}
