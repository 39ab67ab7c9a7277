//! One setting: the facts of its entry in the table, and how we read its value.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use dialbridge_net::Secret;

use super::value::{Quoted, boolean, list, url};

/// Who can have its own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole service.
    Service,
    /// Each agent of the agents' file.
    Agent,
}

/// Where a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Everywhere.
    Open,
    /// Not in a log: it may contain somebody's number.
    Personal,
    /// Nowhere.
    Secret,
}

/// What applies if no value is given.
#[derive(Clone, Copy)]
pub(super) enum Otherwise {
    /// Nothing.
    Nothing,
    /// This value.
    Value(&'static str),
    /// A value that depends on something else, described for people.
    Depends(&'static str),
}

/// What the table says about a setting, whatever the type of its value.
pub(super) struct Facts {
    /// The environment variable.
    pub(super) name: &'static str,
    /// The heading in `--help` and in docs/settings.md.
    pub(super) section: &'static str,
    pub(super) scope: Scope,
    /// One sentence for `--help` and docs/settings.md, without a full stop.
    pub(super) help: &'static str,
    pub(super) otherwise: Otherwise,
    example: &'static str,
    flag: &'static str,
    pub(super) secrecy: Secrecy,
    /// Whether the value is a path. In the agents' file it is relative to that file.
    pub(super) is_path: bool,
    /// Whether an empty value counts: it means "none" instead of the default.
    pub(super) may_be_empty: bool,
    /// The setting without which this one has no effect.
    pub(super) needs: Option<&'static str>,
    /// Whether this one has no effect for an agent of the Customer Engagement Suite.
    pub(super) is_idle_for_ces: bool,
    /// The fields of a call's configuration that it sets, as JSON pointers. Empty: it is no setting of a call.
    pub(super) call_fields: &'static [&'static str],
}

impl Facts {
    const NONE: Self = Self {
        name: "",
        section: "",
        scope: Scope::Service,
        help: "",
        otherwise: Otherwise::Nothing,
        example: "",
        flag: "",
        secrecy: Secrecy::Open,
        is_path: false,
        may_be_empty: false,
        needs: None,
        is_idle_for_ces: false,
        call_fields: &[],
    };

    /// The flag, without its dashes.
    pub(super) fn flag(&self) -> String {
        if self.flag.is_empty() { self.name.to_lowercase().replace('_', "-") } else { self.flag.to_owned() }
    }
}

/// How to read a value.
enum Read<T: 'static> {
    /// One of these words.
    Choice(&'static [(&'static str, T)]),
    /// A whole number in this range. The function returns `None` if the number does not fit `T`.
    Number(RangeInclusive<u64>, fn(u64) -> Option<T>),
    /// A number in this range, with or without a fraction.
    Decimal(RangeInclusive<f64>, fn(f64) -> T),
    /// A text of some form: its name in `--help`, its form described for people, and the function that reads it or says
    /// what is wrong with it.
    Form(&'static str, &'static str, fn(&str) -> Result<T, String>),
}

/// A setting whose value is a `T`.
pub(super) struct Setting<T: 'static> {
    facts: Facts,
    read: Read<T>,
}

/// A setting, whatever the type of its value.
pub(super) trait Declared: Sync {
    /// What the table says about it.
    fn facts(&self) -> &Facts;
    /// The valid values, described for people.
    fn values(&self) -> String;
    /// The name of its value in `--help`.
    fn value_name(&self) -> &'static str;
    /// A valid value.
    fn example(&self) -> &'static str;
}

impl<T: Clone + Sync> Declared for Setting<T> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn values(&self) -> String {
        match &self.read {
            Read::Choice(words) => words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "),
            Read::Number(range, _) => format!("{} to {}", range.start(), range.end()),
            Read::Decimal(range, _) => format!("{} to {}", range.start(), range.end()),
            Read::Form(name, form, _) => if form.is_empty() { name } else { form }.to_string(),
        }
    }

    fn value_name(&self) -> &'static str {
        match &self.read {
            Read::Choice(_) => "CHOICE",
            Read::Form(name, ..) => name,
            Read::Number(..) | Read::Decimal(..) => {
                let unit = self.facts.name.rsplit('_').next().unwrap_or_default();
                if ["SECONDS", "MS", "MICROSECONDS", "BYTES"].contains(&unit) { unit } else { "N" }
            }
        }
    }

    fn example(&self) -> &'static str {
        match (self.facts.example, &self.read, self.facts.otherwise) {
            ("", Read::Choice(words), _) => words.last().map_or("", |(word, _)| word),
            ("", _, Otherwise::Value(value)) => value,
            (example, ..) => example,
        }
    }
}

impl<T: Clone> Setting<T> {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with the value, as a text that follows the setting's name.
    pub(super) fn read(&self, value: &str) -> Result<T, String> {
        match &self.read {
            Read::Choice(words) => {
                let chosen = words.iter().find(|(word, _)| *word == value).map(|(_, chosen)| chosen.clone());
                chosen.ok_or_else(|| format!("is {}; it can be {}", Quoted(value), either(words)))
            }
            Read::Number(range, make) => {
                let number = value.parse().ok().filter(|number| range.contains(number)).and_then(make);
                number.ok_or_else(|| out_of(value, range))
            }
            Read::Decimal(range, make) => {
                let number = value.parse().ok().filter(|number| range.contains(number)).map(make);
                number.ok_or_else(|| out_of(value, range))
            }
            Read::Form(.., read) => read(value),
        }
    }

    /// The default, if the table has one.
    pub(super) fn default(&self) -> Option<T> {
        let Otherwise::Value(value) = self.facts.otherwise else { return None };
        self.read(value).ok()
    }
}

fn either<T>(words: &[(&'static str, T)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

fn out_of<T: Display>(value: &str, range: &RangeInclusive<T>) -> String {
    format!("is {}; it must be a number from {} to {}", Quoted(value), range.start(), range.end())
}

/// The functions by which an entry of the table states the facts of its setting.
macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident($($value:ident: $type:ty)?): $fact:ident = $set:expr;)+) => {
        impl<T> Setting<T> {
            $($(#[$doc])*
            pub(super) const fn $name(mut self $(, $value: $type)?) -> Self {
                self.facts.$fact = $set;
                self
            })+
        }
    };
}

facts! {
    named(name: &'static str): name = name;
    under(section: &'static str): section = section;
    of(scope: Scope): scope = scope;
    help(sentence: &'static str): help = sentence;
    /// The default.
    default_is(value: &'static str): otherwise = Otherwise::Value(value);
    /// The default if it depends on something else, described for people.
    otherwise(what: &'static str): otherwise = Otherwise::Depends(what);
    /// A valid value. Without this the default is the example, or the last choice.
    example(value: &'static str): example = value;
    /// A flag that differs from the name.
    flag(flag: &'static str): flag = flag;
    secret(): secrecy = Secrecy::Secret;
    personal(): secrecy = Secrecy::Personal;
    path(): is_path = true;
    may_be_empty(): may_be_empty = true;
    /// The setting without which this one has no effect.
    needs(name: &'static str): needs = Some(name);
    idle_for_ces(): is_idle_for_ces = true;
    /// The fields of a call's configuration that it sets.
    sets(fields: &'static [&'static str]): call_fields = fields;
}

const fn setting<T>(read: Read<T>) -> Setting<T> {
    Setting { facts: Facts::NONE, read }
}

/// A whole number.
pub(super) const fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> Setting<T> {
    setting(Read::Number(range, |number| T::try_from(number).ok()))
}

/// A number with a fraction.
pub(super) const fn decimal(range: RangeInclusive<f64>) -> Setting<f64> {
    setting(Read::Decimal(range, |number| number))
}

/// One of these words.
pub(super) const fn choice<T>(words: &'static [(&'static str, T)]) -> Setting<T> {
    setting(Read::Choice(words))
}

/// A text of some form, with the function that reads it. `form` is empty if the name says enough.
pub(super) const fn form<T>(name: &'static str, form: &'static str, read: fn(&str) -> Result<T, String>) -> Setting<T> {
    setting(Read::Form(name, form, read))
}

/// `true` or `false`.
pub(super) const fn switch() -> Setting<bool> {
    form("BOOL", "true, false", boolean).example("true")
}

/// A text of any form.
pub(super) const fn text(name: &'static str) -> Setting<String> {
    form(name, "", |value| Ok(value.to_owned()))
}

/// A file or a folder.
pub(super) const fn path(name: &'static str) -> Setting<PathBuf> {
    form(name, "", |value| Ok(value.into())).path()
}

/// Secrets, separated by commas.
pub(super) const fn secrets(name: &'static str) -> Setting<Vec<Secret>> {
    form(name, "list", |value| Ok(list(value).into_iter().map(Secret::new).collect())).default_is("").secret()
}

/// A URL with `http` or `https`.
pub(super) const fn web_url() -> Setting<String> {
    form("URL", "", url).example("https://example.com/next")
}
