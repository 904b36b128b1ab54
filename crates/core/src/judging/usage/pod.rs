//! What one object of the resource metrics API says of a pod. Reads it, and judges nothing.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::quantity::parse_duration;
use crate::manifest::object;

/// Of all containers together, in cores and in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Amounts {
    pub(super) cpu: f64,
    pub(super) memory: f64,
}

/// What one pod used.
#[derive(Debug, Clone, PartialEq)]
pub struct PodUsage {
    pub(super) name: String,
    /// The time that it is about. CPU is the average of it, memory what it was at its end.
    pub(super) began: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) amounts: Amounts,
}

impl PodUsage {
    /// Of a `PodMetrics`; `None` for what isn't one, or lacks a number: half of a pod is no pod.
    pub fn of(metrics: &Value) -> Option<Self> {
        let ended: Timestamp = metrics["timestamp"].as_str()?.parse().ok()?;
        let window = parse_duration(metrics["window"].as_str()?)?;
        let mut amounts = Amounts::default();
        for container in metrics["containers"].as_array().filter(|containers| !containers.is_empty())? {
            let amount = |resource: &str| container["usage"][resource].as_str().and_then(quantity);
            amounts.cpu += amount("cpu")?;
            amounts.memory += amount("memory")?;
        }
        let began = ended.checked_sub(window).ok()?;
        Some(Self { name: object::name(metrics).to_owned(), began, ended, amounts })
    }
}

/// As Kubernetes writes amounts: `250m`, `1234567n`, `128Mi`, `1e9`.
fn quantity(text: &str) -> Option<f64> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = text.parse() {
        return Some(number).filter(|amount: &f64| amount.is_finite());
    }
    let (number, suffix) = text.split_at(text.find(|next: char| !next.is_ascii_digit() && next != '.')?);
    let number: f64 = number.parse().ok()?;
    Some(number * factor(suffix)?)
}

fn factor(suffix: &str) -> Option<f64> {
    let factors = [("n", 1e-9), ("u", 1e-6), ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
    let binary = [("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4)].map(|(name, power)| (name, 1024_f64.powi(power)));
    factors.into_iter().chain(binary).find(|(name, _)| *name == suffix).map(|(_, factor)| factor)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("250m", Some(0.25))]
    #[case("137209714n", Some(0.137_209_714))]
    #[case("2", Some(2.0))]
    #[case("0", Some(0.0))]
    #[case("1e9", Some(1e9))]
    #[case("137020Ki", Some(140_308_480.0))]
    #[case("1.5Gi", Some(1_610_612_736.0))]
    #[case("12M", Some(12e6))]
    #[case("-5", None)]
    #[case("inf", None)]
    #[case("1e999", None)]
    #[case("12Xi", None)]
    #[case("", None)]
    fn amounts(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(quantity(text), expected);
    }

    #[test]
    fn all_containers_are_the_pod_and_half_of_it_is_nothing() {
        let mut metrics = json!({
            "metadata": {"name": "app-6d5f-aaaaa"},
            "timestamp": "2026-11-28T08:00:30Z",
            "window": "15.5s",
            "containers": [
                {"name": "app", "usage": {"cpu": "200m", "memory": "100Mi"}},
                {"name": "proxy", "usage": {"cpu": "50m", "memory": "28Mi"}},
            ],
        });
        let usage = PodUsage::of(&metrics).unwrap();
        assert_eq!(usage.amounts, Amounts { cpu: 0.25, memory: 128.0 * 1024.0 * 1024.0 });
        assert_eq!(usage.began.to_string(), "2026-11-28T08:00:14.5Z");
        metrics["containers"][1]["usage"] = json!({"cpu": "50m"});
        assert_eq!(PodUsage::of(&metrics), None);
        metrics["containers"] = json!([]);
        assert_eq!(PodUsage::of(&metrics), None);
        assert_eq!(PodUsage::of(&json!("anything")), None);
    }
}
