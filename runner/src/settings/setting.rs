//! A setting: the facts of its entry in the table, and how its value is read.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use dialbridge_net::Secret;

use super::value::{Shown, base_url, boolean, event, list, url};

/// Who can have a value of its own.
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
    /// Not in a log: it may hold somebody's number.
    Personal,
    /// Nowhere.
    Secret,
}

/// What holds where nothing is given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Otherwise {
    /// Nothing.
    Nothing,
    /// This value.
    Value(&'static str),
    /// A value that depends on something else; for people.
    Depends(&'static str),
}

/// What the table says of a setting, whatever the type of its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The environment variable.
    pub(super) name: &'static str,
    /// The heading in `--help` and in docs/settings.md.
    pub(super) section: &'static str,
    pub(super) scope: Scope,
    /// One sentence for `--help`. More may follow after an empty line, for docs/settings.md.
    pub(super) doc: &'static [&'static str],
    pub(super) otherwise: Otherwise,
    example: &'static str,
    flag: &'static str,
    pub(super) secrecy: Secrecy,
    /// Whether it is a path: in the agents' file it is relative to that file.
    pub(super) is_path: bool,
    /// Whether an empty value is one: "none" instead of the default.
    pub(super) may_be_empty: bool,
    /// The setting without which this one has no effect.
    pub(super) needs: Option<&'static str>,
    /// Whether it has no effect for an agent of the Customer Engagement Suite.
    pub(super) is_idle_for_ces: bool,
}

impl Facts {
    const NONE: Self = Self {
        name: "",
        section: "",
        scope: Scope::Service,
        doc: &[],
        otherwise: Otherwise::Nothing,
        example: "",
        flag: "",
        secrecy: Secrecy::Open,
        is_path: false,
        may_be_empty: false,
        needs: None,
        is_idle_for_ces: false,
    };

    /// The flag, without its dashes.
    pub(super) fn flag(&self) -> String {
        if self.flag.is_empty() { self.name.to_lowercase().replace('_', "-") } else { self.flag.to_owned() }
    }

    /// The sentence of `--help`, without a full stop.
    pub(super) fn help(&self) -> String {
        let lines: Vec<&str> = self.doc.iter().map(|line| line.trim()).take_while(|line| !line.is_empty()).collect();
        lines.join(" ")
    }
}

/// How a value is read.
#[derive(Clone)]
enum Read<T: 'static> {
    /// One of these words.
    Choice(&'static [(&'static str, T)]),
    /// A whole number of that range; the function gives `None` for one that `T` does not hold.
    Number(RangeInclusive<u64>, fn(u64) -> Option<T>),
    /// A number of that range, with a fraction or without.
    Decimal(RangeInclusive<f64>, fn(f64) -> T),
    /// A text of some form: what it is called in `--help`, the form for people, and the function that reads it or says
    /// what is wrong with it.
    Form(&'static str, &'static str, fn(&str) -> Result<T, String>),
}

/// A setting whose value is a `T`.
#[derive(Clone)]
pub(super) struct Setting<T: 'static> {
    facts: Facts,
    read: Read<T>,
}

/// A setting, whatever the type of its value.
pub(super) trait Declared: Sync {
    /// What the table says of it.
    fn facts(&self) -> &Facts;
    /// Which values it takes, for people.
    fn values(&self) -> String;
    /// What a value of it is called in `--help`.
    fn value_name(&self) -> &'static str;
    /// A value that it takes.
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
            Read::Form(name, "", _) => (*name).to_owned(),
            Read::Form(_, form, _) => (*form).to_owned(),
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
    /// What is wrong with it, to be put behind the setting's name.
    pub(super) fn read(&self, value: &str) -> Result<T, String> {
        match &self.read {
            Read::Choice(words) => {
                let chosen = words.iter().find(|(word, _)| *word == value).map(|(_, chosen)| chosen.clone());
                chosen.ok_or_else(|| format!("is {}; it can be {}", Shown(value), either(words)))
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

    /// The value where nothing is given, where the table has one.
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
    format!("is {}; it must be a number from {} to {}", Shown(value), range.start(), range.end())
}

/// What an entry of the table may say beside its kind.
impl<T> Setting<T> {
    const fn of(read: Read<T>) -> Self {
        Self { facts: Facts::NONE, read }
    }

    /// What the macro knows.
    pub(super) const fn declared(
        mut self,
        name: &'static str,
        section: &'static str,
        scope: Scope,
        doc: &'static [&'static str],
    ) -> Self {
        self.facts.name = name;
        self.facts.section = section;
        self.facts.scope = scope;
        self.facts.doc = doc;
        self
    }

    /// The value where nothing is given.
    pub(super) const fn default_is(mut self, value: &'static str) -> Self {
        self.facts.otherwise = Otherwise::Value(value);
        self
    }

    /// What holds where nothing is given, for people: it depends on something else.
    pub(super) const fn otherwise(mut self, what: &'static str) -> Self {
        self.facts.otherwise = Otherwise::Depends(what);
        self
    }

    /// A value that it takes; else the default is one, or the last choice.
    pub(super) const fn example(mut self, value: &'static str) -> Self {
        self.facts.example = value;
        self
    }

    /// A flag that is not the name.
    pub(super) const fn flag(mut self, flag: &'static str) -> Self {
        self.facts.flag = flag;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.facts.secrecy = Secrecy::Secret;
        self
    }

    pub(super) const fn personal(mut self) -> Self {
        self.facts.secrecy = Secrecy::Personal;
        self
    }

    pub(super) const fn may_be_empty(mut self) -> Self {
        self.facts.may_be_empty = true;
        self
    }

    /// The setting without which this one has no effect.
    pub(super) const fn needs(mut self, name: &'static str) -> Self {
        self.facts.needs = Some(name);
        self
    }

    pub(super) const fn idle_for_ces(mut self) -> Self {
        self.facts.is_idle_for_ces = true;
        self
    }
}

/// A whole number.
pub(super) const fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> Setting<T> {
    Setting::of(Read::Number(range, |number| T::try_from(number).ok()))
}

/// A time in seconds.
pub(super) const fn seconds(range: RangeInclusive<u64>) -> Setting<Duration> {
    Setting::of(Read::Number(range, |number| Some(Duration::from_secs(number))))
}

/// A time in milliseconds.
pub(super) const fn millis(range: RangeInclusive<u64>) -> Setting<Duration> {
    Setting::of(Read::Number(range, |number| Some(Duration::from_millis(number))))
}

/// A time in microseconds.
pub(super) const fn micros(range: RangeInclusive<u64>) -> Setting<Duration> {
    Setting::of(Read::Number(range, |number| Some(Duration::from_micros(number))))
}

/// A number with a fraction.
pub(super) const fn decimal(range: RangeInclusive<f64>) -> Setting<f64> {
    Setting::of(Read::Decimal(range, |number| number))
}

/// `true` or `false`.
pub(super) const fn switch() -> Setting<bool> {
    form("BOOL", "true, false", boolean).example("true")
}

/// One of some words.
pub(super) const fn choice<T>(words: &'static [(&'static str, T)]) -> Setting<T> {
    Setting::of(Read::Choice(words))
}

/// A text of some form, with the function that reads it.
pub(super) const fn form<T>(name: &'static str, form: &'static str, read: fn(&str) -> Result<T, String>) -> Setting<T> {
    Setting::of(Read::Form(name, form, read))
}

/// A text of any form.
pub(super) const fn text(name: &'static str) -> Setting<String> {
    form(name, "", |value| Ok(value.to_owned()))
}

/// Texts of any form, with commas between them.
pub(super) const fn texts(name: &'static str) -> Setting<Vec<String>> {
    form(name, "list", |value| Ok(list(value))).default_is("")
}

/// Secrets, with commas between them.
pub(super) const fn secrets(name: &'static str) -> Setting<Vec<Secret>> {
    form(name, "list", |value| Ok(list(value).into_iter().map(Secret::new).collect())).default_is("").secret()
}

/// A URL with `http` or `https`.
pub(super) const fn web_url() -> Setting<String> {
    form("URL", "", url).example("https://example.com/next")
}

/// The URL of an API, which paths follow.
pub(super) const fn api_url() -> Setting<String> {
    form("URL", "", base_url)
}

/// The name of an event.
pub(super) const fn event_name() -> Setting<String> {
    form("EVENT", "", event)
}

/// A file or a folder.
pub(super) const fn path(name: &'static str) -> Setting<PathBuf> {
    path_of(name, |value| Ok(value.into()))
}

/// A file that is read at the start.
pub(super) const fn path_of<T>(name: &'static str, read: fn(&str) -> Result<T, String>) -> Setting<T> {
    let mut setting = form(name, "", read);
    setting.facts.is_path = true;
    setting
}
