//! Names that are no settings and look like one: a typing error, or a setting's name of before.

use strsim::osa_distance;

use super::given::Settings;
use super::old_names::OLD_NAMES;

/// Names of the environment are many, and other programs' too: a shorter one is not looked at.
const MIN_CHARS: usize = 6;

/// How far a name may be from a setting's, in characters that are wrong, missing, too many or swapped: from this length on
/// two, below it one.
const MIN_CHARS_FOR_TWO: usize = 8;

/// How far a key of the agents' file may be: nothing but settings stands there.
const MAX_CHARS_IN_FILE: usize = 4;

/// What a name that is no setting may be meant as.
#[derive(Debug, PartialEq, Eq)]
enum Meant<'a> {
    /// This is what it is called now.
    Renamed(&'a str),
    /// It looks like this.
    Near(&'a str),
}

/// The variables that look like settings and are none: a sentence for each.
pub fn misspelt(variables: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<&str> = Settings::names().collect();
    let sentence = |name: String| match meant(&name, &known, max_distance(&name))? {
        Meant::Renamed(now) => Some(format!("{name} is no setting any more; it is called {now} now")),
        Meant::Near(near) => Some(format!("{name} is no setting; {near} is one")),
    };
    let mut sentences: Vec<String> = variables.filter_map(sentence).collect();
    sentences.sort();
    sentences
}

/// What is to be said behind "is no setting" of a key of the agents' file.
pub(super) fn hint(key: &str) -> String {
    let known: Vec<&str> = Settings::names().collect();
    if known.iter().any(|known| known.eq_ignore_ascii_case(key)) {
        return "; in this file settings are written in small letters".to_owned();
    }
    match meant(&key.to_uppercase(), &known, MAX_CHARS_IN_FILE.min(key.len().div_ceil(2))) {
        Some(Meant::Renamed(now)) => format!(" any more; it is called {} now", now.to_lowercase()),
        Some(Meant::Near(near)) => format!("; {} is one", near.to_lowercase()),
        None => String::new(),
    }
}

fn max_distance(name: &str) -> usize {
    match name.chars().count() {
        MIN_CHARS_FOR_TWO.. => 2,
        MIN_CHARS.. => 1,
        _ => 0,
    }
}

/// `None`: the name is a known one, or like none of them.
fn meant<'a>(name: &str, known: &[&'a str], max_distance: usize) -> Option<Meant<'a>> {
    if known.contains(&name) {
        return None;
    }
    if let Some((_, now)) = OLD_NAMES.iter().find(|(old, _)| *old == name) {
        return Some(Meant::Renamed(now));
    }
    let distances = known.iter().map(|known| (osa_distance(name, known), *known));
    let near = distances.filter(|(distance, _)| *distance <= max_distance).min_by_key(|(distance, _)| *distance);
    near.map(|(_, known)| Meant::Near(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[&str]) -> Vec<String> {
        misspelt(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_typing_error_is_told_with_the_setting_that_it_looks_like() {
        assert_eq!(told(&["BARG_IN"]), ["BARG_IN is no setting; BARGE_IN is one"]);
        for (name, near) in [
            ("BARGEIN", "BARGE_IN"),
            ("DIALOGFLOW_AGNET", "DIALOGFLOW_AGENT"),
            ("TWILIO_AUTH_TOKN", "TWILIO_AUTH_TOKEN"),
            ("TWILLIO_ACCOUNT_SID", "TWILIO_ACCOUNT_SID"),
            ("MAX_CALL", "MAX_CALLS"),
        ] {
            assert!(told(&[name])[0].ends_with(&format!("; {near} is one")), "{:?}", told(&[name]));
        }
        assert_eq!(told(&["BARGE_IN"]), [""; 0]);
    }

    #[test]
    fn an_old_name_is_told_with_the_new_one() {
        let new: Vec<&str> = OLD_NAMES.iter().map(|(_, new)| *new).collect();
        for (old, now) in OLD_NAMES {
            assert_eq!(meant(old, &new, 2), Some(Meant::Renamed(now)));
            assert_eq!(meant(old, &[old], 2), None, "one that is a setting is none of the past");
        }
    }

    #[test]
    fn ordinary_variables_are_not_told() {
        let ordinary = "PATH HOME HOSTNAME HOST PWD OLDPWD USER LOGNAME SHELL SHLVL TERM LANG LC_ALL LANGUAGE TZ TMPDIR \
             EDITOR PAGER DISPLAY MAIL PS1 IFS LS_COLORS COLUMNS LINES XDG_RUNTIME_DIR SSH_AUTH_SOCK SSH_CONNECTION \
             K_SERVICE K_REVISION K_CONFIGURATION CLOUD_RUN_JOB CLOUD_RUN_EXECUTION CLOUD_RUN_TASK_INDEX \
             GAE_SERVICE GAE_VERSION GAE_INSTANCE GAE_ENV GAE_RUNTIME GAE_MEMORY_MB GAE_APPLICATION GAE_DEPLOYMENT_ID \
             GCLOUD_PROJECT GCP_PROJECT GOOGLE_CLOUD_REGION GOOGLE_CLOUD_QUOTA_PROJECT GOOGLE_API_KEY CLOUDSDK_CONFIG \
             HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR \
             PORTS PORT_HTTP DIALBRIDGE_PORT DIALBRIDGE_PORT_8080_TCP DIALBRIDGE_SERVICE_HOST KUBERNETES_SERVICE_HOST \
             KUBERNETES_PORT KUBERNETES_SERVICE_PORT LOG_FILE LOG_FORMAT LOG_DIR LOG_STYLE RUST_LOG RUST_BACKTRACE \
             CARGO CARGO_HOME CARGO_MANIFEST_DIR CARGO_PKG_NAME CARGO_TARGET_DIR CI GITHUB_TOKEN GITHUB_ACTIONS \
             OTEL_TRACES_EXPORTER OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_PROPAGATORS OTEL_SDK_DISABLED \
             OTEL_EXPORTER_OTLP_TRACES_HEADERS OTEL_EXPORTER_OTLP_TRACES_PROTOCOL OTEL_EXPORTER_OTLP_METRICS_ENDPOINT \
             OTEL_EXPORTER_OTLP_COMPRESSION OTEL_EXPORTER_OTLP_CERTIFICATE OTEL_BSP_SCHEDULE_DELAY OTEL_LOG_LEVEL \
             TWILIO_API_KEY TWILIO_API_SECRET TWILIO_PHONE_NUMBER TWILIO_LOG_LEVEL TWILIO_PROFILE DIALOGFLOW_AGENT_ID \
             DATABASE_URL REDIS_URL API_KEY SECRET_KEY ADMIN_PASSWORD PROMPT PROMPT_COMMAND VIRTUAL_ENV NODE_ENV DEBUG \
             PUBLIC_DIR BASE_URL MAX_MEMORY FORCE_COLOR JAVA_HOME PYTHONPATH GOPATH DOCKER_HOST container _";
        assert_eq!(told(&ordinary.split_whitespace().collect::<Vec<_>>()), [""; 0]);
    }

    #[test]
    fn a_key_of_the_file_is_told_with_the_nearest_one() {
        assert_eq!(hint("barge"), "; barge_in is one");
        assert_eq!(hint("barg_in"), "; barge_in is one");
        assert_eq!(hint("Barge_In"), "; in this file settings are written in small letters");
        assert_eq!(hint("shop"), "");
    }
}
