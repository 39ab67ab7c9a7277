//! The settings of traces, by OpenTelemetry's own names
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::value::{Shown, base_url, choice, decimal, list, number, set, url};
use super::{Secret, SettingError, Settings};

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// The whole URL that spans are posted to. It may hold a token, so it is not printed.
    pub url: Secret,
    /// Headers of each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Which calls are traced.
    pub sampler: Sampler,
}

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a call that comes with a trace does as that one says.
    pub follows_parent: bool,
    /// The share of the other calls, from 0 to 1.
    pub ratio: f64,
}

impl Settings {
    /// Where traces go; `None`: nowhere.
    pub(super) fn traces(&self) -> Result<Option<TracesConfig>, SettingError> {
        let example = "http://127.0.0.1:4318";
        let base = base_url("OTEL_EXPORTER_OTLP_ENDPOINT", set(&self.otel_exporter_otlp_endpoint), example)?;
        let whole = set(&self.otel_exporter_otlp_traces_endpoint);
        let whole = url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", whole)?;
        let protocols = [("http/protobuf", ())];
        choice("OTEL_EXPORTER_OTLP_PROTOCOL", set(&self.otel_exporter_otlp_protocol), &protocols)?;
        let timeout = set(&self.otel_exporter_otlp_timeout);
        let timeout_ms = number("OTEL_EXPORTER_OTLP_TIMEOUT", timeout, 10_000, 1..=60_000, "10000")?;
        let (headers, resource, sampler) = (self.trace_headers()?, self.resource()?, self.sampler()?);
        let url = whole.or(base.map(|base| format!("{base}/v1/traces")));
        Ok(url.map(|url| TracesConfig {
            url: Secret::new(url),
            headers,
            timeout: Duration::from_millis(timeout_ms),
            service_name: set(&self.otel_service_name).unwrap_or("dialbridge").to_owned(),
            resource,
            sampler,
        }))
    }

    /// The project whose log the lines stand in; without it that of the default agent.
    pub(super) fn log_project(&self) -> Result<Option<String>, SettingError> {
        let Some(project) = set(&self.google_cloud_project) else { return Ok(None) };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'.');
        if project.len() > 100 || !project.bytes().all(is_plain) {
            let fault = format!("is {}, which is no project's id", Shown(project));
            return Err(SettingError::new("GOOGLE_CLOUD_PROJECT", fault, "my-project"));
        }
        Ok(Some(project.to_owned()))
    }

    fn trace_headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, SettingError> {
        // The values are secrets: no message shows one.
        let wrong = |n: usize| {
            let fault = format!("has at place {} of its list what is no NAME=VALUE of a header", n + 1);
            SettingError::new("OTEL_EXPORTER_OTLP_HEADERS", fault, "api-key=secret")
        };
        let items = list(set(&self.otel_exporter_otlp_headers)).into_iter().enumerate();
        items
            .map(|(n, item)| {
                let (name, value) = pair(&item).ok_or_else(|| wrong(n))?;
                let name = HeaderName::try_from(name).map_err(|_| wrong(n))?;
                let mut value = HeaderValue::try_from(value).map_err(|_| wrong(n))?;
                value.set_sensitive(true);
                Ok((name, value))
            })
            .collect()
    }

    fn resource(&self) -> Result<Vec<(String, String)>, SettingError> {
        let items = list(set(&self.otel_resource_attributes)).into_iter();
        let wrong = |item: &str| {
            let fault = format!("has {}; each item is a name, = and a value", Shown(item));
            SettingError::new("OTEL_RESOURCE_ATTRIBUTES", fault, "deployment.environment.name=production")
        };
        items.map(|item| pair(&item).ok_or_else(|| wrong(&item))).collect()
    }

    fn sampler(&self) -> Result<Sampler, SettingError> {
        let samplers = [
            ("always_on", (false, None)),
            ("always_off", (false, Some(0.0))),
            ("traceidratio", (false, Some(1.0))),
            ("parentbased_always_off", (true, Some(0.0))),
            ("parentbased_traceidratio", (true, Some(1.0))),
            ("parentbased_always_on", (true, None)),
        ];
        let chosen = choice("OTEL_TRACES_SAMPLER", set(&self.otel_traces_sampler), &samplers)?;
        let (follows_parent, most) = chosen.unwrap_or((true, None));
        let given = set(&self.otel_traces_sampler_arg);
        let given = decimal("OTEL_TRACES_SAMPLER_ARG", given, 0.0..=1.0, "0.1")?.unwrap_or(1.0);
        // Only a ratio's samplers have an argument.
        let ratio = most.map_or(1.0, |most: f64| most.min(given));
        Ok(Sampler { follows_parent, ratio })
    }
}

/// `NAME=VALUE`, percent-decoded as in W3C Baggage.
fn pair(item: &str) -> Option<(String, String)> {
    let (name, value) = item.split_once('=')?;
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let (name, value) = (decoded(name)?, decoded(value)?);
    (!name.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(change: impl FnOnce(&mut Settings)) -> Option<TracesConfig> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.traces().unwrap()
    }

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert_eq!(traces(|settings| settings.otel_service_name = Some("x".to_owned())), None);
    }

    #[test]
    fn spans_go_to_the_endpoints_path_for_traces_or_to_the_whole_url() {
        let url = |base: Option<&str>, whole: Option<&str>| {
            let traces = traces(|settings| {
                settings.otel_exporter_otlp_endpoint = base.map(ToOwned::to_owned);
                settings.otel_exporter_otlp_traces_endpoint = whole.map(ToOwned::to_owned);
            });
            traces.unwrap().url.expose().to_owned()
        };
        assert_eq!(url(Some("http://h:4318"), None), "http://h:4318/v1/traces");
        assert_eq!(url(Some("https://h/otlp/"), None), "https://h/otlp/v1/traces");
        assert_eq!(url(Some("http://h"), Some("https://other/spans?key=1")), "https://other/spans?key=1");
    }

    #[test]
    fn headers_and_attributes_are_lists_of_percent_encoded_pairs() {
        let traces = traces(|settings| {
            settings.otel_exporter_otlp_endpoint = Some("http://h".to_owned());
            settings.otel_exporter_otlp_headers = Some("Authorization=Bearer%20planted,x-a=1".to_owned());
            settings.otel_resource_attributes = Some("service.version=7,cloud.region=eu".to_owned());
        });
        let traces = traces.unwrap();
        assert_eq!(
            (traces.headers[0].0.as_str(), traces.headers[0].1.as_bytes()),
            ("authorization", &b"Bearer planted"[..])
        );
        assert_eq!(traces.resource[1], ("cloud.region".to_owned(), "eu".to_owned()));
        assert!(!format!("{traces:?}").contains("planted"));
    }

    #[test]
    fn samplers_have_opentelemetrys_names() {
        let sampler = |name: Option<&str>, arg: Option<&str>| {
            let traces = traces(|settings| {
                settings.otel_exporter_otlp_endpoint = Some("http://h".to_owned());
                settings.otel_traces_sampler = name.map(ToOwned::to_owned);
                settings.otel_traces_sampler_arg = arg.map(ToOwned::to_owned);
            });
            let sampler = traces.unwrap().sampler;
            (sampler.follows_parent, sampler.ratio)
        };
        for (name, arg, expected) in [
            (None, None, (true, 1.0)),
            (Some("always_on"), Some("0.5"), (false, 1.0)),
            (Some("always_off"), None, (false, 0.0)),
            (Some("traceidratio"), Some("0.25"), (false, 0.25)),
            (Some("parentbased_traceidratio"), Some("0.25"), (true, 0.25)),
            (Some("parentbased_always_off"), Some("0.25"), (true, 0.0)),
        ] {
            assert_eq!(sampler(name, arg), expected, "{name:?} {arg:?}");
        }
    }
}
