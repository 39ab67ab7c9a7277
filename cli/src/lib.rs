//! The commands of dialbridge: the service, and what people need around it.
#![forbid(unsafe_code)]

pub mod args;
pub mod commands;
#[cfg(feature = "tools")]
pub mod configure;
#[cfg(all(feature = "lab", feature = "tools"))]
pub mod conversations;
#[cfg(all(feature = "lab", feature = "tools"))]
pub mod dev;
#[cfg(feature = "tools")]
pub mod doctor;
#[cfg(any(feature = "lab", feature = "tools"))]
mod drawing;
#[cfg(feature = "tools")]
mod files;
#[cfg(feature = "tools")]
mod input;
#[cfg(feature = "tools")]
pub mod junit;
#[cfg(all(feature = "lab", feature = "tools"))]
pub mod numbers;
#[cfg(feature = "lab")]
mod progress;
