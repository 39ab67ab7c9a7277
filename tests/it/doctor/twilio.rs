//! The Twilio account and its numbers.

use dialbridge::doctor::Mark;
use dialbridge_lab::twilio::{Account, PhoneNumber, RestFault};
use dialbridge_tests::{Examined, PLANTED_TOKEN, PUBLIC_URL};
use http::StatusCode;

use super::{Row, each, plan};

fn refused(status: u16, code: u32) -> RestFault {
    RestFault::Refused { status: StatusCode::from_u16(status).unwrap(), code, retry_after: None }
}

const COPY: &str = "copy TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN from Twilio's console anew; each region has its own \
                    token (TWILIO_EDGE, TWILIO_REGION)";

const POINT: &str = "twilio api:core:incoming-phone-numbers:update --sid PN00000000000000000000000000000001 --voice-url \
                     'https://calls.test/twiml' --voice-method POST --voice-fallback-url \
                     'https://calls.test/twiml?resume=1' --voice-fallback-method POST";

#[tokio::test]
async fn wrong_accounts() {
    let rows = [
        Row {
            case: ("twilio-account", "another token"),
            wrong: |plan| plan.twilios_token = "planted-new-token".to_owned(),
            says: "Twilio does not take these credentials for account AC0000000000000000000000000000d1a1 (401, error 20003)",
            mend: COPY,
        },
        Row {
            case: ("twilio-account", "no such account"),
            wrong: |plan| {
                plan.settings.set("TWILIO_API_KEY_SID", "");
                plan.settings.set("TWILIO_API_KEY_SECRET", "");
                plan.rest_faults.push(refused(404, 20404));
            },
            says: "https://api.twilio.test has no account AC0000000000000000000000000000d1a1 (404, error 20404)",
            mend: "set TWILIO_ACCOUNT_SID to the account's id; is it of another region (TWILIO_EDGE, TWILIO_REGION)?",
        },
        Row {
            case: ("twilio-account", "too many requests"),
            wrong: |plan| {
                plan.settings.set("TWILIO_API_KEY_SID", "");
                plan.settings.set("TWILIO_API_KEY_SECRET", "");
                plan.rest_faults.push(refused(429, 20429));
            },
            says: "Twilio answers that there are too many requests (429, error 20429)",
            mend: "wait a minute and try again; hand-offs of live calls are refused in the meantime",
        },
        Row {
            case: ("twilio-account", "a suspended account"),
            wrong: |plan| plan.account_state.status = "suspended".to_owned(),
            says: "account AC0000000000000000000000000000d1a1 is suspended",
            mend: "reactivate it in Twilio's console (billing, or its parent account)",
        },
        Row {
            case: ("twilio-api-key", "an api key that is not taken"),
            wrong: |plan| plan.settings.set("TWILIO_API_KEY_SECRET", "planted-wrong-secret"),
            says: "Twilio does not take these credentials for account AC0000000000000000000000000000d1a1 (401, error 20003)",
            mend: "set TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET to a standard key of this account and region, or unset \
                   both: the token does",
        },
        Row {
            case: ("twilio-account", "an api in the clear"),
            wrong: |plan| plan.settings.set("TWILIO_API_URL", "http://api.twilio.test"),
            says: "TWILIO_API_URL is http://api.twilio.test: the token would go there in the clear",
            mend: "give TWILIO_API_URL https://, or unset it",
        },
        Row {
            case: ("twilio-account", "nobody at twilio"),
            wrong: |plan| {
                plan.down.push("api.twilio.test:443");
                plan.settings.set("TWILIO_API_KEY_SID", "");
                plan.settings.set("TWILIO_API_KEY_SECRET", "");
            },
            says: "https://api.twilio.test: no connection: api.twilio.test:443: nobody listens there",
            mend: "look whether this machine reaches it (TWILIO_API_URL, TWILIO_EDGE, TWILIO_REGION; firewall, proxy)",
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn numbers_that_do_not_lead_here() {
    let rows = [
        Row {
            case: ("number", "a voice-url that leads elsewhere"),
            wrong: |plan| plan.options.numbers = vec!["+15550101".to_owned()],
            says: "+15550101: its voice-url leads to https://elsewhere.test",
            mend: "twilio api:core:incoming-phone-numbers:update --sid PN00000000000000000000000000000002 --voice-url \
                   'https://calls.test/twiml' --voice-method POST --voice-fallback-url \
                   'https://calls.test/twiml?resume=1' --voice-fallback-method POST",
        },
        Row {
            case: ("number", "a number that is not there"),
            wrong: |plan| plan.options.numbers = vec!["+1555010".to_owned()],
            says: "account AC0000000000000000000000000000d1a1 has no number +1555010",
            mend: "write it as +15550100; is it another account's or subaccount's (TWILIO_ACCOUNT_SID)?",
        },
        Row {
            case: ("number", "no fallback-url"),
            wrong: |plan| plan.account_state.numbers[0].voice_fallback_url = String::new(),
            says: "+15550100: it has no fallback-url: a call whose webhook fails ends with an error of Twilio's",
            mend: POINT,
        },
        Row {
            case: ("number", "another path"),
            wrong: |plan| plan.account_state.numbers[0].voice_url = format!("{PUBLIC_URL}/voice"),
            says: "+15550100: its voice-url has the path /voice, where this service answers nothing",
            mend: POINT,
        },
        Row {
            case: ("number", "another scheme"),
            wrong: |plan| plan.account_state.numbers[0].voice_fallback_url = "http://calls.test/twiml".to_owned(),
            says: "+15550100: its fallback-url begins with http://, not https://",
            mend: POINT,
        },
        Row {
            case: ("number", "a number that greets nobody"),
            wrong: |plan| plan.account_state.numbers[0].voice_url = format!("{PUBLIC_URL}/twiml?resume=1"),
            says: "+15550100: its voice-url has resume=1, so that no caller is greeted",
            mend: POINT,
        },
        Row {
            case: ("number", "a fallback for another agent"),
            wrong: |plan| plan.account_state.numbers[0].voice_url = format!("{PUBLIC_URL}/twiml?agent=sales"),
            says: "+15550100: its fallback-url names another agent than its voice-url",
            mend: "twilio api:core:incoming-phone-numbers:update --sid PN00000000000000000000000000000001 --voice-url \
                   'https://calls.test/twiml?agent=sales' --voice-method POST --voice-fallback-url \
                   'https://calls.test/twiml?agent=sales&resume=1' --voice-fallback-method POST",
        },
        Row {
            case: ("number", "an agent that there is not"),
            wrong: |plan| {
                plan.account_state.numbers[0].voice_url = format!("{PUBLIC_URL}/twiml?agent=salse");
                plan.account_state.numbers[0].voice_fallback_url = format!("{PUBLIC_URL}/twiml?agent=salse&resume=1");
            },
            says: "+15550100: its voice-url names an agent that the service does not have",
            mend: "correct agent=NAME in the voice-url, or configure that agent at the service",
        },
        Row {
            case: ("number", "a twiml app"),
            wrong: |plan| plan.account_state.numbers[0].voice_application_sid = "AP1".to_owned(),
            says: "+15550100: it belongs to a TwiML app, so that its voice-url is not used",
            mend: "twilio api:core:incoming-phone-numbers:update --sid PN00000000000000000000000000000001 --voice-url \
                   'https://calls.test/twiml' --voice-method POST --voice-fallback-url \
                   'https://calls.test/twiml?resume=1' --voice-fallback-method POST --voice-application-sid ''",
        },
        Row {
            case: ("number", "a sip trunk"),
            wrong: |plan| plan.account_state.numbers[0].trunk_sid = "TK1".to_owned(),
            says: "+15550100: it belongs to a SIP trunk, so that its voice-url is not used",
            mend: "twilio api:trunking:v1:trunks:phone-numbers:remove --trunk-sid TK1 --sid \
                   PN00000000000000000000000000000001",
        },
        Row {
            case: ("number", "a number without a voice"),
            wrong: |plan| plan.account_state.numbers[0].is_mute = true,
            says: "+15550100: it takes no voice calls",
            mend: POINT,
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn accounts_and_numbers_that_may_not_be_what_was_meant() {
    let rows = [
        Row {
            case: ("twilio-account", "a trial account"),
            wrong: |plan| plan.account_state.kind = "Trial".to_owned(),
            says: "AC0000000000000000000000000000d1a1 is a trial account: callers hear a notice of Twilio's first, and \
                   streams may be left out",
            mend: "upgrade the account in Twilio's console",
        },
        Row {
            case: ("twilio-account", "a token that is no longer taken"),
            wrong: |plan| {
                plan.settings.set("TWILIO_AUTH_TOKEN", "planted-auth-token-0123456789,planted-old-token");
            },
            says: "token 2 of the list in TWILIO_AUTH_TOKEN is not taken by Twilio any more",
            mend: "take it off the list when no instance needs it",
        },
        Row {
            case: ("number", "no number of ours"),
            wrong: |plan| {
                plan.account_state.numbers.remove(0);
            },
            says: "none of the account's 1 numbers leads to https://calls.test",
            mend: "for example twilio api:core:incoming-phone-numbers:update --sid PN00000000000000000000000000000002 \
                   --voice-url 'https://calls.test/twiml' --voice-method POST --voice-fallback-url \
                   'https://calls.test/twiml?resume=1' --voice-fallback-method POST",
        },
        Row {
            case: ("number", "a get"),
            wrong: |plan| plan.account_state.numbers[0].voice_method = "GET".to_owned(),
            says: "+15550100: its voice-url is asked with GET, which puts callers' numbers into the logs of whatever is \
                   between",
            mend: POINT,
        },
        Row {
            case: ("number", "a fallback elsewhere"),
            wrong: |plan| {
                plan.account_state.numbers[0].voice_fallback_url = "https://handler.test/sorry?x=1".to_owned()
            },
            says: "+15550100: its fallback-url leads to https://handler.test: a call that fails does not come back here",
            mend: POINT,
        },
    ];
    each(Mark::Warning, &rows).await;
}

#[tokio::test]
async fn a_subaccount_whose_numbers_lead_here_needs_its_token_in_the_list() {
    let sub = Account { sid: format!("AC{:032x}", 0x5AB), auth_token: Some("planted-subaccounts-token".to_owned()) };
    let number = |url: &str| vec![PhoneNumber::leading_to(9, "+15550190", url)];
    for (url, tokens, expected) in [
        ("https://elsewhere.test", PLANTED_TOKEN.to_owned(), None),
        (PUBLIC_URL, PLANTED_TOKEN.to_owned(), Some(Mark::Fault)),
        (PUBLIC_URL, format!("{PLANTED_TOKEN},planted-subaccounts-token"), Some(Mark::Ok)),
    ] {
        let mut plan = plan(&format!("subaccount {} of {}", tokens.len(), url.len()));
        plan.settings.set("TWILIO_AUTH_TOKEN", &tokens);
        plan.account_state.subaccounts = vec![(sub.clone(), number(url))];
        let Examined { findings, lines, .. } = plan.examine(false).await;
        let found = findings.iter().find(|finding| finding.check == "subaccount");
        assert_eq!(found.map(|finding| finding.mark), expected, "{lines}");
        let account = findings.iter().find(|finding| finding.check == "twilio-account").unwrap();
        assert_eq!(account.mark, Mark::Ok, "a subaccount's token is none that Twilio does not take: {account}");
        assert!(!lines.contains("planted"), "{lines}");
    }
}

#[tokio::test]
async fn a_subaccount_of_the_agents_file_needs_its_token_there_and_nowhere_else() {
    let sub = Account { sid: format!("AC{:032x}", 0x5AB), auth_token: Some("planted-subaccounts-token".to_owned()) };
    for (token, expected) in [("planted-subaccounts-token", Mark::Ok), ("planted-other-token", Mark::Fault)] {
        let mut plan = plan(&format!("subaccount of the file {}", token.len()));
        plan.write("token", token);
        let agent = "projects/lab-project/locations/europe-west3/agents/lab";
        plan.write(
            "agents.toml",
            &format!(
                "[accounts.sub]\naccount_sid = \"{}\"\nauth_token_file = \"token\"\n\
                 [agents.default]\ndialogflow_agent = \"{agent}\"\n\
                 [agents.subs]\ndialogflow_agent = \"{agent}\"\naccount = \"sub\"\n",
                sub.sid
            ),
        );
        plan.settings.set("DIALBRIDGE_CONFIG", plan.folder.join("agents.toml").display().to_string());
        plan.account_state.subaccounts = vec![(sub.clone(), vec![PhoneNumber::leading_to(9, "+15550190", PUBLIC_URL)])];
        let Examined { findings, lines, .. } = plan.examine(false).await;
        let found = findings.iter().find(|finding| finding.check == "subaccount").unwrap();
        assert_eq!(found.mark, expected, "{lines}");
        assert!(lines.contains("accounts.sub of the agents' file") && !lines.contains("planted"), "{lines}");
    }
}

#[tokio::test]
async fn numbers_are_read_page_by_page() {
    let mut plan = plan("pages");
    plan.account_state.numbers = (1..=450)
        .map(|n| {
            let service = if n == 1 || n == 450 { PUBLIC_URL } else { "https://elsewhere.test" };
            PhoneNumber::leading_to(n, &format!("+1555{n:07}"), service)
        })
        .collect();
    let Examined { findings, .. } = plan.examine(false).await;
    let numbers: Vec<&str> = findings.iter().filter(|f| f.check == "number").map(|f| f.says.as_str()).collect();
    let lead = "voice-url and fallback-url lead here";
    assert_eq!(numbers, [format!("+15550000001: {lead}"), format!("+15550000450: {lead}")]);
}
