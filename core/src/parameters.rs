//! Session parameters that add up over many answers, bounded in bytes.

use serde_json::{Map, Value};

/// How much of the parameters that answers add up is kept, in bytes of names and texts, and 16 for each value. A hand-off
/// passes on much less.
pub const MAX_PARAMETER_BYTES: usize = 256 << 10;

/// Adds `more` to `known`. A later value of a name replaces the earlier one. Returns whether there was room for all. What
/// does not fit is left out.
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

fn bytes_of_map(map: &Map<String, Value>) -> usize {
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
