//! The lab's CES agent over both of its transports, called by clients written for these tests.

mod barge_in;
mod client;
mod ending;
mod faults;
mod got;
mod http;
mod inputs;
mod sessions;
mod strict;
mod whole;
