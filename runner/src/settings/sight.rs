//! The settings of what is told of calls: what counts as slow, events for the user's own systems.

use dialbridge_core::stages::{StageBounds, TurnStage};

use super::value::{Shown, choice, list, number, set, url};
use super::{Secret, SettingError, Settings};

/// The longest bound of a turn or a stage, in milliseconds.
const MOST_MS: u64 = 600_000;

/// Where events of calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsConfig {
    /// The webhook. Its URL may hold a token, so it is not printed.
    pub url: Secret,
    /// All sign. Empty: the events are not signed.
    pub secrets: Vec<Secret>,
    /// What is left out of them.
    pub redaction: Redaction,
}

/// What is left out of events. Keys that callers press never stand in one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redaction {
    /// Nothing else.
    None,
    /// What was said, by either side, and what the agent made of it: its parameters.
    Words,
    /// That, and the two numbers.
    #[default]
    All,
}

impl Settings {
    /// When a turn is slow.
    pub(super) fn stage_bounds(&self) -> Result<StageBounds, SettingError> {
        let mut bounds = StageBounds::default();
        let whole_ms = number("SLOW_TURN_MS", set(&self.slow_turn_ms), 3_000, 0..=MOST_MS, "3000")?;
        bounds.whole_ms = (whole_ms > 0).then_some(whole_ms);
        for item in list(set(&self.slow_stages_ms)) {
            let (stage, ms) = stage_bound(&item)?;
            bounds.set(stage, (ms > 0).then_some(ms));
        }
        Ok(bounds)
    }

    /// Where events go; `None`: nowhere.
    pub(super) fn events(&self) -> Result<Option<EventsConfig>, SettingError> {
        let levels = [("none", Redaction::None), ("words", Redaction::Words), ("all", Redaction::All)];
        let redaction = choice("EVENT_REDACTION", set(&self.event_redaction), &levels)?.unwrap_or_default();
        let secrets = list(set(&self.event_webhook_secret)).into_iter().map(Secret::new).collect();
        let url = url("EVENT_WEBHOOK_URL", set(&self.event_webhook_url))?;
        Ok(url.map(|url| EventsConfig { url: Secret::new(url), secrets, redaction }))
    }

    /// Settings of events that say something and do nothing, or not what is usual.
    pub(super) fn event_notices(&self, events: Option<&EventsConfig>) -> Vec<String> {
        let idle = [("EVENT_WEBHOOK_SECRET", &self.event_webhook_secret), ("EVENT_REDACTION", &self.event_redaction)];
        match events {
            Some(events) if events.secrets.is_empty() => {
                vec![
                    "EVENT_WEBHOOK_SECRET is not set: whoever gets the events cannot tell that they are ours"
                        .to_owned(),
                ]
            }
            Some(_) => Vec::new(),
            None => {
                let idle = idle.into_iter().filter(|(_, value)| set(value).is_some());
                idle.map(|(name, _)| format!("{name} has no effect without EVENT_WEBHOOK_URL")).collect()
            }
        }
    }
}

/// `agent=2500`.
fn stage_bound(item: &str) -> Result<(TurnStage, u64), SettingError> {
    let wrong = || {
        let stages = TurnStage::ALL.map(TurnStage::as_str).join(", ");
        let fault = format!("has {}; each item is a stage ({stages}), = and milliseconds up to {MOST_MS}", Shown(item));
        SettingError::new("SLOW_STAGES_MS", fault, "agent=2500,recogniser=1500")
    };
    let (name, ms) = item.split_once('=').ok_or_else(wrong)?;
    let stage = TurnStage::ALL.into_iter().find(|stage| stage.as_str() == name.trim());
    let ms = ms.trim().parse().ok().filter(|ms| *ms <= MOST_MS);
    stage.zip(ms).ok_or_else(wrong)
}
