//! All that is wrong with the settings of one start.

use std::cell::RefCell;
use std::fmt;

use super::error::SettingError;

/// All wrong settings, in the order in which they were looked at. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &SettingError> {
        self.0.iter()
    }
}

/// A line for each.
impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SettingErrors {}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Faults {
    single: RefCell<Vec<SettingError>>,
    dependent: RefCell<Vec<SettingError>>,
}

impl Faults {
    /// A value is wrong by itself.
    pub(super) fn add(&self, error: SettingError) {
        put(&mut self.single.borrow_mut(), error);
    }

    /// A value is wrong beside another one.
    pub(super) fn add_dependent(&self, error: SettingError) {
        put(&mut self.dependent.borrow_mut(), error);
    }

    /// Ends the look at the settings.
    ///
    /// # Errors
    /// What is wrong by itself; only where nothing is, what is wrong beside another value: it may come of a wrong one.
    pub(super) fn told(self) -> Result<(), SettingErrors> {
        let single = self.single.into_inner();
        let errors = if single.is_empty() { self.dependent.into_inner() } else { single };
        if errors.is_empty() { Ok(()) } else { Err(SettingErrors(errors)) }
    }
}

/// A value that holds for several agents is told once.
fn put(errors: &mut Vec<SettingError>, error: SettingError) {
    if !errors.contains(&error) {
        errors.push(error);
    }
}
