//! Cloud Storage: `GET /BUCKET/OBJECT`, with entity tags
//! (<https://docs.cloud.google.com/storage/docs/xml-api/get-object-download>).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use tokio::io::{AsyncRead, AsyncWrite};

/// Buckets and their objects. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Storage(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// By `BUCKET/OBJECT`.
    objects: BTreeMap<String, Object>,
    versions: u64,
    asked: Vec<StorageRequest>,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    version: u64,
    delay: Duration,
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageRequest {
    /// `BUCKET/OBJECT`.
    pub path: String,
    /// The answer's status.
    pub status: u16,
}

impl Storage {
    /// Puts an object there, in place of an older one.
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.put_slow(path, bytes, Duration::ZERO);
    }

    /// Puts an object there that is delivered slowly.
    pub fn put_slow(&self, path: &str, bytes: impl Into<Bytes>, delay: Duration) {
        let mut inner = self.lock();
        inner.versions += 1;
        let object = Object { bytes: bytes.into(), version: inner.versions, delay };
        inner.objects.insert(path.to_owned(), object);
    }

    /// The requests so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<StorageRequest> {
        self.lock().asked.clone()
    }

    /// Serves one connection.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        super::serve(connection, |request| self.answer(request)).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let object = self.lock().objects.get(&path).cloned();
        if let Some(object) = &object {
            tokio::time::sleep(object.delay).await;
        }
        let response = match object {
            _ if request.method() != Method::GET => of(StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
            None => of(StatusCode::NOT_FOUND, Bytes::from_static(b"<Error><Code>NoSuchKey</Code></Error>")),
            Some(object) => given(&object, request.headers().get(IF_NONE_MATCH)),
        };
        self.lock().asked.push(StorageRequest { path, status: response.status().as_u16() });
        response
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object, or that it has not changed.
fn given(object: &Object, known: Option<&HeaderValue>) -> Response<Full<Bytes>> {
    let tag = format!("\"{}\"", object.version);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response =
        if is_known { of(StatusCode::NOT_MODIFIED, Bytes::new()) } else { of(StatusCode::OK, object.bytes.clone()) };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn of(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_net::http_client::send_once;

    async fn get(storage: &Storage, path: &str, known: Option<&str>) -> (u16, Option<String>, Vec<u8>) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (serving, storage) = (theirs, storage.clone());
        let server = tokio::spawn(async move { storage.serve(serving).await });
        let mut request = Request::get(format!("http://storage.test{path}"));
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        let response = send_once(ours, request.body(Full::default()).unwrap(), 1 << 16).await.unwrap();
        let tag = response.headers().get(ETAG).map(|tag| tag.to_str().unwrap().to_owned());
        server.abort();
        (response.status().as_u16(), tag, response.body().to_vec())
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_has_a_tag_that_changes_with_it() {
        let storage = Storage::default();
        storage.put("bucket/a.wav", &b"one"[..]);
        let (status, tag, body) = get(&storage, "/bucket/a.wav", None).await;
        assert_eq!((status, body.as_slice()), (200, &b"one"[..]));
        assert_eq!(get(&storage, "/bucket/a.wav", tag.as_deref()).await.0, 304);
        storage.put_slow("bucket/a.wav", &b"two"[..], Duration::from_secs(3));
        let began = tokio::time::Instant::now();
        assert_eq!(get(&storage, "/bucket/a.wav", tag.as_deref()).await.2, b"two");
        assert!(began.elapsed() >= Duration::from_secs(3));
        assert_eq!(get(&storage, "/bucket/b.wav", None).await.0, 404);
        let statuses: Vec<u16> = storage.asked().iter().map(|asked| asked.status).collect();
        assert_eq!(statuses, [200, 304, 200, 404]);
    }
}
