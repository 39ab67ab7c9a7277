//! Who runs the tools that an agent asks its client for.

use std::time::Duration;

use super::Secret;

/// Where tools are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolWebhook {
    /// `CES_TOOL_WEBHOOK_URL`.
    pub url: String,
    /// `CES_TOOL_WEBHOOK_SECRET`: requests are signed with it.
    pub secret: Option<Secret>,
    /// `CES_TOOL_WEBHOOK_MS`: how long a tool may take.
    pub timeout: Duration,
}
