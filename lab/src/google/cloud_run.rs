//! Cloud Run's Admin API: `GET /v2/projects/P/locations/L/services/S`, and the same with `:getIamPolicy`
//! (<https://docs.cloud.google.com/run/docs/reference/rest/v2/projects.locations.services/get>).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

/// Services by their resource names. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct CloudRun(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    services: BTreeMap<String, Value>,
    invokers: Option<Vec<String>>,
    refusal: Option<(u16, String)>,
    authorized: usize,
}

impl CloudRun {
    /// Adds a service: `projects/P/locations/L/services/S`.
    pub fn put(&self, name: &str, service: Value) {
        self.lock().services.insert(name.to_owned(), service);
    }

    /// Sets who may invoke the services. Until then nobody may read it.
    pub fn set_invokers(&self, members: &[&str]) {
        self.lock().invokers = Some(members.iter().map(|member| (*member).to_owned()).collect());
    }

    /// Refuses every request with that status and message.
    pub fn refuse(&self, status: u16, message: &str) {
        self.lock().refusal = Some((status, message.to_owned()));
    }

    /// How many requests had an Authorization header.
    #[must_use]
    pub fn authorized(&self) -> usize {
        self.lock().authorized
    }

    /// Serves one connection.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        super::serve(connection, |request| std::future::ready(self.answer(&request))).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut inner = self.lock();
        if request.headers().contains_key("authorization") {
            inner.authorized += 1;
        }
        if let Some((status, message)) = &inner.refusal {
            return refused(*status, message);
        }
        let name = request.uri().path().trim_start_matches("/v2/");
        if let Some(name) = name.strip_suffix(":getIamPolicy").filter(|_| request.method() == Method::GET) {
            return match inner.invokers.as_ref().filter(|_| inner.services.contains_key(name)) {
                Some(members) => of(StatusCode::OK, &policy(members)),
                None => refused(403, "Permission 'run.services.getIamPolicy' denied"),
            };
        }
        match inner.services.get(name).filter(|_| request.method() == Method::GET) {
            Some(service) => of(StatusCode::OK, service),
            None => refused(404, &format!("Resource '{}' was not found", name.rsplit('/').next().unwrap_or_default())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A policy without a binding has no `bindings`.
fn policy(invokers: &[String]) -> Value {
    if invokers.is_empty() {
        return json!({ "etag": "ACAB" });
    }
    json!({ "etag": "BwYx", "bindings": [{ "role": "roles/run.invoker", "members": invokers }] })
}

fn refused(status: u16, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "error": { "code": status, "message": message } });
    of(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
}

fn of(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json; charset=UTF-8"));
    response
}
