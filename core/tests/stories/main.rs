//! Stories of calls: what comes in, and what the call does. Time is virtual and Twilio's playout is a model.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::cast_possible_truncation, reason = "frame numbers are small")]

mod answer_parts;
mod backchannels;
mod backup;
mod barge_in;
mod call_facts;
mod carried;
mod closed_loop;
mod contract;
mod disorder;
mod dtmf;
mod echo;
mod end_of_utterance;
mod ending;
mod event_orders;
mod exchange;
mod failures;
mod far_agent;
mod fillers;
mod hostile;
mod kit;
mod kit_failures;
mod left_out;
mod listening;
mod messages;
mod migration;
mod no_input;
mod noise;
mod past_turns;
mod quiet_lead;
mod replacement;
mod session_stream;
mod speech_in_flight;
mod stages;
mod stalled_frames;
mod synthesis;
mod tapes;
mod test_call;
mod tools;
mod unanswered_speech;
mod waiting_callers;
