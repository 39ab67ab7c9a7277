//! Collects every wrong setting, so that one start reports all of them.

use std::cell::RefCell;
use std::fmt;

use super::error::SettingError;

/// All wrong settings, in the order of the checks. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    /// The errors one by one.
    pub fn iter(&self) -> impl Iterator<Item = &SettingError> {
        self.0.iter()
    }
}

/// One line for each error.
impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SettingErrors {}

/// The faults found so far.
#[derive(Default)]
pub(super) struct Faults {
    single: RefCell<Vec<SettingError>>,
    dependent: RefCell<Vec<SettingError>>,
}

impl Faults {
    /// Adds a value that is wrong by itself.
    pub(super) fn add(&self, error: SettingError) {
        put(&mut self.single.borrow_mut(), error);
    }

    /// Adds a value that conflicts with another one.
    pub(super) fn add_dependent(&self, error: SettingError) {
        put(&mut self.dependent.borrow_mut(), error);
    }

    /// Ends the check.
    ///
    /// # Errors
    /// Every value that is wrong by itself. If there is none, every conflict: a wrong value could have caused it.
    pub(super) fn told(self) -> Result<(), SettingErrors> {
        let single = self.single.into_inner();
        let errors = if single.is_empty() { self.dependent.into_inner() } else { single };
        if errors.is_empty() { Ok(()) } else { Err(SettingErrors(errors)) }
    }
}

/// A value that applies to several agents is reported once.
fn put(errors: &mut Vec<SettingError>, error: SettingError) {
    if !errors.contains(&error) {
        errors.push(error);
    }
}
