//! Who may open the page.

use std::time::Duration;

use dialbridge_runner::settings::Platform;
use dialbridge_tests::{Harness, RawSocket, post};

use super::{FORM, ORIGIN, TOKEN, get, harness, locked, ticket};

const PATHS: [&str; 14] = [
    "GET /",
    "GET /page/page.css",
    "POST /login",
    "POST /logout",
    "GET /status.json",
    "GET /agents/compared.json",
    "GET /calls.json",
    "GET /calls/events",
    "GET /calls/1.json",
    "POST /agents/default/check",
    "POST /softphone",
    "GET /softphone/media/x.y",
    "GET /softphone/events/browser-1",
    "DELETE /",
];

/// Protected paths, and how to request them.
const BEHIND: [&str; 9] = [
    "GET /status.json",
    "GET /agents/compared.json",
    "GET /calls.json",
    "GET /calls/events",
    "GET /calls/1.json",
    "POST /agents/default/check",
    "POST /softphone",
    "GET /softphone/media/x.y",
    "GET /softphone/events/browser-1",
];

#[tokio::test(start_paused = true)]
async fn in_public_there_is_nothing_without_a_token() {
    for platform in [Platform::CloudRun, Platform::AppEngine] {
        let harness = harness().config(move |config| config.platform = platform).start();
        let mut nothing = get(&harness, "/nowhere", &[]).await;
        nothing.headers.remove("date");
        for path in PATHS {
            let mut answer =
                post(&harness.pipes, path, &[ORIGIN, FORM, ("authorization", "Bearer x")], "token=x").await;
            assert_eq!((answer.status.as_u16(), &answer.body), (404, &nothing.body), "{path}");
            // A second may have passed between the two.
            answer.headers.remove("date");
            assert_eq!(answer.headers, nothing.headers, "{path}");
        }
        assert!(harness.service.history().is_none(), "and nothing is kept for it");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_token_every_path_is_locked() {
    for platform in [Platform::CloudRun, Platform::AppEngine, Platform::Elsewhere] {
        let harness = locked().config(move |config| config.platform = platform).start();
        let page = get(&harness, "/", &[]).await;
        assert_eq!(page.status, 401);
        assert!(page.body.contains(r#"<form class="card" method="post" action="login">"#), "{}", page.body);
        for path in BEHIND {
            let answer = post(&harness.pipes, path, &[ORIGIN, FORM], "").await;
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"), "{path}");
        }
        assert_eq!(get(&harness, "/page/page.css", &[]).await.status, 200, "the login has its colours");
        assert_eq!(get(&harness, "/health", &[]).await.status, 200, "probes need no token");
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_opens_it_as_a_header() {
    let harness = locked().start();
    let bearer = format!("Bearer {TOKEN}");
    let authorized = [("authorization", bearer.as_str())];
    assert!(get(&harness, "/", &authorized).await.body.contains("Softphone"));
    assert_eq!(get(&harness, "/status.json", &authorized).await.status, 200);
    // A tool has no Origin and needs none. If a page sends one, it must be ours.
    assert_eq!(post(&harness.pipes, "POST /agents/default/check", &authorized, "").await.status, 200);
    let foreign = [authorized[0], ("origin", "http://evil.example")];
    assert_eq!(post(&harness.pipes, "POST /agents/default/check", &foreign, "").await.status, 403);
    for wrong in ["Bearer", "Bearer x", "Basic dGhlLXRlc3RzLWFkbWluLXRva2Vu", &format!("Bearer {TOKEN}x")] {
        assert_eq!(get(&harness, "/status.json", &[("authorization", wrong)]).await.status, 401, "{wrong}");
    }
}

/// Logs in and returns the cookie's line.
async fn log_in(harness: &Harness, more: &[(&str, &str)]) -> String {
    let headers = [&[FORM], more].concat();
    let answer = post(&harness.pipes, "POST /login", &headers, &format!("token={TOKEN}")).await;
    assert_eq!((answer.status.as_u16(), answer.headers["location"].to_str().unwrap()), (303, "./"), "{}", answer.body);
    answer.headers["set-cookie"].to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_login_is_kept_in_a_cookie_for_half_a_day() {
    let harness = locked().start();
    let line = log_in(&harness, &[ORIGIN]).await;
    assert!(line.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{line}");
    let cookie = line.split(';').next().unwrap();
    let mine = [("cookie", cookie)];
    assert!(get(&harness, "/", &mine).await.body.contains("Softphone"));
    for wrong in [format!("{cookie}A"), cookie[..cookie.len() - 1].to_owned(), "dialbridge-login=".to_owned()] {
        assert_eq!(get(&harness, "/status.json", &[("cookie", &wrong)]).await.status, 401, "{wrong}");
    }
    // The browser sends the cookie for any page. Only our page may make the service do something.
    for head in ["POST /softphone", "POST /agents/default/check", "POST /logout"] {
        for origin in [None, Some("http://evil.example"), Some("null"), Some("https://service.test")] {
            let mut headers = vec![mine[0], FORM];
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(post(&harness.pipes, head, &headers, "").await.status, 403, "{head} {origin:?}");
        }
    }
    assert_eq!(post(&harness.pipes, "POST /softphone", &[mine[0], FORM, ORIGIN], "").await.status, 200);
    let out = post(&harness.pipes, "POST /logout", &[mine[0], ORIGIN], "").await;
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("dialbridge-login=; Path=/; Max-Age=0"));
    tokio::time::advance(Duration::from_secs(12 * 3600 + 1)).await;
    assert_eq!(get(&harness, "/status.json", &mine).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn over_https_the_cookie_goes_over_https_only() {
    let harness = locked().settings(|settings| settings.set("PUBLIC_URL", "")).start();
    let line = log_in(&harness, &[("x-forwarded-proto", "https"), ("origin", "https://service.test")]).await;
    assert!(line.starts_with("__Host-dialbridge-login=") && line.ends_with("; Secure"), "{line}");
    assert_eq!(get(&harness, "/status.json", &[("cookie", line.split(';').next().unwrap())]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_login_of_somebody_elses_page_is_none_and_wrong_tokens_are_few() {
    let harness = locked().start();
    let attempt = |token: &str, headers: Vec<(&'static str, &'static str)>| {
        let (pipes, body) = (harness.pipes.clone(), format!("token={token}"));
        async move { post(&pipes, "POST /login", &headers, &body).await }
    };
    assert_eq!(attempt(TOKEN, vec![FORM]).await.status, 403);
    assert_eq!(attempt(TOKEN, vec![FORM, ("origin", "http://evil.example")]).await.status, 403);
    for _ in 0..5 {
        let answer = attempt("wrong", vec![FORM, ORIGIN]).await;
        assert_eq!(answer.status, 401);
        assert!(answer.body.contains("That is not the token."), "{}", answer.body);
    }
    let answer = attempt(TOKEN, vec![FORM, ORIGIN]).await;
    assert_eq!(answer.status, 429, "the right one is not looked at either");
    assert!(answer.body.contains("Wait a minute") && !answer.headers.contains_key("set-cookie"), "{}", answer.body);
    assert_eq!(get(&harness, "/status.json", &[("authorization", "Bearer wrong")]).await.status, 429);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(attempt(TOKEN, vec![FORM, ORIGIN]).await.status, 303);
}

#[tokio::test(start_paused = true)]
async fn behind_googles_front_end_wrong_tokens_count_for_whom_it_names() {
    let harness = locked().config(|config| config.platform = Platform::CloudRun).start();
    let asked = |from: &'static str, token: &str| {
        let (pipes, bearer) = (harness.pipes.clone(), format!("Bearer {token}"));
        async move {
            let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", from)];
            post(&pipes, "GET /status.json", &headers, "").await.status.as_u16()
        }
    };
    for n in 0..7 {
        // The client can invent every address except the last.
        assert_eq!(asked("10.0.0.1, 192.0.2.7", "wrong").await, if n < 5 { 401 } else { 429 });
    }
    assert_eq!(asked("10.9.9.9, 192.0.2.7", TOKEN).await, 429);
    assert_eq!(asked("192.0.2.7, 192.0.2.8", TOKEN).await, 200);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_only_host_names_of_ours_are_served() {
    let harness = harness().settings(|settings| settings.set("PUBLIC_URL", "https://calls.example.com")).start();
    // The tests' host name has a dot, like a name that somebody else points to this service.
    let answer = get(&harness, "/", &[]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("Set one of both."), "{}", answer.body);
    assert_eq!(get(&harness, "/calls.json", &[]).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn a_softphones_socket_needs_its_ticket_its_page_and_a_login() {
    let harness = locked().start();
    let line = log_in(&harness, &[ORIGIN]).await;
    let mine = ("cookie", line.split(';').next().unwrap());
    let answer = post(&harness.pipes, "POST /softphone", &[mine, ORIGIN, FORM], "").await;
    let ticket: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let media = ticket["media"].as_str().unwrap();
    let refused = |error: Result<RawSocket, String>, status: &str| error.is_err_and(|error| error.contains(status));
    let open = |path: String, headers: Vec<(&'static str, String)>| {
        let pipes = harness.pipes.clone();
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            RawSocket::open_with(&pipes, &path, &headers).await
        }
    };
    let (cookie, origin) = (("cookie", mine.1.to_owned()), ("origin", ORIGIN.1.to_owned()));
    let evil = ("origin", "http://evil.example".to_owned());
    assert!(refused(open(media.to_owned(), vec![origin.clone()]).await, "401"), "without a login");
    assert!(refused(open(media.to_owned(), vec![cookie.clone()]).await, "403"), "without an Origin");
    assert!(refused(open(media.to_owned(), vec![cookie.clone(), evil]).await, "403"), "of somebody else's page");
    assert!(refused(open(format!("{media}A"), vec![cookie.clone(), origin.clone()]).await, "403"), "forged");
    assert!(open(media.to_owned(), vec![cookie.clone(), origin.clone()]).await.is_ok());
    assert!(refused(open(media.to_owned(), vec![cookie, origin]).await, "403"), "the same ticket twice");
}

#[tokio::test(start_paused = true)]
async fn tickets_of_the_page_and_of_calls_do_not_stand_in_for_each_other() {
    let harness = harness().start();
    let (browsers, ..) = ticket(&harness, "").await;
    let as_calls = browsers.replace("/softphone", "");
    assert!(RawSocket::open(&harness.pipes, &as_calls).await.is_err_and(|error| error.contains("403")), "signed, too");
    let (calls, _) = dialbridge_tests::voice_url(&harness.pipes, "CA00000000000000000000000000000001").await;
    let as_browsers = format!("/softphone{calls}");
    let refused = RawSocket::open_with(&harness.pipes, &as_browsers, &[ORIGIN]).await;
    assert!(refused.is_err_and(|error| error.contains("403")));
    assert!(RawSocket::open_with(&harness.pipes, &browsers, &[ORIGIN]).await.is_ok());
    assert!(RawSocket::open(&harness.pipes, &calls).await.is_ok());
    let (late, ..) = ticket(&harness, "").await;
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(RawSocket::open_with(&harness.pipes, &late, &[ORIGIN]).await.is_err(), "a minute is over");
}

#[tokio::test(start_paused = true)]
async fn the_page_lets_nothing_in_from_elsewhere() {
    let harness = harness().start();
    for path in ["/", "/page/page.js", "/status.json", "/page/nothing.js"] {
        let headers = get(&harness, path, &[]).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    let page = get(&harness, "/", &[]).await.body;
    for named in ["src=\"", "href=\"", "action=\""] {
        let values = page.split(named).skip(1).map(|rest| rest.split('"').next().unwrap());
        assert!(
            values.clone().count() > 0
                && values
                    .clone()
                    .all(|value| value.starts_with("page/") || value == "logout" || value.starts_with('#')),
            "{named}"
        );
    }
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"").count());
}

#[tokio::test(start_paused = true)]
async fn paths_have_their_methods_and_files_their_kinds() {
    let harness = harness().start();
    for (head, status, allow) in [
        ("POST /", 405, "GET, HEAD"),
        ("GET /login", 405, "POST"),
        ("GET /softphone", 405, "POST"),
        ("POST /calls.json", 405, "GET, HEAD"),
        ("GET /agents/default/check", 405, "POST"),
    ] {
        let answer = post(&harness.pipes, head, &[ORIGIN], "").await;
        assert_eq!((answer.status.as_u16(), answer.headers["allow"].to_str().unwrap()), (status, allow), "{head}");
    }
    for (path, kind) in [
        ("/page/worklet.js", "text/javascript"),
        ("/page/page.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
        ("/", "text/html; charset=utf-8"),
        ("/status.json", "application/json"),
    ] {
        let answer = get(&harness, path, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.headers["content-type"].to_str().unwrap()), (200, kind), "{path}");
        assert!(!answer.body.is_empty(), "{path}");
    }
    for nothing in ["/page/", "/page/../Cargo.toml", "/page/%2e%2e", "/calls/", "/calls/x.json", "/calls/99.json"] {
        assert_eq!(get(&harness, nothing, &[]).await.status, 404, "{nothing}");
    }
    for nothing in ["POST /agents/nobody/check", "POST /agents/default"] {
        assert_eq!(post(&harness.pipes, nothing, &[ORIGIN], "").await.status, 404, "{nothing}");
    }
}
