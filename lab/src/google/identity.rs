//! Google's identities: tokens for a user's login, and the metadata server of a machine
//! (<https://docs.cloud.google.com/compute/docs/metadata/predefined-metadata-keys>).

use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

/// The longest request, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The default scopes of a machine's service account.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Issues tokens: `POST /token` for a user's login, `/computeMetadata/v1/…` for a machine.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The refresh token of the only user.
    pub refresh_token: String,
    /// The token that it issues.
    pub access_token: String,
    /// The machine's project.
    pub project: String,
    /// The machine's region.
    pub region: String,
    /// The scopes of the machine's service account.
    pub scopes: Vec<String>,
}

impl Identity {
    /// A user with that login, and a machine in that project.
    #[must_use]
    pub fn new(refresh_token: &str, project: &str) -> Self {
        Self {
            refresh_token: refresh_token.to_owned(),
            access_token: "ya29.the-labs-token".to_owned(),
            project: project.to_owned(),
            region: "europe-west3".to_owned(),
            scopes: vec![SCOPE.to_owned()],
        }
    }

    /// A file with a user's login, whose token URL is that server.
    #[must_use]
    pub fn login(&self, server: &str) -> Value {
        json!({
            "type": "authorized_user", "client_id": "the-labs-client", "client_secret": "the-labs-client-secret",
            "refresh_token": self.refresh_token, "quota_project_id": self.project, "token_uri": format!("{server}/token"),
        })
    }

    /// Serves one connection.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        super::serve(connection, |request| self.answer(request)).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        match path.strip_prefix("/computeMetadata/v1/") {
            Some(path) => self.metadata(path, &request),
            None if path == "/token" && request.method() == Method::POST => self.token(request).await,
            None => of(StatusCode::NOT_FOUND, "text/html", "not found".to_owned()),
        }
    }

    /// A token for the refresh token; any other one is refused as Google does it.
    async fn token(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = Limited::new(request.into_body(), MAX_BYTES).collect().await.map(|body| body.to_bytes());
        let asked: Value = body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        if asked["grant_type"] != "refresh_token" || asked["refresh_token"] != self.refresh_token.as_str() {
            let error = json!({ "error": "invalid_grant", "error_description": "Token has been expired or revoked." });
            return of(StatusCode::BAD_REQUEST, "application/json", error.to_string());
        }
        self.given()
    }

    fn given(&self) -> Response<Full<Bytes>> {
        let token = json!({ "access_token": self.access_token, "expires_in": 3_599, "token_type": "Bearer" });
        of(StatusCode::OK, "application/json", token.to_string())
    }

    fn metadata(&self, path: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.headers().get("metadata-flavor") != Some(&HeaderValue::from_static("Google")) {
            return of(StatusCode::FORBIDDEN, "text/html", "Missing Metadata-Flavor:Google header.".to_owned());
        }
        let text = match path {
            "instance/service-accounts/default/token" => return self.given(),
            "project/project-id" => self.project.clone(),
            "instance/region" => format!("projects/1234567890/regions/{}", self.region),
            "instance/service-accounts/default/email" => format!("lab@{}.iam.gserviceaccount.com", self.project),
            "instance/service-accounts/default/scopes" => self.scopes.join("\n") + "\n",
            "universe/universe-domain" => "googleapis.com".to_owned(),
            _ => return of(StatusCode::NOT_FOUND, "text/html", "not found".to_owned()),
        };
        of(StatusCode::OK, "application/text", text)
    }
}

fn of(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
    response
}
