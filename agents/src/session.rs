//! What every stream of one call is told.

use std::sync::Arc;

use crate::address::Product;
use crate::ces::CesConfig;
use crate::speech::SpeechConfig;

/// What one call asks of every stream.
#[derive(Debug, Clone)]
pub struct SessionContext {
    /// Resource name of the session.
    pub session: String,
    /// Which product's agent it is.
    pub product: Product,
    /// Language of the call.
    pub language: String,
    /// How the agent is to hear and to speak.
    pub speech: Arc<SpeechConfig>,
    /// How an agent of the Customer Engagement Suite is streamed to.
    pub ces: Arc<CesConfig>,
}
