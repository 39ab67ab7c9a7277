//! Dialogflow CX over REST, as far as `doctor` asks: `GET /v3/projects/P/locations/L/agents/A`
//! (<https://docs.cloud.google.com/dialogflow/cx/docs/reference/rest/v3/projects.locations.agents/get>).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::agent::script::Script;

/// The agent, or why it is not shown; `None` for another path or method.
pub(super) fn answer(
    script: &Script,
    method: &Method,
    path: &str,
) -> Option<Result<Value, (StatusCode, &'static str)>> {
    let name = path.strip_prefix("/v3/").filter(|_| method == Method::GET)?;
    let parts: Vec<&str> = name.split('/').collect();
    let ["projects", _, "locations", _, "agents", _] = parts[..] else { return None };
    if let Some(status) = script.agent.refuses.and_then(|status| StatusCode::from_u16(status).ok()) {
        return Some(Err((status, "the script does not show the agent")));
    }
    let mut agent = script.agent.fields.clone();
    agent.insert("name".to_owned(), json!(name));
    Some(Ok(agent.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_shown_with_what_its_script_says_of_it() {
        let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let script = Script::parse("[agent]\nadvancedSettings = { a = 1 }\n", "test", &no_file).unwrap();
        let name = "projects/p/locations/l/agents/a";
        let shown = answer(&script, &Method::GET, &format!("/v3/{name}")).unwrap().unwrap();
        assert_eq!(shown, json!({ "name": name, "advancedSettings": { "a": 1 } }));
        for (method, path) in [(Method::POST, format!("/v3/{name}")), (Method::GET, format!("/v3/{name}/flows"))] {
            assert!(answer(&script, &method, &path).is_none(), "{method} {path}");
        }
        let script = Script::parse("agent = { refuses = 403 }\n", "test", &no_file).unwrap();
        let refused = answer(&script, &Method::GET, &format!("/v3/{name}")).unwrap().unwrap_err();
        assert_eq!(refused.0, StatusCode::FORBIDDEN);
    }
}
