//! Every look of every published vector, computed twice elsewhere (float64 recursion; sixty digits from the definitions).
//!
//! The column `ln_kt_at_limit` is left out: it belongs to the Krichevsky-Trofimov mixture that the design compares itself with, and no
//! verdict uses it.

use std::time::Duration;

use super::{Counts, Deadline, Dispersion, Look, Parameters, SequentialTest, Verdict, lower_bound, upper_bound};

const VECTORS: &str = include_str!("../testdata/golden.csv");
const TOLERANCE: f64 = 1e-9;

struct Row<'a> {
    columns: &'a [&'a str],
    fields: Vec<&'a str>,
}

impl Row<'_> {
    fn text(&self, column: &str) -> &str {
        self.fields[self.columns.iter().position(|name| *name == column).unwrap()]
    }

    fn number(&self, column: &str) -> f64 {
        self.text(column).parse().unwrap()
    }

    /// Vectors count time in looks: one look is one second here.
    fn whole(&self, column: &str) -> u64 {
        self.text(column).parse().unwrap()
    }

    fn parameters(&self) -> Parameters {
        Parameters {
            alpha: self.number("alpha"),
            beta: self.number("beta"),
            limit: self.number("limit"),
            ratio: self.number("ratio"),
            floor: self.number("floor"),
            warm_up_floor: self.number("warm_floor"),
            looks: self.text("looks").parse().unwrap(),
            bake: Duration::from_secs(self.whole("bake")),
            min_requests: self.number("min_requests"),
            dispersion: Dispersion { scrape: self.number("phi_s"), window: self.number("phi_w") },
            may_reject: true,
        }
    }

    fn look(&self) -> Look {
        Look {
            canary: Counts::new(self.number("nc"), self.number("kc")),
            primary: Counts::new(self.number("np"), self.number("kp")),
            warm_up: self.text("warm") == "1",
            interval: Duration::from_secs(1),
        }
    }

    fn assert_equals(&self, column: &str, found: f64) {
        let expected = self.number(column);
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error <= TOLERANCE, "{} look {}: {column} is {found}, not {expected}", self.text("case"), self.text("look"));
    }
}

#[test]
fn every_vector_is_reproduced() {
    let mut lines = VECTORS.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut test = SequentialTest::new(Parameters::default());
    let mut served = 0;
    let (mut cases, mut rows) = (0, 0);
    for line in lines {
        let row = Row { columns: &columns, fields: line.split(',').collect() };
        if row.whole("look") == 1 {
            test = SequentialTest::new(row.parameters());
            served = 0;
            cases += 1;
        }
        rows += 1;
        let look = row.look();
        let evidence = test.push(&look);
        served += u64::from(!look.warm_up);
        row.assert_equals("N", test.judged.canary.requests);
        row.assert_equals("K", test.judged.canary.errors);
        row.assert_equals("ln_e_floor", evidence.ln_floor);
        row.assert_equals("ln_e_ratio", evidence.ln_ratio);
        row.assert_equals("ln_e_harm", evidence.ln_harm);
        row.assert_equals("ln_e_safe", evidence.ln_safe);
        row.assert_equals("ln_e_safe_healthy", evidence.ln_safe_healthy);
        row.assert_equals("lower", lower_bound(test.judged.canary, row.number("alpha"), row.number("phi_s")));
        row.assert_equals("upper", upper_bound(test.judged.canary, row.number("beta"), row.number("phi_s")));
        let deadline = if row.whole("look") >= row.whole("looks") { Deadline::Reached } else { Deadline::Ahead };
        let verdict = match test.verdict(Duration::from_secs(served), deadline) {
            Verdict::Continue => "continue",
            Verdict::Reject => "reject",
            Verdict::Promote => "promote",
            Verdict::Inconclusive => "inconclusive",
        };
        assert_eq!(verdict, row.text("verdict"), "{} look {}", row.text("case"), row.text("look"));
    }
    assert_eq!((cases, rows), (32, 367));
}
