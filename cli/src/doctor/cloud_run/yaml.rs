//! Reads a service's file, as `gcloud run services replace` takes it and `describe --format export` writes it
//! (<https://docs.cloud.google.com/run/docs/reference/yaml/v1>).

use serde_json::Value as Json;

use super::deployed::{Access, Deployed, Probe, Source, Value, Variable, vcpu};

/// Reads a file's text.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str, source: Source) -> Result<Deployed, String> {
    let file: Json = serde_saphyr::from_str(text).map_err(|error| format!("it is no YAML: {}", place(&error)))?;
    if file["kind"] != "Service" || !file["apiVersion"].as_str().unwrap_or_default().starts_with("serving.knative.dev/")
    {
        return Err("it is no Cloud Run service (apiVersion: serving.knative.dev/v1, kind: Service)".to_owned());
    }
    let template = &file["spec"]["template"];
    let spec = &template["spec"];
    let of_service = |name: &str| annotation(&file["metadata"], name);
    let of_revision = |name: &str| annotation(&template["metadata"], name);
    let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    // If there are several containers, the one with a port gets the requests.
    let container = containers.iter().find(|container| container.get("ports").is_some()).or(containers.first());
    let container = container.ok_or("spec.template.spec.containers has no container")?;
    let instances = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let least = [of_revision("autoscaling.knative.dev/minScale"), of_service("run.googleapis.com/minScale")];
    Ok(Deployed {
        source,
        timeout_s: number(&spec["timeoutSeconds"]).unwrap_or(300.0),
        concurrency: spec["containerConcurrency"].as_u64().filter(|most| *most > 0).unwrap_or(80),
        cpu_always: of_revision("run.googleapis.com/cpu-throttling").as_deref() == Some("false"),
        cpu: scalar(&container["resources"]["limits"]["cpu"]).and_then(|cpu| vcpu(&cpu)).unwrap_or(1.0),
        min_instances: least.map(instances).into_iter().max().unwrap_or(0),
        session_affinity: of_revision("run.googleapis.com/sessionAffinity").as_deref() == Some("true"),
        generation: of_revision("run.googleapis.com/execution-environment"),
        http2: container["ports"][0]["name"] == "h2c",
        ingress: of_service("run.googleapis.com/ingress").unwrap_or_else(|| "all".to_owned()),
        access: match of_service("run.googleapis.com/invoker-iam-disabled").as_deref() {
            Some("true") => Access::Unchecked,
            Some(_) | None => Access::Unknown,
        },
        startup_probe: probe(&container["startupProbe"]),
        liveness_probe: probe(&container["livenessProbe"]),
        variables: variables(&container["env"]),
    })
}

/// Where the error is and what it is, without the lines around it that the parser's message shows too.
fn place(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn annotation(metadata: &Json, name: &str) -> Option<String> {
    scalar(&metadata["annotations"][name])
}

/// A scalar as text: people write both `"false"` and `false`.
fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn number(value: &Json) -> Option<f64> {
    scalar(value)?.parse().ok()
}

fn probe(probe: &Json) -> Probe {
    match probe {
        Json::Object(probe) => match probe.get("httpGet") {
            Some(http) => Probe::Http(http["path"].as_str().unwrap_or("/").to_owned()),
            None => Probe::Other,
        },
        _ => Probe::None,
    }
}

fn variables(list: &Json) -> Vec<Variable> {
    let read = |entry: &Json| {
        let value = match entry["valueFrom"]["secretKeyRef"]["key"].as_str() {
            Some(version) => Value::Secret(version.to_owned()),
            None => Value::Plain(scalar(&entry["value"]).unwrap_or_default()),
        };
        Some(Variable { name: entry["name"].as_str()?.to_owned(), value })
    };
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: dialbridge
  annotations:
    run.googleapis.com/ingress: internal
    run.googleapis.com/minScale: '2'
    run.googleapis.com/invoker-iam-disabled: 'true'
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/minScale: "1"
        run.googleapis.com/cpu-throttling: false      # a boolean where Google's own export has a text
        run.googleapis.com/execution-environment: gen1
        run.googleapis.com/sessionAffinity: 'true'
    spec:
      containerConcurrency: 200
      timeoutSeconds: 3600
      containers:
      - image: sidecar
      - image: dialbridge
        ports: [{name: h2c, containerPort: 8080}]
        resources: {limits: {cpu: 500m}}
        startupProbe: {httpGet: {path: /ready}, periodSeconds: 1}
        livenessProbe: {tcpSocket: {port: 8080}}
        env:
        - {name: MAX_CALLS, value: "100"}
        - name: TWILIO_AUTH_TOKEN
          valueFrom: {secretKeyRef: {name: twilio-auth-token, key: "3"}}
        - {name: EMPTY, value: ""}
"#;

    #[test]
    fn a_services_file_is_read() {
        let service = read(FILE, Source::File("service.yaml".to_owned())).unwrap();
        assert_eq!((service.timeout_s, service.concurrency, service.cpu, service.min_instances), (3600.0, 200, 0.5, 2));
        assert!(service.cpu_always && service.session_affinity && service.http2);
        assert_eq!((service.generation.as_deref(), service.ingress.as_str()), (Some("gen1"), "internal"));
        assert_eq!(service.access, Access::Unchecked);
        assert_eq!(
            (service.startup_probe.clone(), &service.liveness_probe),
            (Probe::Http("/ready".to_owned()), &Probe::Other)
        );
        assert_eq!(service.variable("MAX_CALLS"), Some(&Value::Plain("100".to_owned())));
        assert_eq!(service.variable("TWILIO_AUTH_TOKEN"), Some(&Value::Secret("3".to_owned())));
        assert_eq!(service.variable("EMPTY"), None);
    }

    #[test]
    fn what_is_not_set_has_cloud_runs_default() {
        let least =
            "{apiVersion: serving.knative.dev/v1, kind: Service, spec: {template: {spec: {containers: [{image: i}]}}}}";
        let service = read(least, Source::File(String::new())).unwrap();
        assert_eq!((service.timeout_s, service.concurrency, service.cpu, service.min_instances), (300.0, 80, 1.0, 0));
        assert!(!service.cpu_always && !service.session_affinity && !service.http2);
        assert_eq!((service.generation, service.ingress.as_str()), (None, "all"));
        assert_eq!(service.access, Access::Unknown);
        assert_eq!(service.startup_probe, Probe::None);
    }

    #[test]
    fn what_is_no_service_is_told() {
        for (text, why) in [
            ("a: [", "it is no YAML"),
            ("hello", "it is no Cloud Run service"),
            ("{apiVersion: v1, kind: Service}", "it is no Cloud Run service"),
            ("{apiVersion: serving.knative.dev/v1, kind: Service}", "has no container"),
        ] {
            let error = read(text, Source::File(String::new())).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
