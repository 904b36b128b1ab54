//! In which order the items of two lists stand together. Says nothing of what becomes of each.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use crate::manifest::fields::ListKeys;

/// The items of both, each once, in the API server's order (structured-merge-diff, `visitListItems`): what both have stands as it was
/// stated, what only was there stays before what comes after it.
pub(super) fn in_order<'a>(keys: &ListKeys, there: &'a [Value], stated: &[&'a Value]) -> Vec<&'a Value> {
    let same = |left: &Value, right: &Value| keys.of(left) == keys.of(right);
    let (all_there, all_stated) = (keys.index(there), stated.iter().map(|item| keys.of(item)).collect::<HashSet<_>>());
    let is_stated = |item: &Value| all_stated.contains(&keys.of(item));
    let mut shared = stated.iter().filter(|item| all_there.contains_key(&keys.of(item))).peekable();
    let (mut there, mut stated) = (there.iter().peekable(), stated.iter().peekable());
    let mut ordered = Vec::new();
    loop {
        match (there.peek().copied(), stated.peek().copied()) {
            (None, None) => return ordered,
            (Some(old), Some(new)) if same(old, new) => {
                ordered.push(*new);
                there.next();
                stated.next();
                shared.next();
            }
            // It stands elsewhere now.
            (Some(old), Some(_)) if is_stated(old) && shared.peek().is_some_and(|next| !same(next, old)) => drop(there.next()),
            (Some(old), _) if !is_stated(old) => {
                ordered.push(old);
                there.next();
            }
            (_, Some(new)) => {
                ordered.push(*new);
                stated.next();
                if shared.peek().is_some_and(|next| same(next, new)) {
                    shared.next();
                }
            }
            (Some(_), None) => drop(there.next()),
        }
    }
}

/// These items in the order in which a strategic merge patch puts them that names the keys of a file in the file's order: what the file
/// says nothing of stands before what it stood before, and what is new comes first.
pub(super) fn in_order_of_a_file(keys: &ListKeys, there: &[Value], items: &[Value], file: &[String]) -> Vec<Value> {
    if items.iter().map(|item| keys.of(item)).eq(file.iter().cloned()) {
        return items.to_vec();
    }
    let first = |list: Vec<String>| -> HashMap<String, usize> { list.into_iter().enumerate().rev().map(|(at, key)| (key, at)).collect() };
    let (was, stated) = (first(there.iter().map(|item| keys.of(item)).collect()), first(file.to_vec()));
    let (mut named, others): (Vec<&Value>, Vec<&Value>) = items.iter().partition(|item| stated.contains_key(&keys.of(item)));
    named.sort_by_key(|item| stated.get(&keys.of(item)).copied());
    let place = |item: &Value| was.get(&keys.of(item)).copied();
    let (mut named, mut ordered) = (named.into_iter().peekable(), Vec::with_capacity(items.len()));
    for other in others {
        while let Some(next) = named.next_if(|next| place(next).is_none_or(|next| Some(next) < place(other))) {
            ordered.push(next.clone());
        }
        ordered.push(other.clone());
    }
    ordered.extend(named.cloned());
    ordered
}

/// What has become of the items with each key, where these items stood, one in each place; if there are more than places, in the last.
pub(super) fn in_places(keys: &ListKeys, places: &[&Value], mut merged: HashMap<String, VecDeque<Value>>) -> Vec<Value> {
    let mut left: HashMap<String, usize> = HashMap::new();
    for item in places {
        *left.entry(keys.of(item)).or_default() += 1;
    }
    let mut list = Vec::with_capacity(places.len());
    for item in places {
        let key = keys.of(item);
        let (Some(left), Some(found)) = (left.get_mut(&key), merged.get_mut(&key)) else { continue };
        *left -= 1;
        if *left == 0 { list.extend(found.drain(..)) } else { list.extend(found.pop_front()) }
    }
    list
}

/// An item by its key. Of several with one key each by its place among them, as a strategic merge patch finds the first of them.
pub(super) struct Keyed<'a> {
    pub(super) key: String,
    nth: usize,
    pub(super) item: &'a Value,
}

impl Keyed<'_> {
    /// The key of the first of those that have one key.
    fn first(&self) -> &str {
        if self.nth == 0 { &self.key } else { self.key.rsplit_once('#').map_or(&self.key, |(first, _)| first) }
    }
}

pub(super) fn keyed<'a>(keys: &ListKeys, list: &'a [Value]) -> Vec<Keyed<'a>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let of = |item: &'a Value| {
        let key = keys.of(item);
        let count = seen.entry(key.clone()).and_modify(|count| *count += 1).or_default();
        Keyed { key: if *count == 0 { key } else { format!("{key}#{count}") }, nth: *count, item }
    };
    list.iter().map(of).collect()
}

/// The keys of `ours` once the change that made `theirs` of `base` has come to it. What is new stands where they put it: before all, after
/// all, or behind what it came behind; what ours had taken away comes first again, as a strategic merge patch has it.
pub(super) fn in_order_of_a_change<'a>(base: &[Keyed<'_>], ours: &'a [Keyed<'_>], theirs: &'a [Keyed<'_>]) -> Vec<&'a str> {
    let set = |list: &[Keyed<'_>]| list.iter().map(|one| one.key.clone()).collect::<HashSet<_>>();
    let (in_base, in_ours, in_theirs) = (set(base), set(ours), set(theirs));
    let in_all = |key: &str| in_base.contains(key) && in_ours.contains(key) && in_theirs.contains(key);
    let common = |list: &[Keyed<'_>]| list.iter().map(|one| one.key.clone()).filter(|key| in_all(key)).collect::<Vec<_>>();
    // Where they put things in another order, theirs counts for what all have.
    let mut stated = theirs.iter().map(|one| one.key.as_str()).filter(|key| in_all(key));
    let mut ordered: Vec<&str> = if common(base) == common(theirs) {
        ours.iter().map(|one| one.key.as_str()).collect()
    } else {
        ours.iter().filter_map(|one| if in_all(&one.key) { stated.next() } else { Some(one.key.as_str()) }).collect()
    };
    let last_known = theirs.iter().rposition(|one| in_base.contains(&one.key));
    let mut front = 0;
    let mut behind: Option<&str> = None;
    for (place, one) in theirs.iter().enumerate() {
        let key = one.key.as_str();
        if in_ours.contains(key) {
            behind = Some(key);
            continue;
        }
        let comes_after = behind.and_then(|key| ordered.iter().position(|other| *other == key));
        let is_last = last_known.is_some_and(|last| place > last);
        let at = match comes_after {
            _ if in_base.contains(key) => None,
            _ if is_last => Some(ordered.len()),
            found => found.map(|found| found + 1),
        };
        ordered.insert(at.unwrap_or(front), key);
        front += usize::from(at.is_none());
        behind = Some(key);
    }
    if ours.iter().any(|one| one.nth > 0 && !in_base.contains(&one.key)) {
        put_together(ours, &mut ordered);
    }
    ordered
}

/// A strategic merge patch of a list puts all with one key where the first of them stands. Where the live list has such, the patched one
/// shows it.
fn put_together(ours: &[Keyed<'_>], ordered: &mut [&str]) {
    let firsts: HashMap<&str, &str> = ours.iter().map(|one| (one.key.as_str(), one.first())).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, key) in ordered.iter().enumerate() {
        places.entry(firsts.get(key).copied().unwrap_or(key)).or_insert(place);
    }
    ordered.sort_by_key(|key| places.get(firsts.get(key).copied().unwrap_or(key)).copied());
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::added_at_the_end(&["a"], &["b"], &["a", "b"])]
    #[case::as_stated(&["b", "a"], &["a", "b"], &["a", "b"])]
    #[case::around_what_is_there(&["a", "x"], &["b", "a"], &["b", "a", "x"])]
    #[case::what_is_there_stays_before(&["x", "a"], &["a", "b"], &["x", "a", "b"])]
    #[case::in_between(&["a", "x", "b"], &["b", "a"], &["x", "b", "a"])]
    #[case::nothing_stated(&["a", "b"], &[], &["a", "b"])]
    fn the_order_is_the_api_servers(#[case] there: &[&str], #[case] stated: &[&str], #[case] ordered: &[&str]) {
        let list = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let (there, stated) = (list(there), list(stated));
        let found = in_order(&ListKeys::Fields(vec!["name".to_owned()]), &there, &stated.iter().collect::<Vec<_>>());
        assert_eq!(found, list(ordered).iter().collect::<Vec<_>>());
    }

    #[rstest]
    #[case::new_comes_first(&["x"], &["b", "a"], &["b", "a", "x"])]
    #[case::before_what_it_stood_before(&["x", "b", "y"], &["a", "b"], &["a", "x", "b", "y"])]
    #[case::turned_around(&["b", "x", "a"], &["a", "b"], &["x", "a", "b"])]
    #[case::twice(&["a", "b", "x", "a"], &["a", "b", "a"], &["a", "a", "b", "x"])]
    #[case::as_it_was(&["a", "b", "a"], &["a", "b", "a"], &["a", "b", "a"])]
    fn a_file_puts_things_where_it_says_them(#[case] there: &[&str], #[case] file: &[&str], #[case] ordered: &[&str]) {
        let list = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let keys = ListKeys::Fields(vec!["name".to_owned()]);
        let names = list(file).iter().map(|item| keys.of(item)).collect::<Vec<_>>();
        let new = file.iter().filter(|name| !there.contains(name));
        let items = list(&there.iter().chain(new).copied().collect::<Vec<_>>());
        assert_eq!(in_order_of_a_file(&keys, &list(there), &items, &names), list(ordered));
    }

    #[rstest]
    #[case::put_first(&["a"], &["b", "a"], &["n", "a"], &["n", "b", "a"])]
    #[case::put_last(&["a"], &["a", "b"], &["a", "n"], &["a", "b", "n"])]
    #[case::put_between(&["a", "c"], &["b", "a", "c"], &["a", "n", "c"], &["b", "a", "n", "c"])]
    #[case::where_there_was_nothing(&[], &["b"], &["n", "m"], &["n", "m", "b"])]
    #[case::turned_around(&["a", "c"], &["a", "b", "c"], &["c", "a"], &["c", "b", "a"])]
    #[case::had_gone(&["a", "c"], &["a", "b"], &["a", "c"], &["c", "a", "b"])]
    #[case::new_in_both(&["a", "c"], &["a", "b"], &["b", "a", "c"], &["c", "a", "b"])]
    #[case::new_in_both_and_turned_around(&["a", "c"], &["a", "c", "b"], &["b", "c", "a"], &["c", "a", "b"])]
    #[case::twice(&["a", "a"], &["a", "b", "a"], &["a", "a"], &["a", "b", "a#1"])]
    #[case::twice_since(&["a"], &["a", "b", "a"], &["n", "a"], &["n", "a", "a#1", "b"])]
    fn a_change_puts_things_where_it_put_them(
        #[case] base: &[&str],
        #[case] ours: &[&str],
        #[case] theirs: &[&str],
        #[case] ordered: &[&str],
    ) {
        let list = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let keys = ListKeys::Fields(vec!["name".to_owned()]);
        let [base, ours, theirs] = [base, ours, theirs].map(list);
        let [base, ours, theirs] = [&base, &ours, &theirs].map(|list| keyed(&keys, list));
        let found = in_order_of_a_change(&base, &ours, &theirs);
        assert_eq!(found.iter().map(|key| key.replace('"', "")).collect::<Vec<_>>(), ordered);
    }
}
