//! The public URL, signatures and the media stream.

use dialbridge::doctor::{Finding, Mark};
use dialbridge_lab::twilio::PhoneNumber;
use dialbridge_tests::Examined;

use super::{Row, each, plan};

#[tokio::test]
async fn urls_that_lead_nowhere() {
    let rows = [
        Row {
            case: ("health", "nobody listens"),
            wrong: |plan| plan.down.push("calls.test:443"),
            says: "https://calls.test/health: no connection: calls.test:443: nobody listens there",
            mend: "start the service, and look whether the host's name and port are right",
        },
        Row {
            case: ("public-url", "a redirect to https"),
            wrong: |plan| {
                plan.options.url = Some("http://calls.test".to_owned());
                plan.options.numbers = vec!["+15550100".to_owned()];
                plan.account_state.numbers[0] = PhoneNumber::leading_to(1, "+15550100", "http://calls.test");
            },
            says: "http://calls.test redirects to https://calls.test: Twilio signs the URL that it calls, and follows no \
                   redirect to a media socket",
            mend: "set PUBLIC_URL and the number's voice-url to https://calls.test",
        },
        Row {
            case: ("public-url", "no tls"),
            wrong: |plan| {
                plan.clear.answers = None;
                plan.settings.set("PUBLIC_URL", "http://calls.test");
                plan.account_state.numbers[0] = PhoneNumber::leading_to(1, "+15550100", "http://calls.test");
            },
            says: "http://calls.test is not https: Twilio opens media sockets over wss only (its error 31922)",
            mend: "give the service a URL with https://, and set PUBLIC_URL to it",
        },
        Row {
            case: ("health", "a certificate of another name"),
            wrong: |plan| {
                plan.settings.set("PUBLIC_URL", "https://misnamed.test");
                plan.account_state.numbers[0].voice_url = "https://misnamed.test/twiml".to_owned();
                plan.account_state.numbers[0].voice_fallback_url = "https://misnamed.test/twiml".to_owned();
            },
            says: "https://misnamed.test/health: no TLS: invalid peer certificate: certificate not valid for name \
                   \"misnamed.test\"; certificate is only valid for DnsName(\"calls.test\"), DnsName(\"api.twilio.test\") \
                   or DnsName(\"run.test\")",
            mend: "give the host a certificate of a public authority for its name: Twilio takes no other",
        },
        Row {
            case: ("health", "a front end that wants an identity"),
            wrong: |plan| plan.proxy.answers = Some(("/", 403, "", "Your client does not have permission")),
            says: "https://calls.test/health answers 403 Forbidden: something before the service refuses who has no \
                   identity, and Twilio has none",
            mend: "on Cloud Run deploy with --no-invoker-iam-check, or with --allow-unauthenticated, and with --ingress \
                   all: Twilio's requests are checked by their signature",
        },
        Row {
            case: ("health", "nothing there"),
            wrong: |plan| plan.proxy.answers = Some(("/", 404, "", "no such page")),
            says: "https://calls.test/health answers 404 Not Found",
            mend: "let the URL lead to the service itself, with its paths at the root; is the host's name right?",
        },
        Row {
            case: ("health", "another site"),
            wrong: |plan| plan.proxy.answers = Some(("/", 200, "", "<h1>Welcome</h1>")),
            says: "https://calls.test/health answers, but not as this service does",
            mend: "let the URL lead to the service itself, with its paths at the root",
        },
        Row {
            case: ("health", "a service that breaks"),
            wrong: |plan| plan.proxy.answers = Some(("/", 502, "", "")),
            says: "https://calls.test/health answers 502 Bad Gateway",
            mend: "look at the service's log: gcloud run services logs read NAME",
        },
        Row {
            case: ("health", "a service that says nothing"),
            wrong: |plan| {
                plan.proxy.is_silent = true;
                plan.options.deadline = 2;
            },
            says: "https://calls.test/health: no answer within 2 s",
            mend: "look at the service's log: Twilio waits 15 s for a webhook, and 5 s for a connection",
        },
        Row {
            case: ("ready", "a service that is ending"),
            wrong: |plan| plan.proxy.answers = Some(("/ready", 503, "", "not yet\n")),
            says: "https://calls.test/ready answers 503 Service Unavailable",
            mend: "it is just starting or ending: wait a few seconds, and look at its log",
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn signatures_that_are_not_taken() {
    let rows = [
        Row {
            case: ("signed-request", "another token at the service"),
            wrong: |plan| plan.service.set("TWILIO_AUTH_TOKEN", "planted-other-token"),
            says: "https://calls.test/twiml refuses a request that TWILIO_AUTH_TOKEN signed (403)",
            mend: "give the service and this command the same TWILIO_AUTH_TOKEN (the account's primary one); if they are \
                   the same, set PUBLIC_URL at the service",
        },
        Row {
            case: ("signed-request", "the old token at the service"),
            wrong: |plan| {
                plan.service.set("TWILIO_AUTH_TOKEN", "planted-old-token");
                plan.settings.set("TWILIO_AUTH_TOKEN", "planted-auth-token-0123456789,planted-old-token");
                plan.account_state.secondary_token = Some("planted-old-token".to_owned());
            },
            says: "https://calls.test/twiml refuses a request that TWILIO_AUTH_TOKEN signed (403): it knows a later token \
                   of the list only",
            mend: "deploy the service with the same TWILIO_AUTH_TOKEN list as here",
        },
        Row {
            case: ("signed-request", "another public url at the service"),
            wrong: |plan| {
                plan.service.set("PUBLIC_URL", "https://old.test");
                plan.settings.set("PUBLIC_URL", "https://old.test");
                plan.options.url = Some("https://calls.test".to_owned());
            },
            says: "https://calls.test/twiml refuses a request that TWILIO_AUTH_TOKEN signed (403): it takes its own URL \
                   for https://old.test/twiml",
            mend: "set PUBLIC_URL=https://calls.test at the service; or let the proxy before it pass on Host and \
                   X-Forwarded-Proto as they came",
        },
        Row {
            case: ("unsigned-request", "an open door"),
            wrong: |plan| plan.service.set("TWILIO_AUTH_TOKEN", ""),
            says: "ANYONE CAN USE THIS SERVICE: a request without a signature is taken, so whoever knows the URL talks to \
                   the agent at your cost",
            mend: "set TWILIO_AUTH_TOKEN at the service (and ALLOW_UNSIGNED no longer)",
        },
        Row {
            case: ("signed-request", "a voice-url that is redirected"),
            wrong: |plan| plan.proxy.answers = Some(("/twiml", 301, "https://calls.test/twiml/", "")),
            says: "https://calls.test/twiml redirects to https://calls.test/twiml/",
            mend: "let the URL lead to the service itself",
        },
        Row {
            case: ("media-socket", "a proxy without websockets"),
            wrong: |plan| plan.proxy.drops_upgrades = true,
            says: "wss://calls.test/media/… answers 426 Upgrade Required to the handshake, where 101 is expected \
                   (Twilio's error 31920)",
            mend: "let all that stands before the service speak HTTP/1.1 to it and pass Upgrade and Connection on (Cloud \
                   Run: --no-use-http2; nginx: proxy_http_version 1.1 and proxy_set_header Upgrade $http_upgrade)",
        },
        Row {
            case: ("media-socket", "a media socket that is redirected"),
            wrong: |plan| plan.proxy.answers = Some(("/media/", 302, "https://login.test/", "")),
            says: "wss://calls.test/media/… answers 302 Found to the handshake, where 101 is expected (Twilio's error \
                   31920)",
            mend: "Twilio follows no redirect there: let the URL lead to the service itself",
        },
        Row {
            case: ("media-socket", "a media socket that is refused"),
            wrong: |plan| plan.proxy.answers = Some(("/media/", 403, "", "")),
            says: "wss://calls.test/media/… answers 403 Forbidden to the handshake, where 101 is expected (Twilio's error \
                   31920)",
            mend: "the signature of the handshake is not taken: set PUBLIC_URL at the service to the URL that Twilio calls",
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn a_service_that_everybody_may_use_is_a_loud_warning_where_no_token_is_known() {
    let mut plan = plan("no token at all");
    plan.service.set("TWILIO_AUTH_TOKEN", "");
    plan.settings.set("TWILIO_AUTH_TOKEN", "");
    let Examined { findings, code, .. } = plan.examine(false).await;
    let warnings: Vec<&Finding> = findings.iter().filter(|finding| finding.mark == Mark::Warning).collect();
    assert_eq!((warnings.len(), warnings[0].check, code), (1, "unsigned-request", 0), "{findings:#?}");
    assert!(warnings[0].says.starts_with("ANYONE CAN USE THIS SERVICE"));
    let mark = |check| findings.iter().find(|finding| finding.check == check).unwrap().mark;
    assert_eq!((mark("signed-request"), mark("media-socket")), (Mark::Skipped, Mark::Ok));
}

#[tokio::test]
async fn a_stream_that_leads_elsewhere_is_found() {
    let mut plan = plan("a stream to another host");
    plan.service.set("TWILIO_AUTH_TOKEN", "");
    plan.service.set("PUBLIC_URL", "https://old.test");
    let Examined { findings, .. } = plan.examine(false).await;
    let signed = findings.iter().find(|finding| finding.check == "signed-request").unwrap();
    assert_eq!(signed.says, "its <Stream url> leads to old.test, not to calls.test");
    assert_eq!(signed.mend.as_deref(), Some("set PUBLIC_URL=https://calls.test at the service"));
}

#[tokio::test]
async fn a_proxy_that_does_not_tell_of_tls_is_no_fault() {
    let mut plan = plan("a proxy that hides tls");
    plan.proxy.hides_tls = true;
    let Examined { findings, .. } = plan.examine(false).await;
    for check in ["signed-request", "media-socket"] {
        let found = findings.iter().find(|finding| finding.check == check).unwrap();
        assert_eq!(found.mark, Mark::Ok, "{found}");
        assert!(found.says.contains("wss://calls.test/media/"), "{found}");
    }
}
