//! A client for what is asked over HTTPS: Twilio's REST API, and audio that an agent names by its address.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::dial::{Connector, Dial};

/// A client; clones share its connections.
#[derive(Clone)]
pub struct HttpClient(Client<HttpsConnector<Connector>, Full<Bytes>>);

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum HttpError {
    /// The other side cannot be reached, or broke off.
    Broken(String),
    /// The answer is longer than was asked for.
    TooLong,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => f.write_str(why),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl std::error::Error for HttpError {}

impl HttpClient {
    /// A client that trusts what this program trusts.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(dial: Arc<dyn Dial>) -> Result<Self, rustls::Error> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(crate::tls::client_config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector(dial));
        Ok(Self(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)))
    }

    /// Sends a request and reads the whole answer, of `most` bytes at most. It has no deadline of its own.
    ///
    /// # Errors
    /// [`HttpError`] when there is no whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>, most: usize) -> Result<Response<Bytes>, HttpError> {
        let response = self.0.request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        match Limited::new(body, most).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLong),
            Err(error) => Err(HttpError::Broken(error.to_string())),
        }
    }
}

fn broken(error: &dyn std::error::Error) -> HttpError {
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    HttpError::Broken(why)
}
