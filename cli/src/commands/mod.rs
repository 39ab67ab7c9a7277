//! The commands.

#[cfg(feature = "lab")]
pub mod call;
#[cfg(feature = "lab")]
mod called;
#[cfg(feature = "tools")]
pub mod compare;
#[cfg(feature = "tools")]
mod compare_agents;
#[cfg(feature = "tools")]
pub mod completions;
#[cfg(feature = "tools")]
pub mod configure;
#[cfg(feature = "lab")]
pub mod demo;
#[cfg(all(feature = "lab", feature = "tools"))]
pub mod dev;
#[cfg(all(feature = "lab", feature = "tools"))]
mod dev_calls;
#[cfg(feature = "tools")]
pub mod doctor;
#[cfg(feature = "lab")]
mod faults;
#[cfg(feature = "tools")]
mod folded_trace;
#[cfg(feature = "lab")]
mod held_lines;
#[cfg(all(feature = "lab", target_os = "linux"))]
mod load;
#[cfg(all(feature = "lab", target_os = "linux"))]
pub mod load_agent;
#[cfg(all(feature = "lab", target_os = "linux"))]
mod load_processes;
#[cfg(all(feature = "lab", target_os = "linux"))]
mod load_progress;
#[cfg(all(feature = "lab", target_os = "linux"))]
mod load_report;
#[cfg(feature = "lab")]
mod local_stack;
#[cfg(all(feature = "lab", feature = "tools"))]
pub mod number;
#[cfg(feature = "lab")]
pub mod relay;
#[cfg(feature = "tools")]
pub mod replay;
pub mod serve;
#[cfg(all(feature = "lab", feature = "tools"))]
pub mod test;
#[cfg(feature = "lab")]
mod timeline;

use std::io;
use std::num::NonZero;

use tokio::runtime::{Builder, Runtime};

use dialbridge_runner::media::coalescing;
#[cfg(feature = "lab")]
use dialbridge_runner::telemetry::log::LineStyle;

/// `EX_CONFIG` of sysexits: a setting is wrong.
pub const CONFIG: u8 = 78;

/// `EX_USAGE` of sysexits: the command line is wrong.
#[cfg(feature = "lab")]
const USAGE: u8 = 64;

/// A shell's exit code for a program that was interrupted from the keyboard.
#[cfg(feature = "tools")]
const INTERRUPTED: u8 = 130;

/// How lines of the log on stderr are written.
#[cfg(feature = "lab")]
fn log_style() -> LineStyle {
    LineStyle::of(None, &io::stderr(), std::env::var_os("NO_COLOR").as_deref())
}

/// A runtime for the available cores. On a single core, threads would only get in each other's way.
///
/// # Errors
/// When the system cannot create threads.
pub fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if cores == 1 {
        builder.on_thread_park(coalescing::coalesce);
    }
    builder.enable_all().build()
}
