//! The settings of the service: where it listens, its limits, Twilio's account, traces.

use std::collections::BTreeMap;
use std::time::Duration;

use dialbridge_net::Secret;

use super::accounts::TwilioAccount;
use super::config::{Config, Limits, Platform, Sampler, TracesConfig, TwilioConfig};
use super::faults::Faults;
use super::given::Settings;
use super::layer::Values;
use super::setting::Declared;
use super::table;

/// The platform cuts a media stream after an hour. A call migrates before that.
const PLATFORM_MIGRATION_SECONDS: u64 = 3_300;

impl Values<'_> {
    /// The service's part of the configuration. The agents are still missing.
    pub(super) fn service(&self, platform: Platform, others: BTreeMap<String, TwilioAccount>) -> Config {
        let twilio = TwilioConfig { others, ..self.twilio() };
        self.check_access(platform, &twilio);
        Config {
            host: self.find(&table::HOST),
            port: self.get(&table::PORT),
            public_url: self.find(&table::PUBLIC_URL),
            twilio,
            ticket_keys: self.find(&table::TICKET_KEY).unwrap_or_default(),
            limits: self.limits(),
            allow_bare_media: self.get(&table::ALLOW_BARE_MEDIA),
            platform,
            admin_token: self.find(&table::ADMIN_TOKEN),
            page_transcripts: self.get(&table::PAGE_TRANSCRIPTS),
            history_dir: self.find(&table::HISTORY_DIR),
            history_days: self.get(&table::HISTORY_DAYS),
            traces: self.traces(),
            log_project: self.find(&table::GOOGLE_CLOUD_PROJECT),
            log_level: self.get(&table::LOG_LEVEL),
            log_format: self.find(&table::LOG_FORMAT),
            agents: BTreeMap::new(),
            default_agent: String::new(),
            routes: BTreeMap::new(),
            shares: BTreeMap::new(),
            backups: BTreeMap::new(),
            notices: Vec::new(),
        }
    }

    /// When a call migrates to another media stream, in milliseconds. 0: never.
    pub(super) fn migrate_after_ms(&self, platform: Platform) -> u64 {
        let default = if platform.is_public() { PLATFORM_MIGRATION_SECONDS } else { 0 };
        self.find(&table::MIGRATE_AFTER_SECONDS).unwrap_or(default) * 1_000
    }

    fn limits(&self) -> Limits {
        Limits {
            max_calls: self.get(&table::MAX_CALLS),
            waiting_sockets: self.get(&table::MAX_WAITING_SOCKETS),
            connections: self.get(&table::MAX_CONNECTIONS),
            head: Duration::from_secs(self.get(&table::HEAD_SECONDS)),
            head_bytes: self.get(&table::MAX_HEAD_BYTES),
            body: Duration::from_secs(self.get(&table::BODY_SECONDS)),
            body_bytes: self.get(&table::MAX_BODY_BYTES),
            message_bytes: self.get(&table::MAX_MESSAGE_BYTES),
            start: Duration::from_secs(self.get(&table::START_SECONDS)),
            quiet: Duration::from_secs(self.get(&table::QUIET_SOCKET_SECONDS)),
            slow: Duration::from_secs(self.get(&table::SLOW_SOCKET_SECONDS)),
            queued_messages: self.get(&table::MAX_QUEUED_MESSAGES),
            streams_per_connection: self.get(&table::STREAMS_PER_CONNECTION),
            coalesce: Duration::from_micros(self.get(&table::COALESCE_MICROSECONDS)),
        }
    }

    fn twilio(&self) -> TwilioConfig {
        let (sid, secret) = (self.find(&table::TWILIO_API_KEY_SID), self.find(&table::TWILIO_API_KEY_SECRET));
        match (&sid, &secret) {
            (Some(_), None) => self.missing(&table::TWILIO_API_KEY_SECRET, &table::TWILIO_API_KEY_SID),
            (None, Some(_)) => self.missing(&table::TWILIO_API_KEY_SID, &table::TWILIO_API_KEY_SECRET),
            (Some(_), Some(_)) | (None, None) => {}
        }
        TwilioConfig {
            account_sid: self.find(&table::TWILIO_ACCOUNT_SID),
            auth_tokens: self.get(&table::TWILIO_AUTH_TOKEN),
            api_key: sid.zip(secret.map(Secret::new)),
            api_url: self.twilio_api_url(),
            others: BTreeMap::new(),
        }
    }

    fn twilio_api_url(&self) -> String {
        let (edge, region) = (self.find(&table::TWILIO_EDGE), self.find(&table::TWILIO_REGION));
        if let Some(url) = self.find(&table::TWILIO_API_URL) {
            return url;
        }
        match (edge, region.as_deref()) {
            (None, None) => "https://api.twilio.com".to_owned(),
            (None, Some("us1")) => "https://api.us1.twilio.com".to_owned(),
            (None, Some(_)) => {
                self.missing(&table::TWILIO_EDGE, &table::TWILIO_REGION);
                String::new()
            }
            (Some(edge), region) => format!("https://api.{edge}.{}.twilio.com", region.unwrap_or("us1")),
        }
    }

    /// A public service must have Twilio's auth token, unless ALLOW_UNSIGNED says that it may be open.
    fn check_access(&self, platform: Platform, twilio: &TwilioConfig) {
        let allow_unsigned = self.get(&table::ALLOW_UNSIGNED);
        if !platform.is_public() || !twilio.auth_tokens.is_empty() {
            return;
        }
        if !allow_unsigned && !twilio.checks_signatures() {
            let fault = "is not set, so anyone could use this service (ALLOW_UNSIGNED=true starts it all the same)";
            self.conflicting(&table::TWILIO_AUTH_TOKEN, fault);
        } else if !self.has(&table::TICKET_KEY) {
            let fault =
                "is not set, and there is no auth token to derive it from: instances could not trust each other";
            self.conflicting(&table::TICKET_KEY, fault);
        }
    }

    /// Where traces go. `None`: nowhere.
    fn traces(&self) -> Option<TracesConfig> {
        let base = self.find(&table::OTEL_EXPORTER_OTLP_ENDPOINT).map(|base| format!("{base}/v1/traces"));
        let url = self.find(&table::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT).or(base);
        self.get(&table::OTEL_EXPORTER_OTLP_PROTOCOL);
        let (follows_parent, most) = self.get(&table::OTEL_TRACES_SAMPLER);
        let share = self.get(&table::OTEL_TRACES_SAMPLER_ARG);
        // Only the ratio samplers have an argument.
        let ratio = most.map_or(1.0, |most| most.min(share));
        let config = TracesConfig {
            url: Secret::new(url.as_deref().unwrap_or_default()),
            headers: self.get(&table::OTEL_EXPORTER_OTLP_HEADERS),
            timeout: Duration::from_millis(self.get(&table::OTEL_EXPORTER_OTLP_TIMEOUT)),
            service_name: self.get(&table::OTEL_SERVICE_NAME),
            resource: self.get(&table::OTEL_RESOURCE_ATTRIBUTES),
            sampler: Sampler { follows_parent, ratio },
        };
        url.is_some().then_some(config)
    }

    /// Notes that `setting` is missing although `beside` is set.
    fn missing(&self, setting: &dyn Declared, beside: &dyn Declared) {
        self.conflicting(setting, format!("is not set, but {} is", beside.facts().name));
    }
}

impl Default for Limits {
    /// The limits of a service that sets none.
    fn default() -> Self {
        Values::of(&Settings::default(), &Faults::default()).limits()
    }
}
