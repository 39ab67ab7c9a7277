//! Session parameters: how their names compare, and how much of them is kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How much of the parameters that answers add up is kept, in bytes of names and texts, and 16 for each value. A hand-off
/// passes on much less.
pub const MAX_PARAMETER_BYTES: usize = 256 << 10;

/// How an agent compares the names of its session parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NameCase {
    /// Without regard to case (CX). A name may come back in any case.
    #[default]
    Ignored,
    /// Letter by letter (ES, CES).
    Exact,
}

impl NameCase {
    /// Whether both are the same name.
    #[must_use]
    pub fn is_same(self, one: &str, other: &str) -> bool {
        one == other || (self == Self::Ignored && lowercase(one).eq(lowercase(other)))
    }

    /// The name as `map` spells it; `None` if the map does not have it.
    fn spelled<'a>(self, map: &'a Map<String, Value>, name: &'a str) -> Option<&'a str> {
        if self == Self::Exact || map.contains_key(name) {
            return map.contains_key(name).then_some(name);
        }
        map.keys().map(String::as_str).find(|other| self.is_same(other, name))
    }

    /// The value of a name.
    #[must_use]
    pub fn get<'a>(self, map: &'a Map<String, Value>, name: &'a str) -> Option<&'a Value> {
        self.spelled(map, name).and_then(|name| map.get(name))
    }

    /// Sets the value of a name. Another spelling of the name goes.
    pub fn insert(self, map: &mut Map<String, Value>, name: &str, value: Value) {
        self.remove(map, name);
        map.insert(name.to_owned(), value);
    }

    /// Takes a name out, in all its spellings.
    pub fn remove(self, map: &mut Map<String, Value>, name: &str) -> Option<Value> {
        let exact = map.remove(name);
        if self == Self::Exact {
            return exact;
        }
        let mut other = None;
        map.retain(|spelled, value| {
            let is_same = self.is_same(spelled, name);
            if is_same {
                other = Some(value.take());
            }
            !is_same
        });
        exact.or(other)
    }

    /// Sets all values of `more`.
    pub fn extend(self, map: &mut Map<String, Value>, more: Map<String, Value>) {
        for (name, value) in more {
            self.insert(map, &name, value);
        }
    }
}

fn lowercase(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// Adds `more` to `known`. A later value of a name replaces the earlier one. Returns whether there was room for all. What
/// does not fit is left out. Names are compared letter by letter.
pub(crate) fn add_parameters(known: &mut Map<String, Value>, more: &Map<String, Value>) -> bool {
    let mut room = MAX_PARAMETER_BYTES.saturating_sub(bytes_of_map(known));
    let mut all_fit = true;
    for (name, value) in more {
        let replaced = known.get(name).map_or(0, |earlier| bytes_of_entry(name, earlier));
        let bytes = bytes_of_entry(name, value);
        if bytes > room + replaced {
            all_fit = false;
            continue;
        }
        room = room + replaced - bytes;
        known.insert(name.clone(), value.clone());
    }
    all_fit
}

/// How much room that takes, in bytes.
pub(crate) fn bytes_of_map(map: &Map<String, Value>) -> usize {
    map.iter().map(|(name, value)| bytes_of_entry(name, value)).sum()
}

fn bytes_of_entry(name: &str, value: &Value) -> usize {
    name.len() + bytes_of(value)
}

/// Roughly what a value takes in memory: its text, and 16 bytes for each value in it.
fn bytes_of(value: &Value) -> usize {
    16 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes_of).sum(),
        Value::Object(map) => bytes_of_map(map),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, bytes: usize) -> Map<String, Value> {
        Map::from_iter([(name.to_owned(), "x".repeat(bytes).into())])
    }

    #[test]
    fn a_name_in_another_case_is_the_same_name_to_cx_and_another_one_to_the_others() {
        for (case, left) in [(NameCase::Ignored, r#"{"SHOP":1}"#), (NameCase::Exact, r#"{"SHOP":1,"Shop":2}"#)] {
            let mut map = one("Shop", 1);
            case.insert(&mut map, "Shop", 2.into());
            case.insert(&mut map, "SHOP", 1.into());
            assert_eq!(Value::Object(map.clone()).to_string(), left);
            assert_eq!(case.get(&map, "shop").is_some(), case == NameCase::Ignored);
            assert_eq!(case.remove(&mut map, "sHOP").is_some(), case == NameCase::Ignored);
        }
        let mut twice = one("Shop", 1);
        twice.insert("SHOP".to_owned(), 1.into());
        assert!(NameCase::Ignored.remove(&mut twice, "shop").is_some() && twice.is_empty());
        assert!(NameCase::Ignored.is_same("STRASSE-\u{c4}", "strasse-\u{e4}"));
    }

    #[test]
    fn a_value_that_changes_again_and_again_takes_the_room_of_one() {
        let mut known = Map::new();
        assert!((0..100).all(|_| add_parameters(&mut known, &one("story", 10_000))));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn new_names_without_end_take_only_so_much_room() {
        let mut known = Map::new();
        let fit = (0..100).filter(|n| add_parameters(&mut known, &one(&format!("p{n}"), 10_000))).count();
        assert_eq!((fit, known.len()), (26, 26));
    }
}
