//! Several Twilio accounts behind one service: each has its own token, agents and calls, and none reaches another's.

use dialbridge_core::CallSid;
use dialbridge_core::carried::Opening;
use dialbridge_core::handoff::HandoffField;
use dialbridge_lab::twilio::{Account, CallEventKind, CallPlan, CallRecord, When};
use dialbridge_runner::settings::Secret;
use dialbridge_runner::twilio::ticket::{CallInfo, Ticket, TicketSigner};
use dialbridge_tests::{
    Came, Harness, HttpAnswer, Log, RawSocket, SERVICE_URL, TOKEN, TempFile, numbered_speech, paths, post, redirected,
    say, start,
};

const AGENCY_TOKEN: &str = "the-agencys-token";

const CALL: &str = "CA00000000000000000000000000000001";

const SCRIPT: &str = r#"
    [start]
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    tone = { hz = 500, ms = 300 }
    end = true
"#;

/// The account beside the configured one.
fn agency() -> Account {
    Account { sid: format!("AC{:032x}", 0xA6E), auth_token: Some(AGENCY_TOKEN.to_owned()) }
}

fn main_account() -> Account {
    Account::new(Some(TOKEN))
}

/// A service with an agent of its own account and one of the agency's, with the numbers of both.
fn harness() -> Harness {
    let token = TempFile::write(&format!("{AGENCY_TOKEN}\n"));
    let file = format!(
        "[accounts.agency]\naccount_sid = \"{}\"\nauth_token_file = \"{}\"\n\
         [agents.ours]\ndialogflow_agent = \"projects/p/agent\"\nnumbers = [\"+1*\"]\n\
         [agents.theirs]\ndialogflow_agent = \"projects/q/agent\"\naccount = \"agency\"\n",
        agency().sid,
        token.path()
    );
    let harness = Harness::with_script(SCRIPT).file(&file).agent("ours", SCRIPT).agent("theirs", SCRIPT);
    let harness = harness
        .settings(|settings| settings.set("DIALOGFLOW_AGENT", ""))
        .settings(|settings| settings.set("ALLOW_BARE_MEDIA", "true"))
        .config(|config| {
            config.agents.values_mut().for_each(|agent| agent.call.handoff.fields = vec![HandoffField::Session]);
        })
        .start();
    harness.twilio.account_state().others.push(agency());
    harness
}

/// A call to a number of that account; `None`: the configured one.
async fn call(harness: &Harness, account: Option<Account>) -> CallRecord {
    let steps = vec![say(When::AgentSilent(200), numbered_speech(0, 600))];
    harness.twilio.call(CallPlan { subaccount: account, ..harness.plan(steps) }).await
}

/// A request that `signer` has signed and that says it is of `account`.
async fn request(harness: &Harness, path: &str, signer: &Account, account: &Account) -> HttpAnswer {
    let form = [("CallSid", CALL), ("AccountSid", &account.sid), ("CallStatus", "in-progress")];
    let owned: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let signature = signer.signature(&format!("{SERVICE_URL}{path}"), &owned).unwrap();
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    post(&harness.pipes, &format!("POST {path}"), &headers, &body.join("&")).await
}

/// A media socket whose handshake `signer` has signed.
async fn socket(harness: &Harness, path: &str, signer: &Account) -> Result<RawSocket, String> {
    let signature = signer.signature(&format!("ws://service.test{path}"), &[]);
    RawSocket::open_signed(&harness.pipes, path, signature.as_deref()).await
}

/// The paths of the media stream and of the action that an account gets for a call.
async fn document(harness: &Harness, account: &Account) -> (String, String) {
    paths(&request(harness, "/twiml", account, account).await.body)
}

/// Twilio's `start` of a call of that account.
fn start_of(account: &Account) -> String {
    start(CALL).replace("\"callSid\"", &format!("\"accountSid\":\"{}\",\"callSid\"", account.sid))
}

#[tokio::test(start_paused = true)]
async fn each_accounts_calls_have_its_own_agent_and_are_updated_with_its_own_token() {
    let harness = harness();
    for (account, session) in [(None, "projects/p/"), (Some(agency()), "projects/q/")] {
        let call = call(&harness, account).await;
        assert_eq!(call.count(|what| matches!(what, CallEventKind::Updated)), 1, "{:?}", call.events);
        assert!(redirected(&call).unwrap().contains(session));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_signs_for_its_own_account_only() {
    let (log, harness) = (Log::start(), harness());
    for (signer, account, status) in [
        (main_account(), main_account(), 200),
        (agency(), agency(), 200),
        (main_account(), agency(), 403),
        (agency(), main_account(), 403),
    ] {
        assert_eq!(request(&harness, "/twiml", &signer, &account).await.status, status, "{signer:?} {account:?}");
    }
    assert_eq!(request(&harness, "/twiml?agent=ours", &agency(), &agency()).await.status, 404, "it is not its agent");
    assert!(!log.text().contains(AGENCY_TOKEN) && log.text().contains("no token of its account"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_knows_anothers_call_sid_can_do_nothing_to_that_call() {
    let harness = harness();
    let (media, action) = document(&harness, &main_account()).await;
    let attacked = socket(&harness, &media, &agency()).await;
    assert!(attacked.is_err_and(|error| error.contains("403")), "the ticket is another account's");
    let mut ours = socket(&harness, &media, &main_account()).await.unwrap();
    ours.text(&start_of(&main_account())).await;
    assert!(matches!(ours.next().await, Came::Text(_)));

    let (foreign_media, foreign_action) = document(&harness, &agency()).await;
    let mut theirs = socket(&harness, &foreign_media, &agency()).await.unwrap();
    theirs.text(&start_of(&agency())).await;
    assert!(matches!(theirs.next().await, Came::Text(_)), "it gets a call of its own");
    assert!(!matches!(ours.end().await, Came::Close(_) | Came::Gone), "ours was not taken over");

    for (action, signer, account) in [
        (&action, agency(), agency()),
        (&action, agency(), main_account()),
        (&foreign_action, main_account(), main_account()),
    ] {
        assert_eq!(request(&harness, action, &signer, &account).await.status, 403, "{signer:?} {account:?}");
    }
    assert_eq!(request(&harness, &action, &main_account(), &main_account()).await.status, 200);
}

/// The main account's token makes the tickets, so whoever has it can make any. It opens no agent of another account.
#[tokio::test(start_paused = true)]
async fn a_ticket_that_was_made_with_the_main_accounts_token_opens_no_agent_of_another_one() {
    let harness = harness();
    let signer = TicketSigner::new(&[], &[Secret::new(TOKEN)]).unwrap();
    // When the clock of a test begins.
    let issued_ms = 1_795_392_000_000;
    for (agent, account, is_open) in
        [("ours", None, true), ("theirs", None, false), ("theirs", Some(agency().sid), false)]
    {
        let info = CallInfo {
            agent: agent.to_owned(),
            backup_of: None,
            language: None,
            began_ms: issued_ms,
            failed_turns: 0,
            account,
            trace: None,
        };
        let ticket = Ticket { call_sid: CallSid::new(CALL).unwrap(), issued_ms, info, opening: Opening::Resume };
        let opened = socket(&harness, &format!("/media/{}", signer.issue(&ticket)), &main_account()).await;
        assert_eq!(opened.is_ok(), is_open, "{agent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_media_stream_is_of_the_account_that_has_signed_it() {
    let harness = harness();
    for (signer, account, is_taken) in [
        (main_account(), main_account(), true),
        (agency(), main_account(), false),
        (main_account(), agency(), false),
        (agency(), agency(), true),
    ] {
        let mut socket = socket(&harness, "/media", &signer).await.unwrap();
        socket.text(&start_of(&account)).await;
        let came = socket.next().await;
        assert_eq!(matches!(came, Came::Text(_)), is_taken, "{signer:?} {account:?} {came:?}");
    }
}
