//! The webhook that runs the tools which an agent asks its client to run.

use std::time::Duration;

use super::Secret;

/// The webhook that runs tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolWebhook {
    /// `CES_TOOL_WEBHOOK_URL`.
    pub url: String,
    /// `CES_TOOL_WEBHOOK_SECRET`: signs the requests.
    pub secret: Option<Secret>,
    /// `CES_TOOL_WEBHOOK_MS`: how long a tool may take.
    pub timeout: Duration,
}
