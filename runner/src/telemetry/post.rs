//! Posts a request, with retries.

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use ring::rand::{SecureRandom, SystemRandom};

use dialbridge_net::http_client::HttpClient;

/// How much of an answer we read at most, in bytes. We use nothing in it.
const MAX_BYTES: usize = 64 * 1024;

/// The pause before the second attempt. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, even if the other side asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How many attempts we make, and how long each may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) timeout: Duration,
}

/// Why the other side did not accept the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotTaken(pub(super) String);

/// Posts a request, which `request` makes anew for each attempt. After 408, 425, 429, 5xx, a timeout or a broken
/// connection we retry with growing pauses. Any other failure is final.
pub(super) async fn post(
    client: &HttpClient,
    policy: RetryPolicy,
    request: impl Fn() -> Result<Request<Full<Bytes>>, http::Error>,
) -> Result<(), NotTaken> {
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        let request = request().map_err(|error| NotTaken(error.to_string()))?;
        let (why, asked) = match tokio::time::timeout(policy.timeout, client.send(request, MAX_BYTES)).await {
            Ok(Ok(response)) if response.status().is_success() => return Ok(()),
            Ok(Ok(response)) if may_pass(response.status()) => {
                (response.status().to_string(), asked_pause(response.headers()))
            }
            Ok(Ok(response)) => return Err(NotTaken(response.status().to_string())),
            Ok(Err(error)) => (error.to_string(), None),
            Err(_) => ("no answer in time".to_owned(), None),
        };
        if attempt >= policy.attempts {
            return Err(NotTaken(why));
        }
        tokio::time::sleep(asked.unwrap_or_else(|| shortened_by_chance(pause)).min(LONGEST_PAUSE)).await;
        pause *= 2;
        attempt += 1;
    }
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Shortens the pause at random, to half of it at least, so that instances that failed together do not retry together.
fn shortened_by_chance(pause: Duration) -> Duration {
    let mut byte = [0];
    // If the system has no random bytes, we use the whole pause.
    let _ = SystemRandom::new().fill(&mut byte);
    pause - pause.mul_f64(f64::from(byte[0]) / 512.0)
}
