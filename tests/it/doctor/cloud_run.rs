//! Cloud Run's settings, from its API and from a file.

use dialbridge::doctor::Mark;
use dialbridge_tests::{DoctorPlan, Examined};
use serde_json::{Value, json};

use super::{Row, each, plan};

/// The template's only container.
fn container(plan: &mut DoctorPlan) -> &mut Value {
    &mut plan.on_cloud_run["template"]["containers"][0]
}

#[tokio::test]
async fn settings_that_break_calls() {
    let rows = [
        Row {
            case: ("cloud-run-timeout", "five minutes"),
            wrong: |plan| plan.on_cloud_run["template"]["timeout"] = json!("300s"),
            says: "a request may last 300 s, so every call is cut after that time",
            mend: "gcloud run services update dialbridge --region europe-west3 --timeout 3600",
        },
        Row {
            case: ("cloud-run-concurrency", "more requests than calls"),
            wrong: |plan| {
                let max_calls = json!({ "name": "MAX_CALLS", "value": "100" });
                container(plan)["env"].as_array_mut().unwrap().push(max_calls);
            },
            says: "an instance gets 200 requests at once, but MAX_CALLS is 100: further callers hear that all lines are \
                   busy while other instances have room",
            mend: "gcloud run services update dialbridge --region europe-west3 --concurrency 100",
        },
        Row {
            case: ("cloud-run-billing", "cpu in requests only"),
            wrong: |plan| container(plan)["resources"]["cpuIdle"] = json!(true),
            says: "there is CPU during requests only, so what is left to do when a call's socket has closed (its hand-off \
                   over REST) freezes",
            mend: "gcloud run services update dialbridge --region europe-west3 --no-cpu-throttling",
        },
        Row {
            case: ("cloud-run-cpu", "half a core"),
            wrong: |plan| container(plan)["resources"]["limits"]["cpu"] = json!("500m"),
            says: "0.5 vCPU: audio comes every 20 ms, and must not wait for its share of a core",
            mend: "gcloud run services update dialbridge --region europe-west3 --cpu 1",
        },
        Row {
            case: ("cloud-run-http2", "http2 to the container"),
            wrong: |plan| container(plan)["ports"][0]["name"] = json!("h2c"),
            says: "requests come as HTTP/2, over which no media socket opens",
            mend: "gcloud run services update dialbridge --region europe-west3 --no-use-http2",
        },
        Row {
            case: ("cloud-run-ingress", "an internal service"),
            wrong: |plan| plan.on_cloud_run["ingress"] = json!("INGRESS_TRAFFIC_INTERNAL_ONLY"),
            says: "ingress is internal-only: Twilio does not get in",
            mend: "gcloud run services update dialbridge --region europe-west3 --ingress all",
        },
        Row {
            case: ("cloud-run-access", "a service for invokers only"),
            wrong: |plan| {
                plan.on_cloud_run["invokerIamDisabled"] = json!(false);
                plan.invokers = Some(vec!["serviceAccount:other@lab-project.iam.gserviceaccount.com"]);
            },
            says: "only accounts with roles/run.invoker get in, and Twilio has no Google identity: it gets 403",
            mend: "gcloud run services update dialbridge --region europe-west3 --no-invoker-iam-check",
        },
        Row {
            case: ("cloud-run-access", "a service for nobody"),
            wrong: |plan| {
                plan.on_cloud_run["invokerIamDisabled"] = json!(false);
                plan.invokers = Some(Vec::new());
            },
            says: "only accounts with roles/run.invoker get in, and Twilio has no Google identity: it gets 403",
            mend: "gcloud run services update dialbridge --region europe-west3 --no-invoker-iam-check",
        },
        Row {
            case: ("cloud-run-startup", "a startup probe of a path that is not there"),
            wrong: |plan| container(plan)["startupProbe"]["httpGet"]["path"] = json!("/healthz"),
            says: "the startup probe asks /healthz, where this service answers 404: no instance would start",
            mend: "gcloud run services update dialbridge --region europe-west3 --startup-probe \
                   httpGet.path=/ready,periodSeconds=1,failureThreshold=30",
        },
        Row {
            case: ("cloud-run-liveness", "a liveness probe that cuts calls"),
            wrong: |plan| container(plan)["livenessProbe"] = json!({ "httpGet": { "path": "/ready" } }),
            says: "the liveness probe asks /ready, which fails while an instance ends: its calls would be cut",
            mend: "gcloud run services update dialbridge --region europe-west3 --liveness-probe httpGet.path=/health",
        },
        Row {
            case: ("cloud-run-secrets", "no token on cloud run"),
            wrong: |plan| container(plan)["env"] = json!([]),
            says: "TWILIO_AUTH_TOKEN is not set: the service does not start",
            mend: "gcloud run services update dialbridge --region europe-west3 --set-secrets \
                   TWILIO_AUTH_TOKEN=twilio-auth-token:1",
        },
        Row {
            case: ("cloud-run", "no such service"),
            wrong: |plan| plan.options.region = Some("us-central1".to_owned()),
            says: "service dialbridge in us-central1, project lab-project: 404 Resource 'dialbridge' was not found",
            mend: "name the service with --cloud-run-service, --region and --project; gcloud run services list shows them",
        },
        Row {
            case: ("cloud-run", "no permission for cloud run"),
            wrong: |plan| plan.cloud_run_refuses = Some((403, "Permission 'run.services.get' denied")),
            says: "service dialbridge in europe-west3, project lab-project: 403 Permission 'run.services.get' denied",
            mend: "give who asks the role: gcloud projects add-iam-policy-binding lab-project --role roles/run.viewer \
                   --member ACCOUNT",
        },
        Row {
            case: ("cloud-run", "an api that is off"),
            wrong: |plan| {
                plan.cloud_run_refuses = Some((403, "Cloud Run Admin API has not been used in project lab-project"));
            },
            says: "service dialbridge in europe-west3, project lab-project: 403 Cloud Run Admin API has not been used in \
                   project lab-project",
            mend: "gcloud services enable run.googleapis.com --project lab-project",
        },
    ];
    each(Mark::Fault, &rows).await;
}

#[tokio::test]
async fn a_service_that_all_users_may_invoke_is_open() {
    let mut plan = plan("all users");
    plan.on_cloud_run["invokerIamDisabled"] = json!(false);
    plan.invokers = Some(vec!["user:a@example.com", "allUsers"]);
    let Examined { findings, .. } = plan.examine(false).await;
    let access = findings.iter().find(|finding| finding.check == "cloud-run-access").unwrap();
    assert_eq!((access.mark, access.says.as_str()), (Mark::Ok, "everybody: allUsers may invoke the service"));
}

#[tokio::test]
async fn settings_that_may_not_be_what_was_meant() {
    let rows = [
        Row {
            case: ("cloud-run-access", "a policy that may not be read"),
            wrong: |plan| plan.on_cloud_run["invokerIamDisabled"] = json!(false),
            says: "Cloud Run checks who invokes the service, and these credentials may not read whom it lets in",
            mend: "gcloud run services update dialbridge --region europe-west3 --no-invoker-iam-check",
        },
        Row {
            case: ("cloud-run-instances", "no instance at night"),
            wrong: |plan| plan.on_cloud_run["template"]["scaling"] = json!({}),
            says: "there may be no instance: the first caller waits for one to start, and Twilio waits 15 s at most",
            mend: "gcloud run services update dialbridge --region europe-west3 --min-instances 1",
        },
        Row {
            case: ("cloud-run-affinity", "affinity"),
            wrong: |plan| plan.on_cloud_run["template"]["sessionAffinity"] = json!(true),
            says: "session affinity is on: it needs cookies, which Twilio does not keep for a call, and it overrides \
                   traffic splits",
            mend: "gcloud run services update dialbridge --region europe-west3 --no-session-affinity",
        },
        Row {
            case: ("cloud-run-generation", "the first generation"),
            wrong: |plan| {
                plan.on_cloud_run["template"]["executionEnvironment"] = json!("EXECUTION_ENVIRONMENT_GEN1");
            },
            says: "the execution environment is gen1, whose network and CPU are slower",
            mend: "gcloud run services update dialbridge --region europe-west3 --execution-environment gen2",
        },
        Row {
            case: ("cloud-run-concurrency", "one request at once"),
            wrong: |plan| plan.on_cloud_run["template"]["maxInstanceRequestConcurrency"] = json!(1),
            says: "an instance gets 1 requests at once, and every call is one: each few calls need another one",
            mend: "gcloud run services update dialbridge --region europe-west3 --concurrency 200",
        },
        Row {
            case: ("cloud-run-startup", "a startup probe of the port"),
            wrong: |plan| container(plan)["startupProbe"] = json!({ "tcpSocket": { "port": 8080 } }),
            says: "the startup probe asks for an open port only: the first call comes before the agent is connected",
            mend: "gcloud run services update dialbridge --region europe-west3 --startup-probe \
                   httpGet.path=/ready,periodSeconds=1,failureThreshold=30",
        },
        Row {
            case: ("cloud-run-secrets", "a token for all to read"),
            wrong: |plan| {
                container(plan)["env"] = json!([{ "name": "TWILIO_AUTH_TOKEN", "value": "planted-in-the-open" }]);
            },
            says: "TWILIO_AUTH_TOKEN stands in the service's settings, for all who may read them",
            mend: "gcloud run services update dialbridge --region europe-west3 --set-secrets \
                   TWILIO_AUTH_TOKEN=twilio-auth-token:1",
        },
        Row {
            case: ("cloud-run-access", "a file that leaves the check on"),
            wrong: |plan| file(plan, "run.googleapis.com/invoker-iam-disabled: 'true'", "a: b"),
            says: "Cloud Run checks who invokes the service: Twilio gets in only if allUsers has roles/run.invoker",
            mend: "in FOLDER/service.yaml: metadata.annotations: run.googleapis.com/invoker-iam-disabled: 'true'",
        },
    ];
    each(Mark::Warning, &rows).await;
}

/// A file with everything that calls need, with `what` replaced.
fn file(plan: &mut DoctorPlan, what: &str, by: &str) {
    const FILE: &str = "
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: dialbridge, annotations: {run.googleapis.com/invoker-iam-disabled: 'true'}}
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/minScale: '1'
        run.googleapis.com/cpu-throttling: 'false'
        run.googleapis.com/execution-environment: gen2
    spec:
      containerConcurrency: 200
      timeoutSeconds: 3600
      containers:
      - image: dialbridge
        resources: {limits: {cpu: '1'}}
        startupProbe: {httpGet: {path: /ready}}
        env:
        - {name: TWILIO_AUTH_TOKEN, valueFrom: {secretKeyRef: {name: twilio-auth-token, key: '1'}}}
";
    assert!(FILE.contains(what));
    plan.options.cloud_run_service = None;
    plan.write("service.yaml", &FILE.replace(what, by));
    plan.options.service_file = Some(plan.folder.join("service.yaml"));
}

#[tokio::test]
async fn a_file_is_looked_at_as_the_api_is() {
    let rows = [
        Row {
            case: ("cloud-run-timeout", "no timeout in the file"),
            wrong: |plan| file(plan, "      timeoutSeconds: 3600\n", ""),
            says: "a request may last 300 s, so every call is cut after that time",
            mend: "in FOLDER/service.yaml: spec.template.spec.timeoutSeconds: 3600",
        },
        Row {
            case: ("cloud-run-billing", "throttling in the file"),
            wrong: |plan| file(plan, "run.googleapis.com/cpu-throttling: 'false'", "a: b"),
            says: "there is CPU during requests only, so what is left to do when a call's socket has closed (its hand-off \
                   over REST) freezes",
            mend: "in FOLDER/service.yaml: spec.template.metadata.annotations: run.googleapis.com/cpu-throttling: 'false'",
        },
        Row {
            case: ("cloud-run", "a file that is no yaml"),
            wrong: |plan| file(plan, "kind: Service", "kind: [Service"),
            says: "FOLDER/service.yaml: it is no YAML: line 4 column 9: illegal placement of ':' indicator",
            mend: "give --service a file such as gcloud run services describe NAME --format export writes",
        },
        Row {
            case: ("cloud-run", "a file of another kind"),
            wrong: |plan| file(plan, "kind: Service", "kind: Deployment"),
            says: "FOLDER/service.yaml: it is no Cloud Run service (apiVersion: serving.knative.dev/v1, kind: Service)",
            mend: "give --service a file such as gcloud run services describe NAME --format export writes",
        },
    ];
    each(Mark::Fault, &rows).await;
}
