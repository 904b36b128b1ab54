//! Lists without keys, such as arguments and tolerations: what a change put into one, or took out of it, done to another version of it.
//! Where that can't be told from a list that was stated anew, it says so.

use serde_json::Value;

use crate::manifest::template::same;

/// The places in `longer` of the items of `shorter`, if these stand in it in this order.
fn places(shorter: &[Value], longer: &[Value]) -> Option<Vec<usize>> {
    let mut from = 0;
    let place = |item: &Value| {
        let found = from + longer[from..].iter().position(|other| same(item, other))?;
        from = found + 1;
        Some(found)
    };
    shorter.iter().map(place).collect()
}

/// `ours` with what `theirs` has more than `base`, each behind what it came behind. `None` where theirs is not base and some more.
pub(super) fn with_put_in(base: &[Value], ours: &[Value], theirs: &[Value]) -> Option<Vec<Value>> {
    let places = places(base, theirs)?;
    let mut list = ours.to_vec();
    let mut front = 0;
    for (place, item) in theirs.iter().enumerate().filter(|(place, _)| !places.contains(place)) {
        if list.iter().any(|other| same(item, other)) && !base.iter().any(|other| same(item, other)) {
            continue; // ours has put it in, too
        }
        let behind = theirs[..place].last();
        let is_last = places.last().is_none_or(|last| place > *last);
        let at = match behind {
            _ if is_last => list.len(),
            None => 0,
            Some(behind) => list.iter().position(|other| same(behind, other)).map_or(front, |found| found + 1),
        };
        list.insert(at, item.clone());
        front = at + 1;
    }
    Some(list)
}

/// `ours` without what `theirs` has less than `base`. `None` where theirs is not base and some less, or ours has changed what was taken out.
pub(super) fn with_taken_out(base: &[Value], ours: &[Value], theirs: &[Value]) -> Option<Vec<Value>> {
    let places = places(theirs, base)?;
    let mut list = ours.to_vec();
    for item in base.iter().enumerate().filter(|(place, _)| !places.contains(place)).map(|(_, item)| item) {
        let found = list.iter().position(|other| same(item, other))?;
        list.remove(found);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn list(names: &[&str]) -> Vec<Value> {
        names.iter().map(|name| Value::from(*name)).collect()
    }

    /// Nothing is expected where that can't be told.
    #[rstest]
    #[case::at_the_end(&["a"], &["b"], &["a", "x"], &["b", "x"])]
    #[case::first(&["a"], &["a", "b"], &["x", "a"], &["x", "a", "b"])]
    #[case::in_between(&["a", "c"], &["a", "b", "c"], &["a", "x", "c"], &["a", "x", "b", "c"])]
    #[case::two(&["a"], &["b"], &["x", "a", "y"], &["x", "b", "y"])]
    #[case::in_both(&["a"], &["a", "x"], &["a", "x"], &["a", "x"])]
    #[case::once_more(&["a"], &["a", "b"], &["a", "a"], &["a", "b", "a"])]
    #[case::another(&["a"], &["b"], &["x"], &[])]
    #[case::less(&["a", "b"], &["a", "b", "c"], &["a"], &[])]
    fn what_was_put_in(#[case] base: &[&str], #[case] ours: &[&str], #[case] theirs: &[&str], #[case] expected: &[&str]) {
        assert_eq!(with_put_in(&list(base), &list(ours), &list(theirs)), (!expected.is_empty()).then(|| list(expected)));
    }

    #[rstest]
    #[case::one(&["a", "b"], &["a", "b", "c"], &["a"], &["a", "c"])]
    #[case::one_of_two(&["a", "a"], &["x", "a", "a"], &["a"], &["x", "a"])]
    #[case::that_was_changed(&["a", "b"], &["a", "c"], &["a"], &[])]
    #[case::another(&["a"], &["b"], &["x"], &[])]
    fn what_was_taken_out(#[case] base: &[&str], #[case] ours: &[&str], #[case] theirs: &[&str], #[case] expected: &[&str]) {
        assert_eq!(with_taken_out(&list(base), &list(ours), &list(theirs)), (!expected.is_empty()).then(|| list(expected)));
    }
}
