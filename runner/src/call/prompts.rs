//! Audio that an agent names instead of sending it: `https:` and `gs:` addresses, and text to synthesise (`text:`,
//! `ssml:`; Dialogflow synthesises only the texts of its default platform itself).

mod redirect;
mod synthesis;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;

use crate::settings::PromptsConfig;
use crate::telemetry::log_limit::LogLimit;
use dialbridge_agents::{Auth, SpeechConfig};
use dialbridge_net::http_client::HttpClient;

/// How long fetched audio is used before we ask whether it has changed.
const FRESH: Duration = Duration::from_secs(60);

/// How many redirects of a recording are followed.
const MAX_REDIRECTS: usize = 5;

/// How much fetched audio we keep, in bytes, for all addresses and texts together, with these.
const MAX_KEPT_BYTES: usize = 32 << 20;

/// How much audio all calls fetch at once, in MiB. A recording counts with the bytes that it may have.
const MAX_FETCHED_MIB: usize = 160;

/// How much of that a synthesis takes. Google's limit for a text is 5,000 bytes, which are six minutes.
const SYNTHESIS_MIB: usize = 4;

/// How long we use audio at most after we asked for it. A text may be about a caller, so each look-up removes what is older.
const MAX_KEPT: Duration = Duration::from_secs(3_600);

/// The characters that stay as they are in an object's name: the segment characters of RFC 3986 and the slash.
const OBJECT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Fetches audio. Clones share what was fetched.
#[derive(Clone)]
pub struct Prompts(Arc<Inner>);

/// The clients that fetch audio.
#[derive(Debug, Clone)]
pub(crate) struct PromptClients {
    /// For the hosts of the settings.
    pub(crate) configured: HttpClient,
    /// For hosts that an agent names. It connects to none but those of `PROMPT_HOSTS`.
    pub(crate) named: HttpClient,
    /// How many more recordings may be fetched now. All agents share it.
    pub(crate) recordings: Arc<FetchRoom>,
    /// The same for syntheses, which a slow host of recordings must not hold up.
    pub(crate) syntheses: Arc<FetchRoom>,
}

/// Room for audio that is being fetched, in MiB. A fetch that finds none waits.
#[derive(Debug)]
pub(crate) struct FetchRoom(Semaphore);

impl Default for FetchRoom {
    fn default() -> Self {
        Self(Semaphore::new(MAX_FETCHED_MIB))
    }
}

impl FetchRoom {
    async fn take(&self, mib: usize) -> Option<SemaphorePermit<'_>> {
        let mib = mib.clamp(1, MAX_FETCHED_MIB);
        // It is never closed.
        self.0.acquire_many(u32::try_from(mib).ok()?).await.ok()
    }
}

struct Inner {
    clients: PromptClients,
    auth: Auth,
    config: PromptsConfig,
    kept: Mutex<BTreeMap<String, Kept>>,
    refused_voices: LogLimit,
}

impl fmt::Debug for Prompts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompts").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// Where a recording is.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// At a URL that the agent names.
    Named(&'a str),
    /// At a URL of Cloud Storage.
    Storage(&'a str),
}

/// The tag of a recording, and the URL that gave it. Only that URL understands it.
#[derive(Debug, Clone)]
struct Tag {
    url: String,
    etag: HeaderValue,
}

/// A request for a recording, unless it is still the one with this tag.
fn request(url: &str, tag: Option<&Tag>) -> http::request::Builder {
    let request = Request::get(url).header("accept", "audio/*");
    match tag.filter(|tag| tag.url == url) {
        Some(tag) => request.header(IF_NONE_MATCH, &tag.etag),
        None => request,
    }
}

/// Audio that was fetched before.
#[derive(Debug, Clone)]
struct Kept {
    audio: Bytes,
    tag: Option<Tag>,
    checked: Instant,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Synthesized {
    audio_content: String,
}

impl Prompts {
    /// Fetches with these clients, and from Google with these credentials.
    #[must_use]
    pub(crate) fn new(clients: PromptClients, auth: Auth, config: PromptsConfig) -> Self {
        Self(Arc::new(Inner { clients, auth, config, kept: Mutex::default(), refused_voices: LogLimit::default() }))
    }

    /// Fetches a recording, or text spoken as `speech` says. Returns the bytes. The caller sets the deadline.
    ///
    /// # Errors
    /// A sentence with the reason. It never contains the text to synthesise.
    pub async fn fetch(&self, uri: &str, language: &str, speech: &SpeechConfig) -> Result<Bytes, String> {
        let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
        match scheme {
            "https" => self.get(uri, Source::Named(uri)).await,
            "gs" => self.get(uri, Source::Storage(&self.object(rest)?)).await,
            "text" | "ssml" => self.synthesize(scheme, rest, language, speech).await,
            _ => Err("the agent names audio by an address that is neither https: nor gs:".to_owned()),
        }
    }

    /// The URL of an object in Cloud Storage.
    fn object(&self, rest: &str) -> Result<String, String> {
        let path = rest.trim_start_matches('/');
        let (bucket, object) = path
            .split_once('/')
            .filter(|(bucket, object)| !bucket.is_empty() && !object.is_empty())
            .ok_or("the agent names audio by a gs: address without an object")?;
        let (bucket, object) = (utf8_percent_encode(bucket, OBJECT), utf8_percent_encode(object, OBJECT));
        Ok(format!("{}/{bucket}/{object}", self.0.config.storage_endpoint))
    }

    async fn get(&self, uri: &str, source: Source<'_>) -> Result<Bytes, String> {
        if let Some(audio) = self.younger_than(FRESH, uri) {
            return Ok(audio);
        }
        let _room = self.0.clients.recordings.take(self.0.config.max_bytes.div_ceil(1 << 20)).await;
        // Another call may have fetched it while this one waited.
        if let Some(audio) = self.younger_than(FRESH, uri) {
            return Ok(audio);
        }
        let kept = self.kept().get(uri).cloned();
        let tag = kept.as_ref().and_then(|kept| kept.tag.as_ref());
        let (url, response) = match source {
            Source::Named(url) => self.follow(url, tag).await?,
            Source::Storage(url) => (url.to_owned(), self.send(request(url, tag), Bytes::new()).await?),
        };
        let is_of_tag = tag.is_some_and(|tag| tag.url == url);
        match (response.status(), kept) {
            (StatusCode::NOT_MODIFIED, Some(kept)) if is_of_tag => Ok(self.keep(uri, kept.audio, kept.tag)),
            (status, _) if status.is_success() => {
                let tag = response.headers().get(ETAG).cloned().map(|etag| Tag { url, etag });
                Ok(self.keep(uri, response.into_body(), tag))
            }
            (status, _) => Err(format!("the audio that the agent names cannot be had: {status}")),
        }
    }

    /// Fetches from a host that the agent names, and from those that it redirects to. None of them gets credentials. Returns
    /// the last URL too.
    async fn follow(&self, url: &str, tag: Option<&Tag>) -> Result<(String, http::Response<Bytes>), String> {
        let no_url = |error| format!("the agent names audio by an address that is no URL: {error}");
        let mut url = Url::parse(url).map_err(no_url)?;
        url.set_fragment(None);
        for _ in 0..=MAX_REDIRECTS {
            let request = request(url.as_str(), tag).body(Full::default()).map_err(|error| error.to_string())?;
            let response = self.0.clients.named.send(request, self.0.config.max_bytes).await;
            let response = response.map_err(|error| error.to_string())?;
            match redirect::target(&url, &response)? {
                Some(next) => url = next,
                None => return Ok((url.into(), response)),
            }
        }
        Err(format!("the audio that the agent names is redirected more than {MAX_REDIRECTS} times"))
    }

    async fn synthesize(
        &self,
        kind: &str,
        words: &str,
        language: &str,
        speech: &SpeechConfig,
    ) -> Result<Bytes, String> {
        let body = synthesis::body(kind, words, language, speech);
        let key = body.to_string();
        if let Some(audio) = self.younger_than(MAX_KEPT, &key) {
            return Ok(audio);
        }
        let _room = self.0.clients.syntheses.take(SYNTHESIS_MIB).await;
        if let Some(audio) = self.younger_than(MAX_KEPT, &key) {
            return Ok(audio);
        }
        let mut response = self.ask(&body).await?;
        if response.status() == StatusCode::BAD_REQUEST && speech.sets_voice() {
            // Some voices refuse some settings. Another voice is better than silence.
            response = self.ask(&synthesis::body(kind, words, language, &SpeechConfig::default())).await?;
            if response.status().is_success()
                && let Some(withheld) = self.0.refused_voices.allow()
            {
                tracing::warn!(
                    language,
                    withheld,
                    "Text-to-Speech refuses the settings of the voice: the service asks again without them"
                );
            }
        }
        if !response.status().is_success() {
            return Err(format!("Text-to-Speech does not synthesise what the agent says: {}", response.status()));
        }
        let synthesized: Option<Synthesized> = serde_json::from_slice(response.body()).ok();
        let audio = synthesized.and_then(|synthesized| STANDARD.decode(synthesized.audio_content).ok());
        let audio = audio.ok_or_else(|| "Text-to-Speech answers without audio".to_owned())?;
        Ok(self.keep(&key, audio.into(), None))
    }

    async fn ask(&self, body: &serde_json::Value) -> Result<http::Response<Bytes>, String> {
        let url = format!("{}/v1/text:synthesize", self.0.config.text_to_speech_endpoint);
        if self.0.auth.is_none() && url.starts_with("https:") {
            return Err(
                "nothing is synthesised for an agent without TLS: there are no credentials for Google".to_owned()
            );
        }
        let request = Request::post(url).header("content-type", "application/json");
        self.send(request, body.to_string().into()).await
    }

    /// Sends a request to a host of the settings, with credentials if it has TLS.
    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<http::Response<Bytes>, String> {
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let with_credentials = request.uri().scheme_str() == Some("https");
        let send = async |mut request: Request<Full<Bytes>>| {
            if with_credentials {
                self.0.auth.add_to(request.headers_mut()).await.map_err(|error| error.to_string())?;
            }
            self.0.clients.configured.send(request, self.0.config.max_bytes).await.map_err(|error| error.to_string())
        };
        let began = Instant::now();
        let response = send(request.clone()).await?;
        let is_forbidden = with_credentials && response.status() == StatusCode::FORBIDDEN;
        let refusal = is_forbidden.then(|| String::from_utf8_lossy(response.body()));
        match refusal {
            Some(refusal) if self.0.auth.drop_user_project(began, &refusal) => send(request).await,
            Some(_) | None => Ok(response),
        }
    }

    /// Audio that was fetched for this address or text, if we asked for it a shorter time ago than that.
    fn younger_than(&self, age: Duration, uri: &str) -> Option<Bytes> {
        self.kept().get(uri).filter(|kept| kept.checked.elapsed() < age).map(|kept| kept.audio.clone())
    }

    fn keep(&self, uri: &str, audio: Bytes, tag: Option<Tag>) -> Bytes {
        let mut kept = self.kept();
        kept.insert(uri.to_owned(), Kept { audio: audio.clone(), tag, checked: Instant::now() });
        while kept.iter().map(|(uri, kept)| uri.len() + kept.audio.len()).sum::<usize>() > MAX_KEPT_BYTES {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.checked).map(|(uri, _)| uri.clone());
            oldest.map(|uri| kept.remove(&uri));
        }
        audio
    }

    /// The audio that is kept and not too old.
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.checked.elapsed() < MAX_KEPT);
        kept
    }
}
