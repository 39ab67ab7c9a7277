//! A service as it is deployed on Cloud Run, wherever its settings come from.

/// Where the settings come from, so that the finding can say what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(String),
    /// The Admin API: the service's name and region.
    Api { name: String, region: String },
}

/// The settings of a service that matter for calls. Settings that are not set have Cloud Run's default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deployed {
    pub(crate) source: Source,
    /// The request timeout, in seconds; 300 by default.
    pub(crate) timeout_s: f64,
    /// How many concurrent requests an instance takes; 80 by default.
    pub(crate) concurrency: u64,
    /// Whether CPU is allocated outside requests too; not by default.
    pub(crate) cpu_always: bool,
    /// How many vCPUs; 1 by default.
    pub(crate) cpu: f64,
    /// The minimum number of instances.
    pub(crate) min_instances: u64,
    pub(crate) session_affinity: bool,
    /// `gen1` or `gen2`, if it is set.
    pub(crate) generation: Option<String>,
    /// Whether the container gets HTTP/2.
    pub(crate) http2: bool,
    /// The ingress: `all`, `internal`, `internal-and-cloud-load-balancing`.
    pub(crate) ingress: String,
    /// Whom Cloud Run lets through to the service.
    pub(crate) access: Access,
    pub(crate) startup_probe: Probe,
    pub(crate) liveness_probe: Probe,
    /// The environment variables.
    pub(crate) variables: Vec<Variable>,
}

/// Whom Cloud Run lets through to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: it does not check who may invoke the service.
    Unchecked,
    /// Everybody: `allUsers` has the invoker's role.
    AllUsers,
    /// Only accounts that have the invoker's role.
    Invokers,
    /// Cloud Run checks. A service's file does not say who has the role, or these credentials may not read it.
    Unknown,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// None.
    None,
    /// By HTTP, at this path.
    Http(String),
    /// Another kind.
    Other,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// The value itself.
    Plain(String),
    /// A secret of Secret Manager, in this version.
    Secret(String),
}

impl Deployed {
    /// The variable with that name; one without a value counts as missing.
    pub(crate) fn variable(&self, name: &str) -> Option<&Value> {
        let found = self.variables.iter().find(|variable| variable.name == name).map(|variable| &variable.value);
        found.filter(|value| !matches!(value, Value::Plain(text) if text.trim().is_empty()))
    }
}

/// Parses `2`, `0.5` or `500m` as vCPUs.
pub(super) fn vcpu(text: &str) -> Option<f64> {
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<f64>().ok().map(|cpu| cpu / 1_000.0),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_written_in_two_ways() {
        assert_eq!([vcpu("2"), vcpu("1000m"), vcpu("0.5"), vcpu("many")], [Some(2.0), Some(1.0), Some(0.5), None]);
    }
}
