//! Tests which messages go out, and when.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::agent::{Digits, DigitsForm, TurnInput};
use dialbridge_core::audio::g711::decode_mulaw;
use dialbridge_core::audio::{AudioFormat, Encoding, Resampler};
use futures_core::Stream;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::json;
use tokio::time::{Instant, advance, timeout};

use ces::bidi_session_client_message::MessageType;
use ces::session_input::InputType;

use super::{context, object, start};
use crate::ces::CesConfig;
use crate::ces::outgoing::{Outgoing, SilenceSwitch};
use crate::ces::request::Message;
use crate::pipe::{InputPipe, StreamInput};

/// A sent message.
#[derive(Clone, PartialEq)]
enum Sent {
    Audio(Bytes),
    Other(&'static str),
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio(audio) => write!(f, "{} bytes from {:?} on", audio.len(), audio.first()),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

struct Line {
    pipe: Arc<InputPipe>,
    outgoing: Outgoing,
    listening: SilenceSwitch,
}

impl Line {
    fn new(ces: CesConfig) -> Self {
        let pipe = InputPipe::new(0);
        let (outgoing, listening) = Outgoing::new(&context(ces), &start(TurnInput::Audio), pipe.clone()).unwrap();
        Self { pipe, outgoing, listening }
    }

    /// A stream that has sent its configuration.
    async fn configured(ces: CesConfig) -> Self {
        let mut line = Self::new(ces);
        assert_eq!(line.next().await, Some(Sent::Other("config")));
        line
    }

    /// Writes frames of 20 ms, each with its number in all bytes.
    fn frames(&self, numbers: std::ops::Range<u8>) {
        for number in numbers {
            self.pipe.write(&[number; 160]).unwrap();
        }
    }

    async fn next(&mut self) -> Option<Sent> {
        let message = std::future::poll_fn(|cx| Pin::new(&mut self.outgoing).poll_next(cx)).await;
        message.map(sent)
    }

    /// The messages that go out within `ms`, each with its time in milliseconds.
    async fn within(&mut self, ms: u64) -> Vec<(u64, Sent)> {
        let began = Instant::now();
        let until = began + Duration::from_millis(ms);
        let mut all = Vec::new();
        while let Ok(Some(sent)) = timeout(until - Instant::now(), self.next()).await {
            all.push((u64::try_from(began.elapsed().as_millis()).unwrap(), sent));
        }
        all
    }
}

fn sent(message: Message) -> Sent {
    match message.message_type.unwrap() {
        MessageType::Config(_) => Sent::Other("config"),
        MessageType::RealtimeInput(input) => match input.input_type.unwrap() {
            InputType::Audio(audio) => Sent::Audio(audio),
            InputType::Text(_) => Sent::Other("text"),
            InputType::Dtmf(_) => Sent::Other("dtmf"),
            InputType::ToolResponses(_) => Sent::Other("tool responses"),
            InputType::Variables(_) => Sent::Other("variables"),
            InputType::Event(_) => Sent::Other("event"),
            InputType::Image(_) | InputType::Blob(_) => panic!("nobody sends these"),
        },
    }
}

fn frames(numbers: std::ops::Range<u8>) -> Sent {
    Sent::Audio(numbers.flat_map(|number| [number; 160]).collect())
}

fn silence(bytes: usize) -> Sent {
    Sent::Audio(vec![0xFF; bytes].into())
}

#[tokio::test(start_paused = true)]
async fn audio_goes_out_in_messages_of_an_even_length() {
    let mut line = Line::configured(CesConfig::default()).await;
    line.frames(0..2);
    assert_eq!(line.within(100).await, [], "not before a message is whole");
    line.frames(2..7);
    assert_eq!(line.within(10).await, [(0, frames(0..3)), (0, frames(3..6))]);
    line.pipe.close();
    assert_eq!(line.next().await, Some(frames(6..7)), "the last one is shorter");
    assert_eq!(line.next().await, None);
    assert_eq!(line.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_kick_start_leaves_the_app_time_for_the_variables_and_the_audio_goes_on() {
    let mut start = start(TurnInput::Event("session_start".to_owned()));
    for (variables, expected) in [(json!({}), 0), (json!({ "shop": "north" }), 500)] {
        start.parameters = object(variables);
        let pipe = InputPipe::new(0);
        let (outgoing, listening) = Outgoing::new(&context(CesConfig::default()), &start, pipe.clone()).unwrap();
        let mut line = Line { pipe, outgoing, listening };
        line.frames(0..3);
        let sent = line.within(600).await;
        let at = |kind| sent.iter().find(|(_, sent)| *sent == Sent::Other(kind)).map(|(at, _)| *at);
        assert_eq!((at("config"), at("event")), (Some(0), Some(expected)));
        assert!(sent.contains(&(0, frames(0..3))), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_kick_start_goes_before_a_digit_and_before_the_end_of_a_stream_that_come_while_it_waits() {
    let mut start = start(TurnInput::Event("session_start".to_owned()));
    start.parameters = object(json!({ "shop": "north" }));
    let line = || {
        let pipe = InputPipe::new(0);
        let (outgoing, listening) = Outgoing::new(&context(CesConfig::default()), &start, pipe.clone()).unwrap();
        Line { pipe, outgoing, listening }
    };
    let mut pressed = line();
    assert_eq!(pressed.within(100).await.len(), 2, "the configuration and the variables");
    pressed.frames(0..3);
    let digits = Digits { digits: "4".to_owned(), finish_digit: None };
    let digits = TurnInput::Digits(digits, DigitsForm::Dtmf);
    pressed.pipe.put(StreamInput::Input(digits)).unwrap();
    pressed.frames(3..6);
    let audio = [(0, frames(0..3)), (0, frames(3..6))];
    assert_eq!(pressed.within(150).await, audio, "the audio goes on");
    let sent = pressed.within(300).await;
    let others: Vec<_> = sent.iter().filter(|(_, sent)| matches!(sent, Sent::Other(_))).collect();
    assert_eq!(others, [&(250, Sent::Other("event")), &(250, Sent::Other("dtmf"))]);

    let mut closed = line();
    closed.frames(0..3);
    closed.pipe.close();
    let sent = closed.within(1_000).await;
    assert_eq!(sent[2..], [(0, frames(0..3)), (500, Sent::Other("event"))]);
    assert_eq!(closed.next().await, None);

    let mut over = line();
    over.listening.stop();
    over.pipe.close();
    assert_eq!(over.within(1_000).await.len(), 2, "an agent that takes no more input gets none");
}

#[tokio::test(start_paused = true)]
async fn other_input_keeps_its_place_in_the_audio() {
    let mut line = Line::configured(CesConfig::default()).await;
    line.frames(0..4);
    line.pipe.put(StreamInput::Input(TurnInput::Event("a".to_owned()))).unwrap();
    line.pipe.put(StreamInput::Parameters(object(json!({ "x": 1 })))).unwrap();
    line.pipe.put(StreamInput::Parameters(object(json!({})))).unwrap();
    line.frames(4..7);
    let expected = [frames(0..3), frames(3..4), Sent::Other("event"), Sent::Other("variables"), frames(4..7)];
    let expected: Vec<_> = expected.into_iter().map(|sent| (0, sent)).collect();
    assert_eq!(line.within(10).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_as_long_as_it_is_set() {
    for ms in [40, 120] {
        let chunk = Duration::from_millis(ms);
        let mut line = Line::configured(CesConfig { chunk, ..CesConfig::default() }).await;
        line.frames(0..12);
        let sizes: Vec<u64> = line
            .within(10)
            .await
            .into_iter()
            .map(|(_, sent)| if let Sent::Audio(audio) = sent { audio.len() as u64 } else { 0 })
            .collect();
        assert_eq!(sizes, vec![ms * 8; usize::try_from(240 / ms).unwrap()]);
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_audio_comes_silence_takes_its_place_in_real_time_until_it_is_back() {
    let mut line = Line::configured(CesConfig::default()).await;
    line.frames(0..4);
    let mut expected = vec![(0, frames(0..3))];
    // The pending audio goes out with the first silence.
    let rest: Vec<u8> = [vec![3; 160], vec![0xFF; 320]].concat();
    expected.push((200, Sent::Audio(rest.into())));
    expected.extend([260, 320, 380].map(|at| (at, silence(480))));
    assert_eq!(line.within(400).await, expected);
    line.frames(4..7);
    assert_eq!(line.within(190).await, [(0, frames(4..7))], "nothing of the caller's is left out");
    assert_eq!(line.within(100).await.len(), 2, "and it begins anew: after 200 ms, and 60 ms later");
}

#[tokio::test(start_paused = true)]
async fn late_audio_is_waited_for_while_the_caller_speaks() {
    for late_ms in [700, 3_000] {
        let mut line = Line::configured(CesConfig::default()).await;
        line.pipe.set_caller_speaks(true);
        line.frames(0..4);
        assert_eq!(line.within(late_ms).await, [(0, frames(0..3))]);
        line.frames(4..9);
        assert_eq!(line.within(10).await, [(0, frames(3..6)), (0, frames(6..9))], "the word goes on");
    }
    let mut line = Line::configured(CesConfig::default()).await;
    line.pipe.set_caller_speaks(true);
    line.frames(0..3);
    let sent = line.within(4_100).await;
    assert_eq!(sent, [(0, frames(0..3)), (4_000, silence(480)), (4_060, silence(480))], "but not for ever");
    line.pipe.set_caller_speaks(false);
    line.frames(3..6);
    assert_eq!(line.within(200).await, [(0, frames(3..6)), (200, silence(480))]);
}

#[tokio::test(start_paused = true)]
async fn while_audio_comes_no_silence_does() {
    let mut line = Line::configured(CesConfig::default()).await;
    for number in 0..100 {
        line.frames(number..number + 1);
        let messages = line.within(20).await;
        assert_eq!(messages.len(), usize::from(number % 3 == 2));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_has_an_end_and_there_is_none_when_nothing_is_listened_for() {
    let mut line = Line::configured(CesConfig::default()).await;
    let filled = line.within(600_000).await;
    assert_eq!(filled.len(), 500, "30 s of it");
    line.frames(0..3);
    assert_eq!(line.within(1_000).await.len(), 1 + 14, "after audio there is some again");
    line.listening.stop();
    assert_eq!(line.within(10_000).await, []);
    line.frames(0..4);
    assert_eq!(line.within(10_000).await, [(0, frames(0..3))]);
    line.pipe.close();
    assert_eq!(line.next().await, None, "nor the rest of a message");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_for_a_while_gets_no_silence_for_it() {
    let mut line = Line::configured(CesConfig::default()).await;
    for number in 0..150 {
        line.frames(number..number + 1);
        advance(Duration::from_millis(20)).await;
    }
    let messages = line.within(100).await;
    assert_eq!(messages.len(), 50);
    assert!(messages.iter().all(|(at, sent)| *at == 0 && *sent != silence(480)));
}

#[tokio::test(start_paused = true)]
async fn linear16_is_the_telephones_audio_at_another_rate_whole_bit_for_bit() {
    let mulaw: Vec<u8> = (0..16_000_u32).map(|n| (n * n / 7 % 251) as u8).collect();
    for sample_rate in [8_000, 16_000, 24_000] {
        let input = AudioFormat { encoding: Encoding::Linear16, sample_rate };
        let mut line = Line::configured(CesConfig { input, ..CesConfig::default() }).await;
        for frame in mulaw.chunks(160) {
            line.pipe.write(frame).unwrap();
        }
        line.pipe.close();
        let mut audio = Vec::new();
        let mut sizes = Vec::new();
        while let Some(Sent::Audio(message)) = line.next().await {
            sizes.push(message.len());
            audio.extend_from_slice(&message);
        }
        let (mut samples, mut expected) = (Vec::new(), Vec::new());
        decode_mulaw(&mulaw, &mut samples);
        let mut resampler = Resampler::new(8_000, sample_rate).unwrap();
        resampler.process(&samples, &mut expected);
        resampler.flush(&mut expected);
        let expected: Vec<u8> = expected.into_iter().flat_map(i16::to_le_bytes).collect();
        assert_eq!(audio, expected, "{sample_rate}");
        assert_eq!(audio.len(), mulaw.len() * 2 * usize::try_from(sample_rate / 8_000).unwrap());
        let even = usize::try_from(sample_rate * 2 * 60 / 1_000).unwrap();
        assert!(sizes[1..sizes.len() - 2].iter().all(|size| *size == even), "{sizes:?}");
    }
}

#[test]
fn a_rate_that_cannot_be_made_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();
    let input = AudioFormat { encoding: Encoding::Linear16, sample_rate: 11_111 };
    let context = context(CesConfig { input, ..CesConfig::default() });
    assert!(Outgoing::new(&context, &start(TurnInput::Audio), InputPipe::new(0)).is_err());
}
