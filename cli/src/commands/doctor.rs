//! `doctor`: checks the setup, and says how to mend each fault.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::CONFIG;
use crate::doctor::{Doctor, DoctorArgs, Finding, Mark, Tools, findings_of_tape, summary};
use dialbridge_runner::telemetry::log::log_and_exit;

/// The exit code if there is a fault.
const FAULTS: u8 = 1;

/// Runs `doctor`.
pub async fn run(args: &DoctorArgs) -> ExitCode {
    let tools = match Tools::real() {
        Ok(tools) => tools,
        Err(error) => return log_and_exit(&format!("TLS cannot be set up: {error}"), CONFIG),
    };
    let findings = report(args, tools, &mut std::io::stdout()).await;
    ExitCode::from(exit_code(&findings))
}

/// The exit code, which tells a script whether there is a fault.
#[must_use]
pub fn exit_code(findings: &[Finding]) -> u8 {
    if findings.iter().any(Finding::is_fault) { FAULTS } else { 0 }
}

/// Runs all checks and writes the findings: line by line as they come, or as one JSON document.
pub async fn report(args: &DoctorArgs, tools: Tools, output: &mut (dyn Write + Send)) -> Vec<Finding> {
    let doctor = Doctor::new(tools, &args.options);
    let mut findings = Vec::new();
    let mut told = |finding: Finding| {
        if !args.json {
            // The reader may have closed the pipe; the exit code still tells the result.
            let _ = writeln!(output, "{finding}");
        }
        findings.push(finding);
    };
    if args.tapes.is_empty() {
        doctor.examine(&args.settings, &args.options, told).await;
    } else {
        args.tapes.iter().flat_map(|tape| findings_of_tape(tape)).for_each(&mut told);
    }
    let text = if args.json { document(&findings) } else { summary(&findings) };
    let _ = writeln!(output, "{text}");
    findings
}

fn document(findings: &[Finding]) -> String {
    let count = |mark| findings.iter().filter(|finding| finding.mark == mark).count();
    let document = json!({
        "faults": count(Mark::Fault),
        "warnings": count(Mark::Warning),
        "checks": findings,
    });
    format!("{document:#}")
}
