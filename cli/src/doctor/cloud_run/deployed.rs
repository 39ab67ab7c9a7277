//! A service as it is deployed on Cloud Run, however it was told.

/// Who told it, for what is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(String),
    /// The Admin API: the service's name and region.
    Api { name: String, region: String },
}

/// The settings of a service that matter for calls. What is not set has Cloud Run's default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deployed {
    pub(crate) source: Source,
    /// How long a request may last, in seconds; 300 by default.
    pub(crate) timeout_s: f64,
    /// How many requests an instance has at once; 80 by default.
    pub(crate) concurrency: u64,
    /// Whether there is CPU outside requests too; not by default.
    pub(crate) cpu_always: bool,
    /// How many vCPU; 1 by default.
    pub(crate) cpu: f64,
    /// How many instances there always are.
    pub(crate) min_instances: u64,
    pub(crate) session_affinity: bool,
    /// `gen1` or `gen2`, where it is set.
    pub(crate) generation: Option<String>,
    /// HTTP/2 to the container.
    pub(crate) http2: bool,
    /// Who may come in: `all`, `internal`, `internal-and-cloud-load-balancing`.
    pub(crate) ingress: String,
    pub(crate) startup_probe: Probe,
    pub(crate) liveness_probe: Probe,
    /// The environment's variables.
    pub(crate) variables: Vec<Variable>,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// None is set.
    None,
    /// By HTTP, at that path.
    Http(String),
    /// Of another kind.
    Other,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// It stands there.
    Plain(String),
    /// Secret Manager has it, in that version.
    Secret(String),
}

impl Deployed {
    /// The variable of that name; one without a value counts as none.
    pub(crate) fn variable(&self, name: &str) -> Option<&Value> {
        let found = self.variables.iter().find(|variable| variable.name == name).map(|variable| &variable.value);
        found.filter(|value| !matches!(value, Value::Plain(text) if text.trim().is_empty()))
    }
}

/// `2`, `0.5` or `500m` as vCPU.
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
