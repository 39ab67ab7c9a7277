//! What a test can see of a call that was played.

use dialbridge_core::audio::MULAW_SILENCE;
use dialbridge_core::report::BargeInBy;
use dialbridge_core::{CloseReason, Report};
use dialbridge_lab::twilio::{CallEventKind, CallRecord};

/// What the caller heard of the agent, one playout after another: how many milliseconds, and whether it was cut.
#[must_use]
pub fn spoke(call: &CallRecord) -> Vec<(u64, bool)> {
    let spoke = |what: &CallEventKind| match what {
        CallEventKind::AgentSpoke { played_ms, cut } => Some((*played_ms, *cut)),
        _ => None,
    };
    call.events.iter().filter_map(|event| spoke(&event.kind)).collect()
}

/// When something first happened, in milliseconds of the call.
#[must_use]
pub fn first_at(call: &CallRecord, wanted: impl Fn(&CallEventKind) -> bool) -> u64 {
    let event = call.events.iter().find(|event| wanted(&event.kind));
    event.unwrap_or_else(|| panic!("it did not happen: {:?}", call.events)).at_ms
}

/// Each time that something happened, in milliseconds of the call.
#[must_use]
pub fn all_at(call: &CallRecord, wanted: impl Fn(&CallEventKind) -> bool) -> Vec<u64> {
    call.events.iter().filter(|event| wanted(&event.kind)).map(|event| event.at_ms).collect()
}

/// What the caller heard between two times of the call.
#[must_use]
pub fn heard_between(call: &CallRecord, from_ms: u64, to_ms: u64) -> &[u8] {
    let began = first_at(call, |what| matches!(what, CallEventKind::StreamOpened));
    let place = |at_ms: u64| usize::try_from((at_ms - began) * 8).unwrap().min(call.heard.len());
    &call.heard[place(from_ms)..place(to_ms)]
}

/// How many milliseconds the caller heard something.
#[must_use]
pub fn sounding_ms(call: &CallRecord) -> u64 {
    spoke(call).iter().map(|(played_ms, _)| played_ms).sum()
}

/// Whether that audio is silence.
#[must_use]
pub fn is_silence(audio: &[u8]) -> bool {
    audio.iter().all(|code| *code == MULAW_SILENCE)
}

/// The URL that the call was redirected to, decoded.
#[must_use]
pub fn redirected(call: &CallRecord) -> Option<String> {
    let url = call.find(|what| if let CallEventKind::Redirected { url } = what { Some(url.clone()) } else { None })?;
    Some(percent_encoding::percent_decode_str(&url).decode_utf8().unwrap().into_owned())
}

/// Who ended the call.
#[must_use]
pub fn ended_by(call: &CallRecord) -> String {
    call.find(|what| if let CallEventKind::Ended { by } = what { Some(by.clone()) } else { None }).unwrap()
}

/// The text that Twilio spoke to the caller in `<Say>`.
#[must_use]
pub fn said(call: &CallRecord) -> Option<String> {
    call.find(|what| if let CallEventKind::Said { text } = what { Some(text.clone()) } else { None })
}

/// How many reports match.
#[must_use]
pub fn count(reports: &[Report], wanted: impl Fn(&Report) -> bool) -> usize {
    reports.iter().filter(|report| wanted(report)).count()
}

/// The text of each answer of the agent, in order. An answer without text is empty.
#[must_use]
pub fn answers(reports: &[Report]) -> Vec<&str> {
    let mut found = Vec::new();
    for report in reports {
        if let Report::Answered { text, .. } = report {
            found.push(text.as_str());
        }
    }
    found
}

/// The code of each turn that failed, in order.
#[must_use]
pub fn faults(reports: &[Report]) -> Vec<&str> {
    let mut found = Vec::new();
    for report in reports {
        if let Report::TurnFailed { fault, .. } = report {
            found.push(fault.code.as_str());
        }
    }
    found
}

/// Each barge-in: what interrupted, and how many milliseconds of the prompt were heard and cut.
#[must_use]
pub fn barge_ins(reports: &[Report]) -> Vec<(BargeInBy, u64, u64)> {
    let cut = |report: &Report| match report {
        Report::BargeIn { by, played_ms, cut_ms, .. } => Some((*by, *played_ms, *cut_ms)),
        _ => None,
    };
    reports.iter().filter_map(cut).collect()
}

/// Why each media stream ended, in order.
#[must_use]
pub fn close_reasons(reports: &[Report]) -> Vec<CloseReason> {
    let reason = |report: &Report| if let Report::Ended { reason, .. } = report { Some(*reason) } else { None };
    reports.iter().filter_map(reason).collect()
}
