//! Reads a service from Cloud Run's Admin API
//! (<https://docs.cloud.google.com/run/docs/reference/rest/v2/projects.locations.services>).

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value as Json;

use super::super::Doctor;
use super::super::credentials::{Credentials, metadata};
use super::super::finding::Finding;
use super::super::in_short;
use super::super::voice_request::parts;
use super::super::web::WebError;
use super::CHECK;
use super::deployed::{Access, Deployed, Probe, Source, Value, Variable, vcpu};

/// Google's own endpoint.
pub(crate) const DEFAULT_URL: &str = "https://run.googleapis.com";

/// Gets a service. If region or project are not named, asks the metadata server for them.
pub(super) async fn read(
    doctor: &Doctor,
    name: &str,
    region: Option<String>,
    project: Option<String>,
    credentials: &Credentials,
) -> Result<Deployed, Box<Finding>> {
    let base = doctor.cloud_run_api_url.trim_end_matches('/');
    let is_tls = base.starts_with("https://");
    if is_tls && credentials.auth.is_none() {
        return Err(Box::new(Finding::skipped(CHECK, "there are no credentials to ask Cloud Run with")));
    }
    let region = match region {
        Some(region) => region,
        None => metadata(doctor, "instance/region").await.map(|name| last_part(&name)).map_err(|_| {
            Box::new(Finding::skipped(CHECK, format!("the region of {name} is not known: name it with --region")))
        })?,
    };
    let Some(project) = project else {
        return Err(Box::new(Finding::skipped(CHECK, "the project is not known: name it with --project")));
    };
    let mut headers = HeaderMap::new();
    // No token is sent over plaintext, as for any endpoint with http://.
    if let Some(auth) = credentials.auth.as_ref().filter(|_| is_tls) {
        let added = auth.add_to(&mut headers).await;
        added.map_err(|error| Box::new(Finding::skipped(CHECK, in_short(&error.to_string()))))?;
    }
    let url = format!("{base}/v2/projects/{project}/locations/{region}/services/{name}");
    let fault = |says: String, mend: &str| Box::new(Finding::fault(CHECK, says, mend));
    let response = get(doctor, &url, &headers).await.map_err(|error| match error {
        WebError::NoUrl(_) => fault(format!("{url} is no URL"), "look at CLOUD_RUN_API_URL and the service's name"),
        error => fault(
            format!("{base}: {error}"),
            "look whether this machine reaches it (CLOUD_RUN_API_URL, firewall, proxy)",
        ),
    })?;
    doctor.web.note_clock(&parts(base).1, &response);
    let json: Json = serde_json::from_slice(response.body()).unwrap_or_default();
    if response.status() != StatusCode::OK {
        return Err(refused(response.status(), &json, name, &region, &project));
    }
    let service = parse(&json, name, &region)
        .ok_or_else(|| fault(format!("{base} describes no service {name}"), "look at CLOUD_RUN_API_URL"))?;
    if service.access == Access::Unchecked {
        return Ok(service);
    }
    let policy = get(doctor, &format!("{url}:getIamPolicy"), &headers).await;
    let policy = policy.ok().filter(|response| response.status() == StatusCode::OK);
    let policy = policy.and_then(|response| serde_json::from_slice(response.body()).ok());
    Ok(Deployed { access: policy.as_ref().map_or(Access::Unknown, access), ..service })
}

async fn get(doctor: &Doctor, url: &str, headers: &HeaderMap) -> Result<Response<Bytes>, WebError> {
    let mut request = Request::get(url).body(Full::default()).map_err(|error| WebError::NoUrl(error.to_string()))?;
    request.headers_mut().extend(headers.clone());
    doctor.web.send(request).await
}

/// Whom a service's IAM policy lets in.
fn access(policy: &Json) -> Access {
    let bindings = policy["bindings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let invokers = bindings.iter().filter(|binding| binding["role"] == "roles/run.invoker");
    let mut members = invokers.filter_map(|binding| binding["members"].as_array()).flatten();
    if members.any(|member| member == "allUsers") { Access::AllUsers } else { Access::Invokers }
}

fn refused(status: StatusCode, json: &Json, name: &str, region: &str, project: &str) -> Box<Finding> {
    let message = json["error"]["message"].as_str().map(in_short).unwrap_or_default();
    let says = format!("service {name} in {region}, project {project}: {} {message}", status.as_u16());
    let mend = match status {
        StatusCode::NOT_FOUND => {
            "name the service with --cloud-run-service, --region and --project; gcloud run services list shows them"
                .to_owned()
        }
        StatusCode::FORBIDDEN if message.contains("has not been used") || message.contains("disabled") => {
            format!("gcloud services enable run.googleapis.com --project {project}")
        }
        StatusCode::FORBIDDEN => format!(
            "give who asks the role: gcloud projects add-iam-policy-binding {project} --role roles/run.viewer --member ACCOUNT"
        ),
        StatusCode::UNAUTHORIZED => "log in again: gcloud auth application-default login".to_owned(),
        StatusCode::TOO_MANY_REQUESTS => "wait a minute and try again".to_owned(),
        _ => "try again; see Google Cloud's status page".to_owned(),
    };
    Box::new(Finding::fault(CHECK, says.trim_end(), mend))
}

/// The API's answer about a service. It leaves out fields with proto3's default, `cpuIdle: false` too.
fn parse(json: &Json, name: &str, region: &str) -> Option<Deployed> {
    let template = json.get("template")?;
    let containers = template["containers"].as_array()?;
    let container = containers.iter().find(|container| container.get("ports").is_some()).or(containers.first())?;
    let resources = container.get("resources");
    let least = [&template["scaling"]["minInstanceCount"], &json["scaling"]["minInstanceCount"]];
    let generation = template["executionEnvironment"].as_str().and_then(|name| name.rsplit('_').next());
    let ingress = json["ingress"].as_str().and_then(|name| name.strip_prefix("INGRESS_TRAFFIC_")).unwrap_or("ALL");
    Some(Deployed {
        source: Source::Api { name: name.to_owned(), region: region.to_owned() },
        timeout_s: seconds(&template["timeout"]).unwrap_or(300.0),
        concurrency: template["maxInstanceRequestConcurrency"].as_u64().filter(|most| *most > 0).unwrap_or(80),
        cpu_always: resources.is_some_and(|resources| resources["cpuIdle"] != Json::Bool(true)),
        cpu: resources.and_then(|resources| vcpu(resources["limits"]["cpu"].as_str()?)).unwrap_or(1.0),
        min_instances: least.into_iter().filter_map(Json::as_u64).max().unwrap_or(0),
        session_affinity: template["sessionAffinity"] == Json::Bool(true),
        generation: generation.filter(|name| name.starts_with("GEN")).map(str::to_lowercase),
        http2: container["ports"][0]["name"] == "h2c",
        ingress: ingress.to_lowercase().replace('_', "-"),
        access: if json["invokerIamDisabled"] == Json::Bool(true) { Access::Unchecked } else { Access::Unknown },
        startup_probe: probe(&container["startupProbe"]),
        liveness_probe: probe(&container["livenessProbe"]),
        variables: variables(&container["env"]),
    })
}

/// Parses a duration as JSON has it: `3600s`.
fn seconds(value: &Json) -> Option<f64> {
    value.as_str()?.strip_suffix('s')?.parse().ok()
}

fn last_part(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn probe(probe: &Json) -> Probe {
    match (probe.get("httpGet"), probe.is_object()) {
        (Some(http), _) => Probe::Http(http["path"].as_str().unwrap_or("/").to_owned()),
        (None, true) => Probe::Other,
        (None, false) => Probe::None,
    }
}

fn variables(list: &Json) -> Vec<Variable> {
    let read = |entry: &Json| {
        let value = match entry["valueSource"]["secretKeyRef"].as_object() {
            Some(secret) => Value::Secret(secret.get("version").and_then(Json::as_str).unwrap_or("latest").to_owned()),
            None => Value::Plain(entry["value"].as_str().unwrap_or_default().to_owned()),
        };
        Some(Variable { name: entry["name"].as_str()?.to_owned(), value })
    };
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_of_the_api_is_read() {
        let service = json!({
            "ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            "template": {
                "timeout": "3600s", "maxInstanceRequestConcurrency": 200, "sessionAffinity": true,
                "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2", "scaling": { "minInstanceCount": 1 },
                "containers": [{
                    "ports": [{ "name": "http1", "containerPort": 8080 }],
                    "resources": { "limits": { "cpu": "2" }, "startupCpuBoost": true },
                    "startupProbe": { "tcpSocket": { "port": 8080 } },
                    "livenessProbe": { "httpGet": { "path": "/health" } },
                    "env": [
                        { "name": "MAX_CALLS", "value": "300" },
                        { "name": "TWILIO_AUTH_TOKEN", "valueSource": { "secretKeyRef": { "secret": "s", "version": "latest" } } },
                    ],
                }],
            },
        });
        let service = parse(&service, "dialbridge", "europe-west3").unwrap();
        assert_eq!((service.timeout_s, service.concurrency, service.cpu, service.min_instances), (3600.0, 200, 2.0, 1));
        assert!(service.cpu_always, "cpuIdle is left out when it is false");
        assert!(service.session_affinity && !service.http2);
        assert_eq!((service.generation.as_deref(), service.ingress.as_str()), (Some("gen2"), "internal-load-balancer"));
        assert_eq!(
            (&service.startup_probe, &service.liveness_probe),
            (&Probe::Other, &Probe::Http("/health".to_owned()))
        );
        assert_eq!(service.variable("TWILIO_AUTH_TOKEN"), Some(&Value::Secret("latest".to_owned())));
    }

    #[test]
    fn what_the_api_leaves_out_has_its_default() {
        let service = parse(&json!({ "template": { "containers": [{}] } }), "s", "r").unwrap();
        assert_eq!((service.timeout_s, service.concurrency, service.cpu, service.min_instances), (300.0, 80, 1.0, 0));
        assert!(!service.cpu_always && service.generation.is_none() && service.ingress == "all");
        let idle = json!({ "template": { "containers": [{ "resources": { "cpuIdle": true } }] } });
        assert!(!parse(&idle, "s", "r").unwrap().cpu_always);
        assert!(parse(&json!({}), "s", "r").is_none());
    }
}
