//! The two text formats of Prometheus, and which of them a request asks for.

use std::collections::BTreeSet;

use http::HeaderMap;
use http::header::ACCEPT;

/// A format of `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The classic text format 0.0.4, for collectors that do not read OpenMetrics.
    Classic,
}

impl TextFormat {
    /// The format that `Accept` prefers. Without a preference it is OpenMetrics.
    pub(crate) fn asked_for(headers: &HeaderMap) -> Self {
        let ranges =
            || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
        let quality = |names: [&str; 2]| ranges().filter(|range| names.contains(&name_of(range))).map(quality_of).max();
        match (quality(["text/plain", "text/*"]), quality(["application/openmetrics-text", "application/*"])) {
            (Some(classic), open) if Some(classic) > open => Self::Classic,
            _ => Self::OpenMetrics,
        }
    }

    /// The content type of an answer.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A text in OpenMetrics, in this format.
    pub(crate) fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Classic => classic(&open_metrics),
        }
    }
}

/// The media type of a part of `Accept`.
fn name_of(range: &str) -> &str {
    range.split(';').next().unwrap_or_default().trim()
}

/// Its `q`, in thousandths.
fn quality_of(range: &str) -> u32 {
    let q =
        range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q=")?.trim().parse::<f32>().ok());
    // The cast saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quality is from 0 to 1")]
    q.map_or(1_000, |q| (q * 1_000.0) as u32)
}

/// In the classic format a counter has one name, with `_total`. In OpenMetrics only its samples have the ending.
fn classic(open_metrics: &str) -> String {
    let described = |line: &str| -> Option<(String, String, String)> {
        let mut parts = line.strip_prefix("# ")?.splitn(3, ' ').map(ToOwned::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    let types =
        open_metrics.lines().filter_map(described).filter(|(what, _, kind)| what == "TYPE" && kind == "counter");
    let counters: BTreeSet<String> = types.map(|(_, name, _)| name).collect();
    let lines = open_metrics.lines().filter(|line| *line != "# EOF").map(|line| match described(line) {
        Some((what, name, rest)) if counters.contains(&name) => format!("# {what} {name}_total {rest}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked_for(accept: &'static str) -> TextFormat {
        TextFormat::asked_for(&[(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect())
    }

    #[test]
    fn accept_says_which_format_it_is() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in [prometheus, "", "*/*", "application/json", "text/html", "text/plain;q=0.1, application/*"] {
            assert_eq!(asked_for(accept), TextFormat::OpenMetrics, "{accept}");
        }
        let old = "application/vnd.google.protobuf;q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for accept in [old, "text/plain", "text/*", "application/openmetrics-text; q=0.2, text/plain; q=0.3"] {
            assert_eq!(asked_for(accept), TextFormat::Classic, "{accept}");
        }
        assert_eq!(TextFormat::asked_for(&HeaderMap::new()), TextFormat::OpenMetrics);
    }

    #[test]
    fn a_counter_has_one_name_in_the_classic_format_and_nothing_else_changes() {
        let open = "# HELP a A.\n# TYPE a counter\na_total{x=\"# TYPE b counter\"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n# EOF\n";
        let classic = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"# TYPE b counter\"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n";
        assert_eq!(TextFormat::Classic.of(open.to_owned()), classic);
        assert_eq!(TextFormat::OpenMetrics.of(open.to_owned()), open);
    }
}
