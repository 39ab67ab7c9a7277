//! `number`: lists the account's numbers, points one at a service, puts it back.

use std::process::ExitCode;

use super::timeline::say;
use super::{CONFIG, INTERRUPTED, USAGE};
use crate::doctor::{Doctor, Options, Tools};
use crate::numbers::{
    Account, IfChanged, KeptFile, NumberArgs, NumberCommand, NumberError, Routing, chosen, point, restore,
};
use dialbridge_runner::settings::{Platform, PublicUrl, Settings};
use dialbridge_runner::telemetry::log::log_and_exit;

/// Runs `number`.
pub async fn run(args: &NumberArgs) -> ExitCode {
    let done = tokio::select! {
        done = carry_out(&args.command) => done,
        // Dropping the future gives the terminal back as it was.
        _ = tokio::signal::ctrl_c() => return log_and_exit("interrupted", INTERRUPTED),
    };
    done.map_or_else(|error| exit_with(&error), |()| ExitCode::SUCCESS)
}

async fn carry_out(command: &NumberCommand) -> Result<(), NumberError> {
    match command {
        NumberCommand::List { .. } => list(command.settings()).await,
        NumberCommand::Point { url, number, .. } => point_at(command.settings(), url, number.as_deref()).await,
        NumberCommand::Restore { force, .. } => {
            let if_changed = if *force { IfChanged::PutBack } else { IfChanged::Leave };
            put_back(command.settings(), if_changed).await
        }
    }
}

/// Says why, and with which exit code.
pub(super) fn exit_with(error: &NumberError) -> ExitCode {
    let code = match error {
        NumberError::Usage(_) => USAGE,
        NumberError::Setting(_) => CONFIG,
        NumberError::Failed(_) => 1,
    };
    log_and_exit(&error.to_string(), code)
}

/// The tools of the checks, which ask Twilio here too.
pub(super) fn doctor() -> Result<Doctor, NumberError> {
    let tools = Tools::real().map_err(|error| NumberError::Setting(format!("TLS cannot be set up: {error}")))?;
    Ok(Doctor::new(tools, &Options::default()))
}

async fn account(settings: &Settings) -> Result<Account, NumberError> {
    let config = settings.check(Platform::Elsewhere).map_err(|faults| NumberError::Setting(faults.to_string()))?;
    Account::open(doctor()?, &config.twilio).await
}

async fn list(settings: &Settings) -> Result<(), NumberError> {
    let account = account(settings).await?;
    let numbers = account.numbers().await?;
    if numbers.is_empty() {
        say(&format!("Account {} has no numbers.", account.sid()));
    }
    for number in &numbers {
        let name = number.friendly_name.as_deref().filter(|name| *name != number.phone_number).unwrap_or_default();
        let calls = if number.takes_calls() { Routing::of(number).described() } else { "takes no calls".to_owned() };
        say(format!("{:<16} {calls}  {name}", number.phone_number).trim_end());
    }
    Ok(())
}

async fn point_at(settings: &Settings, url: &str, number: Option<&str>) -> Result<(), NumberError> {
    let mut settings = settings.clone();
    settings.set("PUBLIC_URL", url);
    let checked = settings.check(Platform::Elsewhere);
    let config = checked.map_err(|faults| NumberError::Setting(faults.to_string().replace("PUBLIC_URL", "--url")))?;
    let public = config.public_url.ok_or_else(|| NumberError::Usage("--url is empty".to_owned()))?;
    let account = Account::open(doctor()?, &config.twilio).await?;
    let number = chosen(&account, number).await?;
    let file = KeptFile::here();
    let pointed = point(&account, &file, &number, &public).await?;
    say(&format!("{} leads to {} now.", number.phone_number, public.http("/twiml")));
    let (was, path) = (pointed.was.described(), file.path().display());
    say(&format!("`dialbridge number restore` makes it lead to {was} again; {path} keeps what that needs."));
    warn_of_local(&public);
    Ok(())
}

/// Says so if Twilio cannot reach a URL.
pub(super) fn warn_of_local(public: &PublicUrl) {
    if public.is_local() {
        say("Twilio cannot reach that URL: it leads into this network alone.");
    }
}

async fn put_back(settings: &Settings, if_changed: IfChanged) -> Result<(), NumberError> {
    let file = KeptFile::here();
    match restore(&account(settings).await?, &file, if_changed).await? {
        Some(kept) => say(&format!("{} leads to {} again.", kept.phone_number, kept.was.described())),
        None => say(&format!("There is nothing to put back: {} is not here.", file.path().display())),
    }
    Ok(())
}
