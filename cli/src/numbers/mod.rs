//! `number`: which of the account's numbers go where. Points a number at a service, and puts it back as it was.
//!
//! - `account` reads and changes numbers over Twilio's REST API.
//! - `routing` is where Twilio sends a number's calls.
//! - `kept` is the file that holds the routing from before.
//! - `point` changes a number, `restore` puts it back.

mod account;
mod args;
mod choice;
mod error;
mod kept;
mod point;
mod restore;
mod routing;

pub(crate) use account::Account;
pub use args::{NumberArgs, NumberCommand, TwilioSettings};
pub(crate) use choice::chosen;
pub use error::NumberError;
pub(crate) use kept::KeptFile;
pub(crate) use point::point;
pub(crate) use restore::{IfChanged, restore};
pub(crate) use routing::Routing;
