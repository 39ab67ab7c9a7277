//! An attacker who knows everything about a live call except the keys: its ids, old tickets and states, and how they
//! are made. The call never notices.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dialbridge_core::CallSid;
use dialbridge_core::carried::Opening;
use dialbridge_lab::agent::Script;
use dialbridge_lab::net::Pipes;
use dialbridge_lab::twilio::{CallEventKind, CallPlan, sign};
use dialbridge_runner::settings::Secret;
use dialbridge_runner::twilio::ticket::{CallInfo, State, Ticket, TicketSigner};
use dialbridge_tests::{
    Harness, RawSocket, SERVICE_URL, TOKEN, bakery, paths, post, redirected, signed_post, start, voice_url,
};
use http::StatusCode;
use tokio::sync::mpsc;

const ATTACKERS_CALL: &str = "CA0000000000000000000000000000000f";

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Whether a media stream could be opened.
async fn opens(pipes: &Pipes, path: &str, signature: Option<&str>) -> bool {
    RawSocket::open_signed(pipes, path, signature).await.is_ok()
}

/// Tickets and states for the victim's call, made without the keys.
fn forgeries(victim: &str, now_ms: u64, genuine: &str) -> Vec<String> {
    let call_sid = CallSid::new(victim).unwrap();
    let info = CallInfo {
        agent: "default".to_owned(),
        backup_of: None,
        language: None,
        began_ms: now_ms,
        failed_turns: 0,
        account: None,
        trace: None,
    };
    let ticket = Ticket { call_sid: call_sid.clone(), issued_ms: now_ms, info: info.clone(), opening: Opening::Resume };
    let state = State { call_sid, issued_ms: now_ms, info, attempt: 0 };
    let mut forged = Vec::new();
    for key in ["", "0", "dialbridge", "dialbridge media ticket", SERVICE_URL] {
        let signer = TicketSigner::new(&[Secret::new(key)], &[]).unwrap();
        forged.extend([signer.issue(&ticket), signer.issue_state(&state)]);
    }
    // The attacker's own genuine ticket with the victim's id in it, or with its two halves split.
    let (content, tag) = genuine.split_once('.').unwrap();
    let opened = String::from_utf8(URL_SAFE_NO_PAD.decode(content).unwrap()).unwrap();
    let changed = URL_SAFE_NO_PAD.encode(opened.replace(ATTACKERS_CALL, victim));
    let doubled = URL_SAFE_NO_PAD.encode(opened.replacen('{', &format!("{{\"c\":\"{victim}\","), 1));
    for content in [changed.as_str(), doubled.as_str()] {
        forged.extend([
            format!("{content}.{tag}"),
            format!("{content}."),
            content.to_owned(),
            format!("{content}.{content}"),
        ]);
    }
    forged.extend([format!("{content}.{tag}.{tag}"), format!("{content}.{tag}="), format!(".{tag}")]);
    forged.extend(["..", "%2e", "null", "e30.", "AAAA.AAAA"].map(ToOwned::to_owned));
    forged
}

/// Everything that the attacker tries while the victim talks.
async fn attack(harness: &Harness, victim: &str) {
    let pipes = &harness.pipes;
    let good = |path: &str| sign(TOKEN, &format!("ws://service.test{path}"), &[]);
    // The attacker has a call of his own, with its ticket and state.
    let (own_media, own_action) = voice_url(pipes, ATTACKERS_CALL).await;
    let (own_ticket, own_state) = (own_media.rsplit('/').next().unwrap(), own_action.rsplit('=').next().unwrap());
    let now_ms = 1_795_392_000_000 + 5_000;
    for genuine in [own_ticket, own_state] {
        for forged in forgeries(victim, now_ms, genuine) {
            let path = format!("/media/{forged}");
            // Even a handshake that Twilio signed does not help.
            assert!(!opens(pipes, &path, Some(&good(&path))).await, "{path}");
            let action = format!("/connect-ended?s={forged}");
            let answer = signed_post(pipes, &action, &[("CallSid", victim), ("CallStatus", "in-progress")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{action}");
        }
    }
    // The attacker's own state is not valid for another call, and a state is not a ticket.
    for (path, call) in [(own_action.clone(), victim), (own_action.replace("connect", "dial"), victim)] {
        let answer = signed_post(pipes, &path, &[("CallSid", call), ("CallStatus", "in-progress")]).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::FORBIDDEN, ""), "{path}");
    }
    assert!(!opens(pipes, &format!("/media/{own_state}"), Some(&good(&format!("/media/{own_state}")))).await);
    // No request without Twilio's signature passes: none, an invented one, that of another URL, that of another form.
    let other_form = sign(TOKEN, &format!("{SERVICE_URL}/twiml"), &pairs(&[("CallSid", ATTACKERS_CALL)]));
    let other_url = sign(TOKEN, &format!("{SERVICE_URL}/twiml?agent=x"), &pairs(&[("CallSid", victim)]));
    for signature in ["", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", &other_form, &other_url] {
        for path in ["/twiml", "/twiml?resume=1", &own_action, "/stream-status", "/dial-ended?s=x"] {
            let headers = [FORM, ("x-twilio-signature", signature)];
            let body = format!("CallSid={victim}&CallStatus=in-progress");
            let answer = post(pipes, &format!("POST {path}"), &headers, &body).await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::FORBIDDEN, ""), "{path}");
        }
    }
    // An added or repeated parameter makes the signature invalid.
    let signed = sign(TOKEN, &format!("{SERVICE_URL}/twiml"), &pairs(&[("CallSid", ATTACKERS_CALL)]));
    for body in [
        format!("CallSid={victim}&CallSid={ATTACKERS_CALL}"),
        format!("CallSid={ATTACKERS_CALL}&CallSid={victim}"),
        format!("CallSid={ATTACKERS_CALL}&To="),
        format!("CallSid={ATTACKERS_CALL}&ErrorCode=1"),
    ] {
        let headers = [FORM, ("x-twilio-signature", signed.as_str())];
        assert_eq!(post(pipes, "POST /twiml", &headers, &body).await.status, StatusCode::FORBIDDEN, "{body}");
    }
    // The attacker's own stream claims to be the victim's call, and stops it.
    let mut own = RawSocket::open(pipes, &own_media).await.unwrap();
    own.text(&start(victim)).await;
    own.text(r#"{"event":"stop","streamSid":"MZ1","stop":{}}"#).await;
    own.end().await;
    assert!(!opens(pipes, &own_media, Some(&good(&own_media))).await, "a ticket opens one socket");
    assert!(!opens(pipes, "/media", Some(&good("/media"))).await, "there is no door without a ticket");
}

#[tokio::test(start_paused = true)]
async fn without_the_signing_keys_no_call_can_be_touched() {
    let harness = Harness::with(Script::bakery().unwrap()).start();
    let (watch, mut watched) = mpsc::channel(1_000);
    let plan = CallPlan { watch: Some(watch), ..harness.plan(bakery()) };
    let attacking = async {
        // The victim's ids are no secret: the attacker gets them as soon as the call streams.
        while let Some(event) = watched.recv().await {
            if event.kind == CallEventKind::StreamOpened {
                break;
            }
        }
        let victim = harness.twilio.live_calls().pop().unwrap();
        // Reads the victim's events without checking them.
        let attacks = async {
            for _ in 0..5 {
                attack(&harness, &victim).await;
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
        };
        let rest = async { while watched.recv().await.is_some() {} };
        tokio::join!(attacks, rest);
    };
    let (call, ()) = tokio::join!(harness.twilio.call(plan), attacking);
    let redirected = redirected(&call);
    assert!(redirected.unwrap().contains("VirtualAgentStatus=live-agent-handoff"));
    assert_eq!(call.count(|what| matches!(what, CallEventKind::Updated)), 1);
    assert_eq!(call.count(|what| matches!(what, CallEventKind::StreamOpened)), 1);
    assert_eq!(call.count(|what| matches!(what, CallEventKind::Twiml { path, .. } if path != "/handoff")), 1);
    let (_, own_action) = paths(&signed_post(&harness.pipes, "/twiml", &[("CallSid", ATTACKERS_CALL)]).await.body);
    assert!(own_action.contains("/connect-ended?s="), "the service is as well as before");
}
