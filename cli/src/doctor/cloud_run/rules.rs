//! What Cloud Run's settings must be for calls, and why.

use super::deployed::{Access, Deployed, Probe, Source, Value};
use crate::doctor::finding::Finding;

/// Cloud Run's longest request timeout. A call needs it: its media stream is one request.
const LONGEST_TIMEOUT_S: f64 = 3_600.0;

/// `MAX_CALLS` where it is not set.
const DEFAULT_MAX_CALLS: u64 = 1_000;

/// Checks all settings of a service.
pub(super) fn check(service: &Deployed) -> Vec<Finding> {
    vec![
        timeout(service),
        concurrency(service),
        billing(service),
        cpu(service),
        min_instances(service),
        affinity(service),
        generation(service),
        http2(service),
        ingress(service),
        access(service),
        startup_probe(service),
        liveness_probe(service),
        token(service),
    ]
}

impl Deployed {
    /// What to change: the key of the file, or the flag of the gcloud command.
    fn mend(&self, key: &str, flag: &str) -> String {
        match &self.source {
            Source::File(file) => format!("in {file}: {key}"),
            Source::Api { name, region } => format!("gcloud run services update {name} --region {region} {flag}"),
        }
    }
}

fn timeout(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-timeout";
    let seconds = service.timeout_s;
    if seconds >= LONGEST_TIMEOUT_S {
        return Finding::ok(CHECK, "a request may last 3600 s");
    }
    let says = format!("a request may last {seconds} s, so every call is cut after that time");
    Finding::fault(CHECK, says, service.mend("spec.template.spec.timeoutSeconds: 3600", "--timeout 3600"))
}

fn concurrency(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-concurrency";
    let requests = service.concurrency;
    let set = match service.variable("MAX_CALLS") {
        Some(Value::Plain(text)) => text.trim().parse().ok(),
        Some(Value::Secret(_)) | None => None,
    };
    let calls = set.unwrap_or(DEFAULT_MAX_CALLS);
    if requests > calls {
        let says = format!(
            "an instance gets {requests} requests at once, but MAX_CALLS is {calls}: further callers hear that all lines \
             are busy while other instances have room"
        );
        let key = format!("spec.template.spec.containerConcurrency: {calls}, or MAX_CALLS: {requests}");
        return Finding::fault(CHECK, says, service.mend(&key, &format!("--concurrency {calls}")));
    }
    if requests < 10 {
        let says = format!(
            "an instance gets {requests} requests at once, and every call is one: each few calls need another one"
        );
        let mend = service.mend("spec.template.spec.containerConcurrency: 200", "--concurrency 200");
        return Finding::warning(CHECK, says, mend);
    }
    Finding::ok(CHECK, format!("an instance gets {requests} requests at once, MAX_CALLS is {calls}"))
}

fn billing(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-billing";
    if service.cpu_always {
        return Finding::ok(CHECK, "there is CPU outside requests too");
    }
    let says = "there is CPU during requests only, so what is left to do when a call's socket has closed (its hand-off over \
                REST) freezes";
    let key = "spec.template.metadata.annotations: run.googleapis.com/cpu-throttling: 'false'";
    Finding::fault(CHECK, says, service.mend(key, "--no-cpu-throttling"))
}

fn cpu(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-cpu";
    let cpu = service.cpu;
    if cpu >= 1.0 {
        return Finding::ok(CHECK, format!("{cpu} vCPU"));
    }
    let says = format!("{cpu} vCPU: audio comes every 20 ms, and must not wait for its share of a core");
    let key = "spec.template.spec.containers[].resources.limits.cpu: '1'";
    Finding::fault(CHECK, says, service.mend(key, "--cpu 1"))
}

fn min_instances(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-instances";
    match service.min_instances {
        0 => {
            let says =
                "there may be no instance: the first caller waits for one to start, and Twilio waits 15 s at most";
            let key = "spec.template.metadata.annotations: autoscaling.knative.dev/minScale: '1'";
            Finding::warning(CHECK, says, service.mend(key, "--min-instances 1"))
        }
        least => Finding::ok(CHECK, format!("{least} at least")),
    }
}

fn affinity(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-affinity";
    if !service.session_affinity {
        return Finding::ok(CHECK, "off: any instance can carry a call on");
    }
    let says = "session affinity is on: it needs cookies, which Twilio does not keep for a call, and it overrides traffic splits";
    let key = "spec.template.metadata.annotations: without run.googleapis.com/sessionAffinity";
    Finding::warning(CHECK, says, service.mend(key, "--no-session-affinity"))
}

fn generation(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-generation";
    let says = match service.generation.as_deref() {
        Some("gen2") => return Finding::ok(CHECK, "gen2"),
        Some(other) => format!("the execution environment is {other}, whose network and CPU are slower"),
        None => "the execution environment is left to Cloud Run, and may be gen1, whose network and CPU are slower"
            .to_owned(),
    };
    let key = "spec.template.metadata.annotations: run.googleapis.com/execution-environment: gen2";
    Finding::warning(CHECK, says, service.mend(key, "--execution-environment gen2"))
}

fn http2(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-http2";
    if !service.http2 {
        return Finding::ok(CHECK, "off: WebSockets need HTTP/1.1");
    }
    let says = "requests come as HTTP/2, over which no media socket opens";
    let key = "spec.template.spec.containers[].ports[].name: http1";
    Finding::fault(CHECK, says, service.mend(key, "--no-use-http2"))
}

fn ingress(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-ingress";
    let ingress = service.ingress.as_str();
    let key = "metadata.annotations: run.googleapis.com/ingress: all";
    let mend = service.mend(key, "--ingress all");
    match ingress {
        "all" => Finding::ok(CHECK, "all"),
        "internal" | "internal-only" | "none" => {
            Finding::fault(CHECK, format!("ingress is {ingress}: Twilio does not get in"), mend)
        }
        _ => Finding::warning(CHECK, format!("ingress is {ingress}: Twilio gets in by a load balancer only"), mend),
    }
}

fn access(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-access";
    let key = "metadata.annotations: run.googleapis.com/invoker-iam-disabled: 'true'";
    let mend = service.mend(key, "--no-invoker-iam-check");
    match (service.access, &service.source) {
        (Access::Unchecked, _) => Finding::ok(CHECK, "everybody: Cloud Run does not check who invokes the service"),
        (Access::AllUsers, _) => Finding::ok(CHECK, "everybody: allUsers may invoke the service"),
        (Access::Invokers, _) => {
            let says = "only accounts with roles/run.invoker get in, and Twilio has no Google identity: it gets 403";
            Finding::fault(CHECK, says, mend)
        }
        (Access::Unknown, Source::File(_)) => {
            let says =
                "Cloud Run checks who invokes the service: Twilio gets in only if allUsers has roles/run.invoker";
            Finding::warning(CHECK, says, mend)
        }
        (Access::Unknown, Source::Api { .. }) => {
            let says = "Cloud Run checks who invokes the service, and these credentials may not read whom it lets in";
            Finding::warning(CHECK, says, mend)
        }
    }
}

fn startup_probe(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-startup";
    let key = "spec.template.spec.containers[].startupProbe: {httpGet: {path: /ready}, periodSeconds: 1, failureThreshold: 30}";
    let flag = "--startup-probe httpGet.path=/ready,periodSeconds=1,failureThreshold=30";
    match &service.startup_probe {
        Probe::Http(path) if path == "/ready" || path == "/health" => Finding::ok(CHECK, format!("GET {path}")),
        Probe::Http(path) => {
            let says =
                format!("the startup probe asks {path}, where this service answers 404: no instance would start");
            Finding::fault(CHECK, says, service.mend(key, flag))
        }
        Probe::None | Probe::Other => {
            let says =
                "the startup probe asks for an open port only: the first call comes before the agent is connected";
            Finding::warning(CHECK, says, service.mend(key, flag))
        }
    }
}

fn liveness_probe(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-liveness";
    let key = "spec.template.spec.containers[].livenessProbe: {httpGet: {path: /health}}";
    let flag = "--liveness-probe httpGet.path=/health";
    match &service.liveness_probe {
        Probe::None => Finding::ok(CHECK, "none"),
        Probe::Http(path) if path == "/health" => Finding::ok(CHECK, "GET /health"),
        Probe::Http(path) if path == "/ready" => {
            let says = "the liveness probe asks /ready, which fails while an instance ends: its calls would be cut";
            Finding::fault(CHECK, says, service.mend(key, flag))
        }
        Probe::Http(path) => {
            let says = format!(
                "the liveness probe asks {path}, where this service answers 404: it restarts with all its calls"
            );
            Finding::fault(CHECK, says, service.mend(key, flag))
        }
        Probe::Other => Finding::ok(CHECK, "not by HTTP"),
    }
}

fn token(service: &Deployed) -> Finding {
    const CHECK: &str = "cloud-run-secrets";
    let key = "env: TWILIO_AUTH_TOKEN with valueFrom.secretKeyRef {name: twilio-auth-token, key: '1'}";
    let mend = service.mend(key, "--set-secrets TWILIO_AUTH_TOKEN=twilio-auth-token:1");
    match service.variable("TWILIO_AUTH_TOKEN") {
        Some(Value::Secret(version)) if version == "latest" => {
            let says =
                "TWILIO_AUTH_TOKEN is the secret's latest version: instances that start later may have another one";
            Finding::warning(CHECK, says, mend)
        }
        Some(Value::Secret(version)) => {
            Finding::ok(CHECK, format!("TWILIO_AUTH_TOKEN is version {version} of a secret"))
        }
        Some(Value::Plain(_)) => Finding::warning(
            CHECK,
            "TWILIO_AUTH_TOKEN stands in the service's settings, for all who may read them",
            mend,
        ),
        None if matches!(service.variable("ALLOW_UNSIGNED"), Some(Value::Plain(text)) if text == "true" || text == "1") => {
            Finding::warning(
                CHECK,
                "TWILIO_AUTH_TOKEN is not set, and ALLOW_UNSIGNED lets anyone use the service",
                mend,
            )
        }
        None if ["DIALBRIDGE_CONFIG", "TICKET_KEY"].iter().all(|name| service.variable(name).is_some()) => {
            let says = "TWILIO_AUTH_TOKEN is not set: only calls of the accounts in DIALBRIDGE_CONFIG are taken, and \
                        without any the service does not start";
            Finding::warning(CHECK, says, mend)
        }
        None => Finding::fault(CHECK, "TWILIO_AUTH_TOKEN is not set: the service does not start", mend),
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;
    use crate::doctor::finding::Mark;

    #[test]
    fn a_service_without_a_token_starts_for_the_accounts_of_the_agents_file() {
        for (env, mark, told) in [
            ("[]", Mark::Fault, "the service does not start"),
            ("[{name: DIALBRIDGE_CONFIG, value: a.toml}]", Mark::Fault, "the service does not start"),
            (
                "[{name: DIALBRIDGE_CONFIG, value: a.toml}, {name: TICKET_KEY, value: k}]",
                Mark::Warning,
                "only calls of the accounts in DIALBRIDGE_CONFIG",
            ),
            ("[{name: ALLOW_UNSIGNED, value: 'true'}]", Mark::Warning, "lets anyone use the service"),
        ] {
            let file = format!(
                "{{apiVersion: serving.knative.dev/v1, kind: Service,
                   spec: {{template: {{spec: {{containers: [{{image: i, env: {env}}}]}}}}}}}}"
            );
            let service = yaml::read(&file, Source::File(String::new())).unwrap();
            let finding = token(&service);
            assert_eq!(finding.mark, mark, "{env}");
            assert!(finding.says.contains(told), "{env}: {}", finding.says);
        }
    }
}
