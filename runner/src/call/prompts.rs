//! Audio that an agent names instead of sending it: `https:` and `gs:` addresses, and text to synthesise (`text:`,
//! `ssml:`; Dialogflow synthesises only the texts of its default platform itself).

mod synthesis;

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
use tokio::time::Instant;

use crate::settings::PromptsConfig;
use crate::telemetry::log_limit::LogLimit;
use dialbridge_agents::{Auth, SpeechConfig};
use dialbridge_net::http_client::HttpClient;

/// How long fetched audio is used before we ask whether it has changed.
const FRESH: Duration = Duration::from_secs(60);

/// How much fetched audio we keep, in bytes, for all addresses together.
const MAX_KEPT_BYTES: usize = 32 << 20;

/// The characters that stay as they are in an object's name: the segment characters of RFC 3986 and the slash.
const OBJECT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Fetches audio. Clones share what was fetched.
#[derive(Clone)]
pub struct Prompts(Arc<Inner>);

struct Inner {
    client: HttpClient,
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

/// Audio that was fetched before.
#[derive(Debug, Clone)]
struct Kept {
    audio: Bytes,
    etag: Option<HeaderValue>,
    checked: Instant,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Synthesized {
    audio_content: String,
}

impl Prompts {
    /// Fetches with this client, and from Google with these credentials.
    #[must_use]
    pub(crate) fn new(client: HttpClient, auth: Auth, config: PromptsConfig) -> Self {
        Self(Arc::new(Inner { client, auth, config, kept: Mutex::default(), refused_voices: LogLimit::default() }))
    }

    /// Fetches a recording, or text spoken as `speech` says. Returns the bytes. The caller sets the deadline.
    ///
    /// # Errors
    /// A sentence with the reason. It never contains the text to synthesise.
    pub async fn fetch(&self, uri: &str, language: &str, speech: &SpeechConfig) -> Result<Bytes, String> {
        let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
        match scheme {
            "https" => self.get(uri, uri, false).await,
            "gs" => self.get(uri, &self.object(rest)?, true).await,
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

    async fn get(&self, uri: &str, url: &str, is_googles: bool) -> Result<Bytes, String> {
        let kept = self.kept().get(uri).cloned();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.checked.elapsed() < FRESH) {
            return Ok(kept.audio.clone());
        }
        let mut request = Request::get(url).header("accept", "audio/*");
        if let Some(etag) = kept.as_ref().and_then(|kept| kept.etag.clone()) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = self.send(request, Bytes::new(), is_googles && url.starts_with("https:")).await?;
        match (response.status(), kept) {
            (StatusCode::NOT_MODIFIED, Some(kept)) => Ok(self.keep(uri, kept.audio, kept.etag)),
            (status, _) if status.is_success() => {
                let etag = response.headers().get(ETAG).cloned();
                Ok(self.keep(uri, response.into_body(), etag))
            }
            (status, _) => Err(format!("the audio that the agent names cannot be had: {status}")),
        }
    }

    async fn synthesize(
        &self,
        kind: &str,
        words: &str,
        language: &str,
        speech: &SpeechConfig,
    ) -> Result<Bytes, String> {
        let mut response = self.ask(&synthesis::body(kind, words, language, speech)).await?;
        if response.status() == StatusCode::BAD_REQUEST && speech.sets_voice() {
            // Some voices refuse some settings. Another voice is better than silence.
            response = self.ask(&synthesis::body(kind, words, language, &SpeechConfig::default())).await?;
            if response.status().is_success()
                && let Some(withheld) = self.0.refused_voices.allow()
            {
                tracing::warn!(
                    language,
                    withheld,
                    "Text-to-Speech refuses the settings of the voice: what the agent leaves to it is spoken without them"
                );
            }
        }
        if !response.status().is_success() {
            return Err(format!("Text-to-Speech does not synthesise what the agent says: {}", response.status()));
        }
        let synthesized: Option<Synthesized> = serde_json::from_slice(response.body()).ok();
        let audio = synthesized.and_then(|synthesized| STANDARD.decode(synthesized.audio_content).ok());
        audio.map(Bytes::from).ok_or_else(|| "Text-to-Speech answers without audio".to_owned())
    }

    async fn ask(&self, body: &serde_json::Value) -> Result<http::Response<Bytes>, String> {
        let url = format!("{}/v1/text:synthesize", self.0.config.text_to_speech_endpoint);
        let with_credentials = url.starts_with("https:");
        let request = Request::post(url).header("content-type", "application/json");
        self.send(request, body.to_string().into(), with_credentials).await
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
        with_credentials: bool,
    ) -> Result<http::Response<Bytes>, String> {
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let send = async |mut request: Request<Full<Bytes>>| {
            if with_credentials {
                self.0.auth.add_to(request.headers_mut()).await.map_err(|error| error.to_string())?;
            }
            self.0.client.send(request, self.0.config.max_bytes).await.map_err(|error| error.to_string())
        };
        let began = Instant::now();
        let response = send(request.clone()).await?;
        let is_forbidden = with_credentials && response.status() == StatusCode::FORBIDDEN;
        let refusal = is_forbidden.then(|| String::from_utf8_lossy(response.body()));
        match refusal {
            Some(refusal) if self.0.auth.may_go_without_user_project(began, &refusal) => send(request).await,
            Some(_) | None => Ok(response),
        }
    }

    fn keep(&self, uri: &str, audio: Bytes, etag: Option<HeaderValue>) -> Bytes {
        let mut kept = self.kept();
        kept.insert(uri.to_owned(), Kept { audio: audio.clone(), etag, checked: Instant::now() });
        while kept.values().map(|kept| kept.audio.len()).sum::<usize>() > MAX_KEPT_BYTES {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.checked).map(|(uri, _)| uri.clone());
            oldest.map(|uri| kept.remove(&uri));
        }
        audio
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
