//! The fields of `BidiRunSession`'s messages, from the comments and numbers of `google.cloud.ces.v1`. The tests compare
//! them with prost's types.

/// A message.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) fields: &'static [Field],
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// As in the proto: `snake_case`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) cardinality: Cardinality,
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Int32,
    Text,
    Bytes,
    /// Names, each at the index of its number.
    Enum(&'static [&'static str]),
    Message(&'static Schema),
    /// `google.protobuf.Struct`.
    Struct,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Duration`.
    Duration,
    /// `map<string, string>`.
    TextMap,
}

/// How often a field may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cardinality {
    /// Once.
    Single,
    /// Once, and without another field of the same oneof.
    OneOf(&'static str),
    /// Any number of times.
    Repeated,
}

impl Schema {
    /// Finds a field by its name in `snake_case` or `lowerCamelCase`.
    pub(super) fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name || camel(field.name) == name)
    }

    pub(super) fn numbered(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// Converts `audio_encoding` to `audioEncoding`.
pub(super) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| camel + &word[..1].to_ascii_uppercase() + &word[1..])
}

const fn single(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, cardinality: Cardinality::Single }
}

const fn repeated(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, cardinality: Cardinality::Repeated }
}

const fn one_of(oneof: &'static str, number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, cardinality: Cardinality::OneOf(oneof) }
}

/// `BidiSessionClientMessage`.
pub(super) static CLIENT_MESSAGE: Schema = Schema {
    fields: &[
        one_of("message_type", 1, "config", Kind::Message(&SESSION_CONFIG)),
        one_of("message_type", 2, "realtime_input", Kind::Message(&SESSION_INPUT)),
    ],
};

/// `BidiSessionServerMessage`.
pub(super) static SERVER_MESSAGE: Schema = Schema {
    fields: &[
        one_of("message_type", 1, "session_output", Kind::Message(&SESSION_OUTPUT)),
        one_of("message_type", 2, "recognition_result", Kind::Message(&RECOGNITION_RESULT)),
        one_of("message_type", 3, "interruption_signal", Kind::Message(&INTERRUPTION_SIGNAL)),
        one_of("message_type", 5, "end_session", Kind::Message(&END_SESSION)),
        one_of("message_type", 6, "go_away", Kind::Message(&EMPTY)),
    ],
};

static EMPTY: Schema = Schema { fields: &[] };

static SESSION_CONFIG: Schema = Schema {
    fields: &[
        single(1, "session", Kind::Text),
        single(2, "input_audio_config", Kind::Message(&INPUT_AUDIO_CONFIG)),
        single(3, "output_audio_config", Kind::Message(&OUTPUT_AUDIO_CONFIG)),
        repeated(5, "historical_contexts", Kind::Message(&MESSAGE)),
        single(8, "deployment", Kind::Text),
        single(11, "time_zone", Kind::Text),
        single(12, "entry_agent", Kind::Text),
        single(14, "use_tool_fakes", Kind::Bool),
        single(15, "remote_dialogflow_query_parameters", Kind::Message(&QUERY_PARAMETERS)),
        single(18, "enable_text_streaming", Kind::Bool),
    ],
};

static INPUT_AUDIO_CONFIG: Schema = Schema {
    fields: &[
        single(1, "audio_encoding", Kind::Enum(AUDIO_ENCODING)),
        single(2, "sample_rate_hertz", Kind::Int32),
        single(6, "noise_suppression_level", Kind::Text),
    ],
};

static OUTPUT_AUDIO_CONFIG: Schema = Schema {
    fields: &[single(1, "audio_encoding", Kind::Enum(AUDIO_ENCODING)), single(2, "sample_rate_hertz", Kind::Int32)],
};

static AUDIO_ENCODING: &[&str] = &["AUDIO_ENCODING_UNSPECIFIED", "LINEAR16", "MULAW", "ALAW"];

static QUERY_PARAMETERS: Schema = Schema {
    fields: &[
        single(1, "webhook_headers", Kind::TextMap),
        single(2, "payload", Kind::Struct),
        single(3, "end_user_metadata", Kind::Struct),
    ],
};

static MESSAGE: Schema = Schema {
    fields: &[
        single(1, "role", Kind::Text),
        repeated(2, "chunks", Kind::Message(&CHUNK)),
        single(4, "event_time", Kind::Timestamp),
    ],
};

static CHUNK: Schema = Schema {
    fields: &[
        one_of("data", 1, "text", Kind::Text),
        one_of("data", 9, "transcript", Kind::Text),
        one_of("data", 7, "blob", Kind::Message(&BLOB)),
        one_of("data", 11, "payload", Kind::Struct),
        one_of("data", 5, "image", Kind::Message(&BLOB)),
        one_of("data", 2, "tool_call", Kind::Message(&TOOL_CALL)),
        one_of("data", 3, "tool_response", Kind::Message(&TOOL_RESPONSE)),
        one_of("data", 4, "agent_transfer", Kind::Message(&AGENT_TRANSFER)),
        one_of("data", 8, "updated_variables", Kind::Struct),
        one_of("data", 10, "default_variables", Kind::Struct),
    ],
};

/// `Blob` and `Image`, which have the same fields.
static BLOB: Schema = Schema { fields: &[single(1, "mime_type", Kind::Text), single(2, "data", Kind::Bytes)] };

static AGENT_TRANSFER: Schema =
    Schema { fields: &[single(1, "target_agent", Kind::Text), single(2, "display_name", Kind::Text)] };

static TOOL_CALLS: Schema = Schema { fields: &[repeated(1, "tool_calls", Kind::Message(&TOOL_CALL))] };

static TOOL_CALL: Schema = Schema {
    fields: &[
        single(1, "id", Kind::Text),
        one_of("tool_identifier", 2, "tool", Kind::Text),
        one_of("tool_identifier", 5, "toolset_tool", Kind::Message(&TOOLSET_TOOL)),
        single(3, "args", Kind::Struct),
        single(4, "display_name", Kind::Text),
    ],
};

static TOOL_RESPONSES: Schema = Schema { fields: &[repeated(1, "tool_responses", Kind::Message(&TOOL_RESPONSE))] };

static TOOL_RESPONSE: Schema = Schema {
    fields: &[
        single(1, "id", Kind::Text),
        one_of("tool_identifier", 2, "tool", Kind::Text),
        one_of("tool_identifier", 5, "toolset_tool", Kind::Message(&TOOLSET_TOOL)),
        single(3, "response", Kind::Struct),
        single(4, "display_name", Kind::Text),
    ],
};

static TOOLSET_TOOL: Schema = Schema { fields: &[single(1, "toolset", Kind::Text), single(3, "tool_id", Kind::Text)] };

static SESSION_INPUT: Schema = Schema {
    fields: &[
        one_of("input_type", 1, "text", Kind::Text),
        one_of("input_type", 2, "audio", Kind::Bytes),
        one_of("input_type", 3, "tool_responses", Kind::Message(&TOOL_RESPONSES)),
        one_of("input_type", 4, "image", Kind::Message(&BLOB)),
        one_of("input_type", 5, "variables", Kind::Struct),
        one_of("input_type", 6, "dtmf", Kind::Text),
        one_of("input_type", 7, "blob", Kind::Message(&BLOB)),
        single(8, "will_continue", Kind::Bool),
        one_of("input_type", 9, "event", Kind::Message(&EVENT)),
    ],
};

static EVENT: Schema = Schema { fields: &[single(1, "event", Kind::Text)] };

static SESSION_OUTPUT: Schema = Schema {
    fields: &[
        one_of("output_type", 1, "text", Kind::Text),
        one_of("output_type", 2, "audio", Kind::Bytes),
        one_of("output_type", 3, "tool_calls", Kind::Message(&TOOL_CALLS)),
        single(4, "turn_completed", Kind::Bool),
        single(6, "turn_index", Kind::Int32),
        single(7, "diagnostic_info", Kind::Message(&DIAGNOSTIC_INFO)),
        one_of("output_type", 8, "citations", Kind::Message(&CITATIONS)),
        one_of("output_type", 9, "end_session", Kind::Message(&END_SESSION)),
        one_of("output_type", 10, "google_search_suggestions", Kind::Message(&SEARCH_SUGGESTIONS)),
        one_of("output_type", 11, "payload", Kind::Struct),
    ],
};

static DIAGNOSTIC_INFO: Schema = Schema {
    fields: &[repeated(1, "messages", Kind::Message(&MESSAGE)), single(3, "root_span", Kind::Message(&SPAN))],
};

static SPAN: Schema = Schema {
    fields: &[
        single(1, "name", Kind::Text),
        single(2, "start_time", Kind::Timestamp),
        single(3, "end_time", Kind::Timestamp),
        single(4, "attributes", Kind::Struct),
        repeated(5, "child_spans", Kind::Message(&SPAN)),
        single(6, "duration", Kind::Duration),
    ],
};

static CITATIONS: Schema = Schema { fields: &[repeated(1, "cited_chunks", Kind::Message(&CITED_CHUNK))] };

static CITED_CHUNK: Schema =
    Schema { fields: &[single(1, "uri", Kind::Text), single(2, "title", Kind::Text), single(3, "text", Kind::Text)] };

static SEARCH_SUGGESTIONS: Schema = Schema {
    fields: &[repeated(1, "htmls", Kind::Text), repeated(2, "web_search_queries", Kind::Message(&WEB_SEARCH_QUERY))],
};

static WEB_SEARCH_QUERY: Schema = Schema { fields: &[single(1, "query", Kind::Text), single(2, "uri", Kind::Text)] };

static RECOGNITION_RESULT: Schema = Schema { fields: &[single(1, "transcript", Kind::Text)] };

static INTERRUPTION_SIGNAL: Schema = Schema { fields: &[single(1, "barge_in", Kind::Bool)] };

static END_SESSION: Schema = Schema { fields: &[single(1, "metadata", Kind::Struct)] };
