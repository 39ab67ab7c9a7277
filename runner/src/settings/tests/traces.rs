//! Where traces go, and which calls are traced.

use super::*;
use crate::settings::TracesConfig;

fn traces(values: &[(&str, &str)]) -> Option<TracesConfig> {
    config(values).unwrap_or_else(|error| panic!("{error}")).traces
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h");

#[test]
fn without_an_endpoint_there_are_no_traces() {
    assert_eq!(traces(&[("OTEL_SERVICE_NAME", "x")]), None);
}

#[test]
fn spans_go_to_the_endpoints_path_for_traces_or_to_the_whole_url() {
    let url = |base, whole| {
        let values = [("OTEL_EXPORTER_OTLP_ENDPOINT", base), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole)];
        traces(&values).unwrap().url.expose().to_owned()
    };
    assert_eq!(url("http://h:4318", ""), "http://h:4318/v1/traces");
    assert_eq!(url("https://h/otlp/", ""), "https://h/otlp/v1/traces");
    assert_eq!(url("http://h", "https://other/spans?key=1"), "https://other/spans?key=1");
}

#[test]
fn headers_and_attributes_are_lists_of_percent_encoded_pairs() {
    let traces = traces(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20planted,x-a=1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=7,cloud.region=eu"),
    ])
    .unwrap();
    assert_eq!(
        (traces.headers[0].0.as_str(), traces.headers[0].1.as_bytes()),
        ("authorization", &b"Bearer planted"[..])
    );
    assert_eq!(traces.resource[1], ("cloud.region".to_owned(), "eu".to_owned()));
    assert!(!format!("{traces:?}").contains("planted"));
}

#[test]
fn samplers_have_opentelemetrys_names() {
    for (name, arg, expected) in [
        ("", "", (true, 1.0)),
        ("always_on", "0.5", (false, 1.0)),
        ("always_off", "", (false, 0.0)),
        ("traceidratio", "0.25", (false, 0.25)),
        ("parentbased_traceidratio", "0.25", (true, 0.25)),
        ("parentbased_always_off", "0.25", (true, 0.0)),
    ] {
        let values = [ENDPOINT, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)];
        let sampler = traces(&values).unwrap().sampler;
        assert_eq!((sampler.follows_parent, sampler.ratio), expected, "{name} {arg}");
    }
}
