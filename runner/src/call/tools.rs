//! Tools that the agent asks us to run, by a webhook: we `POST` a JSON object with the tool's name, its arguments and
//! the session. The response is the result.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dialbridge_core::agent::ToolCall;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::Full;
use ring::hmac;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::settings::ToolWebhook;
use dialbridge_net::http_client::{HttpClient, HttpError};

/// A tool's result, or a sentence for the agent if it failed.
pub type ToolResult = Result<Map<String, Value>, String>;

/// The largest result, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// How many of the tools that an agent asks for together run at once.
const MAX_TOOLS_AT_ONCE: usize = 16;

/// The header with the request's signature: HMAC-SHA256 of its body, in base64.
const SIGNATURE: &str = "x-dialbridge-signature";

/// Runs tools.
#[derive(Clone)]
pub struct Tools {
    client: HttpClient,
    webhook: ToolWebhook,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tools")
    }
}

impl Tools {
    /// Runs tools by this webhook.
    #[must_use]
    pub fn new(client: HttpClient, webhook: ToolWebhook) -> Self {
        Self { client, webhook }
    }

    /// Runs these tools at the same time. Returns their results in the same order. Takes no longer than the webhook's
    /// timeout.
    pub async fn run(&self, calls: &[ToolCall], session: &str) -> Vec<ToolResult> {
        let mut results = vec![Err("more tools were asked for than are run at once".to_owned()); calls.len()];
        let mut running = JoinSet::new();
        for (place, call) in calls.iter().enumerate().take(MAX_TOOLS_AT_ONCE) {
            results[place] = Err("the tool has failed".to_owned());
            let (tools, body) = (self.clone(), body(call, session));
            running.spawn(async move { (place, tools.ask(body).await) });
        }
        while let Some(run) = running.join_next().await {
            if let Ok((place, result)) = run {
                results[place] = result;
            }
        }
        results
    }

    async fn ask(&self, body: String) -> ToolResult {
        let mut request = Request::post(&self.webhook.url).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.webhook.secret {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            request = request.header(SIGNATURE, STANDARD.encode(hmac::sign(&key, body.as_bytes())));
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|_| "the tool's webhook has an address that is none".to_owned())?;
        match tokio::time::timeout(self.webhook.timeout, self.client.send(request, MAX_BYTES)).await {
            Ok(Ok(response)) => result(response.status(), response.body()),
            Ok(Err(HttpError::TooLong)) => Err("the tool's result is too long".to_owned()),
            Ok(Err(HttpError::Broken(_))) => Err("the tool cannot be reached".to_owned()),
            Err(_) => Err("the tool has not answered in time".to_owned()),
        }
    }
}

fn body(call: &ToolCall, session: &str) -> String {
    let resource = match call.action.is_empty() {
        true => call.tool.clone(),
        false => format!("{}/{}", call.tool, call.action),
    };
    let name = if call.display_name.is_empty() { &resource } else { &call.display_name };
    json!({
        "tool": name, "resource": resource, "id": call.id, "args": call.arguments, "session": session,
    })
    .to_string()
}

fn result(status: StatusCode, body: &[u8]) -> ToolResult {
    if !status.is_success() {
        return Err(format!("the tool answers with {}", status.as_u16()));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(result)) => Ok(result),
        // A response that is not an object is a result too.
        Ok(other) => Ok(Map::from_iter([("output".to_owned(), other)])),
        Err(_) if body.is_empty() => Ok(Map::new()),
        Err(_) => Err("the tool answers with something that is no JSON".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_told_its_name_what_it_is_given_and_the_session() {
        let call = ToolCall {
            id: "7".to_owned(),
            tool: "toolsets/s".to_owned(),
            action: "stock".to_owned(),
            arguments: Map::from_iter([("bread".to_owned(), "rye".into())]),
            display_name: String::new(),
        };
        let told = |call: &ToolCall| serde_json::from_str::<Value>(&body(call, "sessions/CA1")).unwrap();
        let expected = json!({
            "tool": "toolsets/s/stock", "resource": "toolsets/s/stock", "id": "7", "args": { "bread": "rye" },
            "session": "sessions/CA1",
        });
        assert_eq!(told(&call), expected);
        let named = ToolCall { display_name: "look up stock".to_owned(), action: String::new(), ..call };
        assert_eq!((&told(&named)["tool"], &told(&named)["resource"]), (&json!("look up stock"), &json!("toolsets/s")));
    }

    #[test]
    fn whatever_comes_back_is_a_result_or_a_sentence() {
        let of = |status: u16, body: &str| result(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        let object = |value: Value| value.as_object().cloned().unwrap();
        assert_eq!(of(200, r#"{"stock":7}"#), Ok(object(json!({ "stock": 7 }))));
        assert_eq!(of(200, "[1,2]"), Ok(object(json!({ "output": [1, 2] }))));
        assert_eq!(of(204, ""), Ok(Map::new()));
        assert_eq!(of(200, "<html>").unwrap_err(), "the tool answers with something that is no JSON");
        assert_eq!(of(503, r#"{"stock":7}"#).unwrap_err(), "the tool answers with 503");
        assert_eq!(of(302, "").unwrap_err(), "the tool answers with 302");
    }
}
