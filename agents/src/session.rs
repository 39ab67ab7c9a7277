//! The settings that every stream of a call receives.

use std::sync::Arc;

use crate::address::Product;
use crate::ces::CesConfig;
use crate::speech::SpeechConfig;

/// The settings that a call gives to each of its streams.
#[derive(Debug, Clone)]
pub struct SessionContext {
    /// The resource name of the session.
    pub session: String,
    /// The product of the agent.
    pub product: Product,
    /// The language of the call.
    pub language: String,
    /// The speech settings.
    pub speech: Arc<SpeechConfig>,
    /// The stream settings for an agent of the Customer Engagement Suite.
    pub ces: Arc<CesConfig>,
}
