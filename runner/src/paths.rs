//! The service's own paths.

/// Where calls begin.
pub(crate) const VOICE_URL: &str = "/twiml";
pub(crate) const CONNECT_ENDED: &str = "/connect-ended";
pub(crate) const DIAL_ENDED: &str = "/dial-ended";
pub(crate) const STREAM_STATUS: &str = "/stream-status";
/// Media streams: a ticket stands behind it.
pub(crate) const MEDIA: &str = "/media";
pub(crate) const HEALTH: &str = "/health";
pub(crate) const READY: &str = "/ready";
pub(crate) const METRICS: &str = "/metrics";

/// The paths that Twilio calls.
pub(crate) const TWILIOS: [&str; 5] = [VOICE_URL, MEDIA, CONNECT_ENDED, DIAL_ENDED, STREAM_STATUS];

/// How the other paths begin.
pub(crate) const OTHERS: [&str; 11] = [
    HEALTH,
    READY,
    METRICS,
    "/page",
    "/calls",
    "/calls.json",
    "/agents",
    "/softphone",
    "/login",
    "/logout",
    "/status.json",
];
