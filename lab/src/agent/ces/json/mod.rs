//! The JSON of the WebSocket transport: proto3 JSON of `BidiSessionClientMessage` and `BidiSessionServerMessage`
//! (<https://protobuf.dev/programming-guides/json/>), read as strictly as Google's gateways read it.
//!
//! Both directions use the protobuf encoding in between: [`schema`] lists the fields, [`read`] and [`write`] know the
//! rules of JSON, and prost decodes and encodes its types. So no message needs code of its own.

mod parse;
mod read;
mod schema;
mod write;

use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use prost::Message as _;
use tonic::Status;

/// Reads a client's message.
///
/// # Errors
/// `INVALID_ARGUMENT`, worded as Google's gateways word it. It repeats none of the client's values.
pub(crate) fn client_message(json: &[u8]) -> Result<ces::BidiSessionClientMessage, Status> {
    let bytes = read::to_protobuf(&schema::CLIENT_MESSAGE, json).map_err(Status::invalid_argument)?;
    ces::BidiSessionClientMessage::decode(&bytes[..]).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Writes a server's message of a load, which runs on Linux alone; `unpublished` adds a field that is in no published proto.
#[cfg(any(test, target_os = "linux"))]
pub(crate) fn server_message(message: &ces::BidiSessionServerMessage, unpublished: bool) -> String {
    server_message_with_text(message, unpublished, None)
}

/// The same, with a text beside what its output holds.
pub(crate) fn server_message_with_text(
    message: &ces::BidiSessionServerMessage,
    unpublished: bool,
    text: Option<String>,
) -> String {
    let mut json = write::from_protobuf(&schema::SERVER_MESSAGE, &message.encode_to_vec());
    if let Some(serde_json::Value::Object(output)) = json.get_mut("sessionOutput") {
        output.extend(text.map(|text| ("text".to_owned(), text.into())));
        output.extend(unpublished.then(|| ("labUnpublished".to_owned(), serde_json::json!({ "isNew": true }))));
    }
    serde_json::Value::Object(json).to_string()
}

#[cfg(test)]
mod tests;
