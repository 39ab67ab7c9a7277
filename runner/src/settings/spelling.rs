//! Finds names that look like a setting and are not one: typing errors and old names.

use strsim::osa_distance;

use super::given::Settings;
use super::old_names::OLD_NAMES;

/// We do not look at shorter names: the environment has many, and most belong to other programs.
const MIN_CHARS: usize = 6;

/// From this length on a name may differ from a setting by two characters, below it by one. A character can be wrong,
/// missing, extra or swapped.
const MIN_CHARS_FOR_TWO: usize = 8;

/// How many characters of a key in the agents' file may differ. The file has settings only, so this can be more.
const MAX_CHARS_IN_FILE: usize = 4;

/// What an unknown name may mean.
#[derive(Debug, PartialEq, Eq)]
enum Meant<'a> {
    /// It is the old name of this setting.
    Renamed(&'a str),
    /// It looks like this setting.
    Near(&'a str),
}

/// A sentence for each variable that looks like a setting and is not one.
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

/// The sentence about a name that is no setting, with the one that is near.
#[must_use]
pub fn no_setting(name: &str) -> String {
    let known: Vec<&str> = Settings::names().collect();
    match meant(name, &known, max_distance(name)) {
        Some(Meant::Renamed(now)) => format!("{name} is no setting any more; it is called {now} now"),
        Some(Meant::Near(near)) => format!("{name} is no setting; {near} is one"),
        None => format!("{name} is no setting"),
    }
}

/// The text that follows "is no setting" in a message about a key of the agents' file.
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

/// `None` if the name is a setting, or looks like none.
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
