//! The quota project that credentials bring, and what follows when Google refuses it.

use std::sync::Arc;

use dialbridge_core::agent::{AgentFault, TurnInput};
use dialbridge_core::{AgentEvent, StreamId};
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag};
use google_cloud_auth::errors::CredentialsError;
use http::{Extensions, HeaderMap, HeaderValue};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::websocket::{Pipes, head, header};
use super::{context, start};
use crate::address::Endpoint;
use crate::auth::Auth;
use crate::ces::{Carrier, CesConfig, WebSockets, run};
use crate::pipe::InputPipe;
use crate::stream::OpenedStream;

/// Credentials that bring a quota project, or none.
#[derive(Debug)]
struct Brings(Option<&'static str>);

impl CredentialsProvider for Brings {
    async fn headers(&self, _: Extensions) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let mut data = HeaderMap::new();
        data.insert("authorization", HeaderValue::from_static("Bearer t"));
        if let Some(project) = self.0 {
            data.insert("x-goog-user-project", HeaderValue::from_static(project));
        }
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// Opens a stream that Google refuses with that body. Returns the quota project that it named, and its fault.
async fn refused(auth: &Auth, body: &str) -> (Option<String>, AgentFault) {
    let (sender, mut dialled) = mpsc::channel(1);
    let endpoint = Endpoint { url: "http://ces.test".to_owned(), is_plaintext: true };
    let sockets = WebSockets::new(&endpoint, auth.clone(), Arc::new(Pipes(sender))).unwrap();
    let (events, mut told) = mpsc::channel(8);
    let start = start(TurnInput::Audio);
    let opened = OpenedStream { id: StreamId(1), start, pipe: InputPipe::new(0), events };
    let google = async {
        let mut connection = dialled.recv().await.unwrap();
        let head = head(&mut connection).await;
        assert_eq!(header(&head, "authorization"), Some("Bearer t"));
        let answer = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        connection.write_all(answer.as_bytes()).await.unwrap();
        header(&head, "x-goog-user-project").map(ToOwned::to_owned)
    };
    let (project, ()) =
        tokio::join!(google, run(Carrier::WebSocket(sockets), auth.clone(), context(CesConfig::default()), opened));
    match told.recv().await {
        Some((_, AgentEvent::Failed(fault))) => (project, fault),
        other => panic!("{other:?}"),
    }
}

fn body(message: &str, reason: &str) -> String {
    let details = serde_json::json!([{ "reason": reason, "domain": "googleapis.com" }]);
    let error = serde_json::json!({
        "code": 403, "status": "PERMISSION_DENIED", "message": message, "details": details,
    });
    serde_json::json!({ "error": error }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_quota_project_that_google_refuses_is_left_out_from_then_on() {
    let grant = "Caller does not have required permission to use project quota. Grant the caller the \
                 roles/serviceusage.serviceUsageConsumer role.";
    for body in [body(grant, ""), body("Forbidden.", "USER_PROJECT_DENIED")] {
        let auth = Auth::with(Credentials::from(Brings(Some("quota"))));
        let (project, fault) = refused(&auth, &body).await;
        assert_eq!(
            (project.as_deref(), fault.code.as_str(), fault.transient),
            (Some("quota"), "PERMISSION_DENIED", true)
        );
        let (project, fault) = refused(&auth, &body).await;
        assert_eq!((project, fault.transient), (None, false), "without it the refusal has another cause");
    }
}

#[tokio::test(start_paused = true)]
async fn another_refusal_has_nothing_to_do_with_the_quota_project() {
    let denied = body("Permission 'ces.sessions.bidiRunSession' denied on resource.", "IAM_PERMISSION_DENIED");
    let auth = Auth::with(Credentials::from(Brings(Some("quota"))));
    for _ in 0..2 {
        let (project, fault) = refused(&auth, &denied).await;
        assert_eq!((project.as_deref(), fault.transient), (Some("quota"), false));
    }
    let without = Auth::with(Credentials::from(Brings(None)));
    let (project, fault) = refused(&without, &body("", "USER_PROJECT_DENIED")).await;
    assert_eq!((project, fault.transient), (None, false), "there was none to leave out");
}
