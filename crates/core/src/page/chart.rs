//! Lines over time in a box, as SVG written by hand: for the page, and for the picture in the README. Classes instead of colours, so that
//! whoever shows it has a sheet for light and for dark. Nothing that others wrote ever comes in here: numbers and words of our own alone.

use std::fmt::Write as _;

use crate::api::quantity::format_percentage;

/// The axis of evidence goes from one in a hundred to ten thousand; what is beyond is drawn at its edge.
const LEAST: f64 = -2.0;
const MOST: f64 = 4.0;
/// What an axis of time is divided by, in seconds; and into how many parts at most.
const STEPS: [f64; 12] = [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0];
const MOST_STEPS: f64 = 8.0;
/// Lines between the least and the most share.
const SHARES: u8 = 4;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Evidence: the natural logarithm of the x of "x:1".
    Ratio,
    /// Shares from nothing to this one.
    Share { most: f64 },
}

/// The box, and what its sides stand for.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// From the left to the right side.
    pub seconds: f64,
    pub scale: Scale,
}

/// This time rounded up to whole steps, and at least half a minute.
pub fn whole_steps(seconds: f64) -> f64 {
    let seconds = if seconds.is_finite() { seconds.max(30.0) } else { 30.0 };
    let step = step(seconds);
    (seconds / step).ceil() * step
}

fn step(seconds: f64) -> f64 {
    STEPS.into_iter().find(|step| seconds / step <= MOST_STEPS).unwrap_or_else(|| (seconds / MOST_STEPS / 86_400.0).ceil() * 86_400.0)
}

/// The next round share above this one.
pub fn round_share(share: f64) -> f64 {
    let share = if share.is_finite() { share.clamp(0.0001, 1.0) } else { 1.0 };
    let power = 10_f64.powf(share.log10().floor());
    let round = [1.0, 2.0, 4.0, 10.0].into_iter().map(|digit| digit * power).find(|round| *round >= share * (1.0 - 1e-9));
    round.unwrap_or(1.0).min(1.0)
}

// Writing to a String cannot fail.
impl Frame {
    pub fn across(&self, seconds: f64) -> f64 {
        self.left + (self.right - self.left) * seconds / self.seconds
    }

    pub fn up(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Ratio => ((value / std::f64::consts::LN_10).clamp(LEAST, MOST) - LEAST) / (MOST - LEAST),
            Scale::Share { most } => (value / most).clamp(0.0, 1.0),
        };
        self.bottom - (self.bottom - self.top) * share
    }

    /// Lines with what they stand for.
    pub fn grid(&self, svg: &mut String) {
        match self.scale {
            Scale::Ratio => {
                let mut power = LEAST;
                while power <= MOST {
                    let label =
                        if power < 0.0 { format!("1 : {:.0}", 10_f64.powf(-power)) } else { format!("{:.0} : 1", 10_f64.powf(power)) };
                    self.grid_line(svg, power * std::f64::consts::LN_10, &label);
                    power += 1.0;
                }
            }
            Scale::Share { most } => {
                for part in 0..=SHARES {
                    let share = most * f64::from(part) / f64::from(SHARES);
                    self.grid_line(svg, share, &format_percentage(share));
                }
            }
        }
    }

    fn grid_line(&self, svg: &mut String, value: f64, label: &str) {
        let (y, left, right) = (self.up(value), self.left, self.right);
        let _ = writeln!(svg, r#"<line class="grid" x1="{left}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#, left - 8.0, y + 4.0);
    }

    /// The times below.
    pub fn times(&self, svg: &mut String) {
        let step = step(self.seconds);
        let (unit, name) = match step {
            step if step < 60.0 => (1.0, "s"),
            step if step < 3600.0 => (60.0, "min"),
            _ => (3600.0, "h"),
        };
        let mut tick = 0.0;
        while tick <= self.seconds {
            let (x, y) = (self.across(tick), self.bottom + 18.0);
            let _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{:.0} {name}</text>"#, tick / unit);
            tick += step;
        }
    }

    /// A moment that counts.
    pub fn moment(&self, svg: &mut String, seconds: f64, label: &str) {
        let (x, top, bottom) = (self.across(seconds), self.top, self.bottom);
        let _ = writeln!(svg, r#"<line class="grid threshold" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{bottom}"/>"#);
        let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#, x - 6.0, bottom - 6.0);
    }

    /// A value that counts.
    pub fn threshold(&self, svg: &mut String, class: &str, value: f64, label: &str) {
        let (y, left, right) = (self.up(value), self.left, self.right);
        let _ = writeln!(svg, r#"<line class="threshold {class}" x1="{left}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#);
        let _ = writeln!(svg, r#"<text class="{class}" x="{:.1}" y="{:.1}">{label}</text>"#, left + 6.0, y - 5.0);
    }

    /// Seconds and values, from the left to the right.
    pub fn curve(&self, svg: &mut String, class: &str, points: &[(f64, f64)]) {
        let places: Vec<(f64, f64)> = points.iter().map(|(seconds, value)| (self.across(*seconds), self.up(*value))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, r#"<polyline class="line {class}" points="{}"/>"#, path.join(" "));
        for (x, y) in places {
            let _ = writeln!(svg, r#"<circle class="dot {class}" cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#);
        }
    }

    /// What a curve is, below the times.
    pub fn legend(svg: &mut String, class: &str, x: f64, y: f64, name: &str) {
        let _ = writeln!(svg, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">● {name}</text>"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_divided_into_few_whole_steps() {
        let steps = [0.0, 31.0, 121.0, 3_000.0, 90_000.0, 10_000_000.0, f64::NAN].map(whole_steps);
        let whole = steps.map(|seconds| format!("{seconds}"));
        assert_eq!(whole, ["30", "45", "150", "3000", "100800", "10368000", "30"]);
        assert!(steps.iter().all(|seconds| seconds / step(*seconds) <= MOST_STEPS), "{steps:?}");
    }

    #[test]
    fn shares_are_rounded_up() {
        let rounded = [0.0, 0.01, 0.011, 0.25, 0.5, 3.0, f64::NAN].map(|share| format_percentage(round_share(share)));
        assert_eq!(rounded, ["0.01%", "1%", "2%", "40%", "100%", "100%", "100%"]);
    }

    #[test]
    fn whatever_is_counted_stays_in_the_box() {
        for scale in [Scale::Ratio, Scale::Share { most: 0.02 }] {
            let frame = Frame { left: 0.0, right: 100.0, top: 0.0, bottom: 50.0, seconds: 60.0, scale };
            for value in [-1e300, -1.0, 0.0, 0.01, 5.0, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
                assert!((0.0..=50.0).contains(&frame.up(value)), "{value} at {}", frame.up(value));
            }
        }
    }
}
